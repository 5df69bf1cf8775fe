"""What we find is what h2load finds, where the server and not the machine decides."""

import asyncio
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from recserve_client.loadtest.fleet import Fleet
from recserve_client.loadtest.plan import ClosedLoop, Endpoint, Question, Stage

sys.path.append(str(Path(__file__).parents[4] / "benchmarks"))
from h2load import parse

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed"),
]

METHOD = "/films.Films/Ask"
CONNECTIONS, STREAMS = 8, 4


@pytest.fixture(params=[20, 6.4], ids=["1600/s", "5000/s"])
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that takes its time: about 32 calls in flight over so many milliseconds."""
    loop = asyncio.new_event_loop()
    server: list[grpc.aio.Server] = []

    async def answer(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(request.param / 1000)
        return bytes(400)

    async def start() -> int:
        server.append(grpc.aio.server())
        handler = grpc.unary_unary_rpc_method_handler(answer)
        service = grpc.method_handlers_generic_handler("films.Films", {"Ask": handler})
        server[0].add_generic_rpc_handlers((service,))
        port = server[0].add_insecure_port("127.0.0.1:0")
        await server[0].start()
        return port

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield f"127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(server[0].stop(None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def by_h2load(target: str, request: Path, count: int) -> tuple[float, float]:
    command = ["h2load", "-t", "1", "-c", str(CONNECTIONS), "-m", str(STREAMS), "-n", str(count)]
    command += ["-d", str(request), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    ran = subprocess.run(
        [*command, f"http://{target}{METHOD}"], capture_output=True, text=True, timeout=100
    )
    found = parse(ran.stdout)
    return found.per_s, found.mean_ms


def by_us(target: str) -> tuple[float, float]:
    host, _, port = target.partition(":")
    endpoint = Endpoint(host=host, port=int(port), connections=CONNECTIONS, timeout_s=None)
    stage = Stage(pressure=ClosedLoop(concurrency=CONNECTIONS * STREAMS), seconds=3, warmup_s=0.5)
    with Fleet(endpoint, [Question(METHOD, b"abc")]) as fleet:
        result = fleet.run(stage)
    assert not result.errors
    assert result.latency.mean_ms is not None
    return result.ok_per_s, result.latency.mean_ms


def test_rate_and_latency_agree_within_a_tenth(target: str, tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_bytes(struct.pack(">BI", 0, 3) + b"abc")
    ratios = []
    for _ in range(3):
        rate_per_s, mean_ms = by_us(target)
        their_rate_per_s, their_mean_ms = by_h2load(target, request, round(3 * rate_per_s))
        ratios.append((rate_per_s / their_rate_per_s, mean_ms / their_mean_ms))

    rate, latency = (sorted(each)[1] for each in zip(*ratios, strict=True))
    assert rate == pytest.approx(1, abs=0.1), ratios
    assert latency == pytest.approx(1, abs=0.1), ratios
