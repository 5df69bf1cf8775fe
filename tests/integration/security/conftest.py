import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for credentials.py

from credentials import CALLERS, Files

from recserve_server.config import AccessConfig, ServerConfig, TlsConfig


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The server's certificate and key, as files."""
    files = Files(tmp_path / "tls")
    files.write_pair(files.issue())
    return files


@pytest.fixture
def tls_config(config: ServerConfig, files: Files) -> ServerConfig:
    """A server with TLS that asks for no certificates."""
    return replace(config, tls=TlsConfig(certificate=files.certificate, key=files.key))


@pytest.fixture
def mtls_config(config: ServerConfig, files: Files) -> ServerConfig:
    """A server whose clients need a certificate of its own authority."""
    files.write(files.client_ca, files.authority.cert_pem.bytes())
    tls = TlsConfig(certificate=files.certificate, key=files.key, client_ca=files.client_ca)
    return replace(config, tls=tls)


@pytest.fixture
def callers_file(tmp_path: Path) -> Path:
    path = tmp_path / "callers.toml"
    path.write_text(CALLERS)
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded_config(config: ServerConfig, callers_file: Path) -> ServerConfig:
    """A server for known callers, in plain text."""
    return replace(config, access=AccessConfig(callers_file=callers_file), reflection=True)
