from collections.abc import Callable

import pytest

from recserve_client.loadtest import units
from recserve_client.loadtest.plan import PlanError


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.seconds, "20ms", 0.02),
        (units.seconds, "250us", 0.00025),
        (units.seconds, "1.5s", 1.5),
        (units.seconds, "30", 30.0),
        (units.seconds, ".5", 0.5),
        (units.seconds, "2m", 120.0),
        (units.seconds, "2min", 120.0),
        (units.seconds, "1h", 3600.0),
        (units.seconds, " 20 ms ", 0.02),
        (units.seconds, "0", 0.0),
        (units.latency_ms, "20ms", 20.0),
        (units.latency_ms, "1.5s", 1500.0),
        (units.latency_ms, "250us", 0.25),
        (units.rate, "500", 500.0),
        (units.rate, "1.5k", 1500.0),
        (units.rate, "500/s", 500.0),
        (units.rate, "2k/s", 2000.0),
        (units.share, "0.1%", 0.001),
        (units.share, "0.7%", 0.007),
        (units.share, "0.001", 0.001),
        (units.share, "0", 0.0),
        (units.share, "100%", 1.0),
        (units.share, "1", 1.0),
    ],
)
def test_a_quantity_is_read_as_people_write_it(
    read: Callable[[str], float], text: str, value: float
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (units.seconds, "", r"^'' is not a time such as 20ms, 1\.5s or 2m$"),
        (units.seconds, "20MS", "is not a time"),
        (units.seconds, "-1s", "is not a time"),
        (units.seconds, "1,5s", "is not a time"),
        (units.seconds, "1.s", "is not a time"),
        (units.seconds, "nan", "is not a time"),
        (units.seconds, "1e3", "is not a time"),
        (units.seconds, "٣", "is not a time"),
        (units.seconds, "5%", "is not a time"),
        (units.latency_ms, "20", r"^'20' is not a latency such as 20ms or 1\.5s$"),
        (units.rate, "5ms", r"^'5ms' is not a rate per second such as 500 or 1\.5k$"),
        (units.rate, "100..200", "is not a rate"),
        (units.share, "5ms", r"^'5ms' is not a share such as 0\.1% or 0\.001$"),
        (units.share, "5", "^'5' is 500%, must be from 0% to 100%$"),
        (units.share, "100.1%", "must be from 0% to 100%"),
    ],
)
def test_what_is_no_such_quantity_is_told(
    read: Callable[[str], float], text: str, told: str
) -> None:
    with pytest.raises(PlanError, match=told):
        read(text)
