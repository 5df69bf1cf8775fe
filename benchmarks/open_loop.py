"""An open-loop client: requests leave at their own times, whether or not the server keeps up.

Arrivals are a Poisson process. Latency counts from the time at which a request was meant to leave,
so that a server which stalls cannot hide it by making its clients wait ("coordinated omission").
The client measures itself too: a run in which it was late by more than 5 ms at the 99th percentile
says something about the client, and is marked invalid.
"""

import argparse
import bisect
import contextlib
import gc
import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from http2_connection import Connection, Outcomes
from http2_frames import Request
from open_loop_report import Load, Report, summarise

_PRIORITY = -10


def run(host: str, port: int, request: Request, load: Load) -> Report:
    """Sends the load and waits for the answers.

    Raises:
        OSError: the server cannot be reached.
    """
    outcomes = Outcomes()
    with contextlib.ExitStack() as stack:
        connections: list[Connection] = []
        for _ in range(load.connections):
            connections.append(Connection(host, port, request, outcomes))
            stack.callback(connections[-1].socket.close)
        arrivals = _arrivals(load)
        gc.disable()  # a collection would be latency of ours
        stack.callback(gc.enable)
        cpu_s, start_s = time.process_time(), time.perf_counter()
        zero_s = start_s + load.warmup_s
        lags_s = _drive(connections, arrivals, lambda: time.perf_counter() - zero_s, load)
        lags_s = lags_s[bisect.bisect_left(arrivals, 0.0) :]
        share = (time.process_time() - cpu_s) / (time.perf_counter() - start_s)
        unanswered = sum(connection.unanswered for connection in connections)
    return summarise(outcomes, unanswered, (lags_s, share), load)


def _arrivals(load: Load) -> list[float]:
    """Draws ascending times from -warmup_s to `seconds`."""
    draw, time_s, times_s = random.Random(load.seed).expovariate, -load.warmup_s, []
    while (time_s := time_s + draw(load.rate_per_s)) < load.seconds:
        times_s.append(time_s)
    return times_s


def _drive(
    connections: list[Connection],
    arrivals: Sequence[float],
    now: Callable[[], float],
    load: Load,
) -> list[float]:
    """Runs until all is answered or patience ends; returns how late each request left, seconds."""
    by_socket = {connection.socket: connection for connection in connections}
    open_sockets = set(by_socket)
    lags_s: list[float] = []
    count, end_s = len(arrivals), load.seconds + load.patience_s
    while (time_s := now()) < end_s:
        while len(lags_s) < count and arrivals[len(lags_s)] <= time_s:
            intended_s = arrivals[len(lags_s)]
            connections[len(lags_s) % len(connections)].ask(intended_s)
            lags_s.append(time_s - intended_s)
        blocked = [each.socket for each in connections if each.has_outgoing and not each.flush()]
        if len(lags_s) < count:
            pause_s = max(0.0, arrivals[len(lags_s)] - now())
        elif any(each.unanswered for each in connections):
            pause_s = end_s - time_s
        else:
            break
        readable, _, _ = select.select(open_sockets, blocked, (), pause_s)
        for each in readable:
            if not by_socket[each].receive(now()):
                open_sockets.discard(each)
    return lags_s


def run_apart(target: str, request_file: Path, request: Request, load: Load) -> dict[str, Any]:
    """Runs in a process of its own, so that nothing of the caller's delays it.

    Args:
        target: HOST:PORT.
        request_file: holds the request's body.
        request: what to send.
        load: how much of it.

    Returns:
        A `Report`'s fields.

    Raises:
        RuntimeError: the run ended without a report; the text is what it printed.
    """
    command = [sys.executable, __file__, "--json", "--target", target, "--path", request.path]
    command += ["--request", str(request_file), "--rate", str(load.rate_per_s)]
    command += ["--seconds", str(load.seconds), "--connections", str(load.connections)]
    command += ["--seed", str(load.seed)]
    if request.timeout_ms is not None:
        command += ["--deadline-ms", str(request.timeout_ms)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip())
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def _self_check() -> None:
    """Prints what this client can send to a server that costs nothing."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("sink.py"))],
        stdout=subprocess.PIPE,
        text=True,
    ) as sink:
        try:
            assert sink.stdout is not None
            port = int(sink.stdout.readline())
            for rate in (5_000, 10_000, 15_000, 20_000, 30_000):
                load = Load(rate_per_s=rate, seconds=2)
                report = run("127.0.0.1", port, Request("/any", bytes(25)), load)
                print(
                    f"{rate:6} req/s: {report.goodput_per_s:8.1f} answered, late by "
                    f"{report.lag_p99_ms:.2f} ms at p99, {report.cpu_share:.0%} of a core"
                    f"{'; ' + report.problem if report.problem else ''}"
                )
        finally:
            sink.terminate()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--target", metavar="HOST:PORT")
    add("--path", help="/package.Service/Method")
    add("--request", type=Path, help="file: the message behind its five bytes of framing")
    add("--rate", type=float, help="requests per second")
    add("--seconds", type=float, default=3.0)
    add("--connections", type=int, default=8)
    add("--deadline-ms", type=int, help="grpc-timeout of each request")
    add("--seed", type=int, default=1)
    add("--json", action="store_true", help="print one JSON object")
    add("--self-check", action="store_true", help="measure this client alone, and nothing else")
    return parser


def main() -> int:
    """Runs one load from the command line; returns its exit code."""
    parser = _parser()
    args = parser.parse_args()
    with contextlib.suppress(PermissionError):
        # As if it had a machine of its own; who may not is told by the lag.
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    if args.self_check:
        _self_check()
        return 0
    if None in (args.target, args.path, args.request, args.rate):
        parser.error("--target, --path, --request and --rate are needed, or --self-check")
    host, _, port = args.target.rpartition(":")
    try:
        load = Load(
            rate_per_s=args.rate,
            seconds=args.seconds,
            connections=args.connections,
            seed=args.seed,
        )
        request = Request(args.path, args.request.read_bytes(), args.deadline_ms)
        report = asdict(run(host, int(port), request, load))
    except (OSError, ValueError) as error:
        print(f"open_loop: {error}", file=sys.stderr)
        return 1
    text = "\n".join(f"{name:15} {value}" for name, value in report.items())
    print(json.dumps(report) if args.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
