"""What is counted of the answers of a real model, by the part that answers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering.tables import Percentiles
from recserve_server.matrix_model import MatrixModel, open_matrix
from recserve_server.model import Fallback, Source
from recserve_server.model_process.loaded_model import LoadedModel
from recserve_server.models.artifact import VersionPath, read_manifest
from recserve_server.query import Options, Query, RankQuery, Selection, SimilarQuery
from recserve_server.stats import AnswerStats

SCORES = np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1]], np.float32)


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return opened(MatrixModel(SCORES, histories=[[4], []]), tmp_path)


def opened(matrix: MatrixModel, models: Path) -> LoadedModel:
    folder = matrix.publish(models)
    location = VersionPath(folder.parent.name, int(folder.name), folder)
    model = LoadedModel(folder, read_manifest(location), open_matrix, (1, 4))
    model.warm_up(10)
    return model


def counted(model: LoadedModel, *questions: Query | RankQuery | SimilarQuery) -> AnswerStats:
    model.answer(questions)
    return model.stats


def excluding(*item_ids: str) -> Options:
    return Options(selection=Selection(excluded_item_ids=item_ids))


def test_the_warm_up_does_not_count(model: LoadedModel) -> None:
    assert AnswerStats.unpacked(model.stats.packed()).packed() == AnswerStats().packed()


def test_answers_count_by_source_and_fallback(model: LoadedModel) -> None:
    stats = counted(model, Query("u0", 3), Query("u1", 3), Query("nobody", 3))

    assert stats.recommended[Source.USER_ID] == 2
    assert stats.recommended[Source.POPULARITY] == 1
    assert stats.fallbacks[Fallback.UNKNOWN_USER] == 1
    assert sum(stats.fallbacks) == 1
    assert (stats.items, stats.asked_k.count, stats.asked_k.total) == (9, 3, 9.0)
    assert stats.run_s.count == 1


def test_short_and_empty_answers_count(model: LoadedModel) -> None:
    everything = excluding(*(f"i{number}" for number in range(5)))

    stats = counted(model, Query("u0", 5), Query("u1", 5), Query("u1", 5, options=everything))

    assert (stats.short, stats.empty) == (2, 1)


def test_excluded_ids_count_if_the_model_knows_them(model: LoadedModel) -> None:
    stats = counted(model, Query("u1", 3, options=excluding("i0", "i1", "unheard of")))

    assert stats.excluded == 2


def test_answers_without_recorded_events_count(model: LoadedModel) -> None:
    stats = counted(model, Query("u1", 3, options=Options(is_degraded=True)), Query("u1", 3))

    assert stats.degraded == 1


def test_ranked_and_similar_items_count_apart(model: LoadedModel) -> None:
    stats = counted(model, RankQuery("u1", ("i0", "i1")), SimilarQuery(("i0",), 2))

    assert stats.ranked[Source.USER_ID] == 1
    assert stats.similar == 1
    assert sum(stats.recommended) == 0
    assert stats.asked_k.total == 2.0  # given items are not asked for by number


def test_the_first_items_of_personal_answers_are_placed_among_all_scores(tmp_path: Path) -> None:
    percentiles = [(0, 0.0), (50, 2.0), (90, 4.0), (90, 4.0), (100, 6.0)]
    model = opened(MatrixModel(SCORES, histories=[[4], []], percentiles=percentiles), tmp_path)

    stats = counted(
        model,
        *(Query("u0", 3), Query("u1", 3), Query("u1", 3, options=excluding("i0"))),  # 3, 5 and 4
        *(Query("nobody", 3), RankQuery("u1", ("i1",)), SimilarQuery(("i0",), 2)),
    )

    assert stats.first_percent.count == 3
    assert stats.first_percent.total == pytest.approx(70 + 95 + 90)


@given(
    scores=st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    asked=st.lists(st.floats(-7, 7), min_size=1, max_size=8),
)
def test_a_score_is_placed_as_numpy_does_it(scores: list[float], asked: list[float]) -> None:
    known = Percentiles(np.linspace(0, 100, len(scores)), np.sort(scores))
    percent_of = known.lookup()

    assert percent_of is not None
    expected = np.interp(asked, known.scores, known.percents)
    assert [percent_of(each) for each in asked] == pytest.approx(expected.tolist())


def test_without_a_distribution_nothing_is_placed(model: LoadedModel) -> None:
    assert counted(model, Query("u1", 3)).first_percent.count == 0


def test_failures_do_not_count(model: LoadedModel) -> None:
    stats = counted(model, SimilarQuery(("unheard of",), 2))

    assert (stats.similar, stats.items, stats.asked_k.count) == (0, 0, 0)
    assert stats.run_s.count == 1
