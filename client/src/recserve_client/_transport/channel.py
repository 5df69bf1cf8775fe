"""Target and configuration to a gRPC channel."""

import json
import os
from typing import Final

import grpc
from grpc import aio

from recserve_client._errors import UnusableClientError

from .config import ChannelConfig, Compression
from .targets import Target

# Every call of theirs may be repeated: reads, and events that bear an id.
_SERVICES: Final = (
    "recserve.v1.FeedbackService",
    "recserve.v1.ModelService",
    "recserve.v1.RecommendationService",
)
_CHECKED_SERVICE: Final = "recserve.v1.RecommendationService"
_COMPRESSIONS: Final = {
    Compression.NONE: grpc.Compression.NoCompression,
    Compression.GZIP: grpc.Compression.Gzip,
    Compression.DEFLATE: grpc.Compression.Deflate,
}
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_DNS_INTERVAL_MS: Final = 5_000  # gRPC's own 30 s leave new replicas idle for as long

_first_use_pid: int | None = None


def open_channel(target: Target, config: ChannelConfig) -> grpc.Channel:
    """Opens a channel for blocking calls; connects at the first call.

    Raises:
        UnusableClientError: gRPC was in use before this process was forked.
    """
    _refuse_after_fork()
    options, compression = channel_options(target, config), _COMPRESSIONS[config.compression]
    credentials = _credentials(config)
    if credentials is None:
        return grpc.insecure_channel(target.name, options, compression)
    return grpc.secure_channel(target.name, credentials, options, compression)


def open_aio_channel(target: Target, config: ChannelConfig) -> aio.Channel:
    """Opens a channel for the running event loop; otherwise as `open_channel`."""
    _refuse_after_fork()
    options, compression = channel_options(target, config), _COMPRESSIONS[config.compression]
    credentials = _credentials(config)
    if credentials is None:
        return aio.insecure_channel(target.name, options, compression)
    return aio.secure_channel(target.name, credentials, options, compression)


def channel_options(target: Target, config: ChannelConfig) -> list[tuple[str, str | int]]:
    """Spells the configuration as gRPC channel arguments.

    What they mean is in https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h
    """
    max_reconnect_ms = round(config.max_reconnect_s * 1000)
    options: list[tuple[str, str | int]] = [
        ("grpc.max_send_message_length", config.max_send_bytes),
        ("grpc.max_receive_message_length", config.max_receive_bytes),
        ("grpc.service_config", json.dumps(_service_config(target, config))),
        ("grpc.initial_reconnect_backoff_ms", min(200, max_reconnect_ms)),
        ("grpc.min_reconnect_backoff_ms", min(1000, max_reconnect_ms)),
        ("grpc.max_reconnect_backoff_ms", max_reconnect_ms),
        ("grpc.dns_min_time_between_resolutions_ms", _DNS_INTERVAL_MS),
    ]
    if config.keepalive_s:
        options += [
            ("grpc.keepalive_time_ms", round(config.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    if config.tls is not None and config.tls.server_name:
        options.append(("grpc.ssl_target_name_override", config.tls.server_name))
    return options


def _service_config(target: Target, config: ChannelConfig) -> dict[str, object]:
    """Makes https://github.com/grpc/grpc/blob/master/doc/service_config.md of the configuration."""
    made: dict[str, object] = {}
    if config.round_robin:
        made["loadBalancingConfig"] = [{"round_robin": {}}]
    checks = target.is_replicated if config.health_checks is None else config.health_checks
    if checks and config.round_robin:
        made["healthCheckConfig"] = {"serviceName": _CHECKED_SERVICE}
    if config.max_attempts > 1:
        retry_policy = {
            "maxAttempts": config.max_attempts,
            "initialBackoff": f"{config.initial_backoff_s:.3f}s",
            "maxBackoff": f"{config.max_backoff_s:.3f}s",
            "backoffMultiplier": config.backoff_multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [{"service": service} for service in _SERVICES]
        made["methodConfig"] = [{"name": names, "retryPolicy": retry_policy}]
        # Stops retrying while more than about one call in ten fails, lest retries hold a
        # struggling server down.
        made["retryThrottling"] = {"maxTokens": 10, "tokenRatio": 0.1}
    return made


def _credentials(config: ChannelConfig) -> grpc.ChannelCredentials | None:
    if config.tls is None:
        return config.credentials
    tls = config.tls
    return grpc.ssl_channel_credentials(
        tls.root_certificates, tls.private_key, tls.certificate_chain
    )


def _refuse_after_fork() -> None:
    """Notes that gRPC is in use in this process.

    Its threads do not survive a fork; a child that uses it nevertheless may hang for ever
    (https://github.com/grpc/grpc/blob/master/doc/fork_support.md).
    """
    global _first_use_pid
    pid = os.getpid()
    if _first_use_pid is None:
        _first_use_pid = pid
    if pid != _first_use_pid:
        raise UnusableClientError(
            f"process {pid} was forked from process {_first_use_pid}, which had made calls before; "
            "gRPC does not work after that: make the first call after the fork, or start processes "
            "by spawn"
        )
