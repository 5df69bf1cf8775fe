"""The ranking family from interactions to a served order, in a small world."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from worlds import make_world

from recserve_trainer.artifact.stage_parity import check_stages
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.evaluation.two_stage import model_scorer
from recserve_trainer.families.history import HistoryTraining
from recserve_trainer.families.ranking import RankingTraining
from recserve_trainer.fit_configs import FIT_CONFIGS, RankingConfig
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.learning.dcn_ranker import DcnRanker
from recserve_trainer.learning.ranking_lists import folds
from recserve_trainer.retrieval import RetrievalModel

pytestmark = pytest.mark.tensorflow


CONFIG = RankingConfig(
    dimension=8,
    ials_dimension=4,
    ials_iterations=2,
    candidates=20,
    list_length=15,
    folds=3,
    trees=8,
    leaf_rows=10,
    threads=1,
)
DATASET, SPLIT = make_world()
EVERYBODY = np.arange(len(DATASET.users), dtype=np.int32)
SEEN = Histories.of(len(DATASET.users), SPLIT.train)


def fit(config: RankingConfig = CONFIG) -> tuple[RetrievalModel, dict[str, float]]:
    training = RankingTraining(DATASET, SPLIT, config)
    logged = training.run_epoch()
    return training.model(), logged


@pytest.fixture(scope="module")
def fitted() -> tuple[RetrievalModel, dict[str, float]]:
    return fit()


@pytest.fixture(scope="module")
def model(fitted: tuple[RetrievalModel, dict[str, float]]) -> RetrievalModel:
    return fitted[0]


@pytest.fixture(scope="module")
def folder(model: RetrievalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index")
    ExactIndex(model.embeddings, model.stages).save(path)
    return path


def recommend(folder: Path, k: int) -> dict[str, np.ndarray]:
    answer = tf.saved_model.load(str(folder)).signatures["recommend"](
        user_rows=tf.constant(EVERYBODY),
        k=tf.constant(k),
        excluded=tf.constant(SEEN.pairs(EVERYBODY)),
    )
    return {name: values.numpy() for name, values in answer.items()}


def test_what_was_written_passes_the_gate(folder: Path, model: RetrievalModel) -> None:
    check_stages(folder, model, SEEN)


@pytest.mark.parametrize("k", [5, 20, 35])
def test_what_is_served_is_the_order_of_the_oracle(
    folder: Path, model: RetrievalModel, k: int
) -> None:
    found = recommend(folder, k)

    scores = model_scorer(model, SEEN)(EVERYBODY)
    if k <= CONFIG.candidates:
        expected = np.take_along_axis(scores, np.maximum(top_k(scores, k), 0), axis=1)
        assert found["scores"] == pytest.approx(expected, abs=1e-4)
    for user in EVERYBODY:
        is_served = found["scores"][user] > -np.inf
        rows, served = found["item_rows"][user][is_served], found["scores"][user][is_served]
        assert len(rows) == min(k, len(DATASET.items) - len(SEEN[user]))
        assert len(set(rows.tolist())) == len(rows)
        assert set(rows.tolist()).isdisjoint(SEEN[user].tolist())
        assert (np.diff(served) <= 0).all()
        # The score of a candidate does not depend on how many there are.
        is_candidate = scores[user, rows] > -np.inf
        assert served[is_candidate] == pytest.approx(scores[user, rows[is_candidate]], abs=1e-4)
        assert found["retrieval_scores"][user][is_served] == pytest.approx(
            model.embeddings.score(EVERYBODY)[user, rows], abs=1e-4
        )


def test_the_first_stage_is_the_history_family(model: RetrievalModel) -> None:
    history = HistoryTraining(DATASET, SPLIT, CONFIG)
    history.run_epoch()

    assert model.embeddings.users == pytest.approx(history.model().embeddings.users, abs=1e-5)
    assert model.stages.query_tower is not None
    assert model.stages.ranker is not None
    assert model.stages.ranker.candidates == CONFIG.candidates


@pytest.mark.long
def test_the_same_seed_gives_the_same_model_and_another_another(model: RetrievalModel) -> None:
    scores = model_scorer(model, SEEN)(EVERYBODY)
    again = model_scorer(fit(replace(CONFIG, threads=2))[0], SEEN)(EVERYBODY)
    other = model_scorer(fit(replace(CONFIG, seed=7))[0], SEEN)(EVERYBODY)

    assert (again == scores).all()
    assert (other != scores).any()


@pytest.mark.long
def test_a_network_can_be_the_second_stage(tmp_path: Path) -> None:
    model, _ = fit(replace(CONFIG, ranker="dcn"))

    ExactIndex(model.embeddings, model.stages).save(tmp_path)

    assert isinstance(model.stages.ranker, DcnRanker)
    check_stages(tmp_path, model, SEEN)


def test_progress_is_told_in_numbers(fitted: tuple[RetrievalModel, dict[str, float]]) -> None:
    _, logged = fitted

    assert logged["lists"] > 0
    assert logged["positives"] >= logged["lists"]
    assert {"seconds_retrieval", "seconds_lists", "seconds_ranker"} <= set(logged)
    gains = [value for name, value in logged.items() if name.startswith("gain_")]
    assert sum(gains) == pytest.approx(1)


def test_every_item_is_held_out_as_evenly_as_can_be() -> None:
    fold_of = folds(SPLIT.train, 3, seed=1)

    for item in range(len(DATASET.items)):
        counts = np.bincount(fold_of[SPLIT.train.item_rows == item], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert (folds(SPLIT.train, 3, seed=1) == fold_of).all()
    repeated = SPLIT.train.joined(SPLIT.train)
    both = folds(repeated, 3, seed=1)
    assert (both[: len(SPLIT.train)] == both[len(SPLIT.train) :]).all()


@pytest.mark.parametrize(("users", "items"), [(3, 8), (2, 30), (12, 5)])
def test_a_very_small_world_has_a_ranker(users: int, items: int) -> None:
    dataset, split = make_world(users, items, seed=3)
    training = RankingTraining(dataset, split, CONFIG)

    training.run_epoch()

    rows = np.arange(users, dtype=np.int32)
    scores = model_scorer(training.model(), Histories.of(users, split.train))(rows)
    assert scores.shape == (users, items)
    assert not np.isnan(scores).any()


def test_nothing_to_learn_from_is_said() -> None:
    one = SPLIT.train.take(np.zeros(1, np.intp))
    split = type(SPLIT)(one, SPLIT.validation, SPLIT.test, "one")

    with pytest.raises(TrainerError, match="nothing to learn ranking from: of 1 interactions"):
        RankingTraining(DATASET, split, CONFIG).run_epoch()


def test_settings_of_both_stages_can_be_given() -> None:
    config = FIT_CONFIGS["ranking"]().with_settings({"trees": "3", "ease_l2": "50"})

    assert isinstance(config, RankingConfig)
    assert (config.trees, config.ease_l2) == (3, 50.0)
    for name, value in (
        ("ranker", "'svm', must be"),
        ("depth", "9, must be"),
        ("folds", "1, must"),
    ):
        text = {"ranker": "svm", "depth": "9", "folds": "1"}[name]
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            FIT_CONFIGS["ranking"]().with_settings({name: text})
