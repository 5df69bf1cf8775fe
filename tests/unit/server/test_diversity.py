import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering.attributes import Codes
from recserve_server.answering.diversity import Candidates, Cap, choose

COUNT = 7


def codes_of(texts: list[list[int]]) -> Codes:
    offsets = np.cumsum([0, *map(len, texts)])
    return Codes(offsets, np.array([code for each in texts for code in each], np.int32))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Candidates, list[tuple[list[list[int]], int]], float, int]:
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    scores = np.sort(random.normal(size=COUNT).astype(np.float32))[::-1]
    if draw(st.booleans()):
        scores = np.round(scores)  # equal ones
    vectors = random.normal(size=(COUNT, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    candidates = Candidates(random.permutation(COUNT).astype(np.int32), scores, vectors)
    texts = st.lists(
        st.lists(st.integers(0, 3), max_size=2, unique=True), min_size=COUNT, max_size=COUNT
    )
    caps = draw(st.lists(st.tuples(texts, st.integers(1, 3)), max_size=2))
    return candidates, caps, draw(st.sampled_from([0, 0.25, 0.9, 1])), draw(st.integers(1, 9))


def greedy(
    candidates: Candidates, caps: list[tuple[list[list[int]], int]], weight: float, k: int
) -> list[int]:
    scores = candidates.scores.astype(float)
    span = scores.max() - scores.min()
    chosen: list[int] = []

    def fits(place: int) -> bool:
        rows = [candidates.rows[each] for each in chosen]
        return all(
            sum(code in texts[row] for row in rows) < most
            for texts, most in caps
            for code in texts[candidates.rows[place]]
        )

    def worth(place: int) -> float:
        relevance = (scores[place] - scores.min()) / span if span else 1.0
        vectors = candidates.vectors
        nearest = max((float(vectors[place] @ vectors[each]) for each in chosen), default=0.0)
        return (1 - weight) * relevance - weight * nearest

    while len(chosen) < k:
        left = [place for place in range(COUNT) if place not in chosen and fits(place)]
        if not left:
            break
        chosen.append(max(left, key=lambda place: (round(worth(place), 5), -place)))
    return chosen


@given(cases())
def test_items_are_chosen_one_by_one_as_the_formula_says(
    case: tuple[Candidates, list[tuple[list[list[int]], int]], float, int],
) -> None:
    candidates, caps, weight, k = case

    chosen = choose(candidates, [Cap(codes_of(texts), most) for texts, most in caps], weight, k)

    assert chosen.tolist() == greedy(candidates, caps, weight, k)


def test_without_weight_and_caps_the_order_stays() -> None:
    candidates = Candidates(np.arange(4, dtype=np.int32), np.array([4, 3, 3, 1], np.float32))

    assert choose(candidates, [], 0, 3).tolist() == [0, 1, 2]


def test_nothing_is_chosen_from_nothing() -> None:
    nothing = Candidates(np.empty(0, np.int32), np.empty(0, np.float32), np.empty((0, 3)))

    assert choose(nothing, [], 0.5, 3).tolist() == []


@pytest.mark.parametrize(("most", "expected"), [(1, [0, 2]), (2, [0, 1, 2]), (3, [0, 1, 2, 3])])
def test_a_cap_lets_so_many_items_of_a_text_through(most: int, expected: list[int]) -> None:
    candidates = Candidates(np.arange(4, dtype=np.int32), np.array([4, 3, 2, 1], np.float32))

    chosen = choose(candidates, [Cap(codes_of([[0], [0], [1], [0]]), most)], 0, 4)

    assert chosen.tolist() == expected
