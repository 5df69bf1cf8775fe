"""The program itself, with settings of security that it cannot use."""

import subprocess
import sys
from pathlib import Path

import pytest
from credentials import Files

from recserve_server.config import ServerConfig


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--tls-cert", "{cert}", "--tls-key", "{cert}"], "tls_key is not PEM of a private key"),
        (["--callers", "{cert}"], "{cert} is not TOML: "),
        (["--callers", "{missing}"], "cannot read {missing}: No such file or directory"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    config: ServerConfig, files: Files, arguments: list[str], reason: str
) -> None:
    paths = {"cert": files.certificate, "missing": Path("/no/such/file")}
    given = [each.format(**paths) for each in arguments]
    command = [sys.executable, "-m", "recserve_server", "--models", str(config.models_dir)]

    ran = subprocess.run([*command, *given], capture_output=True, text=True, timeout=60)

    assert ran.returncode == 1
    told = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert told[0].startswith(f"recserve-serve: {reason.format(**paths)}")
