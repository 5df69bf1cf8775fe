"""Own tables, read as they were written: from CSV, from Parquet, in one block or in many."""

from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.tabular import files as tabular_files
from recserve_trainer.datasets.tabular.interactions import newest
from recserve_trainer.datasets.tabular.reading import load_tabular
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress

HEADER = "user,item,rating,timestamp\n"


def load(folder: Path, file_format: str = "csv", **fields: object) -> tuple[Dataset, str]:
    screen = StringIO()
    config = DatasetConfig(name=f"{file_format}:{folder}", data_dir=Path(), **fields)
    dataset = load_tabular(config, Progress(Console(file=screen, soft_wrap=True, width=200)))
    return dataset, screen.getvalue()


def write(folder: Path, **tables: str) -> Path:
    for name, text in tables.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    return folder


def rows(dataset: Dataset) -> list[tuple[str, str, float, int]]:
    read = dataset.interactions
    columns = (read.user_rows, read.item_rows, read.ratings.tolist(), read.timestamps.tolist())
    return [
        (dataset.user_ids[user], dataset.items.ids[item], rating, time)
        for user, item, rating, time in zip(*columns, strict=True)
    ]


def test_interactions_alone_are_enough_and_ids_are_the_titles(tmp_path: Path) -> None:
    write(tmp_path, interactions=f"{HEADER}u10,b,4.5,1600000000\nu9,a,3,1600000001\n")

    dataset, said = load(tmp_path)

    assert rows(dataset) == [("u10", "b", 4.5, 1_600_000_000), ("u9", "a", 3.0, 1_600_000_001)]
    assert dataset.items.ids == dataset.items.titles == ["a", "b"]
    assert dataset.name == f"csv:{tmp_path.name}"
    assert "numbers in s" in said
    assert "2020-09-13T12:26:40 to 2020-09-13T12:26:41" in said


def test_ids_that_are_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    write(tmp_path, interactions=f"{HEADER}10,9,1,1\n9,10,1,1\n")

    dataset, _ = load(tmp_path)

    assert dataset.user_ids == ["9", "10"]
    assert dataset.items.ids == ["9", "10"]


def test_without_ratings_each_is_one(tmp_path: Path) -> None:
    write(tmp_path, interactions="user,item,date\nu,a,2024-02-29\nu,b,2024-03-01\n")

    dataset, _ = load(tmp_path)

    assert dataset.interactions.ratings.tolist() == [1, 1]
    assert np.diff(dataset.interactions.timestamps).tolist() == [86_400]


def test_attributes_are_typed_by_their_values_and_shown(tmp_path: Path) -> None:
    items = "sku,name,price,colour,tags\n"
    items += "".join(f"{n},Thing {n},{n}.5,{'red' if n % 2 else ''},x|y\n" for n in range(6))
    users = "user_id,age\nu,30\nnobody,40\n"
    write(tmp_path, interactions=f"{HEADER}u,0,1,1\nv,1,1,2\n", items=items, users=users)

    dataset, said = load(tmp_path)

    kinds = {name: column.kind for name, column in dataset.items.columns.items()}
    assert kinds == {"price": "number", "colour": "category", "tags": "category"}
    assert dataset.items.titles == [f"Thing {n}" for n in range(6)]
    columns = {name: each.values.to_pylist() for name, each in dataset.items.columns.items()}
    assert columns["price"] == [n + 0.5 for n in range(6)]
    assert columns["colour"] == [None, "red"] * 3
    assert columns["tags"] == [["x", "y"]] * 6
    assert dataset.user_ids == ["u", "v"]
    assert dataset.users.columns["age"].values.to_pylist() == [30, None]
    assert "category, separated by |" in said
    assert "1 of 2 users have a row" in said


def test_commas_quotes_and_line_ends_stand_in_quoted_values(tmp_path: Path) -> None:
    items = 'id,title\na,"One, two"\nb,"said ""no""\nand left"\n'
    write(tmp_path, interactions=f"{HEADER}u,a,1,1\nu,b,1,2\n", items=items)

    dataset, _ = load(tmp_path)

    assert dataset.items.titles == ["One, two", 'said "no"\nand left']


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_values(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}u,a,1,1\n u ,b,2,2\n".replace("\n", "\r\n")
    write(tmp_path, interactions=text)

    dataset, _ = load(tmp_path)

    assert rows(dataset) == [("u", "a", 1.0, 1), ("u", "b", 2.0, 2)]


