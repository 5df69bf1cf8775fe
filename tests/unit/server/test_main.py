import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from stores import event, sqlite_store

from recserve_server.__main__ import main
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


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--print-config"]) == 0
    return json.loads(capsys.readouterr().out)


def rebuilt(settings: dict) -> ServerConfig:
    """Makes a config of what was printed: its names are those of the fields."""
    batching = settings.pop("batching")
    batching["allowed_batch_sizes"] = tuple(batching["allowed_batch_sizes"])
    versions = settings.pop("versions")
    versions["policy"] = VersionPolicy.parse(versions["policy"])
    versions["memory_policy"] = MemoryPolicy(versions["memory_policy"])
    return ServerConfig(
        models_dir=Path(settings.pop("models_dir")),
        admin_socket=Path(settings.pop("admin_socket")),
        versions=VersionsConfig(**_with_paths(versions)),
        connections=ConnectionsConfig(**settings.pop("connections")),
        tls=TlsConfig(**_with_paths(settings.pop("tls"))),
        access=AccessConfig(**_with_paths(settings.pop("access"))),
        observing=ObservingConfig(**_with_paths(settings.pop("observing"))),
        batching=BatchingConfig(**batching),
        limits=Limits(**settings.pop("limits")),
        events=EventsConfig(**settings.pop("events")),
        **settings,
    )


def _with_paths(settings: dict) -> dict:
    names = {"labels_file", "certificate", "key", "client_ca", "callers_file", "request_log"}
    return {
        name: Path(value) if name in names and value else value for name, value in settings.items()
    }


def test_the_printed_settings_are_those_that_would_be_served_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = "--models m --name films --address [::1]:0 --admin-address 0.0.0.0:9000 --max-k 20"
    flags += " --max-batch-size 32 --max-enqueued 300 --batch-timeout-micros 700 --watchdog 9"
    flags += " --allowed-batch-sizes 4,32 --grace 3 --drain-delay 2 --reflection"
    flags += " --log-level error --log-format json"
    flags += " --events redis://h:1/0 --events-retention-days 7 --events-max-per-user 50"
    flags += " --events-read-timeout-ms 5 --events-write-timeout-ms 900"
    flags += " --max-queue-delay-ms 40 --tenant-key x-tenant --admin-socket a.sock"
    flags += " --versions latest:2 --poll-interval 2 --memory-policy frugal --labels l.json"
    flags += " --min-golden-overlap 0.5 --min-serving-overlap 0.1 --wait-for-model"
    flags += " --max-message-bytes 2048 --max-metadata-bytes 4096 --max-concurrent-streams 8"
    flags += " --max-pending 9 --min-ping-interval 3 --max-connection-age 60"
    flags += " --max-connection-age-grace 4 --max-connection-idle 50"
    flags += " --tls-cert c.pem --tls-key k.pem --tls-client-ca a.pem --callers c.toml"
    flags += " --health-needs-caller --request-log r.jsonl --request-log-share 0.5"
    flags += " --request-log-personal --otel"

    settings = printed(capsys, *flags.split())

    assert rebuilt(settings) == ServerConfig(
        models_dir=Path("m"),
        name="films",
        address="[::1]:0",
        admin_address="0.0.0.0:9000",
        admin_socket=Path("a.sock"),
        reflection=True,
        drain_delay_s=2.0,
        grace_s=3.0,
        log_level="error",
        log_format="json",
        batching=BatchingConfig(
            max_batch_size=32,
            batch_timeout_micros=700,
            max_enqueued=300,
            max_queue_delay_ms=40.0,
            tenant_key="x-tenant",
            allowed_batch_sizes=(4, 32),
            watchdog_s=9.0,
        ),
        limits=Limits(max_k=20),
        events=EventsConfig(
            location="redis://h:1/0",
            retention_days=7.0,
            max_per_user=50,
            read_timeout_ms=5.0,
            write_timeout_ms=900.0,
        ),
        versions=VersionsConfig(
            policy=VersionPolicy(newest=2),
            poll_interval_s=2.0,
            memory_policy=MemoryPolicy.FRUGAL,
            labels_file=Path("l.json"),
            min_golden_overlap=0.5,
            min_serving_overlap=0.1,
            wait_for_model=True,
        ),
        connections=ConnectionsConfig(
            max_message_bytes=2048,
            max_metadata_bytes=4096,
            max_concurrent_streams=8,
            max_pending=9,
            min_ping_interval_s=3.0,
            max_age_s=60.0,
            max_age_grace_s=4.0,
            max_idle_s=50.0,
        ),
        tls=TlsConfig(certificate=Path("c.pem"), key=Path("k.pem"), client_ca=Path("a.pem")),
        access=AccessConfig(callers_file=Path("c.toml"), health_needs_caller=True),
        observing=ObservingConfig(
            request_log=Path("r.jsonl"),
            request_log_share=0.5,
            request_log_personal=True,
            otel=True,
        ),
    )


def test_a_password_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = printed(capsys, *["--models", "m", "--events", "redis://me:secret@host:6379/1"])

    assert settings["events"]["location"] == "redis://me:***@host:6379/1"


def test_settings_are_printed_in_the_order_of_their_declaration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = printed(capsys, "--models", "m")

    assert list(settings) == list(ServerConfig.__slots__)
    assert list(settings["batching"]) == list(BatchingConfig.__slots__)
    assert list(settings["limits"]) == list(Limits.__slots__)


def test_batch_sizes_that_were_not_given_are_printed_as_they_are_picked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = printed(capsys, "--models", "m", "--max-batch-size", "20")

    assert settings["batching"]["allowed_batch_sizes"] == [1, 2, 4, 8, 12, 16, 20]


@pytest.mark.parametrize(
    ("flags", "address"), [([], "localhost:9090"), (["--admin-address", ""], "")]
)
def test_operators_get_metrics_unless_they_turn_them_off(
    capsys: pytest.CaptureFixture[str], flags: list[str], address: str
) -> None:
    assert printed(capsys, "--models", "m", *flags)["admin_address"] == address


def test_an_admin_address_without_a_port_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--models", "m", "--admin-address", "localhost", "--print-config"])

    assert caught.value.code == 2
    assert "admin_address is 'localhost', must be HOST:PORT" in capsys.readouterr().err


def test_settings_are_printed_without_grpc_or_tensorflow() -> None:
    program = """
import sys
from recserve_server.__main__ import main
assert main(["--models", "m", "--print-config"]) == 0
print({"grpc", "numpy", "prometheus_client", "tensorflow"} & set(sys.modules), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ran.stderr == "set()\n"
    assert json.loads(ran.stdout)["models_dir"] == "m"


def test_a_user_is_forgotten_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def record() -> None:
        store = sqlite_store(tmp_path)
        await store.open()
        await store.append([event("e1"), event("e2"), event("e3", user="u2")])
        await store.close()

    asyncio.run(record())
    command = ["--models", "m", "--events", str(tmp_path / "events.sqlite"), "--forget-user", "u1"]

    assert main(command) == 0
    assert main(command) == 0

    assert capsys.readouterr().out == "deleted 2 events\ndeleted 0 events\n"


def test_to_forget_takes_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--models", "m", "--forget-user", "u1"]) == 1

    assert "needs --events" in capsys.readouterr().err
