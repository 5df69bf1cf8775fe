"""Certificates and authorities that are replaced while the server runs."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trustme
from credentials import Files, chain_of, client_of, leaf_of, shown_by

from recserve_client import UnavailableError
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.security.tls import ServerTls
from recserve_server.testing import running_server

IN_2050 = datetime(2050, 1, 1, tzinfo=UTC)


def tls_of(server: Server) -> ServerTls:
    tls = server._app.security.tls
    assert tls is not None
    return tls


async def shown(server: Server, host: str = "127.0.0.1") -> str:
    return await asyncio.to_thread(shown_by, int(server.address.rpartition(":")[2]), host)


async def test_new_connections_get_the_new_certificate(
    tls_config: ServerConfig, files: Files
) -> None:
    async with running_server(tls_config) as server:
        tls = tls_of(server)
        await shown(server)
        renewed = files.issue()
        files.write_pair(renewed)

        assert await shown(server) == leaf_of(renewed)
        assert (tls.rotations, tls.failures) == (1, 0)


async def test_both_of_a_names_addresses_get_the_new_certificate(
    tls_config: ServerConfig, files: Files
) -> None:
    async with running_server(replace(tls_config, address="localhost:0")) as server:
        for _ in range(2):
            renewed = files.issue()
            files.write_pair(renewed)

            assert await shown(server) == leaf_of(renewed)
            try:
                assert await shown(server, "::1") == leaf_of(renewed)
            except OSError as error:
                pytest.skip(f"no IPv6 on this machine: {error}")


async def test_a_connection_that_is_there_is_none_the_worse(
    tls_config: ServerConfig, files: Files
) -> None:
    async with (
        running_server(tls_config) as server,
        client_of(server.address, files.authority) as client,
    ):
        await client.recommend("u0")
        other = trustme.CA().issue_cert("localhost", "127.0.0.1")  # which it does not trust
        files.write_pair(other)
        assert await shown(server) == leaf_of(other)

        assert len(await client.recommend("u0", k=1)) == 1


@pytest.mark.parametrize("what", ["rubbish", "cut off", "empty", "missing", "of another key"])
async def test_new_files_that_cannot_be_used_leave_the_old(
    tls_config: ServerConfig, files: Files, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = files.issue()
    files.write_pair(old)
    async with running_server(tls_config) as server:
        tls = tls_of(server)
        renewed = chain_of(files.issue())
        if what == "missing":
            files.certificate.unlink()
        else:
            new = {"rubbish": b"rubbish", "cut off": renewed[:-60], "empty": b""}
            files.write(files.certificate, new.get(what, renewed))

        assert [await shown(server) for _ in range(3)] == [leaf_of(old)] * 3
        assert (tls.rotations, tls.failures, tls.is_stale) == (0, 1, True)
        [told] = [each for each in caplog.records if each.levelname == "WARNING"]
        assert told.message == "the TLS files cannot be used, the old stay"

        good = files.issue()
        files.write_pair(good)
        assert await shown(server) == leaf_of(good)
        assert not tls.is_stale


async def test_an_expired_certificate_does_not_replace_a_good_one(
    tls_config: ServerConfig, files: Files
) -> None:
    old = files.issue()
    files.write_pair(old)
    async with running_server(tls_config) as server:
        files.write_pair(files.issue_expired("localhost", "127.0.0.1"))

        assert await shown(server) == leaf_of(old)
        assert tls_of(server).failures == 1


async def test_no_call_fails_while_certificate_and_key_are_replaced_one_after_the_other(
    tls_config: ServerConfig, files: Files
) -> None:
    """With the time in between in which they do not belong together."""
    stop = asyncio.Event()
    answered = 0

    async def connect_and_ask() -> None:
        nonlocal answered
        while not stop.is_set():
            async with client_of(server.address, files.authority) as client:
                assert len(await client.recommend("u0", k=1)) == 1
            answered += 1

    async with running_server(tls_config) as server:
        async with (
            client_of(server.address, files.authority) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(2):
                group.create_task(connect_and_ask())
            for _ in range(5):
                renewed = files.issue()
                for path, content in (
                    (files.certificate, chain_of(renewed)),
                    (files.key, renewed.private_key_pem.bytes()),
                ):
                    path.write_bytes(content)  # in place, as cp does
                    before = answered
                    while answered < before + 3:
                        assert len(await client.recommend("u0", k=1)) == 1
            stop.set()
        assert tls_of(server).rotations == 5
        assert await shown(server) == leaf_of(renewed)


async def test_clients_authorities_are_replaced_too(
    mtls_config: ServerConfig, files: Files
) -> None:
    theirs = trustme.CA()
    old, new = (each.issue_cert("shop.example.org") for each in (files.authority, theirs))

    async def is_answered(server: Server, own: trustme.LeafCert) -> bool:
        async with client_of(server.address, files.authority, own) as client:
            try:
                return len(await client.recommend("u0", k=1)) == 1
            except UnavailableError:
                return False

    async with running_server(mtls_config) as server:
        assert [await is_answered(server, own) for own in (old, new)] == [True, False]

        both = files.authority.cert_pem.bytes() + theirs.cert_pem.bytes()
        files.write(files.client_ca, both)
        assert [await is_answered(server, own) for own in (old, new)] == [True, True]

        files.write(files.client_ca, theirs.cert_pem.bytes())
        assert [await is_answered(server, own) for own in (old, new)] == [False, True]
        assert tls_of(server).rotations == 2


async def test_the_end_of_the_certificate_in_use_is_known(
    tls_config: ServerConfig, files: Files
) -> None:
    async with running_server(tls_config) as server:
        tls = tls_of(server)
        before = tls.not_after
        files.write_pair(files.issue_expired("localhost"))
        tls.refresh()
        assert tls.not_after == before
        files.write_pair(files.issue(not_after=IN_2050))
        tls.refresh()

        assert tls.not_after == IN_2050.timestamp()