@pytest.mark.parametrize("place", ["interactions-{}.csv", "interactions/part{}.csv"])
def test_parts_are_read_one_after_the_other_in_natural_order(tmp_path: Path, place: str) -> None:
    (tmp_path / "interactions").mkdir()
    (tmp_path / place.format(10)).write_text("item,user,timestamp\nb,u,2\n")
    (tmp_path / place.format(9)).write_text("user,item,timestamp\nu,a,1\n")

    dataset, _ = load(tmp_path)

    assert [row[1] for row in rows(dataset)] == ["a", "b"]


def test_of_repeated_pairs_the_newest_counts_and_of_equal_times_the_last(tmp_path: Path) -> None:
    text = f"{HEADER}u,a,1,5\nu,a,2,9\nu,a,3,7\nu,b,1,1\nu,b,2,1\n"
    write(tmp_path, interactions=text)

    dataset, said = load(tmp_path)

    assert rows(dataset) == [("u", "a", 2.0, 9), ("u", "b", 2.0, 1)]
    assert "3 interactions repeat a user and an item" in said


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), max_size=20))
def test_newest_agrees_with_a_loop(triples: list[tuple[int, int, int]]) -> None:
    users, items, times = np.array(triples, np.int64).reshape(-1, 3).T
    places = np.arange(len(triples), dtype=np.float32)
    given_rows = Interactions(users.astype(np.int32), items.astype(np.int32), places, times)

    kept = newest(given_rows, item_count=3)

    best: dict[tuple[int, int], int] = {}
    for place, (user, item, time) in enumerate(triples):
        if (user, item) not in best or time >= triples[best[user, item]][2]:
            best[user, item] = place
    assert kept.ratings.tolist() == sorted(best.values())


IDS = st.text("aß9 ,\"'\n;|", min_size=1, max_size=5).map(lambda text: f"<{text.strip()}>")
ROWS = st.dictionaries(
    st.tuples(IDS, IDS),
    st.tuples(st.floats(-9, 9, width=32), st.integers(0, 2**31)),
    min_size=1,
    max_size=20,
)


