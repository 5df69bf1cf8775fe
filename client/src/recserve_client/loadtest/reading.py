"""Flags to a plan; raises PlanError for what cannot be meant."""

import math
import re
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from recserve_client._cli.access import Access
from recserve_client._transport.targets import parse_target

from . import host, units
from .conditions import read_bound, read_objective
from .plan import Arrivals, ClosedLoop, Endpoint, OpenLoop, PlanError, Stage
from .search import SearchPlan
from .session import LoadPlan
from .traffic.mix import Mix, Span

_CALLS_PER_PROCESS: Final = 8000.0
_MOST_PROCESSES: Final = 64
_RECORDING_TAIL_S: Final = 0.1
"""After the last call of a recording, which would not be within a stage that ends with it."""
_PLACE: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^:,/\[\]]+)):([0-9]{1,5})")
_SHARE_AND_SPAN: Final = re.compile(r"([^:]+)(?::(\d+)(?:\.\.(\d+))?)?")


def read_plan(flags: Namespace, times_s: tuple[float, ...], access: Access) -> LoadPlan:
    """Reads how calls leave.

    Args:
        flags: As parsed.
        times_s: Times of a recording, if it has any.
        access: How the server is reached.

    Raises:
        PlanError: something is out of range, or does not go with something else.
    """
    for text in flags.fail_if:
        read_bound(text)
    objective = read_objective(flags.slo, units.share(flags.max_errors)) if flags.slo else None
    stages = _stages(flags, times_s)
    search = _search(flags.rate) if objective is not None else None
    return LoadPlan(
        endpoint=read_endpoint(flags, access),
        stages=stages,
        processes=_processes(flags.processes, stages, search),
        seed=flags.seed,
        until_stable=flags.until_stable,
        objective=objective,
        search=search or SearchPlan(),
        conditions=tuple(flags.fail_if),
        times_s=times_s,
    )


def read_endpoint(flags: Namespace, access: Access) -> Endpoint:
    """Reads whom to ask.

    Raises:
        PlanError: a flag is out of range.
    """
    host_name, port = _place(flags.target)
    timeout_s = units.seconds(flags.timeout)
    token = (("authorization", f"Bearer {access.token}"),) if access.token else ()
    return Endpoint(
        host=host_name,
        port=port,
        connections=flags.connections,
        timeout_s=timeout_s or None,
        metadata=token,
        tls=access.tls,
    )


def read_mix(flags: Namespace) -> Mix:
    """Reads what is asked.

    Raises:
        PlanError: a flag is out of range.
    """
    history_share, history = _share_and_span(flags.history, Span(1, 20))
    exclusion_share, exclusions = _share_and_span(flags.exclude, Span(1, 20))
    batch_share, batch = _share_and_span(flags.batch, Span(64, 64))
    if batch.low != batch.high:
        raise PlanError(f"--batch is {flags.batch!r}, must be SHARE:N with one number")
    return Mix(
        zipf=flags.zipf,
        unknown_share=units.share(flags.unknown),
        ks=_ks(flags.k),
        history_share=history_share,
        history_length=history,
        exclusion_share=exclusion_share,
        exclusion_count=exclusions,
        filter_share=units.share(flags.filter_share) if flags.filters else 0.0,
        filters=tuple(flags.filters),
        batch_share=batch_share,
        batch_size=batch.high,
    )


def _stages(flags: Namespace, times_s: tuple[float, ...]) -> tuple[Stage, ...]:
    ways = [name for name in ("rate", "concurrency") if getattr(flags, name)]
    if flags.slo and "concurrency" in ways:
        raise PlanError("--slo searches a rate, must be without --concurrency")
    if len(ways) > 1:
        raise PlanError("--rate and --concurrency are given, must be one of them")
    seconds, warmup_s = units.seconds(flags.duration), units.seconds(flags.warmup)
    if flags.slo:
        pressures: list[OpenLoop | ClosedLoop] = [
            OpenLoop(rate_per_s=1.0, arrivals=Arrivals(flags.arrivals))
        ]
    elif flags.rate:
        pressures = [_open_loop(part, flags.arrivals) for part in flags.rate.split(",")]
    elif flags.concurrency:
        pressures = [_closed_loop(part) for part in flags.concurrency.split(",")]
    elif times_s:
        seconds, warmup_s = times_s[-1] + _RECORDING_TAIL_S, 0.0
        pressures = [OpenLoop(rate_per_s=len(times_s) / seconds, arrivals=Arrivals.RECORDED)]
    else:
        raise PlanError(
            "nothing says how calls leave, must be one of --rate 500, --concurrency 32, "
            "--slo p99=20ms, and --replay of a recording with times"
        )
    return tuple(Stage(pressure=each, seconds=seconds, warmup_s=warmup_s) for each in pressures)


def _open_loop(text: str, arrivals: str) -> OpenLoop:
    first, is_ramp, last = text.partition("..")
    return OpenLoop(
        rate_per_s=units.rate(first),
        end_rate_per_s=units.rate(last) if is_ramp else None,
        arrivals=Arrivals(arrivals),
    )


def _closed_loop(text: str) -> ClosedLoop:
    if not text.strip().isdecimal():
        raise PlanError(f"{text!r} is no number of calls under way, must be such as 32")
    return ClosedLoop(concurrency=int(text))


def _search(rates: str | None) -> SearchPlan:
    if not rates:
        return SearchPlan()
    low, is_span, high = rates.partition("..")
    if not is_span:
        raise PlanError(f"--rate is {rates!r}, with --slo it must be LOW..HIGH")
    return SearchPlan(low_per_s=units.rate(low), high_per_s=units.rate(high))


def _processes(wanted: int | None, stages: Sequence[Stage], search: SearchPlan | None) -> int:
    if wanted is not None:
        if not 1 <= wanted <= _MOST_PROCESSES:
            raise PlanError(f"--processes is {wanted}, must be from 1 to {_MOST_PROCESSES}")
        return wanted
    fastest = search.high_per_s if search is not None else max(map(_fastest, stages))
    return max(1, min(host.cores(), _MOST_PROCESSES, math.ceil(fastest / _CALLS_PER_PROCESS)))


def _fastest(stage: Stage) -> float:
    pressure = stage.pressure
    if not isinstance(pressure, OpenLoop):
        return 0.0
    return max(pressure.rate_per_s, pressure.end_rate_per_s or 0.0)


def _place(target: str) -> tuple[str, int]:
    try:
        name = parse_target(target).name
    except ValueError as error:
        raise PlanError(str(error)) from error
    found = _PLACE.fullmatch(name.removeprefix("dns:///"))
    if found is None:
        raise PlanError(f"--target is {target!r}, must be one HOST:PORT")
    return found[1] or found[2], int(found[3])


def _ks(text: str) -> tuple[tuple[int, float], ...]:
    found = []
    for part in text.split(","):
        k, has_weight, weight = part.partition("=")
        if not k.strip().isdecimal():
            raise PlanError(
                f"-k is {text!r}, must be a number, or numbers with shares: 10=80%,50=20%"
            )
        found.append((int(k), units.share(weight) if has_weight else 1.0))
    return tuple(found)


def _share_and_span(text: str | None, default: Span) -> tuple[float, Span]:
    if text is None:
        return 0.0, default
    found = _SHARE_AND_SPAN.fullmatch(text)
    if found is None:
        raise PlanError(f"{text!r} is not SHARE or SHARE:N..N, such as 20%:5..20")
    if found[2] is None:
        return units.share(found[1]), default
    low = int(found[2])
    return units.share(found[1]), Span(low, int(found[3] or low))
