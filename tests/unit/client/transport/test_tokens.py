import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from recserve_client import (
    BearerToken,
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

    assert cache.current() == "t1"
    source.now_s += good_s - 1
    assert (cache.is_fresh, cache.current()) == (True, "t1")
    source.now_s += 2
    assert (cache.is_fresh, cache.current()) == (False, "t2")


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

    with pytest.raises(UnauthenticatedError, match="the vault is shut"):
        ask("recommend", "42", client_options={"timeout_s": 30.0, "config": config(fetch)})

    assert server.requests == []


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