@given(ROWS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
def test_csv_parquet_and_what_was_written_agree(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    expected = [(user.replace("\n", "_"), item.replace("\n", "_"), *rest)
                for (user, item), rest in pairs.items()]  # fmt: skip
    expected = list({row[:2]: row for row in expected}.values())
    users, items, ratings, times = zip(*expected, strict=True)
    quoted = [[f'"{each.replace(chr(34), chr(34) * 2)}"' for each in ids] for ids in (users, items)]
    lines = [",".join(map(str, row)) for row in zip(*quoted, ratings, times, strict=True)]
    write(folder, interactions=HEADER + "\n".join(lines))
    table = {"user": users, "item": items, "rating": ratings, "timestamp": times}
    pq.write_table(
        pa.table({n: list(v) for n, v in table.items()}), folder / "interactions.parquet"
    )
    unit = {"interactions": {"timestamp_unit": "s"}}
    (folder / "schema.json").write_text(str(unit).replace("'", '"'))

    from_csv, from_parquet = rows(load(folder)[0]), rows(load(folder, "parquet")[0])

    assert from_csv == expected
    assert from_parquet == expected


def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"u{n % 7},i{n},{n % 5},{n}\n" for n in range(500)]
    write(tmp_path, interactions=HEADER + "".join(lines))
    whole, _ = load(tmp_path)
    monkeypatch.setattr(tabular_files, "_BLOCK_BYTES", 100)

    in_blocks, _ = load(tmp_path)

    assert rows(in_blocks) == rows(whole)
    assert in_blocks.user_ids == whole.user_ids
    assert in_blocks.version == whole.version


@pytest.mark.parametrize("ids", [pa.int64(), pa.float64(), pa.string(), pa.large_string(),
                                 pa.dictionary(pa.int8(), pa.string())])  # fmt: skip
def test_parquet_ids_of_any_type_are_their_text(tmp_path: Path, ids: pa.DataType) -> None:
    names: list = ["7", "12"]
    if not pa.types.is_floating(ids) and not pa.types.is_integer(ids):
        users = pa.array(names, pa.string()).cast(ids)
    else:
        users = pa.array([7, 12], ids)
    times = pa.array([1_600_000_000_000, 1_600_000_001_000], pa.timestamp("ms"))
    table = pa.table({"user": users, "item": pa.array([1, 2]), "time": times})
    pq.write_table(table, tmp_path / "interactions.parquet")

    dataset, _ = load(tmp_path, "parquet")

    assert rows(dataset) == [("7", "1", 1.0, 1_600_000_000), ("12", "2", 1.0, 1_600_000_001)]


@pytest.mark.parametrize(
    ("texts", "seconds", "said"),
    [
        (["1600000000", "1600000001.9"], [0, 1], "numbers in s"),
        (["1600000000000", "1600000001999"], [0, 1], "numbers in ms"),
        (["1600000000000000", "1600000001999999"], [0, 1], "numbers in us"),
        (["1600000000000000000", "1600000001999999999"], [0, 1], "numbers in ns"),
        (["2020-09-13T12:26:40", "2020-09-13 12:26:41.9"], [0, 1], "ISO 8601"),
        (["2020-09-13T12:26:40Z", "2020-09-13T14:26:41+02:00"], [0, 1], "ISO 8601"),
        (["2020-09-13T12:26:40", "2020-09-13T12:26:41Z"], [0, 1], "ISO 8601"),
    ],
)
def test_times_are_seconds_whatever_their_form(
    tmp_path: Path, texts: list[str], seconds: list[int], said: str
) -> None:
    lines = [f"u,i{place},1,{text}\n" for place, text in enumerate(texts)]
    write(tmp_path, interactions=HEADER + "".join(lines))

    dataset, shown = load(tmp_path)

    assert (dataset.interactions.timestamps - 1_600_000_000).tolist() == seconds
    assert said in shown


def test_the_form_of_times_is_that_of_the_first_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular_files, "_BLOCK_BYTES", 64)
    lines = [f"u,i{n},1,\n" for n in range(50)]
    write(tmp_path, interactions=HEADER + "".join(lines) + "u,a,1,1600000000000\n")

    dataset, said = load(tmp_path, bad_rows="skip")

    assert rows(dataset) == [("u", "a", 1.0, 1_600_000_000)]
    assert "numbers in ms" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "interactions.csv is empty, must begin with a line of column names"),
        (HEADER, "holds no interactions"),
        ("user,user,item\n", "more than one column called user"),
        ("user;item;timestamp\n1;2;3\n", "no column for the user, only user;item;timestamp;.*deli"),
        ("user,item\nu,a\n", "no column for the timestamp, only user, item; name it in a schema"),
    ],
)
def test_a_file_that_holds_nothing_to_read_is_told(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, interactions=text)

    with pytest.raises(DatasetError, match=message):
        load(tmp_path)


def test_a_folder_without_interactions_tells_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, sales="a\n")

    with pytest.raises(DatasetError, match=r"has no interactions\.csv.*but sales\.csv"):
        load(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        load(tmp_path / "nowhere")


def test_a_file_that_is_no_parquet_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "interactions.parquet").write_bytes(b"user,item")

    with pytest.raises(DatasetError, match=r"interactions\.parquet: ") as caught:
        load(tmp_path, "parquet")

    assert "\n" not in str(caught.value)


def test_another_content_is_another_version(tmp_path: Path) -> None:
    write(tmp_path, interactions=f"{HEADER}u,a,1,1\n")
    first, _ = load(tmp_path)
    write(tmp_path, interactions=f"{HEADER}u,a,1,2\n")

    second, _ = load(tmp_path)

    assert first.version.startswith("sha256:")
    assert first.version != second.version
