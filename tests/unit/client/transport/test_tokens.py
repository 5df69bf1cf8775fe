import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from recserve_client import (
    AsyncRecommenderClient,
    BearerToken,
    Call,
    CallHook,
    ChannelConfig,
    RecommenderClient,
    RecommenderError,
    UnauthenticatedError,
)
from recserve_client._transport.tokens import TokenCache

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Source:
    """Gives tokens t1, t2, ...; each good for so many seconds."""

    def __init__(self, life_s: float | None = None) -> None:
        self.life_s, self.count = life_s, 0
        self.now_s = NOW.timestamp()

    def __call__(self) -> BearerToken:
        self.count += 1
        end_s = None if self.life_s is None else self.now_s + self.life_s
        expires_at = None if end_s is None else datetime.fromtimestamp(end_s, UTC)
        return BearerToken(f"t{self.count}", expires_at)


def sent_tokens(server) -> list[str]:
    """Keeps what callers authenticate with."""
    tokens: list[str] = []
    answer = server.handle_recommend

    def handler(request, context):
        tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        return answer(request, context)

    server.handle_recommend = handler
    return tokens


def fetched_from(cache: TokenCache) -> str:
    fetching, ended = cache.fetch(), threading.Event()
    fetching.ended.watch(ended.set)
    assert ended.wait(30)
    return fetching.token()


def config(token) -> ChannelConfig:
    return ChannelConfig(bearer_token=token, token_in_plain_text=True)


def test_a_token_is_sent_with_each_call(server, ask) -> None:
    tokens = sent_tokens(server)

    ask("recommend", "42", client_options={"timeout_s": 30.0, "config": config("secret")})

    assert tokens == ["Bearer secret"]


@pytest.mark.parametrize(("life_s", "good_s"), [(300, 270), (10, 8)])
def test_a_token_is_renewed_before_it_runs_out(life_s: float, good_s: float) -> None:
    source = Source(life_s)
    cache = TokenCache(source, clock=lambda: source.now_s)

    assert cache.current() is None
    assert fetched_from(cache) == "t1"
    source.now_s += good_s - 1
    assert (cache.current(), fetched_from(cache)) == ("t1", "t1")
    source.now_s += 2
    assert fetched_from(cache) == "t2"
    assert cache.current() == "t2"


def test_a_token_that_is_still_good_is_sent_while_another_is_fetched() -> None:
    source, released = Source(300), threading.Event()
    cache = TokenCache(lambda: released.wait(30) and source(), clock=lambda: source.now_s)
    released.set()
    fetched_from(cache)
    released.clear()

    source.now_s += 299
    assert [cache.current() for _ in range(3)] == ["t1"] * 3
    released.set()

    assert fetched_from(cache) == "t2"
    assert source.count == 2


def test_a_renewal_that_fails_is_no_matter_until_the_token_runs_out() -> None:
    source, is_shut = Source(300), False

    def fetch() -> BearerToken:
        token = source()
        if is_shut:
            raise OSError("the vault is shut")
        return token

    cache = TokenCache(fetch, clock=lambda: source.now_s)
    fetched_from(cache)
    is_shut = True

    source.now_s += 280
    with pytest.raises(UnauthenticatedError):
        fetched_from(cache)
    assert [cache.current() for _ in range(100)] == ["t1"] * 100
    assert source.count == 2, "not asked again at once"

    source.now_s += 20
    assert cache.current() is None
    with pytest.raises(UnauthenticatedError, match="the vault is shut"):
        fetched_from(cache)


def test_a_token_that_has_run_out_when_it_comes_is_sent_all_the_same() -> None:
    """The clock here may be wrong; the server is to judge."""
    source = Source(-60)
    cache = TokenCache(source, clock=lambda: source.now_s)

    assert [fetched_from(cache), fetched_from(cache)] == ["t1", "t2"]


def test_a_refused_token_is_renewed_once(server, ask) -> None:
    tokens = sent_tokens(server)
    answer = server.handle_recommend

    def handler(request, context):
        response = answer(request, context)
        if tokens[-1] == "Bearer t1":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "expired")
        return response

    server.handle_recommend = handler

    options = {"timeout_s": 30.0, "config": config(Source())}
    assert ask("recommend", "42", client_options=options).items
    assert tokens == ["Bearer t1", "Bearer t2"]


