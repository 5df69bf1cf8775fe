"""GroupLens' archive, read as it stands: the order of its ratings is what published splits need."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recserve_trainer.datasets.movielens_archive import (
    RATING_SPLITS,
    read_archive,
    read_rating_split,
)
from recserve_trainer.errors import DatasetError

Write = Callable[..., Path]


def test_ratings_stand_in_the_order_of_their_file(small_archive: Path) -> None:
    with zipfile.ZipFile(small_archive) as archive:
        lines = archive.read("ml-100k/u.data").decode().splitlines()

    dataset = read_archive(small_archive)

    read = dataset.interactions
    rebuilt = [
        f"{dataset.users.ids[user]}\t{dataset.items.ids[item]}\t{rating:.0f}\t{second}"
        for user, item, rating, second in zip(
            read.user_rows, read.item_rows, read.ratings, read.timestamps, strict=True
        )
    ]
    assert rebuilt == lines


def test_users_and_films_have_their_attributes_and_stand_in_numeric_order(
    small_archive: Path,
) -> None:
    dataset = read_archive(small_archive)

    assert dataset.users.ids == [str(number) for number in range(1, 41)]
    assert dataset.items.ids == [str(number) for number in range(1, 31)]
    of_second = {name: column.values[1].as_py() for name, column in dataset.users.columns.items()}
    assert of_second == {"age": 22.0, "gender": "male", "occupation": "writer"}
    assert dataset.items.titles[8] == "Fîlm 9 (1992)"
    assert dataset.items.columns["year"].values[8].as_py() == 1992
    assert dataset.items.columns["genres"].values[9].as_py() == ["Children's", "Drama"]


def test_the_year_is_the_last_one_in_parentheses_and_may_be_unknown(write_archive: Write) -> None:
    items = "2|unknown||||1|0|0|0\n1|1900 (1976) (V)||||0|1|0|0\n"

    dataset = read_archive(write_archive(u_item=items, u_data="1\t1\t3\t5\n"))

    assert dataset.items.columns["year"].values.to_pylist() == [1976, None]
    assert dataset.items.columns["genres"].values.to_pylist() == [["Action"], ["unknown"]]


def test_the_version_changes_with_the_ratings_alone(write_archive: Write) -> None:
    version = read_archive(write_archive()).version

    assert read_archive(write_archive()).version == version
    assert read_archive(write_archive(u_data="1\t1\t3\t5\n")).version != version


@pytest.mark.parametrize(
    ("member", "text", "told"),
    [
        ("u_data", "1\t1\t3\t5\n1 2 3 4\n", "u.data line 2 is '1 2 3 4'"),
        ("u_data", "1\t99\t3\t5\n", "u.data line 1 rates item 99 by user 1"),
        ("u_data", "\n", "u.data is empty"),
        ("u_data", None, "holds no u.data, so it is not MovieLens 100K"),
        ("u_user", "1|24|M|writer\n", "u.user line 1 has 4 fields, must be 5"),
        ("u_user", "1|24|M|writer|1\n1|24|M|writer|1\n", "u.user has 2 lines for 1 ids"),
        ("u_user", "1|old|M|writer|1\n", "age 'old' and gender 'M'"),
        ("u_item", "1|A film (1990)||||0|1\n", "u.item line 1 has 7 fields, must be 9"),
        ("u_genre", "Action|1\n", "u.genre has the codes [1], must count from 0"),
        ("u_genre", "Action\n", "u.genre line 1 is 'Action', must be NAME|CODE"),
    ],
)
def test_what_is_broken_is_told_with_its_place(
    write_archive: Write, member: str, text: str | None, told: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        read_archive(write_archive(**{member: text}))

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_zip_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        read_archive(tmp_path / "ml-100k.zip")
    (tmp_path / "ml-100k.zip").write_text("not an archive")
    with pytest.raises(DatasetError, match="cannot be read: File is not a zip file"):
        read_archive(tmp_path / "ml-100k.zip")


def test_a_split_of_the_archive_is_read_into_the_rows_of_the_dataset(small_archive: Path) -> None:
    dataset = read_archive(small_archive)

    train, test = read_rating_split(small_archive, "u1", dataset)

    both = train.joined(test)
    assert len(train) == 400
    assert both.user_rows.tolist() == dataset.interactions.user_rows.tolist()
    assert both.item_rows.tolist() == dataset.interactions.item_rows.tolist()
    assert both.ratings.tolist() == dataset.interactions.ratings.tolist()


def test_a_split_that_is_not_there_is_told(small_archive: Path) -> None:
    dataset = read_archive(small_archive)

    with pytest.raises(DatasetError, match="no split 'u6', only u1, u2"):
        read_rating_split(small_archive, "u6", dataset)
    with pytest.raises(DatasetError, match=r"holds no u2\.base"):
        read_rating_split(small_archive, "u2", dataset)


def test_the_real_archive_is_read_whole(movielens_archive: Path) -> None:
    dataset = read_archive(movielens_archive)

    assert (len(dataset.users), len(dataset.items)) == (943, 1682)
    assert len(dataset.interactions) == 100_000
    assert len(set(dataset.items.titles)) == 1664
    assert dataset.items.titles[49] == "Star Wars (1977)"
    assert "Sci-Fi" in dataset.items.columns["genres"].values[49].as_py()
    assert dataset.items.columns["year"].values.null_count == 1
    sizes = [len(part) for part in read_rating_split(movielens_archive, "u3", dataset)]
    assert sizes == [80_000, 20_000]
    assert len(RATING_SPLITS) == 7
