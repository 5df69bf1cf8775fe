"""What the tests of the load tester's engine share: a real gRPC server, and one process' part."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import grpc

from recserve_client.loadtest.arrivals import Share
from recserve_client.loadtest.driver import Driver, Order
from recserve_client.loadtest.merging import Merger, samples
from recserve_client.loadtest.plan import (
    Arrivals,
    ClosedLoop,
    Endpoint,
    OpenLoop,
    Question,
    Stage,
)
from recserve_client.loadtest.result import StageResult
from recserve_client.loadtest.slices import Slice
from recserve_client.loadtest.wire.calls import encode
from recserve_client.loadtest.wire.pool import Pool

ASK = Question("/films.Films/Ask", b"abc")
PATIENT_S = 30.0

Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, port: int = 0, tls: grpc.ServerCredentials | None = None, **options: int
) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    """Serves every method with the handler; yields the server and its port."""
    server = grpc.aio.server(options=[(f"grpc.{name}", value) for name, value in options.items()])
    server.add_generic_rpc_handlers([_Everything(handler)])
    # Not localhost: gRPC would be content with one of its addresses, and the other be somebody's.
    place = f"127.0.0.1:{port}"
    port = server.add_secure_port(place, tls) if tls else server.add_insecure_port(place)
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)


class _Everything(grpc.GenericRpcHandler):
    def __init__(self, handler: Handler) -> None:
        self._method = grpc.unary_unary_rpc_method_handler(handler)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return self._method


async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    return b"answer"


def at_rate(rate: float, seconds: float = 0.25, warmup_s: float = 0.0) -> Stage:
    pressure = OpenLoop(rate_per_s=rate, arrivals=Arrivals.CONSTANT)
    return Stage(pressure=pressure, seconds=seconds, warmup_s=warmup_s)


def in_flight(concurrency: int, seconds: float = 0.25, warmup_s: float = 0.0) -> Stage:
    return Stage(pressure=ClosedLoop(concurrency=concurrency), seconds=seconds, warmup_s=warmup_s)


async def send(
    port: int, stage: Stage, questions: Sequence[Question] = (ASK,), **options
) -> StageResult:
    """Runs a stage as a fleet of one process would; options are an Endpoint's or an Order's."""
    found, _ = await send_sampling(port, stage, questions, **options)
    return found


async def send_sampling(
    port: int, stage: Stage, questions: Sequence[Question] = (ASK,), **options
) -> tuple[StageResult, tuple[tuple[str, bytes], ...]]:
    """As `send`, with the answers that were kept."""
    return await asyncio.to_thread(_send, port, stage, questions, options)


def _send(port, stage, questions, options):
    order = {name: options.pop(name) for name in ("times_s", "window_s") if name in options}
    settings = {"host": "127.0.0.1", "port": port, "connections": 2, "timeout_s": PATIENT_S}
    endpoint = Endpoint(**(settings | options))
    merger = Merger(stage, order.get("window_s", 1.0), 1)
    slices: list[Slice] = []
    with Pool(endpoint, endpoint.connections) as pool:
        pool.connect()
        driver = Driver(pool, encode(questions, endpoint), Share(0, 1), endpoint.timeout_s)
        zero_s = time.monotonic() + 0.02 + stage.warmup_s
        settings = {"window_s": 1.0, "times_s": ()} | order
        summary = driver.run(Order(stage=stage, zero_s=zero_s, seed=1, **settings), slices.append)
    for slice_ in slices:
        list(merger.add(slice_))
    list(merger.rest([summary]))
    return merger.result([summary]), samples([summary])
