"""Who is let in to what; over the wire in tests/integration/security."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2

from recserve.v1 import feedback_service_pb2, model_service_pb2, recommendation_service_pb2
from recserve_server.config import AccessConfig
from recserve_server.errors import PermissionDenied, Unauthenticated
from recserve_server.security.access import AccessControl, required_permission

RECOMMEND = "/recserve.v1.RecommendationService/Recommend"
LIST = "/recserve.v1.ModelService/ListModels"
CHECK = "/grpc.health.v1.Health/Check"
WEB, NIGHTLY, GONE = "web-0123456789abcdef", "nightly-0123456789abcdef", "gone-0123456789abcdef"
FILE = f"""
[[caller]]
name = "web"
token = "{WEB}"
may = ["recommend"]

[[caller]]
name = "nightly"
token = "{NIGHTLY}"
certificate = "nightly.example.org"
may = ["recommend", "admin"]
expires = 2001-09-09T01:46:41Z  # 1000000001 in Unix time

[[caller]]
name = "gone"
token = "{GONE}"
may = ["recommend"]
expires = 1970-01-01T00:00:01Z
"""


class Connection:
    """All that admission asks a call's context for."""

    def __init__(self, *names: bytes) -> None:
        self.names = names

    def peer_identities(self) -> Sequence[bytes] | None:
        return self.names or None


class Gate:
    """Access control with its file and its clocks at hand."""

    def __init__(self, path: Path, **config: bool) -> None:
        self.path, self.now_s, self.unix_s = path, 0.0, 1e9
        self.write(FILE)
        self.control = AccessControl(
            AccessConfig(callers_file=path, **config),
            asks_for_certificates=True,
            clock=lambda: self.unix_s,
            monotonic=lambda: self.now_s,
        )

    def write(self, toml: str) -> None:
        self.path.write_text(toml)
        self.path.chmod(0o600)

    def admit(
        self, *values: str | bytes, method: str = RECOMMEND, names: Sequence[bytes] = ()
    ) -> str:
        context: Any = Connection(*names)
        metadata = (("x", "y"), *(("authorization", value) for value in values))
        return self.control.admit(method, metadata, context)

    def reasons(self) -> dict[str, int]:
        return {reason: count for reason, count in self.control.refused.items() if count}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "callers.toml")


def methods_of(file: FileDescriptor) -> dict[str, str | None]:
    return {
        f"{service.name}.{method.name}": required_permission(f"/{service.full_name}/{method.name}")
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_each_method_that_there_is_has_its_permission() -> None:
    files = (recommendation_service_pb2, feedback_service_pb2, model_service_pb2, health_pb2)
    needed = {name: may for each in files for name, may in methods_of(each.DESCRIPTOR).items()}

    assert needed == {
        "RecommendationService.Recommend": "recommend",
        "RecommendationService.BatchRecommend": "recommend",
        "RecommendationService.FindSimilarItems": "recommend",
        "RecommendationService.RankItems": "recommend",
        "FeedbackService.RecordEvents": "feedback",
        "ModelService.GetModel": "recommend",
        "ModelService.ListModels": "admin",
        "Health.Check": None,
        "Health.List": None,
        "Health.Watch": None,
    }


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/recserve.v2.RecommendationService/Recommend",
        "/recserve.v1.RecommendationServiceX/Recommend",
        "/recserve.v1.ModelService/GetModelX",
        "/grpc.health.v1.HealthX/Check",
        "",
    ],
)
def test_whatever_else_comes_needs_the_most(method: str) -> None:
    assert required_permission(method) == "admin"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_shows_its_caller(gate: Gate, scheme: str) -> None:
    assert gate.admit(f"{scheme} {WEB}") == "web"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "missing"),
        (["Bearer nobody-0123456789abcdef"], "unknown"),
        (["Bearer "], "unknown"),
        (["Bearer"], "unknown"),
        ([""], "unknown"),
        ([f"Basic {WEB}"], "unknown"),
        ([WEB], "unknown"),
        ([f"Bearer  {WEB}"], "unknown"),
        ([f"Bearer {WEB} "], "unknown"),
        ([f"Bearer {WEB}".encode()], "unknown"),
        ([f"Bearer {WEB}", f"Bearer {WEB}"], "unknown"),
        ([f"Bearer {GONE}"], "expired"),
        (["Bearer " + "x" * 4097], "too_long"),
    ],
)
def test_a_call_that_shows_no_caller_is_refused_and_counted(
    gate: Gate, sent: list[str | bytes], reason: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        gate.admit(*sent)

    assert gate.reasons() == {reason: 1}
    assert WEB not in str(caught.value)


def test_a_caller_may_not_do_what_it_was_not_given(gate: Gate) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.admit(f"Bearer {WEB}", method=LIST)

    assert (
        str(caught.value) == f"caller 'web' may not call {LIST}, which needs the permission 'admin'"
    )
    assert gate.reasons() == {"denied": 1}
    assert gate.admit(f"Bearer {NIGHTLY}", method=LIST) == "nightly"


def test_a_caller_is_known_until_its_time_is_over(gate: Gate) -> None:
    assert gate.admit(f"Bearer {NIGHTLY}") == "nightly"

    gate.unix_s += 1

    with pytest.raises(Unauthenticated):
        gate.admit(f"Bearer {NIGHTLY}")


def test_a_certificate_shows_its_caller_by_any_of_its_names(gate: Gate) -> None:
    assert gate.admit(names=[b"\xff", b"nightly.example.org"]) == "nightly"

    with pytest.raises(Unauthenticated):
        gate.admit(names=[b"elsewhere.example.org"])
    assert gate.reasons() == {"unknown": 1}


def test_a_token_counts_more_than_a_certificate(gate: Gate) -> None:
    names = [b"nightly.example.org"]

    assert gate.admit(f"Bearer {WEB}", names=names) == "web"
    with pytest.raises(Unauthenticated):
        gate.admit("Bearer nobody-0123456789abcdef", names=names)


def test_health_is_for_everybody(gate: Gate) -> None:
    assert gate.admit(method=CHECK) == ""
    assert gate.admit("Bearer nobody-0123456789abcdef", method=CHECK) == ""


def test_health_is_for_any_caller_if_so_chosen(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "callers.toml", health_needs_caller=True)

    assert gate.admit(f"Bearer {WEB}", method=CHECK) == "web"
    with pytest.raises(Unauthenticated):
        gate.admit(method=CHECK)


def test_a_changed_file_counts_within_a_second(gate: Gate) -> None:
    gate.write(FILE.replace(WEB, "another-0123456789abcdef"))
    gate.now_s += 1

    with pytest.raises(Unauthenticated):
        gate.admit(f"Bearer {WEB}")
    assert gate.admit("Bearer another-0123456789abcdef") == "web"
    assert (gate.control.rotations, gate.control.failures) == (1, 0)


@pytest.mark.parametrize("toml", ["", "[[caller]]", FILE[:-4]])
def test_a_broken_file_changes_nobody(gate: Gate, toml: str) -> None:
    gate.write(toml)
    gate.now_s += 1

    assert gate.admit(f"Bearer {WEB}") == "web"
    assert (gate.control.rotations, gate.control.failures) == (0, 1)
    assert gate.control.is_stale


def test_a_broken_file_is_no_start(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text("[[caller]]")

    with pytest.raises(ValueError, match=r"callers\.toml the name of caller 1 must be"):
        AccessControl(AccessConfig(callers_file=path))


def test_certificates_of_callers_need_an_authority(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text(FILE)

    with pytest.raises(ValueError, match=r"names certificates, which need tls_client_ca"):
        AccessControl(AccessConfig(callers_file=path))
