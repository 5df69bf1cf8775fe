from pathlib import Path

import pytest

from recserve_trainer.synthetic_size import SyntheticSize, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000x800", SyntheticSize()),
        ("20x30x100", SyntheticSize(user_count=20, item_count=30, interaction_count=100)),
        ("20x30@7", SyntheticSize(user_count=20, item_count=30, seed=7)),
        ("20x30-s7", SyntheticSize(user_count=20, item_count=30, seed=7)),
        ("20x30x0", SyntheticSize(user_count=20, item_count=30)),
        (
            "1000x800x60000@7",
            SyntheticSize(user_count=1000, item_count=800, interaction_count=60_000, seed=7),
        ),
    ],
)
def test_a_size_is_read_from_its_text(text: str, size: SyntheticSize) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "1000", "x", "1000x", "20x30x", "20x30@", "20x30@x", "20 x 30", "20x30x40x50", "-20x30"],
)
def test_a_text_of_another_form_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"size is .*, must be like 1000x800, .*@7"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (SyntheticSize(), "1000x800x60000-s42"),
        (SyntheticSize(user_count=10, item_count=10, seed=0), "10x10x50-s0"),
    ],
)
def test_the_name_of_a_size_reads_back_to_the_size(size: SyntheticSize, name: str) -> None:
    assert size.name == name
    assert parse_size(name) == size


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("9x10", False),
        ("10x10", True),
        ("10x9", False),
        ("1000000x10", True),
        ("1000001x10", False),
        ("10x1000000", True),
        ("10x1000001", False),
        ("10x20x9", False),
        ("10x20x10", True),
        ("10x20x100", True),
        ("10x20x101", False),
        ("1000000x1000000x100000000", True),
        ("1000000x1000000x100000001", False),
        ("10x10@4294967295", True),
        ("10x10@4294967296", False),
    ],
)
def test_a_size_is_accepted_up_to_each_limit(text: str, accepted: bool) -> None:
    if accepted:
        assert parse_size(text).name
    else:
        with pytest.raises(ValueError, match=r"\w+ is \d+, must be from \d+ to \d+"):
            parse_size(text)


@pytest.mark.parametrize(
    ("users", "items", "interactions"), [(1000, 800, 60_000), (100, 121, 6000), (100, 50, 2500)]
)
def test_without_a_count_a_user_rates_sixty_items_or_half_of_the_catalogue(
    users: int, items: int, interactions: int
) -> None:
    assert SyntheticSize(user_count=users, item_count=items).interaction_count == interactions


@pytest.mark.tensorflow
@pytest.mark.parametrize("table", ["ratings", "movies"])
def test_the_features_are_those_of_movielens_1m(table: str, tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    from recserve_trainer.datasets.synthetic import synthetic_builder

    ours = synthetic_builder(SyntheticSize(), table, tmp_path).info.features
    theirs = tfds.builder(f"movielens/1m-{table}", data_dir=tmp_path).info.features

    assert ours.to_json() == theirs.to_json()
    assert ours["movie_genres"].feature.names == theirs["movie_genres"].feature.names
    if table == "ratings":
        label = "user_occupation_label"
        assert ours[label].names == theirs[label].names


@pytest.mark.tensorflow
def test_both_tables_come_back_from_disk_as_the_world_made_them(tmp_path: Path) -> None:
    from recserve_trainer.datasets.synthetic import synthetic_builder
    from recserve_trainer.datasets.synthetic_world import World

    size = SyntheticSize(user_count=60, item_count=50, seed=3)
    world = World(size)
    tables = {}
    for table in ("ratings", "movies"):
        builder = synthetic_builder(size, table, tmp_path)
        builder.download_and_prepare()
        tables[table] = list(builder.as_dataset(split="train").as_numpy_iterator())

    movies = {row["movie_id"].decode(): row for row in tables["movies"]}
    assert [row["movie_title"].decode() for row in movies.values()] == world.items.titles
    assert list(movies) == [str(item + 1) for item in range(50)]
    seen = [
        (row["user_id"].decode(), row["movie_id"].decode(), row["user_rating"], row["timestamp"])
        for row in tables["ratings"]
    ]
    assert seen == [
        (str(ratings.user + 1), str(item + 1), stars, timestamp)
        for ratings in world.ratings()
        for item, stars, timestamp in zip(
            ratings.items, ratings.stars, ratings.timestamps, strict=True
        )
    ]
    for row in tables["ratings"]:
        movie = movies[row["movie_id"].decode()]
        assert row["movie_title"] == movie["movie_title"]
        assert row["movie_genres"].tolist() == movie["movie_genres"].tolist()
        assert len(row["user_zip_code"]) == 5


@pytest.mark.tensorflow
def test_each_size_and_table_has_its_own_folder(tmp_path: Path) -> None:
    from recserve_trainer.datasets.synthetic import synthetic_builder

    folders = {
        synthetic_builder(parse_size(size), table, tmp_path).data_dir
        for size in ("20x30", "20x30@7", "20x30x200", "21x30")
        for table in ("ratings", "movies")
    }

    assert len(folders) == 8
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
