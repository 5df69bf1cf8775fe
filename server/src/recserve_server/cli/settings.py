"""Parsed flags -> ServerConfig."""

import argparse
import dataclasses
import json
import re

from recserve_server.config import (
    AccessConfig,
    BatchingConfig,
    ConnectionsConfig,
    EventsConfig,
    Limits,
    MemoryPolicy,
    ObservingConfig,
    ServerConfig,
    TlsConfig,
    VersionPolicy,
    VersionsConfig,
)


def config_of(arguments: argparse.Namespace) -> ServerConfig:
    """Returns the settings that the flags ask for.

    Raises:
        ValueError: one is out of range; the text names it.
    """
    return ServerConfig(
        models_dir=arguments.models,
        name=arguments.name,
        address=arguments.address,
        admin_address=arguments.admin_address,
        admin_socket=arguments.admin_socket,
        reflection=arguments.reflection,
        drain_delay_s=arguments.drain_delay,
        grace_s=arguments.grace,
        log_level=arguments.log_level,
        log_format=arguments.log_format,
        batching=_batching(arguments),
        limits=Limits(max_k=arguments.max_k),
        events=_events(arguments),
        versions=_versions(arguments),
        connections=_connections(arguments),
        tls=TlsConfig(
            certificate=arguments.tls_cert, key=arguments.tls_key, client_ca=arguments.tls_client_ca
        ),
        access=AccessConfig(
            callers_file=arguments.callers, health_needs_caller=arguments.health_needs_caller
        ),
        observing=_observing(arguments),
    )


def as_json(config: ServerConfig) -> str:
    """Returns the settings for a person to read; a store's password is left out."""
    settings = dataclasses.asdict(config)
    settings["events"]["location"] = _without_password(config.events.location)
    settings["batching"]["allowed_batch_sizes"] = config.batching.batch_sizes
    settings["versions"]["policy"] = str(config.versions.policy)
    settings["versions"]["memory_policy"] = config.versions.memory_policy.value
    return json.dumps(settings, indent=2, default=str)


def _batching(arguments: argparse.Namespace) -> BatchingConfig:
    return BatchingConfig(
        max_batch_size=arguments.max_batch_size,
        batch_timeout_micros=arguments.batch_timeout_micros,
        max_enqueued=arguments.max_enqueued,
        max_queue_delay_ms=arguments.max_queue_delay_ms,
        tenant_key=arguments.tenant_key,
        allowed_batch_sizes=arguments.allowed_batch_sizes,
        watchdog_s=arguments.watchdog,
    )


def _events(arguments: argparse.Namespace) -> EventsConfig:
    return EventsConfig(
        location=arguments.events,
        retention_days=arguments.events_retention_days,
        max_per_user=arguments.events_max_per_user,
        read_timeout_ms=arguments.events_read_timeout_ms,
        write_timeout_ms=arguments.events_write_timeout_ms,
    )


def _versions(arguments: argparse.Namespace) -> VersionsConfig:
    return VersionsConfig(
        policy=VersionPolicy.parse(arguments.versions),
        poll_interval_s=arguments.poll_interval,
        memory_policy=MemoryPolicy(arguments.memory_policy),
        labels_file=arguments.labels,
        min_golden_overlap=arguments.min_golden_overlap,
        min_serving_overlap=arguments.min_serving_overlap,
        wait_for_model=arguments.wait_for_model,
    )


def _connections(arguments: argparse.Namespace) -> ConnectionsConfig:
    return ConnectionsConfig(
        max_message_bytes=arguments.max_message_bytes,
        max_metadata_bytes=arguments.max_metadata_bytes,
        max_concurrent_streams=arguments.max_concurrent_streams,
        max_pending=arguments.max_pending,
        min_ping_interval_s=arguments.min_ping_interval,
        max_age_s=arguments.max_connection_age,
        max_age_grace_s=arguments.max_connection_age_grace,
        max_idle_s=arguments.max_connection_idle,
    )


def _observing(arguments: argparse.Namespace) -> ObservingConfig:
    return ObservingConfig(
        request_log=arguments.request_log,
        request_log_share=arguments.request_log_share,
        request_log_personal=arguments.request_log_personal,
        otel=arguments.otel,
    )


def _without_password(url: str) -> str:
    return re.sub(r"(?<=//)([^:@/]*):[^@/]*@", r"\1:***@", url)
