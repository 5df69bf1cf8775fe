import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets import movielens
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.datasets.shop import ShopSize, write_shop
from recserve_trainer.datasets.synthetic import SyntheticSize
from recserve_trainer.datasets.synthetic_world import World
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress
from recserve_trainer.tables import ItemTable

pytestmark = pytest.mark.tensorflow

SIZE = "40x30x400@3"
NO_ARCHIVE = "the MovieLens archive is not here, its licence forbids to ship it (RECSERVE_ARCHIVE)"


def load(data_dir: Path, name: str = "auto", archive: Path | None = None) -> tuple[Dataset, str]:
    screen = StringIO()
    config = DatasetConfig(name=name, data_dir=data_dir, archive=archive)
    return load_dataset(config, Progress(Console(file=screen, soft_wrap=True))), screen.getvalue()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens, "_host_answers", lambda: False)


def test_an_archive_whose_name_tells_nothing_needs_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"films\.zip does not tell which"):
        load(tmp_path, archive=tmp_path / "films.zip")


@pytest.mark.usefixtures("offline")
def test_without_data_and_network_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"--archive ml-1m\.zip.*recserve_synthetic"):
        load(tmp_path, "movielens/1m")


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_invented_data_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SyntheticSize(user_count=20, item_count=20)
    monkeypatch.setattr(movielens, "SyntheticSize", lambda: small)

    dataset, said = load(tmp_path)

    assert dataset.name == f"recserve_synthetic/{small.name}"
    assert "invented films and users, because MovieLens 100K is not prepared" in said


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        load(tmp_path, "movielens/100k", tmp_path / "ml-100k.zip")


def test_an_archive_of_other_content_is_refused_in_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "ml-100k.zip"
    archive.write_bytes(b"not what GroupLens published")

    with pytest.raises(DatasetError, match="preparing movielens/100k failed") as caught:
        load(tmp_path / "data", archive=archive)

    assert "\n" not in str(caught.value)


def test_rows_and_ids_agree_with_the_world_that_was_written(tmp_path: Path) -> None:
    dataset, _ = load(tmp_path, f"recserve_synthetic/{SIZE}")

    world = World(SyntheticSize(user_count=40, item_count=30, interaction_count=400, seed=3))
    written = {
        (str(user + 1), str(int(item) + 1))
        for user, ratings in enumerate(world.ratings())
        for item in ratings.items
    }
    read = dataset.interactions
    pairs = {
        (dataset.user_ids[user], dataset.items.ids[item])
        for user, item in zip(read.user_rows, read.item_rows, strict=True)
    }
    assert pairs == written
    assert dataset.user_ids == [str(number) for number in range(1, 41)]
    assert dataset.items.ids == [str(number) for number in range(1, 31)]
    for title, year in zip(dataset.items.titles, attribute(dataset.items, "year"), strict=True):
        assert title.endswith(f"({year})")
    assert all(genres for genres in attribute(dataset.items, "genres"))


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_own_tables_come_through_the_same_door(tmp_path: Path, file_format: str) -> None:
    size = ShopSize(user_count=20, item_count=20, interaction_count=100)
    write_shop(tmp_path, size, file_format)

    dataset, said = load(tmp_path, f"{file_format}:{tmp_path}")

    assert dataset.name == f"{file_format}:{tmp_path.name}"
    assert (len(dataset.users), len(dataset.items), len(dataset.interactions)) == (20, 20, 100)
    assert "100 interactions read" in said


def attribute(items: ItemTable, name: str) -> list:
    return items.columns[name].values.to_pylist()


def check_movielens_100k(dataset: Dataset) -> None:
    assert (len(dataset.user_ids), len(dataset.items)) == (943, 1682)
    assert len(set(dataset.items.titles)) == 1664
    assert len(dataset.interactions) == 100_000
    assert dataset.items.titles[49] == "Star Wars (1977)"
    assert set(attribute(dataset.items, "genres")[49]) == {
        "Action",
        "Adventure",
        "Romance",
        "Sci-Fi",
        "War",
    }


@pytest.mark.long
def test_prepared_movielens_is_read_whole() -> None:
    data_dir = os.environ.get("TFDS_DATA_DIR", "")
    if not (Path(data_dir) / "movielens" / "100k-ratings").is_dir():
        pytest.skip("MovieLens 100K is not prepared here (TFDS_DATA_DIR)")

    dataset, said = load(Path(data_dir))

    assert "already prepared" in said
    check_movielens_100k(dataset)


@pytest.mark.long
@pytest.mark.usefixtures("offline")
def test_movielens_is_prepared_from_an_archive_without_network(tmp_path: Path) -> None:
    archive = Path(os.environ.get("RECSERVE_ARCHIVE", ""))
    if not archive.is_file():
        pytest.skip(NO_ARCHIVE)

    dataset, _ = load(tmp_path, archive=archive)

    check_movielens_100k(dataset)
