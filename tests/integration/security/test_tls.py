"""Who gets a secured connection, and who does not."""

from dataclasses import replace

import pytest
import trustme
from credentials import Files, client_of

from recserve_client import AsyncRecommenderClient, ChannelConfig, UnavailableError
from recserve_server.config import ServerConfig, TlsConfig
from recserve_server.lifecycle import Server, StartError
from recserve_server.matrix_model import open_matrix
from recserve_server.testing import open_with, running_server


async def test_calls_are_answered_over_tls(tls_config: ServerConfig, files: Files) -> None:
    async with (
        running_server(tls_config) as server,
        client_of(server.address, files.authority) as client,
    ):
        assert len(await client.recommend("u0", k=1)) == 1


async def test_a_client_without_tls_is_not_answered(tls_config: ServerConfig) -> None:
    plain = ChannelConfig(max_attempts=1)
    async with (
        running_server(tls_config) as server,
        AsyncRecommenderClient(server.address, config=plain) as client,
    ):
        with pytest.raises(UnavailableError):
            await client.recommend("u0")


async def test_a_client_of_another_authority_does_not_trust_the_server(
    tls_config: ServerConfig,
) -> None:
    async with (
        running_server(tls_config) as server,
        client_of(server.address, trustme.CA()) as client,
    ):
        with pytest.raises(UnavailableError):
            await client.recommend("u0")


async def test_a_client_with_a_certificate_is_answered(
    mtls_config: ServerConfig, files: Files
) -> None:
    own = files.authority.issue_cert("shop.example.org")
    async with (
        running_server(mtls_config) as server,
        client_of(server.address, files.authority, own) as client,
    ):
        assert len(await client.recommend("u0", k=1)) == 1


@pytest.mark.parametrize("shown", ["none", "of another authority", "expired", "self-signed"])
async def test_a_client_without_a_good_certificate_is_not_answered(
    mtls_config: ServerConfig, files: Files, shown: str
) -> None:
    own = {
        "none": lambda: None,
        "of another authority": lambda: trustme.CA().issue_cert("shop.example.org"),
        "expired": lambda: files.issue_expired("shop.example.org"),
        "self-signed": lambda: trustme.CA(),
    }[shown]()
    if isinstance(own, trustme.CA):
        own.cert_chain_pems = [own.cert_pem]
    async with running_server(mtls_config) as server:
        async with client_of(server.address, files.authority, own) as client:
            with pytest.raises(UnavailableError):
                await client.recommend("u0")
        assert server._app.calls.started == {}


async def test_an_expired_certificate_is_no_reason_not_to_start(
    tls_config: ServerConfig, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.write_pair(files.issue_expired("localhost", "127.0.0.1"))

    async with running_server(tls_config) as server:
        async with client_of(server.address, files.authority) as client:
            with pytest.raises(UnavailableError):
                await client.recommend("u0")
        files.write_pair(files.issue())
        async with client_of(server.address, files.authority) as client:
            assert len(await client.recommend("u0", k=1)) == 1

    [told] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert told.message == "the TLS certificate is not valid now: clients refuse it"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("certificate", "tls_cert is not PEM of certificates"),
        ("key", "tls_key is not PEM of a private key"),
        ("client_ca", "tls_client_ca is not PEM of certificates"),
    ],
)
async def test_files_that_cannot_be_used_are_no_start(
    mtls_config: ServerConfig, files: Files, broken: str, reason: str
) -> None:
    files.write(getattr(files, broken), b"rubbish")

    with pytest.raises(StartError) as caught:
        Server(mtls_config, open_with(open_matrix))

    assert str(caught.value) == reason


async def test_a_file_that_is_not_there_is_no_start(config: ServerConfig, files: Files) -> None:
    missing = files.key.with_name("missing")
    tls = TlsConfig(certificate=files.certificate, key=missing)

    with pytest.raises(StartError) as caught:
        Server(replace(config, tls=tls), open_with(open_matrix))

    assert str(caught.value) == f"cannot read {missing}: No such file or directory"
