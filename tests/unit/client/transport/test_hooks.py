import asyncio

import grpc
import pytest

from recserve_client import (
    AsyncRecommenderClient,
    Call,
    CallHook,
    InvalidRequestError,
    RecommenderClient,
    TimeBudget,
)


class Keep(CallHook):
    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name, self.log = name, log if log is not None else []
        self.calls: list[Call] = []

    def call_started(self, call: Call) -> None:
        assert (call.code, call.error, call.duration_s) == ("", None, 0.0)
        self.log.append(f"{self.name} started")
        call.metadata["x-request-id"] = "from-a-hook"

    def call_ended(self, call: Call) -> None:
        self.log.append(f"{self.name} ended")
        self.calls.append(call)


def test_a_hook_is_told_how_a_call_went(server, ask) -> None:
    hook = Keep()

    ask("recommend", "42", client_options={"timeout_s": 30.0, "hooks": [hook]})

    [call] = hook.calls
    assert (call.service, call.method) == ("recserve.v1.RecommendationService", "Recommend")
    assert call.target == server.target
    assert (call.timeout_s, call.sent_count, call.code, call.error) == (30.0, 1, "OK", None)
    assert 0 < call.duration_s < 30


def test_a_hook_is_told_of_a_failure_before_the_caller(server, ask) -> None:
    hook = Keep()
    server.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")

    with pytest.raises(InvalidRequestError) as caught:
        ask("recommend", "42", client_options={"timeout_s": 30.0, "hooks": [hook]})

    [call] = hook.calls
    assert (call.code, call.error) == ("INVALID_ARGUMENT", caught.value)


def test_what_a_hook_adds_is_sent(server, ask) -> None:
    seen = []

    def handler(request, context):
        seen.extend(context.invocation_metadata())
        return answer(request, context)

    answer, server.handle_recommend = server.handle_recommend, handler

    ask("recommend", "42", client_options={"timeout_s": 30.0, "hooks": [Keep()]})

    assert ("x-request-id", "from-a-hook") in [tuple(pair) for pair in seen]


def test_hooks_nest(server, ask) -> None:
    log: list[str] = []
    hooks = [Keep("outer", log), Keep("inner", log)]

    ask("recommend", "42", client_options={"timeout_s": 30.0, "hooks": hooks})

    assert log == ["outer started", "inner started", "inner ended", "outer ended"]


class Broken(CallHook):
    def call_started(self, call: Call) -> None:
        raise RuntimeError("started")

    def call_ended(self, call: Call) -> None:
        raise RuntimeError("ended")


def test_a_broken_hook_is_logged_and_does_no_harm(server, ask, caplog) -> None:
    hook = Keep()

    options = {"timeout_s": 30.0, "hooks": [Broken(), hook]}
    assert ask("recommend", "42", client_options=options).items

    assert len(hook.calls) == 1
    assert [record.name for record in caplog.records] == ["recserve_client"] * 2


async def test_a_cancelled_task_ends_its_call_as_cancelled(server) -> None:
    hook = Keep()
    server.block()

    async with AsyncRecommenderClient(server.target, timeout_s=60.0, hooks=[hook]) as client:
        calling = asyncio.ensure_future(client.recommend("42"))
        assert await asyncio.to_thread(server.arrived.wait, 30)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    assert [(call.code, call.error) for call in hook.calls] == [("CANCELLED", None)]


def test_each_page_of_a_list_is_a_call(server) -> None:
    hook = Keep()

    with RecommenderClient(server.target, timeout_s=30.0, hooks=[hook]) as client, TimeBudget(20):
        client.list_models()
        client.check_health("recserve.v1.RecommendationService")

    assert [call.method for call in hook.calls] == ["ListModels", "Check"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-title", "Amélie"),
        ("x-title", "two\nlines"),
        ("x-title", 5),
        ("X-Title", "text"),
        ("x title", "text"),
        ("x-title-bin", "text"),
        ("", "text"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(server, ask, name, value) -> None:
    class Add(Keep):
        def call_started(self, call: Call) -> None:
            call.metadata[name] = value

    hook = Add()
    with pytest.raises(InvalidRequestError, match=r"metadata\['.*'\]: is .*, must be printable"):
        ask("recommend", "42", client_options={"timeout_s": 30.0, "hooks": [hook]})

    assert server.requests == []
    assert [call.code for call in hook.calls] == ["INVALID_ARGUMENT"]
