"""One client shared by threads, and its end in other event loops, forks and interrupts."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import (
    AsyncRecommenderClient,
    CallHook,
    ChannelConfig,
    RecommenderClient,
    TimeBudget,
    UnusableClientError,
)

HEDGED = ChannelConfig(hedge_after_s=0.01)


def test_threads_share_a_client_and_each_gets_its_own_answer(server) -> None:
    def handler(request, context):
        return pb.RecommendResponse(
            items=[pb.ScoredItem(item_id=f"of {request.user_id}", score=1)],
            source=pb.RECOMMENDATION_SOURCE_USER_ID,
            model_name="films",
            model_version=3,
        )

    server.handle_recommend = handler
    start = threading.Barrier(16)

    def ask(thread: int) -> list[bool]:
        start.wait(30)  # the first call, which opens the channel, is made by all at once
        users = [f"{thread}-{number}" for number in range(25)]
        answers = [client.recommend(user) for user in users]
        return [
            (answer.user_id, answer.items[0].item_id) == (user, f"of {user}")
            for user, answer in zip(users, answers, strict=True)
        ]

    with (
        RecommenderClient(server.target, timeout_s=60.0) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        results = [right for rights in threads.map(ask, range(16)) for right in rights]

    assert results == [True] * 400


# In processes of their own: this one has threads of gRPC's, and may not fork.
PROGRAM = """
import asyncio, os, sys
from recserve_client import AsyncRecommenderClient, RecommenderClient, RecommenderError

def ask(client):
    if isinstance(client, RecommenderClient):
        return client.recommend("42")
    return asyncio.run(client.recommend("42"))

def in_child(call):
    child = os.fork()
    if child == 0:
        try:
            print("answered", len(call()), flush=True)
        except RecommenderError as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)

kind, when, target = sys.argv[1:]
new = {"blocking": RecommenderClient, "asyncio": AsyncRecommenderClient}[kind]
client = new(target, timeout_s=30.0)
if when == "after":
    ask(client)
in_child(lambda: ask(client))
if when == "after":
    in_child(lambda: ask(new(target, timeout_s=30.0)))
if kind == "blocking":
    client.close()
"""


def forked(kind: str, when: str, target: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, when, target],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout.splitlines()


def test_a_client_made_before_a_fork_works_in_the_child(server) -> None:
    assert forked("blocking", "before", server.target) == ["answered 2"]
    assert forked("asyncio", "before", server.target) == ["answered 2"]


def test_a_client_used_before_a_fork_says_so_in_the_child(server) -> None:
    for kind in ("blocking", "asyncio"):
        used, new = forked(kind, "after", server.target)

        assert used.startswith("UnusableClientError process ")
        assert new.startswith("UnusableClientError process ")
        assert "make the first call after the fork" in new


def test_an_asyncio_client_says_so_in_another_event_loop(server) -> None:
    client = AsyncRecommenderClient(server.target, timeout_s=30.0)

    async def ask() -> int:
        return len(await client.recommend("42"))

    assert asyncio.run(ask()) == 2
    with pytest.raises(UnusableClientError, match="make a client in each loop"):
        asyncio.run(ask())
    asyncio.run(client.close())


async def test_an_asyncio_client_says_so_in_another_event_loop_that_runs_too(server) -> None:
    async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
        await client.recommend("42")
        with pytest.raises(UnusableClientError, match="make a client in each loop"):
            await asyncio.to_thread(lambda: asyncio.run(client.recommend("42")))


@pytest.fixture
def interrupt(server):
    """Raises KeyboardInterrupt here, once, when a call has come to the server."""
    raised = threading.Event()

    def handle(number, frame) -> None:
        if not raised.is_set():
            raised.set()
            raise KeyboardInterrupt

    def send_signals() -> None:
        server.arrived.wait(30)
        # Not before the caller waits for the answer. Again, since Python overlooks a signal that
        # comes just before it waits for a lock; not too often, since each begins gRPC's wait of
        # 0.2 s anew, after which it looks for signals.
        while not raised.wait(0.5):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    sending = threading.Thread(target=send_signals)
    yield sending
    raised.set()
    sending.join()
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("options", "budget", "method", "asked"),
    [
        ({}, contextlib.nullcontext, "recommend", "42"),
        ({"hooks": [CallHook()]}, contextlib.nullcontext, "recommend", "42"),
        ({}, lambda: TimeBudget(60), "recommend", "42"),
        ({"config": HEDGED}, contextlib.nullcontext, "recommend", "42"),
        ({}, contextlib.nullcontext, "recommend_many", ["42", "43"]),
    ],
    ids=["plain", "hooked", "budgeted", "hedged", "many"],
)
def test_an_interrupt_leaves_neither_calls_nor_threads(
    server, interrupt, options, budget, method, asked
) -> None:
    gone = threading.Event()

    def handler(request, context):
        context.add_callback(gone.set)
        server.released.wait(60)
        return pb.RecommendResponse()

    server.handle_recommend = handler

    with RecommenderClient(server.target, timeout_s=60.0, **options) as client:
        interrupt.start()
        with budget(), pytest.raises(KeyboardInterrupt):
            list(getattr(client, method)(asked))
        assert gone.wait(30)

    assert not [each for each in threading.enumerate() if each.name.startswith("recserve")]
