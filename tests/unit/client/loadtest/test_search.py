import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recserve_client.loadtest.plan import PlanError
from recserve_client.loadtest.search import SearchPlan, search

MOST = 120


class Server:
    """Keeps the objective up to a capacity; with the outcomes of some tries turned round."""

    def __init__(self, capacity_per_s: float, flips: list[bool] | None = None) -> None:
        self.capacity_per_s, self.flips = capacity_per_s, flips or []
        self.tried: list[tuple[float, bool]] = []

    def holds(self, rate_per_s: float) -> bool:
        held = rate_per_s <= self.capacity_per_s
        if len(self.tried) < len(self.flips) and self.flips[len(self.tried)]:
            held = not held
        self.tried.append((rate_per_s, held))
        assert len(self.tried) <= MOST, "the search does not end"
        return held

    def outcomes(self, rate_per_s: float) -> list[bool]:
        return [held for rate, held in self.tried if rate == rate_per_s]


def test_the_rate_is_doubled_then_narrowed_down_and_tried_again() -> None:
    server = Server(1000.0)
    found = search(SearchPlan(low_per_s=100.0), server.holds)

    rates = [rate for rate, _ in server.tried]
    assert rates == [100, 200, 400, 800, 1600, 1600, 1130, 1130, 951, 1040, 1040, 995, 995]
    assert (found.best_per_s, found.refused_per_s) == (995, 1040)


@given(
    st.floats(0.5, 200_000),
    st.floats(1, 1000),
    st.floats(1, 1000),
    st.floats(0.02, 1),
)
@example(capacity=1000.0, low=999.9999999999999, factor=2.0, precision=0.02)
def test_a_search_ends_just_below_what_the_server_can_do(
    capacity: float, low: float, factor: float, precision: float
) -> None:
    plan = SearchPlan(low_per_s=low, high_per_s=low * factor, precision=precision)
    server = Server(capacity)
    found = search(plan, server.holds)

    best, refused = found.best_per_s, found.refused_per_s
    if best is None:
        assert capacity < max(1.0, low)
        assert refused is not None
        assert refused <= max(1.0, low)
        return
    assert best <= capacity
    assert server.outcomes(best) == [True, True]
    if refused is None:
        assert best == plan.high_per_s
    else:
        # Rates between are rounded to three digits: two may be no nearer by a hair.
        assert capacity < refused <= best * (1 + precision) * (1 + 1e-12)


@given(st.floats(1, 100_000), st.lists(st.booleans(), max_size=MOST))
def test_a_search_ends_with_a_rate_that_held_twice_however_the_server_behaves(
    capacity: float, flips: list[bool]
) -> None:
    server = Server(capacity, flips)
    found = search(SearchPlan(), server.holds)

    if found.best_per_s is not None:
        assert server.outcomes(found.best_per_s).count(True) >= 2
        rates = {rate for rate, _ in server.tried if rate <= found.best_per_s}
        assert all(server.outcomes(rate).count(False) < 2 for rate in rates)
    if found.refused_per_s is not None:
        assert server.outcomes(found.refused_per_s).count(False) == 2
    assert all(len(server.outcomes(rate)) <= 3 for rate, _ in server.tried)


def test_a_lucky_stage_is_not_believed() -> None:
    server = Server(150.0, [False, True])  # 200 is held the first time only
    found = search(SearchPlan(low_per_s=100.0, high_per_s=200.0), server.holds)

    assert server.outcomes(200.0) == [True, False, False]
    assert found.best_per_s == pytest.approx(150, rel=0.05)


def test_an_unlucky_stage_decides_nothing() -> None:
    server = Server(1000.0, [False, False, True])  # 400 is missed the first time only
    found = search(SearchPlan(low_per_s=100.0), server.holds)

    assert server.outcomes(400.0) == [False, True, True]
    assert found.best_per_s == pytest.approx(1000, rel=0.05)


@pytest.mark.parametrize(
    ("low", "capacity", "tried"),
    [
        (50.0, 0.5, [50.0, 50.0, 5.0, 5.0, 1.0, 1.0]),
        (1.0, 0.5, [1.0, 1.0]),
        (0.5, 0.2, [0.5, 0.5]),
        (50.0, 4.99, [50.0, 50.0, 5.0, 5.0, 1.0, 2.24, 3.35, 4.09, 4.52, 4.75, 4.87, 4.87]),
    ],
)
def test_a_server_that_holds_nothing_is_asked_for_less(
    low: float, capacity: float, tried: list[float]
) -> None:
    server = Server(capacity)
    search(SearchPlan(low_per_s=low), server.holds)
    assert [rate for rate, _ in server.tried] == tried


def test_no_higher_rate_is_tried_than_allowed() -> None:
    server = Server(1e6)
    found = search(SearchPlan(low_per_s=100.0, high_per_s=300.0), server.holds)

    assert [rate for rate, _ in server.tried] == [100, 200, 300, 300]
    assert (found.best_per_s, found.refused_per_s) == (300, None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"low_per_s": 0.0}, r"^a search is from 0 to 100000, must be from a lower to a higher"),
        ({"low_per_s": 201.0, "high_per_s": 200.0}, "^a search is from 201 to 200"),
        ({"high_per_s": 1_000_001.0}, r"at most 1000000 per second$"),
        ({"low_per_s": float("nan")}, "^a search is from nan"),
        ({"precision": 0.019}, r"^precision is 0\.019, must be from 2% to 100%$"),
        ({"precision": 1.01}, "^precision is"),
    ],
)
def test_a_search_that_is_none_is_told(options: dict[str, float], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        SearchPlan(**options)


def test_the_limits_of_a_search_are_allowed() -> None:
    SearchPlan(low_per_s=1_000_000.0, high_per_s=1_000_000.0, precision=0.02)
    SearchPlan(low_per_s=0.001, precision=1.0)
