"""Makes the results of load tests as a server that can do about 2,050 calls/s would give them."""

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

from recserve_client.loadtest.result import (
    Answers,
    ClientLoad,
    Condition,
    Host,
    Latency,
    Run,
    Search,
    ServerSeen,
    StageResult,
    Window,
)

CAPACITY_PER_S = 2050.0
RATES_PER_S = (500.0, 1000.0, 1500.0, 1850.0, 2000.0, 2400.0)
LIMIT_MS = 20.0
TIMEOUT_MS = 1000.0
PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100)
HISTOGRAM = "HISTFAAAACl4nJNpmSzMwMDAyQABzFCaEURcm7yEwf4DROA8P9NZfqapHEwAidIG7Q=="


def search_run() -> Run:
    """A search over six rates: four hold, one is too slow, one is far above what can be done."""
    stages = tuple(open_stage(rate) for rate in RATES_PER_S)
    return run(
        *stages,
        search=Search(
            objective="p99<=20ms, errors<=0.1%", rate_per_s=1850.0, refused_rate_per_s=2000.0
        ),
        conditions=(
            Condition(text="p99>20ms", seen="p99 is 960 ms at 2400/s", failed=True),
            Condition(text="ok/s<400", seen="502 answered OK per second", failed=False),
        ),
        warnings=("the server runs on the same machine as the load test: they share its cores",),
    )


def run(*stages: StageResult, **changes: object) -> Run:
    """A run of `stages` with everything else as it usually is."""
    usual = Run(
        tool="recserve 0.1.0",
        started_at="2026-01-02T03:04:05+00:00",
        arguments=("--target", "127.0.0.1:8500", "--search", "p99<=20ms, errors<=0.1%"),
        seed=7,
        host=Host(
            name="loader-1",
            cpu="AMD EPYC 7B13",
            cores=8,
            memory_bytes=32 << 30,
            system="Linux 6.1.0",
            python="3.11.7",
        ),
        versions={"recserve-client": "0.1.0", "grpcio": "1.80.0", "protobuf": "6.31.1"},
        server=ServerSeen(
            target="127.0.0.1:8500",
            model_name="films",
            model_version=3,
            kind="collaborative",
            index="exact",
            user_count=943,
            item_count=1682,
        ),
        mix="Recommend k=10 for 943 users, zipf 1.1",
        stages=stages,
    )
    return replace(usual, **changes)


def open_stage(rate_per_s: float, *, seconds: int = 30, seed: int = 1) -> StageResult:
    """A stage at a rate; beyond the capacity a queue grows until calls are refused."""
    random = Random(f"{seed} {rate_per_s}")
    windows = tuple(_window(random, rate_per_s, start, seconds) for start in range(seconds))
    errors = _added(windows)
    started = sum(window.started for window in windows)
    ok = sum(window.ok for window in windows)
    latency = _merged(windows)
    holds = latency.p99_ms is not None and latency.p99_ms <= LIMIT_MS and not errors
    return StageResult(
        label=f"{rate_per_s:g}/s",
        mode="open",
        arrivals="poisson",
        rate_per_s=rate_per_s,
        end_rate_per_s=None,
        concurrency=None,
        seconds=float(seconds),
        warmup_s=2.0,
        started=started,
        ok=ok,
        errors=errors,
        ok_per_s=ok / seconds,
        latency=latency,
        percentiles=_curve(latency),
        histogram=HISTOGRAM,
        windows=windows,
        client=ClientLoad(
            processes=2,
            cpu_shares=(round(rate_per_s / 2900, 2), round(rate_per_s / 3000, 2)),
            lag_p99_ms=0.21,
            lag_max_ms=3.4,
            late=int(rate_per_s / 50),
        ),
        answers=Answers(
            sampled=300, personal_share=0.97, short_share=0.0, model_versions=("films 3",)
        ),
        batch_sizes=_batches(random, rate_per_s, ok),
        stable=rate_per_s <= CAPACITY_PER_S * 0.95,
        holds=holds,
        warnings=()
        if rate_per_s <= CAPACITY_PER_S
        else ("a client process took 83 % of a core: some of the latency may be its own",),
    )


def closed_stage(concurrency: int, *, seconds: int = 10) -> StageResult:
    """A stage with so many calls always under way; the server's metrics were not read."""
    like = open_stage(min(1900.0, concurrency * 90.0), seconds=seconds)
    return replace(
        like,
        label=f"{concurrency} in flight",
        mode="closed",
        arrivals=None,
        rate_per_s=None,
        concurrency=concurrency,
        windows=tuple(
            replace(window, rate_per_s=None, mean_batch_size=None, queue_depth=None)
            for window in like.windows
        ),
        batch_sizes=(),
        holds=None,
    )


