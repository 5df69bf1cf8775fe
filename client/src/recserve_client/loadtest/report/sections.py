"""The parts of the page that are text and tables: they read without JavaScript too."""

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final

from recserve_client.loadtest.result import Run, ServerSeen, StageResult

from .numbers import UNKNOWN, counted, gibibytes, number, pairs, percent, rate

_WARNINGS_SHOWN: Final = 8
"""More than these are folded away."""
_MARKS: Final = {"good": "✓", "bad": "✗", "warn": "!"}


def title(run: Run) -> str:
    """Returns the name of the window."""
    return escape(f"Load test of {run.server.target}, {_time(run.started_at)}")


def header(run: Run) -> str:
    """Returns who was tested and when, the verdicts, and the conditions one by one."""
    who = _server(run.server)
    return (
        f"<p class=over>Load test by {escape(run.tool)}</p>\n"
        f"<h1>{escape(run.server.target)}</h1>\n"
        f"<p class=who>{escape(who)}{' · ' if who else ''}"
        f"<time datetime={_quoted(run.started_at)}>{escape(_time(run.started_at))}</time></p>\n"
        f"<p class=chips>{' '.join(_verdicts(run))}</p>\n{_conditions(run)}"
    )


def warnings(run: Run) -> str:
    """Returns the box with the warnings of the run and of its stages, or nothing."""
    lines = [f"<li>{escape(text)}</li>" for text in run.warnings]
    for stage in run.stages:
        name = escape(stage.label)
        lines += [f"<li><b>{name}</b> {escape(text)}</li>" for text in stage.warnings]
    if not lines:
        return ""
    shown, folded = lines[:_WARNINGS_SHOWN], lines[_WARNINGS_SHOWN:]
    more = (
        f"<details><summary>{len(folded)} more</summary><ul>{''.join(folded)}</ul></details>"
        if folded
        else ""
    )
    return (
        "<section id=warnings class=warnings aria-labelledby=warnings-title>"
        "<h2 id=warnings-title>What makes the figures doubtful</h2>"
        f"<ul>{''.join(shown)}</ul>{more}</section>"
    )


def stages(results: Sequence[StageResult]) -> str:
    """Returns the table of the stages; the one that the charts show first is checked."""
    if not results:
        return "<p class=empty>No stage was measured.</p>"
    chosen = _first_shown(results)
    has_verdicts = any(stage.holds is not None for stage in results)
    last = "<th rowspan=2 scope=col>Holds</th>" if has_verdicts else ""
    rows = [
        _row(place, stage, checked=place == chosen, has_verdicts=has_verdicts)
        for place, stage in enumerate(results)
    ]
    return (
        "<div class=table tabindex=0 role=region aria-label=Stages><table class=stages>"
        "<caption>Choose a stage to see it in the charts below.</caption><thead><tr>"
        "<th rowspan=2 scope=col>Stage</th><th rowspan=2 scope=col class=text>Loop</th>"
        "<th rowspan=2 scope=col>Sent</th><th rowspan=2 scope=col>OK/s</th>"
        "<th rowspan=2 scope=col>Errors, %</th><th colspan=5 scope=colgroup>Latency, ms</th>"
        f"<th rowspan=2 scope=col>Stable</th>{last}</tr><tr><th scope=col>p50</th>"
        "<th scope=col>p90</th><th scope=col>p99</th><th scope=col>p99.9</th>"
        f"<th scope=col>max</th></tr></thead><tbody>\n{''.join(rows)}</tbody></table></div>"
    )


def making(run: Run) -> str:
    """Returns how the run was made: everything that is needed to do it again."""
    host = run.host
    machine = (
        f"{host.name}: {host.cpu}, {counted(host.cores, 'core')}, {gibibytes(host.memory_bytes)}, "
        f"{host.system}, Python {host.python}"
    )
    command = shlex.join(("recserve", "loadtest", *run.arguments))
    terms = (
        ("Command", f"<code>{escape(command)}</code>"),
        ("Calls", escape(run.mix)),
        ("Seed", str(run.seed)),
        ("Sent from", escape(machine)),
        ("Made of", escape(f"{run.tool}: {pairs(run.versions)}" if run.versions else run.tool)),
        ("Started", f"<code>{escape(run.started_at)}</code>"),
    )
    return (
        f"<dl class=terms>{''.join(f'<dt>{term}</dt><dd>{told}</dd>' for term, told in terms)}</dl>"
    )