def test_a_server_that_takes_no_token_is_not_asked_for_ever(server, ask) -> None:
    server.fail(grpc.StatusCode.UNAUTHENTICATED, "no")

    with pytest.raises(UnauthenticatedError, match="no"):
        ask("recommend", "42", client_options={"timeout_s": 30.0, "config": config(Source())})

    assert len(server.requests) == 2


def test_a_fixed_token_that_is_refused_is_not_sent_again(server, ask) -> None:
    server.fail(grpc.StatusCode.UNAUTHENTICATED, "no")

    with pytest.raises(UnauthenticatedError):
        ask("recommend", "42", client_options={"timeout_s": 30.0, "config": config("secret")})

    assert len(server.requests) == 1


def test_what_fails_to_fetch_a_token_is_told(server, ask) -> None:
    def fetch() -> BearerToken:
        raise OSError("the vault is shut")

    hook = Keep()
    options = {"timeout_s": 30.0, "config": config(fetch), "hooks": [hook]}
    with pytest.raises(UnauthenticatedError, match="the vault is shut"):
        ask("recommend", "42", client_options=options)

    assert server.requests == []
    assert [call.code for call in hook.calls] == ["UNAUTHENTICATED"]


class Keep(CallHook):
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def call_ended(self, call: Call) -> None:
        self.calls.append(call)


def test_a_hook_does_not_see_the_token(server, ask) -> None:
    hook = Keep()

    ask(
        "recommend",
        "42",
        client_options={"timeout_s": 30.0, "config": config("secret"), "hooks": [hook]},
    )

    [call] = hook.calls
    assert (call.metadata, "secret" in repr(call)) == ({}, False)


async def test_the_event_loop_goes_on_while_a_refused_token_is_renewed(server) -> None:
    """Two calls are refused, the second while the token is fetched on behalf of the first."""
    source, renewing, released = Source(), threading.Event(), threading.Event()
    was_released: list[bool] = []

    def fetch() -> BearerToken:
        if source.count:
            renewing.set()
            was_released.append(released.wait(5))
        return source()

    tokens, answer = sent_tokens(server), server.handle_recommend

    def handler(request, context):
        response = answer(request, context)
        if ("authorization", "Bearer t1") in context.invocation_metadata():
            if request.user_id == "second":
                renewing.wait(30)
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "expired")
        return response

    server.handle_recommend = handler

    async with AsyncRecommenderClient(
        server.target, config=config(fetch), timeout_s=30.0
    ) as client:
        second = asyncio.create_task(client.recommend("second"))
        assert await asyncio.to_thread(server.arrived.wait, 30)
        first = asyncio.create_task(client.recommend("first"))
        assert await asyncio.to_thread(renewing.wait, 30)
        await asyncio.sleep(0.2)  # the second refusal comes
        released.set()
        await asyncio.gather(first, second)

    assert was_released == [True]
    assert sorted(tokens) == ["Bearer t1"] * 2 + ["Bearer t2"] * 2


def test_a_token_of_another_type_is_told(server, ask) -> None:
    with pytest.raises(RecommenderError, match="returned a str, must be a BearerToken"):
        ask("recommend", "42", client_options={"timeout_s": 30.0, "config": config(lambda: "text")})


def test_threads_that_need_a_token_at_once_fetch_it_once(server) -> None:
    fetching = threading.Lock()
    source = Source()

    def fetch() -> BearerToken:
        assert fetching.acquire(blocking=False)
        time.sleep(0.05)
        fetching.release()
        return source()

    with (
        RecommenderClient(server.target, config=config(fetch), timeout_s=30.0) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(client.recommend, ["42"] * 8))

    assert source.count == 1


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "umläut"])
def test_a_token_that_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        BearerToken(value)
    with pytest.raises(ValueError, match="printable ASCII"):
        RecommenderClient("localhost:1", config=config(value))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        BearerToken("t", datetime(2026, 1, 1) + timedelta(days=1))  # noqa: DTZ001


def test_a_token_is_not_printed() -> None:
    assert "secret" not in repr(BearerToken("secret"))
