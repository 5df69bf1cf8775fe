import copy
import itertools
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from manifests import (
    COMPONENTS,
    KUBERNETES,
    Manifest,
    arguments_of,
    container_of,
    documents,
    kustomization,
    of_kind,
    pod_of,
    rendered,
    the,
)

from recserve_client import AsyncRecommenderClient, HealthStatus
from recserve_server.cli.flags import serve_parser
from recserve_server.cli.settings import config_of
from recserve_server.config import ServerConfig
from recserve_server.testing import running_server

OLDEST, NEWEST = "1.31", "1.37"
CHOICES = [
    chosen
    for count in range(len(COMPONENTS) + 1)
    for chosen in itertools.combinations(COMPONENTS, count)
]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

every_choice = pytest.mark.parametrize("chosen", CHOICES, ids="+".join)


@every_choice
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_fit_the_schema_of_kubernetes(chosen: tuple[str, ...], version: str) -> None:
    for manifest in rendered(*chosen):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schema_would_tell_a_misspelt_key() -> None:
    misspelt = copy.deepcopy(the(rendered(), "Deployment"))
    misspelt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, NEWEST, strict=True)


@pytest.mark.parametrize(
    "folder", [KUBERNETES, *(KUBERNETES / "components" / name for name in COMPONENTS)]
)
def test_a_kustomization_uses_every_file_beside_it(folder: Path) -> None:
    listed = kustomization(folder)
    used = {*listed.get("resources", []), *(each.get("path") for each in listed.get("patches", []))}

    assert used - {None} == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


def test_the_example_names_folders_that_are_there() -> None:
    folder = KUBERNETES / "overlays" / "production"
    named = kustomization(folder)

    for path in (*named["resources"], *named["components"]):
        assert (folder / path / "kustomization.yaml").exists()
    image = container_of(rendered())["image"].partition(":")[0]
    assert [each["name"] for each in named["images"]] == [image]


@every_choice
def test_the_server_understands_its_command_line(chosen: tuple[str, ...]) -> None:
    arguments = arguments_of(rendered(*chosen))

    config = config_of(serve_parser().parse_args(arguments))

    assert not any("$(" in argument for argument in arguments)
    assert (config.address, config.admin_address) == ("0.0.0.0:8500", "0.0.0.0:9090")
    assert (config.tls.certificate is not None) == ("tls" in chosen)


def test_kubernetes_waits_longer_than_a_drain_takes() -> None:
    manifests = rendered()
    parsed = serve_parser().parse_args(arguments_of(manifests))

    # Five seconds for the model process to end.
    needed_s = parsed.drain_delay + parsed.grace + 5
    assert pod_of(manifests)["spec"]["terminationGracePeriodSeconds"] >= needed_s


def test_a_drain_begins_before_proxies_would_call_into_a_closed_door() -> None:
    parsed = serve_parser().parse_args(arguments_of(rendered()))
    [envoy] = documents(KUBERNETES.parent / "envoy" / "envoy.yaml")
    [check] = envoy["static_resources"]["clusters"][0]["health_checks"]

    seen_s = check["unhealthy_threshold"] * _seconds(check["interval"]) + _seconds(check["timeout"])
    assert parsed.drain_delay > 2 * seen_s


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@every_choice
def test_probes_ask_ports_that_the_server_listens_on(chosen: tuple[str, ...]) -> None:
    manifests = rendered(*chosen)
    container = container_of(manifests)
    parsed = serve_parser().parse_args(arguments_of(manifests))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert parsed.address.endswith(f":{ports['grpc']}")
    assert parsed.admin_address.endswith(f":{ports['metrics']}")
    for probe in PROBES:
        if "grpc" in container[probe]:
            assert container[probe]["grpc"]["port"] == ports["grpc"]
        else:
            assert container[probe]["httpGet"]["port"] == "metrics"


def test_with_tls_no_probe_speaks_plain_grpc() -> None:
    container = container_of(rendered("tls"))

    assert {next(iter(container[probe])) for probe in PROBES} == {"httpGet"}


