"""What is known of each version in memory, its answers above all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import HistogramMetricFamily, InfoMetricFamily, Metric

from recserve_server.metrics.families import add_histogram, counter, gauge
from recserve_server.metrics.readings import LoadedReadings
from recserve_server.model import Fallback, Source
from recserve_server.stats import AnswerStats, Distribution

_LABELS: Final = ("model", "version")
_Numbers = Mapping[str, tuple[str, Callable[[LoadedReadings], float]]]
_GAUGES: Final[_Numbers] = {
    "model_load_time_seconds": (
        "When it had been loaded, in Unix time.",
        lambda of: of.load_time_s,
    ),
    "model_create_time_seconds": (
        "When it was exported, in Unix time.",
        lambda of: of.manifest.create_time.ToNanoseconds() / 1e9,
    ),
    "model_items": ("Items in the catalogue.", lambda of: of.manifest.model.item_count),
    "model_users": ("Users whom it knows by id.", lambda of: of.manifest.model.user_count),
    "model_queue_depth": ("Requests that wait for this version.", lambda of: of.queue_depth),
}
_COUNTERS: Final[_Numbers] = {
    "model_rows": ("Users that the model ranked for.", lambda of: of.answers.rows),
    "padding_rows": (
        "Rows added to reach an allowed batch size.",
        lambda of: of.answers.padding_rows,
    ),
    "short_answers": (
        "Answers with fewer items than were asked for.",
        lambda of: of.answers.short,
    ),
    "empty_answers": ("Answers without items.", lambda of: of.answers.empty),
    "degraded_answers": ("Answers given without recorded events.", lambda of: of.answers.degraded),
    "answered_items": ("Items in answers.", lambda of: of.answers.items),
    "excluded_items": ("Ids excluded by callers that are known.", lambda of: of.answers.excluded),
}
_HISTOGRAMS: Final[Mapping[str, tuple[str, Callable[[LoadedReadings], Distribution]]]] = {
    "model_run_seconds": (
        "What the model process needs for a batch.",
        lambda of: of.answers.run_s,
    ),
    "first_item_percentile": (
        "Percentile, of all scores of the model, of the first items of personal answers.",
        lambda of: of.answers.first_percent,
    ),
    "asked_k": ("Items asked for, per question.", lambda of: of.answers.asked_k),
}


def of_versions(loaded: Sequence[LoadedReadings]) -> Iterator[Metric]:
    """Yields families of one series or more for each version."""
    names = [_name(each) for each in loaded]
    about = InfoMetricFamily("recserve_model", "A version that is loaded.")
    for (model, version), each in zip(names, loaded, strict=True):
        kinds = {"kind": each.manifest.model.kind, "index": each.manifest.index.kind}
        about.add_metric((), {"model": model, "version": version, **kinds})
    yield about
    for make, numbers in ((gauge, _GAUGES), (counter, _COUNTERS)):
        for name, (text, read) in numbers.items():
            values = [(of, read(each)) for of, each in zip(names, loaded, strict=True)]
            yield make(f"recserve_{name}", text, values, _LABELS)
    for name, (text, read_all) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(f"recserve_{name}", text, labels=_LABELS)
        for of, each in zip(names, loaded, strict=True):
            add_histogram(family, of, read_all(each))
        yield family
    yield from _answers(names, [each.answers for each in loaded])


def _answers(names: Sequence[tuple[str, str]], stats: Sequence[AnswerStats]) -> Iterator[Metric]:
    answers: list[tuple[Sequence[str], int]] = []
    fallbacks: list[tuple[Sequence[str], int]] = []
    for name, each in zip(names, stats, strict=True):
        for source in Source:
            label = source.name.lower()
            answers.append(((*name, "recommend", label), each.recommended[source]))
            answers.append(((*name, "rank", label), each.ranked[source]))
        answers.append(((*name, "similar", "items"), each.similar))
        for reason in Fallback:
            fallbacks.append(((*name, reason.name.lower()), each.fallbacks[reason]))
    yield counter(
        "recserve_answers",
        "Answers, by what was asked and what they were made from.",
        answers,
        (*_LABELS, "kind", "source"),
    )
    yield counter(
        "recserve_fallbacks",
        "Answers that are not personal, by reason.",
        fallbacks,
        (*_LABELS, "reason"),
    )


def _name(loaded: LoadedReadings) -> tuple[str, str]:
    return loaded.manifest.model_name, str(loaded.manifest.model_version)
