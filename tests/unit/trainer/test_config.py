from pathlib import Path

import pytest

from recserve_trainer.config import DatasetConfig, IndexConfig, SplitConfig, TrainConfig
from recserve_trainer.fit_configs import (
    CollaborativeConfig,
    HistoryConfig,
    PopularityConfig,
    RankingConfig,
)


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


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_own_tables_are_a_format_and_a_folder(file_format: str) -> None:
    dataset = DatasetConfig(name=f"{file_format}:~/a:b", data_dir=Path(), schema=Path("s.json"))

    assert dataset.tables == (file_format, Path.home() / "a:b")
    assert DatasetConfig(data_dir=Path()).tables is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "csv:"}, "dataset is 'csv:', must name a folder, as csv:DIR does"),
        ({"name": "xlsx:here"}, r"dataset is 'xlsx:here', must be auto, .* csv:DIR or parquet:DIR"),
        ({"bad_rows": "keep"}, "bad_rows is 'keep', must be one of fail, skip"),
        ({"schema": Path("s.json")}, "schema is for csv:DIR and parquet:DIR, but dataset is auto"),
    ],
)
def test_what_own_tables_cannot_be_is_told(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetConfig(data_dir=Path(), **fields)


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


@pytest.mark.parametrize("config", [HistoryConfig, PopularityConfig, RankingConfig])
def test_a_family_in_closed_form_has_one_epoch(config: type) -> None:
    assert config().epochs == 1
    with pytest.raises(ValueError, match="epochs is 4, must be 1: this family learns in one pass"):
        config(epochs=4)
