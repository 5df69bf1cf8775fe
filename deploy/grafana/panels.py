"""What a dashboard's row is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """A graph, or one number, of a few queries by what their legend says."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    about: str = ""


def quantile(share: float, histogram: str, *by: str, where: str = "") -> str:
    """Returns the query of a quantile of a histogram."""
    labels = ", ".join((*by, "le"))
    rate = f"rate({histogram}_bucket{{$S{where}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


def rate(counter: str, *by: str, where: str = "") -> str:
    """Returns the query of a counter's rate."""
    over = f" by ({', '.join(by)})" if by else ""
    return f"sum{over} (rate({counter}{{$S{where}}}[$__rate_interval]))"
