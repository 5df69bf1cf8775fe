import dataclasses
import json

import grpc
import pytest

from recserve.v1 import feedback_service_pb2, model_service_pb2, recommendation_service_pb2
from recserve_client import ChannelConfig, Compression, OverloadedError, RecommenderClient, Tls
from recserve_client._transport.channel import channel_options
from recserve_client._transport.targets import parse_target

ONE = parse_target("localhost:8500")
REPLICAS = parse_target("dns:///recserve:8500")


def service_config(config: ChannelConfig, target=ONE) -> dict:
    return json.loads(dict(channel_options(target, config))["grpc.service_config"])


def test_message_sizes_reach_the_channel() -> None:
    options = dict(channel_options(ONE, ChannelConfig(max_send_bytes=10, max_receive_bytes=20)))

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
    config = service_config(ChannelConfig(max_attempts=1))

    assert not {"methodConfig", "retryThrottling"} & set(config)


def test_calls_go_to_all_addresses_in_turn_unless_told_otherwise() -> None:
    assert service_config(ChannelConfig())["loadBalancingConfig"] == [{"round_robin": {}}]
    assert "loadBalancingConfig" not in service_config(ChannelConfig(round_robin=False))


@pytest.mark.parametrize(
    ("target", "wanted", "checks"),
    [
        (ONE, None, False),
        (ONE, True, True),
        (REPLICAS, None, True),
        (REPLICAS, False, False),
    ],
)
def test_health_is_checked_where_there_may_be_several_servers(target, wanted, checks) -> None:
    config = service_config(ChannelConfig(health_checks=wanted), target)

    assert ("healthCheckConfig" in config) is checks


def test_no_health_is_checked_without_round_robin() -> None:
    config = service_config(ChannelConfig(round_robin=False), REPLICAS)

    assert "healthCheckConfig" not in config


def test_keepalive_can_be_turned_off() -> None:
    def pings(config: ChannelConfig) -> set[str]:
        return {name for name, _ in channel_options(ONE, config) if "keepalive" in name}

    assert pings(ChannelConfig())
    assert not pings(ChannelConfig(keepalive_s=0))


@pytest.mark.parametrize(
    "fields",
    [
        {"max_send_bytes": 0},
        {"max_receive_bytes": 0},
        {"max_attempts": 0},
        {"max_attempts": 6},
        {"initial_backoff_s": 0.001},
        {"initial_backoff_s": 2.0},
        {"max_backoff_s": 61.0},
        {"max_backoff_s": float("nan")},
        {"backoff_multiplier": 0.5},
        {"compression": "zip"},
        {"hedge_after_s": 0},
        {"hedge_after_s": 61},
        {"max_reconnect_s": 0},
        {"keepalive_s": -1},
        {"keepalive_s": 0.05},
        {"health_checks": True, "round_robin": False},
        {"bearer_token": "secret"},
        {"tls": Tls(), "credentials": grpc.ssl_channel_credentials()},
    ],
)
def test_a_config_out_of_range_is_refused_by_name(fields) -> None:
    with pytest.raises(ValueError, match="|".join(fields)):
        ChannelConfig(**fields)


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ChannelConfig().max_attempts = 4


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValueError, match="private_key"):
        Tls(certificate_chain=b"certificate")


def test_no_secret_is_printed() -> None:
    tls = Tls(certificate_chain=b"certificate", private_key=b"secret key")
    config = ChannelConfig(tls=tls, bearer_token="secret token")

    assert "secret" not in repr(config)


@pytest.mark.parametrize("compression", Compression)
def test_an_answer_comes_back_however_it_is_compressed(server, compression) -> None:
    config = ChannelConfig(compression=compression)

    with RecommenderClient(server.target, config=config, timeout_s=30.0) as client:
        recommendation = client.recommend("42", excluded_item_ids=["50"] * 1000)

    assert recommendation.items
    assert len(server.requests[0].excluded_item_ids) == 1000


def test_credentials_secure_the_channel(server) -> None:
    config = ChannelConfig(credentials=grpc.ssl_channel_credentials(), max_attempts=1)

    with (
        RecommenderClient(server.target, config=config, timeout_s=30.0) as client,
        pytest.raises(ConnectionError),
    ):
        client.recommend("42")

    assert server.requests == []


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_receive_bytes": 10}, "larger than max .*: ask for less .* raise max_receive_bytes"),
        ({"max_send_bytes": 10}, "larger than max .*: send less .* max_send_bytes"),
        ({"max_send_bytes": 1 << 24}, "SERVER: Received .* larger than max .*: send less"),
    ],
)
def test_what_is_too_large_is_refused_with_what_to_do(server, ask, limits, told) -> None:
    many_items = ["x" * 5000] * 1000  # larger than gRPC's servers take by default

    with pytest.raises(OverloadedError, match=told) as caught:
        ask(
            "recommend",
            "42",
            excluded_item_ids=[] if "max_receive_bytes" in limits else many_items,
            client_options={"timeout_s": 30.0, "config": ChannelConfig(**limits)},
        )

    assert caught.value.retry_after_s is None
