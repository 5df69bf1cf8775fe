"""How a client connects: target and configuration to a gRPC channel."""

import json
from dataclasses import dataclass
from typing import Final

import grpc
from grpc import aio

# Every call of theirs may be repeated: reads, and events that bear an id.
_SERVICES: Final = (
    "recserve.v1.FeedbackService",
    "recserve.v1.ModelService",
    "recserve.v1.RecommendationService",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelConfig:
    """How the connection behaves; the defaults suit a server in the same network."""

    max_send_bytes: int = 1 << 20
    """Largest request; the server accepts no more either."""
    max_receive_bytes: int = 16 << 20
    """Largest response."""
    max_attempts: int = 3
    """Tries per call, first one included, while the server is unavailable; 1 turns retries off."""
    initial_backoff_s: float = 0.05
    """Seconds before the second try, give or take a random part."""
    max_backoff_s: float = 1.0
    """Longest wait between two tries, in seconds."""
    backoff_multiplier: float = 2.0
    """How much longer each wait is than the one before."""
    credentials: grpc.ChannelCredentials | None = None
    """Secures the connection; None means plain text."""

    def __post_init__(self) -> None:
        """Raises ValueError naming the first field that is out of range."""
        if min(self.max_send_bytes, self.max_receive_bytes) < 1:
            raise ValueError(
                f"max_send_bytes and max_receive_bytes must be at least 1, "
                f"got {self.max_send_bytes} and {self.max_receive_bytes}"
            )
        # gRPC silently takes more than five attempts as five.
        if not 1 <= self.max_attempts <= 5:
            raise ValueError(f"max_attempts must be in 1..5, got {self.max_attempts}")
        if not 0.001 <= self.initial_backoff_s <= self.max_backoff_s <= 60:
            raise ValueError(
                "backoff must satisfy 0.001 <= initial_backoff_s <= max_backoff_s <= 60, "
                f"got {self.initial_backoff_s} and {self.max_backoff_s}"
            )
        if not 1 <= self.backoff_multiplier <= 10:
            raise ValueError(f"backoff_multiplier must be in 1..10, got {self.backoff_multiplier}")


def checked_target(target: object) -> str:
    """Returns `target`; raises ValueError if it cannot name a server."""
    allowed = 'must be "host:port" or a gRPC name such as "dns:///host:port" or "unix:/path"'
    if not isinstance(target, str) or not target.strip():
        raise ValueError(f"target is {target!r}, {allowed}")
    if target.split() != [target] or target.startswith(("http://", "https://")):
        raise ValueError(f"target is {target!r}, {allowed}")
    return target


def open_channel(target: str, config: ChannelConfig) -> grpc.Channel:
    """Opens a channel for blocking calls; connects at the first call."""
    if config.credentials is None:
        return grpc.insecure_channel(target, channel_options(config))
    return grpc.secure_channel(target, config.credentials, channel_options(config))


def open_aio_channel(target: str, config: ChannelConfig) -> aio.Channel:
    """Opens a channel for the running event loop; connects at the first call."""
    if config.credentials is None:
        return aio.insecure_channel(target, channel_options(config))
    return aio.secure_channel(target, config.credentials, channel_options(config))


def channel_options(config: ChannelConfig) -> list[tuple[str, str | int]]:
    """Spells the configuration as gRPC channel arguments."""
    return [
        ("grpc.max_send_message_length", config.max_send_bytes),
        ("grpc.max_receive_message_length", config.max_receive_bytes),
        ("grpc.service_config", json.dumps(_service_config(config))),
    ]


def _service_config(config: ChannelConfig) -> dict[str, object]:
    if config.max_attempts == 1:
        return {}
    retry_policy = {
        "maxAttempts": config.max_attempts,
        "initialBackoff": f"{config.initial_backoff_s:.3f}s",
        "maxBackoff": f"{config.max_backoff_s:.3f}s",
        "backoffMultiplier": config.backoff_multiplier,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    names = [{"service": service} for service in _SERVICES]
    return {
        "methodConfig": [{"name": names, "retryPolicy": retry_policy}],
        # Stops retrying while more than about one call in ten fails, lest retries hold a
        # struggling server down.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
