"""What `recserve-serve doctor` finds on this machine, and on ones that something is wrong with."""

import datetime
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from recserve_server.cli.doctor.files import look_at_files
from recserve_server.cli.doctor.finding import Finding, Verdict
from recserve_server.cli.doctor.machine import look_at_machine
from recserve_server.cli.doctor.models import look_at_models
from recserve_server.cli.doctor.network import look_at_network
from recserve_server.config import (
    AccessConfig,
    EventsConfig,
    MemoryPolicy,
    ObservingConfig,
    ServerConfig,
    TlsConfig,
    VersionsConfig,
)
from recserve_server.models import memory

FAIL, WARN, OK = Verdict.FAIL, Verdict.WARN, Verdict.OK
Look = Callable[[ServerConfig], Iterable[Finding]]
needs_users = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def found(look: Look, config: ServerConfig, what: str) -> Finding:
    """Returns the one finding about something."""
    [finding] = [each for each in look(config) if each.what == what]
    if finding.verdict is not OK:
        assert finding.advice
    return finding


def test_a_good_model_directory_has_nothing_wrong(config: ServerConfig) -> None:
    findings = list(look_at_models(config))

    assert {each.verdict for each in findings} == {OK}
    assert [each.what for each in findings] == ["models", "model films version 1", "memory"]


def test_a_directory_that_is_not_there_fails(config: ServerConfig, tmp_path: Path) -> None:
    finding = found(look_at_models, replace(config, models_dir=tmp_path / "missing"), "models")

    assert finding.verdict is FAIL
    assert "is not a folder" in finding.seen


