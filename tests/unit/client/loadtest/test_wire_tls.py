"""TLS and client certificates of the load tester's own HTTP/2, with a real gRPC server."""

import asyncio
from pathlib import Path

import grpc
import pytest
from engine import ASK, answer, at_rate, send, serving
from pem import Pem

from recserve_client._cli.access import TlsFiles
from recserve_client.loadtest.plan import Endpoint, PlanError, Question
from recserve_client.loadtest.wire.pool import Pool


@pytest.fixture
def pem(tmp_path: Path) -> Pem:
    return Pem(tmp_path)


def credentials(pem: Pem, name: str, *, asks: bool = False) -> grpc.ServerCredentials:
    tls = pem.server_tls(name, asks_for_certificates=asks)
    pair = (tls.private_key, tls.certificate_chain)
    return grpc.ssl_server_credentials([pair], tls.client_roots, asks)


def connect(**endpoint) -> None:
    with Pool(Endpoint(host="127.0.0.1", **endpoint), 1) as pool:
        pool.connect()


async def test_calls_go_over_tls(pem: Pem) -> None:
    async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        assert context.auth_context()["transport_security_type"] == [b"ssl"]
        return request

    questions = [Question(ASK.method, bytes(size)) for size in (3, 100_000)]
    async with serving(echo, tls=credentials(pem, "localhost")) as (_, port):
        tls = TlsFiles(roots=pem.ca)
        found = await send(port, at_rate(200), questions, host="localhost", tls=tls)

    assert (found.ok, found.errors) == (50, {})


async def test_a_server_learns_who_calls_from_the_certificate(pem: Pem) -> None:
    async def tell(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        assert context.peer_identities() == [b"own.example.org"]
        return request

    certificate, key = pem.own()
    async with serving(tell, tls=credentials(pem, "127.0.0.1", asks=True)) as (_, port):
        tls = TlsFiles(roots=pem.ca, certificate=certificate, key=key)
        found = await send(port, at_rate(200), tls=tls)

    assert (found.ok, found.errors) == (50, {})


@pytest.mark.parametrize("asked", ["films.example.org", ""])
async def test_a_server_of_another_name_is_only_asked_by_that_name(pem: Pem, asked: str) -> None:
    tls = TlsFiles(roots=pem.ca, server_name=asked)
    async with serving(answer, tls=credentials(pem, "films.example.org")) as (_, port):
        if asked:
            assert (await send(port, at_rate(200), tls=tls)).errors == {}
        else:
            with pytest.raises(ConnectionError, match="certificate verify failed"):
                await asyncio.to_thread(connect, port=port, tls=tls)


async def test_a_certificate_that_nobody_vouches_for_is_refused(pem: Pem) -> None:
    async with serving(answer, tls=credentials(pem, "127.0.0.1")) as (_, port):
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            await asyncio.to_thread(connect, port=port, tls=TlsFiles())


async def test_tls_with_a_server_of_plain_text_is_refused(pem: Pem) -> None:
    async with serving(answer) as (_, port):
        with pytest.raises(ConnectionError, match=r".+"):
            await asyncio.to_thread(connect, port=port, tls=TlsFiles(roots=pem.ca))


def test_certificates_that_cannot_be_used_are_told(pem: Pem) -> None:
    certificate, key = pem.own()
    for files in (
        TlsFiles(roots=Path("/no/file")),
        TlsFiles(roots=pem.ca, certificate=certificate, key=pem.own("other")[1]),
        TlsFiles(roots=pem.ca, certificate=certificate, key=pem.locked(key)),
    ):
        with pytest.raises(PlanError, match=r"^one of .* cannot be used: "):
            connect(port=1, tls=files)
