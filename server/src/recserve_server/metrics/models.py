"""How versions of models come and go."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from recserve_server.metrics.families import counter, gauge, histogram
from recserve_server.metrics.readings import ModelReadings
from recserve_server.models.refusal import Refusal
from recserve_server.models.version import State


def of_models(models: ModelReadings) -> Iterator[Metric]:
    """Yields what became of versions, by model; a model's series are all there from the start."""
    names = sorted({name for name, _ in models.versions})
    yield gauge(
        "recserve_model_versions",
        "Versions on disk, by what became of them.",
        _filled(names, [each.value for each in State], models.versions),
        ("model", "state"),
    )
    yield counter(
        "recserve_model_loads",
        "Attempts to load a version.",
        _filled(names, ("loaded", "refused"), models.stats.loads),
        ("model", "outcome"),
    )
    yield counter(
        "recserve_model_refused",
        "Versions refused, by reason.",
        _filled(names, [each.value for each in Refusal], models.stats.refused),
        ("model", "reason"),
    )
    yield histogram(
        "recserve_model_load_seconds",
        "From the first look at a version to its being warm.",
        models.stats.load_s,
    )
    yield gauge(
        "recserve_golden_overlap",
        "Share of expected items that the newest version answered.",
        models.golden_overlap.items(),
        ("model", "against"),
    )
    yield gauge(
        "recserve_canary_share",
        "Share of users who get the canary.",
        [((name,), share) for name, share in models.canary_share.items()],
        ("model",),
    )


def _filled(
    names: Sequence[str], values: Sequence[str], counts: Mapping[tuple[str, str], int]
) -> Iterable[tuple[tuple[str, str], int]]:
    # Zeros too, else rate() misses the first of its kind.
    zeros = dict.fromkeys(((name, value) for name in names for value in values), 0)
    # Copied in one step: the event loop may add to them.
    return {**zeros, **counts}.items()