async def test_probes_name_services_whose_health_the_server_tells(config: ServerConfig) -> None:
    container = container_of(rendered())
    services = {container[probe]["grpc"].get("service", "") for probe in PROBES}
    async with (
        running_server(config) as server,
        AsyncRecommenderClient(server.address, timeout_s=10.0) as client,
    ):
        told = {service: await client.check_health(service) for service in services}

    assert told == {"": HealthStatus.SERVING, "liveness": HealthStatus.SERVING}


@every_choice
def test_selectors_find_the_pods_and_ports_have_names(chosen: tuple[str, ...]) -> None:
    manifests = rendered(*chosen)
    labels = pod_of(manifests)["metadata"]["labels"].items()
    ports = {port["name"] for port in container_of(manifests)["ports"]}
    deployment, policy = the(manifests, "Deployment"), the(manifests, "NetworkPolicy")

    for service in of_kind(manifests, "Service"):
        assert service["spec"]["selector"].items() <= labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for selector in (
        deployment["spec"]["selector"],
        policy["spec"]["podSelector"],
        the(manifests, "PodDisruptionBudget")["spec"]["selector"],
        *(each["labelSelector"] for each in pod_of(manifests)["spec"]["topologySpreadConstraints"]),
    ):
        assert selector["matchLabels"].items() <= labels
    opened = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert sorted(opened) == sorted(ports)


@every_choice
def test_what_a_pod_refers_to_is_there(chosen: tuple[str, ...]) -> None:
    manifests = rendered(*chosen)
    pod, container = pod_of(manifests)["spec"], container_of(manifests)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    assert the(manifests, "ServiceAccount", pod["serviceAccountName"])
    for source in container["envFrom"]:
        assert the(manifests, "ConfigMap", source["configMapRef"]["name"])
    claim = volumes["models"]["persistentVolumeClaim"]
    assert the(manifests, "PersistentVolumeClaim", claim["claimName"])
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)


@every_choice
def test_files_that_flags_name_are_on_volumes(chosen: tuple[str, ...]) -> None:
    manifests = rendered(*chosen)
    parsed = serve_parser().parse_args(arguments_of(manifests))
    mounts = {
        Path(mount["mountPath"]): mount.get("readOnly", False)
        for mount in container_of(manifests)["volumeMounts"]
    }

    assert mounts[parsed.models] is True
    # The server writes these two.
    assert mounts[parsed.admin_socket.parent] is mounts[parsed.labels.parent] is False
    if "tls" in chosen:
        assert mounts[parsed.tls_cert.parent] is mounts[parsed.tls_key.parent] is True


@every_choice
def test_a_pod_may_do_nothing_but_serve(chosen: tuple[str, ...]) -> None:
    pod = pod_of(rendered(*chosen))["spec"]
    [container] = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_rolling_update_never_has_fewer_replicas_than_wanted() -> None:
    spec = the(rendered(), "Deployment")["spec"]

    assert spec["replicas"] == 3
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_with_autoscaling_an_apply_leaves_the_number_of_replicas_alone() -> None:
    manifests = rendered("autoscaling")
    scaler = the(manifests, "HorizontalPodAutoscaler")["spec"]

    assert "replicas" not in the(manifests, "Deployment")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "recserve"
    assert scaler["minReplicas"] == the(rendered(), "Deployment")["spec"]["replicas"]
    # Its percentage is of the CPU that is requested.
    assert "cpu" in container_of(manifests)["resources"]["requests"]


def test_the_clients_name_has_the_address_of_each_ready_replica() -> None:
    service = the(rendered(), "Service")["spec"]

    assert service["clusterIP"] == "None"
    assert not service.get("publishNotReadyAddresses", False)


def test_metrics_of_a_replica_that_is_not_ready_can_be_had() -> None:
    service = the(rendered(), "Service", "recserve-metrics")

    assert service["spec"]["publishNotReadyAddresses"] is True
    [port] = service["spec"]["ports"]
    assert service["metadata"]["annotations"]["prometheus.io/port"] == str(port["port"])


def test_manifests_hold_each_key_once() -> None:
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Manifest:
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), (node.start_mark, keys)
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    for path in KUBERNETES.rglob("*.yaml"):
        assert list(yaml.load_all(path.read_text(encoding="utf-8"), Strict))
