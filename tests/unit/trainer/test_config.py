from pathlib import Path

import pytest

from recserve_trainer.config import DatasetConfig, IndexConfig, SplitConfig, TrainConfig
from recserve_trainer.fit_configs import CollaborativeConfig


@pytest.mark.parametrize(
    "fields",
    [
        {"embedding_dimension": 0},
        {"epochs": 0},
        {"patience": 0},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"learning_rate": 1.1},
        {"l2": -0.1},
        {"l2": float("nan")},
        {"seed": -1},
        {"seed": 2**31},
    ],
)
def test_a_fit_out_of_range_says_what_was_seen_and_what_is_allowed(
    fields: dict[str, float],
) -> None:
    [(name, value)] = fields.items()

    with pytest.raises(ValueError, match=f"{name} is {value}, must be"):
        CollaborativeConfig(**fields)


@pytest.mark.parametrize("share", [0.0, 0.5, -1.0])
def test_shares_leave_something_to_train_on(share: float) -> None:
    with pytest.raises(ValueError, match=r"must be above 0 and below 0\.5"):
        SplitConfig(test_share=share)


@pytest.mark.parametrize(
    "name", ["auto", "movielens/25m", "recserve_synthetic", "recserve_synthetic/20x30x100@7"]
)
def test_datasets_are_known_by_name(name: str) -> None:
    assert DatasetConfig(name=name, data_dir=Path()).name == name


@pytest.mark.parametrize("name", ["", "movielens", "movielens/3k", "imdb/1"])
def test_any_other_dataset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be auto, movielens/100k"):
        DatasetConfig(name=name, data_dir=Path())


@pytest.mark.parametrize("size", ["3x3", "10", "axb"])
def test_a_synthetic_size_out_of_range_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match=r"size|user_count"):
        DatasetConfig(name=f"recserve_synthetic/{size}", data_dir=Path())


@pytest.mark.parametrize("name", ["films", "films-2026.v1_b", "9", "x" * 64])
def test_names_are_plain_folder_names(name: str) -> None:
    assert config(name=name).name == name


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 65, "films\n"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name is"):
        config(name=name)


def test_an_unknown_index_is_refused_with_the_known() -> None:
    with pytest.raises(ValueError, match="index is 'x', must be one of auto, exact, scann"):
        IndexConfig(kind="x")


@pytest.mark.parametrize("recall", [-0.01, 1.01, float("nan")])
def test_the_recall_asked_of_an_index_is_a_share(recall: float) -> None:
    with pytest.raises(ValueError, match=f"min_index_recall is {recall}, must be from 0 to 1"):
        IndexConfig(min_recall=recall)


def config(**fields: str) -> TrainConfig:
    dataset = DatasetConfig(data_dir=Path())
    return TrainConfig(dataset=dataset, models_dir=Path(), **fields)
