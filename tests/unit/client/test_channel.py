import dataclasses
import json

import grpc
import pytest

from recserve.v1 import feedback_service_pb2, model_service_pb2, recommendation_service_pb2
from recserve_client import ChannelConfig, RecommenderClient
from recserve_client._channel import channel_options, checked_target


def service_config(config: ChannelConfig) -> dict:
    return json.loads(dict(channel_options(config))["grpc.service_config"])


def test_message_sizes_reach_the_channel() -> None:
    options = dict(channel_options(ChannelConfig(max_send_bytes=10, max_receive_bytes=20)))

    assert options["grpc.max_send_message_length"] == 10
    assert options["grpc.max_receive_message_length"] == 20


def test_only_unavailable_is_retried_and_that_for_every_service_of_the_contract() -> None:
    (method_config,) = service_config(ChannelConfig())["methodConfig"]

    assert method_config["retryPolicy"] == {
        "maxAttempts": 3,
        "initialBackoff": "0.050s",
        "maxBackoff": "1.000s",
        "backoffMultiplier": 2.0,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    assert {name["service"] for name in method_config["name"]} == {
        service.full_name
        for module in (feedback_service_pb2, model_service_pb2, recommendation_service_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    }


def test_retries_are_throttled() -> None:
    assert service_config(ChannelConfig())["retryThrottling"]["maxTokens"] > 0


def test_one_attempt_means_no_retry_policy() -> None:
    assert service_config(ChannelConfig(max_attempts=1)) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"max_send_bytes": 0},
        {"max_receive_bytes": 0},
        {"max_attempts": 0},
        {"max_attempts": 6},
        {"initial_backoff_s": 0.0},
        {"initial_backoff_s": 2.0},
        {"max_backoff_s": 61.0},
        {"max_backoff_s": float("nan")},
        {"backoff_multiplier": 0.5},
    ],
)
def test_a_config_out_of_range_is_refused_by_name(fields) -> None:
    with pytest.raises(ValueError, match="|".join(fields)):
        ChannelConfig(**fields)


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ChannelConfig().max_attempts = 4


@pytest.mark.parametrize(
    "target", ["localhost:8500", "[::1]:8500", "dns:///recserve:8500", "unix:/tmp/recserve.sock"]
)
def test_names_that_grpc_understands_are_accepted(target) -> None:
    assert checked_target(target) == target


@pytest.mark.parametrize(
    "target", ["", "  ", "local host:8500", "http://localhost:8500", "https://x", None, 8500]
)
def test_other_targets_are_refused_with_what_is_allowed(target) -> None:
    with pytest.raises(ValueError, match="host:port"):
        checked_target(target)


def test_credentials_secure_the_channel(server) -> None:
    config = ChannelConfig(credentials=grpc.ssl_channel_credentials(), max_attempts=1)

    with (
        RecommenderClient(server.target, config=config, timeout_s=30.0) as client,
        pytest.raises(ConnectionError),
    ):
        client.recommend("42")

    assert server.requests == []


def test_an_answer_beyond_the_receive_limit_is_refused(server) -> None:
    config = ChannelConfig(max_receive_bytes=10)

    with (
        RecommenderClient(server.target, config=config) as client,
        pytest.raises(Exception, match="larger than max"),
    ):
        client.recommend("42")