def test_an_empty_directory_and_a_wrong_name_fail(config: ServerConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = found(look_at_models, replace(config, models_dir=tmp_path / "empty"), "models")
    wrong = found(look_at_models, replace(config, name="films,songs"), "models")

    assert (empty.verdict, wrong.verdict) == (FAIL, FAIL)
    assert wrong.seen == "no songs among films"


def test_a_damaged_version_is_told_with_what_is_wrong(config: ServerConfig) -> None:
    (config.models_dir / "films" / "1" / "items.arrow").write_bytes(b"short")

    version = found(look_at_models, config, "model films version 1")
    model = found(look_at_models, config, "model films")

    assert (version.verdict, model.verdict) == (WARN, FAIL)
    assert "items.arrow has 5 bytes" in version.seen


def test_memory_is_held_against_what_models_need(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = []
    frugal = VersionsConfig(memory_policy=MemoryPolicy.FRUGAL)
    for available_mib, changed in (
        (300, config),
        (600, config),
        (600, replace(config, versions=frugal)),
        (900, config),
    ):
        monkeypatch.setattr(memory, "bytes_available", lambda of=available_mib: of << 20)
        verdicts.append(found(look_at_models, changed, "memory").verdict)

    assert verdicts == [FAIL, WARN, OK, OK]


def test_few_files_fail_and_some_warn(
    config: ServerConfig, open_files: Callable[[int], None]
) -> None:
    verdicts = []
    for limit in (200, 1024, 4096):
        open_files(limit)
        verdicts.append(found(look_at_machine, config, "open files").verdict)

    assert verdicts == [FAIL, WARN, OK]


@pytest.fixture
def open_files() -> Iterator[Callable[[int], None]]:
    """Limits the files that this process may have open, until the test ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_in_use_fails_and_a_free_one_is_left_free(config: ServerConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        in_use = found(look_at_network, replace(config, address=address), "address")
    free = found(look_at_network, replace(config, address=address), "address")

    assert (in_use.verdict, free.verdict) == (FAIL, OK)
    assert in_use.advice.startswith("is a server running already?")
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        pass


@pytest.mark.parametrize("address", ["no-such-host.invalid:1", "192.0.2.1:8500"])
def test_an_address_of_another_machine_fails(config: ServerConfig, address: str) -> None:
    finding = found(look_at_network, replace(config, admin_address=address), "admin address")

    assert finding.verdict is FAIL
    assert finding.advice == "--admin-address takes an address of this machine"


def tls_of(folder: Path, days: float) -> TlsConfig:
    now = datetime.datetime.now(datetime.UTC)
    issued = trustme.CA().issue_cert(
        "localhost",
        not_before=now - datetime.timedelta(days=30),
        not_after=now + datetime.timedelta(days=days),
    )
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    return TlsConfig(certificate=certificate, key=key)


def test_a_certificate_is_told_with_its_end(config: ServerConfig, tmp_path: Path) -> None:
    verdicts = [
        found(look_at_files, replace(config, tls=tls_of(tmp_path, days)), "certificate").verdict
        for days in (-1, 3, 90)
    ]

    assert verdicts == [FAIL, WARN, OK]


def test_a_key_that_everybody_can_read_is_told(config: ServerConfig, tmp_path: Path) -> None:
    tls = tls_of(tmp_path, 90)
    assert tls.key is not None
    tls.key.chmod(0o644)

    finding = found(look_at_files, replace(config, tls=tls), "certificate's key")

    assert finding.verdict is WARN
    assert finding.advice == f"chmod o-r {tls.key}"


def test_files_that_cannot_be_used_fail(config: ServerConfig, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("]" * 1000)
    broken = replace(
        config,
        tls=TlsConfig(certificate=bad, key=bad),
        access=AccessConfig(callers_file=bad),
        versions=VersionsConfig(labels_file=bad),
        events=EventsConfig(location=str(bad)),
        observing=ObservingConfig(request_log=tmp_path / "missing" / "log"),
        admin_socket=tmp_path / "missing" / "socket",
    )

    verdicts = {each.what: each.verdict for each in look_at_files(broken)}

    whats = ("certificate", "callers", "labels", "events", "request log", "admin socket")
    assert verdicts == dict.fromkeys(whats, FAIL)


def test_files_that_can_be_used_are_left_as_they_are(config: ServerConfig, tmp_path: Path) -> None:
    callers = tmp_path / "callers.toml"
    callers.touch(mode=0o600)
    callers.write_text(
        '[[caller]]\nname = "web"\ntoken = "0123456789abcdef"\nmay = ["recommend"]\n'
    )
    good = replace(
        config,
        access=AccessConfig(callers_file=callers),
        versions=VersionsConfig(labels_file=tmp_path / "labels.json"),
        events=EventsConfig(location=str(tmp_path / "events.db")),
        observing=ObservingConfig(request_log=tmp_path / "log"),
        admin_socket=tmp_path / "socket",
    )
    before = sorted(tmp_path.iterdir())

    assert {each.verdict for each in look_at_files(good)} == {OK}
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_that_does_not_answer_warns(config: ServerConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found_port:
        location = f"redis://127.0.0.1:{found_port.getsockname()[1]}/0"

    finding = found(
        look_at_files, replace(config, events=EventsConfig(location=location)), "events"
    )

    assert finding.verdict is WARN


@needs_users
def test_a_place_that_cannot_be_written_fails(config: ServerConfig) -> None:
    observing = ObservingConfig(request_log=Path("/proc/log"))

    assert found(look_at_files, replace(config, observing=observing), "request log").verdict is FAIL


@pytest.mark.long
@pytest.mark.tensorflow
def test_the_program_says_in_a_line_each_whether_a_server_could_run(config: ServerConfig) -> None:
    command = [sys.executable, "-c", "import sys; from recserve_server.cli.doctor import doctor; "]
    command[-1] += "sys.exit(doctor(sys.argv[1:]))"
    command += ["--models", str(config.models_dir), "--address", "127.0.0.1:0"]
    command += ["--admin-address", "127.0.0.1:0"]

    good = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    bad = subprocess.run(
        [*command, "--name", "songs", "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert (good.returncode, good.stderr) == (0, "")
    *lines, blank, summary = good.stdout.splitlines()
    assert {line[:6] for line in lines} <= {"ok    ", "warn  "}
    assert "ok    tensorflow: can be imported" in lines
    assert (blank, summary.endswith("ready to run")) == ("", True)
    assert (bad.returncode, bad.stderr) == (1, "")
    findings = [json.loads(line) for line in bad.stdout.splitlines()]
    [failed] = [each for each in findings if each["verdict"] == "fail"]
    assert failed["what"] == "models"