def silent_stage() -> StageResult:
    """A stage of one short window in which nothing was answered OK."""
    window = Window(
        start_s=0.0,
        seconds=0.2,
        started=40,
        ok=0,
        errors={"UNAVAILABLE": 40},
        latency=Latency(),
        late=0,
        histogram=HISTOGRAM,
        rate_per_s=200.0,
    )
    return replace(
        open_stage(200.0, seconds=1),
        seconds=0.2,
        started=40,
        ok=0,
        errors={"UNAVAILABLE": 40},
        ok_per_s=0.0,
        latency=Latency(),
        percentiles=(),
        windows=(window,),
        client=ClientLoad(processes=1, cpu_shares=(0.1,), lag_p99_ms=0.0, lag_max_ms=0.0, late=0),
        answers=Answers(),
        batch_sizes=(),
        stable=None,
        holds=False,
        warnings=("no call was answered OK",),
    )


def _window(random: Random, rate_per_s: float, start: int, seconds: int) -> Window:
    started = max(1, round(random.gauss(rate_per_s, math.sqrt(rate_per_s))))
    load = rate_per_s / CAPACITY_PER_S
    is_down = load > 1.1 and start == seconds // 2
    ok = 0 if is_down else min(started, round(random.gauss(CAPACITY_PER_S, 12)))
    failed = {"UNAVAILABLE": started} if is_down else _failures(random, load, started - ok)
    ok = started - sum(failed.values())
    queue = CAPACITY_PER_S * 0.4 if load > 1 else max(0.0, 0.7 * load**8 / (1.02 - load))
    return Window(
        start_s=float(start),
        seconds=1.0,
        started=started,
        ok=ok,
        errors=failed,
        latency=_latency(random, load, ok, start),
        late=int(rate_per_s / 1500),
        histogram=HISTOGRAM,
        rate_per_s=rate_per_s,
        mean_batch_size=None if is_down else 1 + 14 * min(load, 1.05) ** 2 * random.uniform(0.9, 1),
        queue_depth=float(round(queue * random.uniform(0.5, 1.5))),
    )


def _failures(random: Random, load: float, surplus: int) -> dict[str, int]:
    if load > 1:
        late = round(surplus * random.uniform(0.1, 0.3))
        return {"RESOURCE_EXHAUSTED": surplus - late, "DEADLINE_EXCEEDED": late}
    if load > 0.95 and random.random() < 0.3:
        return {"DEADLINE_EXCEEDED": random.randint(1, 9)}
    return {}


def _latency(random: Random, load: float, count: int, start: int) -> Latency:
    if not count:
        return Latency()
    middle = 1.2 + 0.55 / (1.05 - load) if load < 1 else min(780.0, 60 + 90 * start)
    middle *= random.uniform(0.95, 1.05)
    spread = 0.3 + 0.2 * load if load < 1 else 0.1

    def at(sigmas: float) -> float:
        return min(TIMEOUT_MS, middle * math.exp(spread * sigmas * random.uniform(0.97, 1.03)))

    points = sorted(at(sigmas) for sigmas in (0.67, 1.28, 1.65, 2.33, 3.09, 3.6))
    return Latency(
        count=count,
        mean_ms=middle * 1.1,
        p50_ms=middle,
        p75_ms=points[0],
        p90_ms=points[1],
        p95_ms=points[2],
        p99_ms=points[3],
        p999_ms=points[4],
        max_ms=points[5],
    )


def _merged(windows: tuple[Window, ...]) -> Latency:
    """About what all windows together have: medians of the figures, the greatest of the maxima."""
    answered = [window.latency for window in windows if window.ok]

    def median(name: str) -> float:
        return sorted(getattr(latency, name) for latency in answered)[len(answered) // 2]

    names = ("mean_ms", "p50_ms", "p75_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms")
    return Latency(
        count=sum(latency.count for latency in answered),
        **{name: median(name) for name in names},
        max_ms=max(latency.max_ms for latency in answered),
    )


def _curve(latency: Latency) -> tuple[tuple[float, float], ...]:
    known = (
        (0, latency.p50_ms / 2),
        (50, latency.p50_ms),
        (75, latency.p75_ms),
        (90, latency.p90_ms),
        (95, latency.p95_ms),
        (99, latency.p99_ms),
        (99.9, latency.p999_ms),
        (100, latency.max_ms),
    )

    def at(percentile: float) -> float:
        for (low, below), (high, above) in pairwise(known):
            if percentile <= high:
                return below + (above - below) * (percentile - low) / (high - low)
        return known[-1][1]

    return tuple((float(percentile), at(percentile)) for percentile in PERCENTILES)


def _batches(random: Random, rate_per_s: float, ok: int) -> tuple[tuple[str, int], ...]:
    mean = 1 + 14 * min(rate_per_s / CAPACITY_PER_S, 1.05) ** 2
    bounds = (1, 2, 4, 8, 16, 32, 64)
    shares = [math.exp(-((math.log2(bound / mean)) ** 2)) for bound in bounds]
    counts = [round(ok / mean * share / sum(shares) * random.uniform(0.9, 1)) for share in shares]
    return (
        *((str(bound), count) for bound, count in zip(bounds, counts, strict=True)),
        ("+Inf", 0),
    )


def _added(windows: tuple[Window, ...]) -> dict[str, int]:
    total: dict[str, int] = {}
    for window in windows:
        for status, count in window.errors.items():
            total[status] = total.get(status, 0) + count
    return total