def _first_shown(results: Sequence[StageResult]) -> int:
    """Place of the last stage that holds, else of the last."""
    held = [place for place, stage in enumerate(results) if stage.holds]
    return held[-1] if held else len(results) - 1


def _verdicts(run: Run) -> Iterable[str]:
    if run.search is not None:
        objective = run.search.objective
        highest, lowest = run.search.rate_per_s, run.search.refused_rate_per_s
        if highest is None:
            yield _chip("bad", f"no rate tried holds {objective}")
        else:
            yield _chip("good", f"holds {rate(highest)}/s with {objective}")
        if lowest is not None:
            yield _chip("", f"{rate(lowest)}/s does not")
    failed = sum(condition.failed for condition in run.conditions)
    kept = len(run.conditions) - failed
    if failed:
        yield _chip("bad", f"{counted(failed, 'condition')} failed")
    if kept:
        yield _chip("good", f"{counted(kept, 'condition')} passed")
    doubts = len(run.warnings) + sum(len(stage.warnings) for stage in run.stages)
    if doubts:
        yield f'<a href="#warnings">{_chip("warn", counted(doubts, "warning"))}</a>'


def _chip(kind: str, text: str) -> str:
    mark = f"<span aria-hidden=true>{_MARKS[kind]}</span> " if kind else ""
    return f'<span class="chip {kind}">{mark}{escape(text)}</span>'


def _conditions(run: Run) -> str:
    if not run.conditions:
        return ""
    lines = [
        f"<li class={'bad' if each.failed else 'good'}><b>{'failed' if each.failed else 'passed'}"
        f"</b> <code>{escape(each.text)}</code> {escape(each.seen)}</li>"
        for each in run.conditions
    ]
    return f"<ul class=conditions>{''.join(lines)}</ul>"


def _row(place: int, stage: StageResult, *, checked: bool, has_verdicts: bool) -> str:
    latency = stage.latency
    loop = f"{stage.mode}, {stage.arrivals}" if stage.arrivals else stage.mode
    share = stage.error_share
    cells = [
        f"<td class=text>{escape(loop)}</td>",
        f"<td>{stage.started:,}</td>",
        f"<td>{rate(stage.ok_per_s)}</td>",
        f"<td{' class=bad' if share else ''}>{percent(share)}</td>",
    ]
    for value in (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms):
        cells.append(f"<td>{number(value)}</td>")
    cells.append(_answer(stage.stable))
    if has_verdicts:
        cells.append(_answer(stage.holds))
    doubt = " <span class=doubt title='has warnings'>!</span>" if stage.warnings else ""
    # `autocomplete` keeps browsers from bringing back an earlier choice when a page is reloaded.
    choice = (
        f"<input type=radio name=stage value={place} autocomplete=off"
        f"{' checked' if checked else ''}>"
    )
    return (
        f"<tr><th scope=row><label>{choice} {escape(stage.label)}{doubt}</label></th>"
        f"{''.join(cells)}</tr>\n"
    )


def _answer(is_so: bool | None) -> str:
    if is_so is None:
        return f"<td class=answer>{UNKNOWN}</td>"
    kind, word = ("good", "yes") if is_so else ("bad", "no")
    return f'<td class="answer {kind}"><span aria-hidden=true>{_MARKS[kind]}</span> {word}</td>'


def _server(server: ServerSeen) -> str:
    """In a line, what the server told of itself; empty if it told nothing."""
    parts = []
    if server.model_name:
        parts.append(f"{server.model_name} version {server.model_version}")
    if server.kind:
        parts.append(server.kind)
    if server.index:
        parts.append(f"{server.index} index")
    if server.user_count or server.item_count:
        parts.append(f"{counted(server.user_count, 'user')}, {counted(server.item_count, 'item')}")
    return " · ".join(parts)


def _time(iso: str) -> str:
    try:
        return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S %Z}".strip()
    except ValueError:
        return iso


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'
