"""Callers over real gRPC: who is let in, to what, and what the others are told."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from credentials import CALLERS, GONE, NIGHTLY, SHOP, Files, client_of
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from recserve_client import (
    AsyncRecommenderClient,
    BearerToken,
    ChannelConfig,
    Event,
    EventType,
    HealthStatus,
    PermissionDeniedError,
    RecommenderError,
    UnauthenticatedError,
    UnsupportedError,
)
from recserve_server.config import AccessConfig, ServerConfig
from recserve_server.lifecycle import Server, StartError
from recserve_server.matrix_model import open_matrix
from recserve_server.testing import open_with, running_server


def client_with(target: str, token: str | None, **fields: object) -> AsyncRecommenderClient:
    """Returns a client that shows `token`, over a connection that is not secured."""
    config = ChannelConfig(bearer_token=token, token_in_plain_text=True, max_attempts=1, **fields)
    return AsyncRecommenderClient(target, config=config, timeout_s=20.0)


def refused_of(server: Server) -> dict[str, int]:
    access = server._app.security.access
    assert access is not None
    return {reason: count for reason, count in access.refused.items() if count}


@pytest.fixture
async def guarded(guarded_config: ServerConfig) -> AsyncIterator[Server]:
    async with running_server(guarded_config) as server:
        yield server


async def test_a_known_caller_is_answered(guarded: Server) -> None:
    async with client_with(guarded.address, SHOP) as client:
        assert len(await client.recommend("u0", k=1)) == 1
        assert (await client.recommend_batch(["u0", "u1"]))[1].items


@pytest.mark.parametrize(
    ("token", "reason", "text"),
    [
        (None, "missing", "the call has no bearer token"),
        ("nobody-0123456789abcdef", "unknown", "the authorization is not known here"),
        (SHOP[:-1], "unknown", "the authorization is not known here"),
        (GONE, "expired", "the caller's access has expired"),
        ("x" * 5000, "too_long", "the token is longer than 4096 characters"),
    ],
)
async def test_a_call_that_shows_no_caller_is_unauthenticated(
    guarded: Server, token: str | None, reason: str, text: str
) -> None:
    async with client_with(guarded.address, token) as client:
        with pytest.raises(UnauthenticatedError) as caught:
            await client.recommend("u0")

    assert caught.value.reason == "UNAUTHENTICATED"
    assert str(caught.value).startswith(text)
    assert refused_of(guarded) == {reason: 1}


async def test_who_is_not_known_learns_nothing_of_what_there_is(guarded: Server) -> None:
    """The same answer for a good request, a bad one, an unknown model and bytes that are none."""
    path = "/recserve.v1.RecommendationService/Recommend"
    texts = set()
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        for encoded in (b"\n\x02u0", b"", b"\n\x02u0R\x04none", b"\xff\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(path)(encoded)
            texts.add((caught.value.code(), caught.value.details()))

    assert texts == {(grpc.StatusCode.UNAUTHENTICATED, "the call has no bearer token")}


async def test_a_caller_may_do_what_it_was_given_and_nothing_else(guarded: Server) -> None:
    event = Event("u0", "i0", EventType.CLICK)
    async with client_with(guarded.address, SHOP) as shop:
        assert (await shop.get_model()).name == "films"
        for call in (shop.list_models(), shop.record_events([event])):
            with pytest.raises(PermissionDeniedError) as caught:
                await call
            assert caught.value.reason == "PERMISSION_DENIED"
    async with client_with(guarded.address, NIGHTLY) as nightly:
        assert len(await nightly.list_models()) == 1
        with pytest.raises(UnsupportedError):  # let in: this server keeps no events
            await nightly.record_events([event])

    assert refused_of(guarded) == {"denied": 2}


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "UNAUTHENTICATED"), (SHOP, "PERMISSION_DENIED"), (NIGHTLY, "OK")],
)
async def test_reflection_is_for_those_who_may_do_everything(
    guarded: Server, token: str | None, code: str
) -> None:
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        call = stub.ServerReflectionInfo(iter([request]), metadata=metadata)
        with contextlib.suppress(grpc.aio.AioRpcError):
            answers = [each async for each in call]
            assert answers[0].list_services_response.service

        assert (await call.code()).name == code


async def test_health_is_told_to_everybody(guarded: Server) -> None:
    async with client_with(guarded.address, None) as client:
        assert await client.check_health() is HealthStatus.SERVING


async def test_health_is_told_to_callers_only_if_so_chosen(
    config: ServerConfig, callers_file: Path
) -> None:
    access = AccessConfig(callers_file=callers_file, health_needs_caller=True)
    async with running_server(replace(config, access=access)) as server:
        async with client_with(server.address, SHOP) as client:
            assert await client.check_health() is HealthStatus.SERVING
        async with grpc.aio.insecure_channel(server.address) as channel:
            for ask in (channel.unary_unary, channel.unary_stream):
                method = "Check" if ask == channel.unary_unary else "Watch"
                call = ask(f"/grpc.health.v1.Health/{method}")(b"")
                assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_caller_that_is_taken_out_of_the_file_is_refused_without_a_restart(
    guarded: Server, callers_file: Path
) -> None:
    async with client_with(guarded.address, SHOP) as client:
        await client.recommend("u0")
        callers_file.write_text(CALLERS.replace(SHOP, "shop-of-tomorrow-0123456789"))

        async with asyncio.timeout(20):
            while not refused_of(guarded):
                with contextlib.suppress(UnauthenticatedError):
                    await client.recommend("u0")
                await asyncio.sleep(0.05)
    assert refused_of(guarded) == {"unknown": 1}
    async with client_with(guarded.address, "shop-of-tomorrow-0123456789") as client:
        assert len(await client.recommend("u0", k=1)) == 1


async def test_a_client_whose_token_is_replaced_gets_the_next_one_by_itself(
    guarded: Server, callers_file: Path
) -> None:
    tokens = [SHOP]

    def newest() -> BearerToken:
        return BearerToken(tokens[-1])

    async with client_with(guarded.address, newest) as client:
        await client.recommend("u0")
        tokens.append("shop-of-tomorrow-0123456789")
        callers_file.write_text(CALLERS.replace(SHOP, tokens[-1]))

        async with asyncio.timeout(20):
            while not refused_of(guarded):
                assert len(await client.recommend("u0", k=1)) == 1
                await asyncio.sleep(0.05)


async def test_a_broken_file_of_callers_changes_nobody(
    guarded: Server, callers_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callers_file.write_text(CALLERS[:-30])
    access = guarded._app.security.access
    assert access is not None
    access.refresh()

    async with client_with(guarded.address, SHOP) as client:
        assert len(await client.recommend("u0", k=1)) == 1
    assert access.failures == 1
    assert "the file of callers cannot be used, the old stay" in caplog.messages


async def test_a_certificate_shows_its_caller(
    mtls_config: ServerConfig, callers_file: Path, files: Files
) -> None:
    entry = '[[caller]]\nname = "web"\ncertificate = "web.example.org"\nmay = ["recommend"]\n'
    callers_file.write_text(CALLERS + entry)
    config = replace(mtls_config, access=AccessConfig(callers_file=callers_file))
    async with running_server(config) as server:
        own = files.authority.issue_cert("elsewhere.example.org", "web.example.org")
        async with client_of(server.address, files.authority, own) as client:
            assert len(await client.recommend("u0", k=1)) == 1
            with pytest.raises(PermissionDeniedError):
                await client.list_models()
        async with client_of(server.address, files.authority, own, bearer_token=NIGHTLY) as client:
            assert await client.list_models()
        # A common name says nothing where there are alternative names.
        other = files.authority.issue_cert("other.example.org", common_name="web.example.org")
        async with client_of(server.address, files.authority, other) as client:
            with pytest.raises(UnauthenticatedError):
                await client.recommend("u0")


async def test_a_file_of_callers_that_cannot_be_used_is_no_start(
    guarded_config: ServerConfig, callers_file: Path
) -> None:
    callers_file.write_text('[[caller]]\nname = "shop"\ntoken = "short"\nmay = []\n')

    with pytest.raises(StartError) as caught:
        Server(guarded_config, open_with(open_matrix))

    reason = "caller 'shop' has a token of 5 characters, must have 16 to 4096"
    assert str(caught.value) == f"{callers_file} {reason}"


async def test_tokens_in_plain_text_are_told_at_the_start(
    guarded_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    Server(guarded_config, open_with(open_matrix))

    assert caplog.messages == ["tokens travel in plain text, since there is no TLS certificate"]


async def test_the_log_names_the_caller(guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "recserve_server")
    async with client_with(guarded.address, SHOP) as client:
        with pytest.raises(RecommenderError):
            await client.recommend("u0", k=9999)

    async with asyncio.timeout(10):
        while not (lines := [each for each in caplog.records if each.message == "call"]):
            await asyncio.sleep(0.001)
    assert vars(lines[0])["caller"] == "shop"
