"""`make bench-sdk`: what the SDK costs over gRPC's own stub, at import and per call.

Calls are made one after another, in turns of both ways, and ratios are taken within a round; the
floor answers at once, so that there the share of the SDK is largest.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import grpc
import machine
import questions
import servers
from arguments import parser_of
from model import chosen
from rich.console import Console
from rich.table import Table

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import AsyncRecommenderClient, RecommenderClient

_CALLS: Final = 200
_TIMEOUT_S: Final = 10.0
_IMPORTS: Final = {
    # What every generated stub imports: there is no using protobuf without it.
    "grpc and protobuf": "import grpc, google.protobuf.timestamp_pb2",
    "generated stubs": "import recserve.v1.recommendation_service_pb2_grpc",
    "recserve_client": "import recserve_client",
    "RecommenderClient": "from recserve_client import RecommenderClient",
}

Turns = tuple[list[float], list[float]]
"""Seconds per call of the stub and of the SDK, by round."""


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = parser_of(__doc__, rounds=15, output="sdk.json").parse_args()
    servers.unwind_on_sigterm()
    console = Console(highlight=False, soft_wrap=True)
    console.print(*machine.warnings(machine.describe()), sep="\n")
    imports = _import_ratios(args.rounds)
    models = chosen(args)
    calls: dict[str, Turns] = {}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(servers.recserve(models, args.out / "logs"))
        asked = questions.prepare(ours.target, models, args.out, seed=1)
        bottom = stack.enter_context(servers.floor(asked.answer, args.out / "logs"))
        for server in (bottom, ours):
            calls[f"{server.name}, blocking"] = _blocking(server.target, asked.user_id, args.rounds)
            calls[f"{server.name}, asyncio"] = asyncio.run(
                _asynchronous(server.target, asked.user_id, args.rounds)
            )
    console.print(_import_table(imports), _call_table(calls))
    report = {"machine": machine.describe(), "imports": imports, "calls": calls}
    (args.out / "sdk.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _blocking(target: str, user_id: str, rounds: int) -> Turns:
    with grpc.insecure_channel(target) as channel, RecommenderClient(target) as client:
        stub = RecommendationServiceStub(channel)

        def raw() -> object:
            request = pb.RecommendRequest(user_id=user_id, k=questions.K)
            return stub.Recommend(request, timeout=_TIMEOUT_S)

        def sdk() -> object:
            return client.recommend(user_id, k=questions.K, timeout_s=_TIMEOUT_S)

        turns: Turns = ([], [])
        for round_ in range(rounds + 1):
            for ask, seconds in zip((raw, sdk), turns, strict=True):
                taken = _median_s(ask)
                if round_:  # the first one connects
                    seconds.append(taken)
        return turns


async def _asynchronous(target: str, user_id: str, rounds: int) -> Turns:
    async with (
        grpc.aio.insecure_channel(target) as channel,
        AsyncRecommenderClient(target) as client,
    ):
        stub = RecommendationServiceStub(channel)

        async def raw() -> object:
            request = pb.RecommendRequest(user_id=user_id, k=questions.K)
            return await stub.Recommend(request, timeout=_TIMEOUT_S)

        async def sdk() -> object:
            return await client.recommend(user_id, k=questions.K, timeout_s=_TIMEOUT_S)

        turns: Turns = ([], [])
        for round_ in range(rounds + 1):
            for ask, seconds in zip((raw, sdk), turns, strict=True):
                taken = await _async_median_s(ask)
                if round_:
                    seconds.append(taken)
        return turns


def _median_s(ask: Callable[[], object]) -> float:
    times_s = []
    for _ in range(_CALLS):
        began_s = time.perf_counter()
        ask()
        times_s.append(time.perf_counter() - began_s)
    return statistics.median(times_s)


async def _async_median_s(ask: Callable[[], Awaitable[object]]) -> float:
    times_s = []
    for _ in range(_CALLS):
        began_s = time.perf_counter()
        await ask()
        times_s.append(time.perf_counter() - began_s)
    return statistics.median(times_s)


def _import_ratios(rounds: int) -> dict[str, list[float]]:
    """Returns the processor's seconds of each import, by round; every one in a new process."""
    found: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    for _ in range(rounds):
        for name, statement in _IMPORTS.items():
            code = f"import time; began = time.process_time(); {statement}; "
            code += "print(time.process_time() - began)"
            with tempfile.TemporaryDirectory() as elsewhere:
                ran = subprocess.run(
                    [sys.executable, "-c", code], capture_output=True, check=True, cwd=elsewhere
                )
            found[name].append(float(ran.stdout))
    return found


def _import_table(found: dict[str, list[float]]) -> Table:
    table = Table(title="import, processor time", box=None, header_style="bold", title_style="")
    table.add_column("import")
    table.add_column("ms", justify="right")
    table.add_column("over grpc and protobuf", justify="right")
    base = next(iter(found.values()))
    for name, seconds in found.items():
        table.add_row(name, f"{1000 * statistics.median(seconds):.0f}", _ratio(seconds, base))
    return table


def _call_table(found: dict[str, Turns]) -> Table:
    table = Table(title="a call, median", box=None, header_style="bold", title_style="")
    table.add_column("server")
    for name in ("stub, us", "SDK, us", "SDK / stub"):
        table.add_column(name, justify="right")
    for name, (raw, sdk) in found.items():
        medians = [f"{1e6 * statistics.median(each):.0f}" for each in (raw, sdk)]
        table.add_row(name, *medians, _ratio(sdk, raw))
    return table


def _ratio(seconds: Sequence[float], base: Sequence[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(seconds, base, strict=True)):.2f}"


if __name__ == "__main__":
    sys.exit(main())
