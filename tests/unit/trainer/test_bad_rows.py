"""Rows that cannot be used: found on their line, counted, fatal or skipped."""

import csv
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.tabular import files as tabular_files
from recserve_trainer.datasets.tabular.reading import load_tabular
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress

HEADER = "user,item,rating,timestamp\n"
ITEMS = "id,title,price\na,A,1\nb,B,2\n"


def load(folder: Path, bad_rows: str, file_format: str = "csv") -> tuple[Dataset, list[str]]:
    """Reads the tables; returns what was said of bad rows as well."""
    screen = StringIO()
    config = DatasetConfig(name=f"{file_format}:{folder}", data_dir=Path(), bad_rows=bad_rows)
    dataset = load_tabular(config, Progress(Console(file=screen, soft_wrap=True)))
    return dataset, [line for line in screen.getvalue().splitlines() if "bad row" in line]


def write(folder: Path, interactions: str, **tables: str) -> Path:
    for name, text in {"interactions": HEADER + interactions, **tables}.items():
        (folder / f"{name}.csv").write_bytes(text.encode(errors="surrogateescape"))
    return folder


def test_by_default_a_bad_row_is_fatal_and_the_way_out_is_named(tmp_path: Path) -> None:
    write(tmp_path, "u,a,1,1\nu,b,good,2\nu,c,1,\n")

    with pytest.raises(DatasetError) as caught:
        load(tmp_path, DatasetConfig(data_dir=Path()).bad_rows)

    assert str(caught.value) == (
        "2 bad rows (1 of interactions.csv: timestamp is no time, 1 of interactions.csv: rating is "
        "no number), the first at interactions.csv:3: rating is no number: 'good'; correct them, "
        "or leave them out with --bad-rows skip"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u,a,1", "not 4 fields: '3'"),
        ("u,a,1,1,1", "not 4 fields: '5'"),
        (",a,1,1", "user is not 1 to 128 bytes without control characters"),
        ("u,  ,1,1", "item is not 1 to 128 bytes without control characters: '  '"),
        (f"{'u' * 129},a,1,1", "user is not 1 to 128 bytes without control"),
        ('"u\tv",a,1,1', "user is not 1 to 128 bytes without control"),
        ("u,zzz,1,1", "item is not in the table of items: 'zzz'"),
        ("u,a,,1", "rating is no number"),
        ("u,a,nan,1", "rating is no number: 'nan'"),
        ("u,a,1e99,1", "rating is no number: '1e99'"),
        ("u,a,1,2024-01-01", "timestamp is no time: '2024-01-01'"),
        ("u,a,1,99999999999999999", "timestamp is no time: '99999999999999999'"),
        ("u,a,1,99999999999999999999", "timestamp is no time: '99999999999999999999'"),
        ("u\udcff,a,1,1", "not UTF-8"),
    ],
)
def test_each_kind_of_bad_row_is_told_with_its_line_and_left_out(
    tmp_path: Path, row: str, reason: str
) -> None:
    write(tmp_path, f"v,a,1,1\n{row}\nv,b,2,2\nw,b,2,2\n", items=ITEMS)

    dataset, said = load(tmp_path, "skip")

    assert dataset.user_ids == ["v", "w"]
    assert dataset.interactions.ratings.tolist() == [1, 2, 2]
    assert said[0].startswith(f"bad row: interactions.csv:3: {reason}")
    assert said[1].startswith("bad rows skipped: 1 of interactions.csv: ")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,Again,3", "id repeats: 'a'"),
        (",None,3", "no usable id"),
        ("c,C", "not 3 fields: '2'"),
        ("c,C,cheap", "price is no number: 'cheap'"),
    ],
)
def test_bad_items_are_told_and_left_out(tmp_path: Path, row: str, reason: str) -> None:
    write(tmp_path, "u,a,1,1\nu,b,1,2\n", items=f"{ITEMS}{row}\n")
    (tmp_path / "schema.json").write_text('{"items": {"columns": {"price": "number"}}}')

    dataset, said = load(tmp_path, "skip")

    assert dataset.items.ids == ["a", "b"]
    assert dataset.items.titles == ["A", "B"]
    assert said[0] == f"bad row: items.csv:4: {reason}"


def test_the_first_ten_are_told_and_all_are_counted(tmp_path: Path) -> None:
    lines = "".join(f"u,i{n},{'x' if n % 2 else 1},{n}\n" for n in range(60))
    write(tmp_path, lines)

    dataset, said = load(tmp_path, "skip")

    assert len(dataset.interactions) == 30
    places = [f"bad row: interactions.csv:{2 * n + 3}: rating is no number: 'x'" for n in range(10)]
    assert said == [
        *places,
        "and 20 more bad rows",
        "bad rows skipped: 30 of interactions.csv: rating is no number",
    ]


def test_a_row_that_is_bad_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "u,a,1,1\n,b,x,never\n")

    _, said = load(tmp_path, "skip")

    assert said[-1].startswith("bad rows skipped: 1 of interactions.csv: user is not")
    assert len(said) == 2


def test_an_id_of_bad_rows_alone_is_no_user_and_no_item(tmp_path: Path) -> None:
    write(tmp_path, "u,a,1,1\nghost,phantom,x,1\n")

    dataset, _ = load(tmp_path, "skip")

    assert dataset.user_ids == ["u"]
    assert dataset.items.ids == ["a"]


def test_parquet_tells_rows_where_it_has_no_lines(tmp_path: Path) -> None:
    table = pa.table({"user": ["u", None, "v"], "item": [1, 1, 1], "timestamp": [5, 5, None]})
    pq.write_table(table, tmp_path / "interactions.parquet")

    dataset, said = load(tmp_path, "skip", "parquet")

    assert dataset.user_ids == ["u"]
    assert said[0].startswith("bad row: interactions.parquet row 2: user is not")
    assert said[1] == "bad row: interactions.parquet row 3: timestamp is no time"


# A field is bare or quoted; a quoted one may have line ends, commas and quotes.
PLAIN = st.text("xy ", max_size=3)
QUOTED = st.text('x\n,"', max_size=4).map(lambda text: '"' + text.replace('"', '""') + '"')
TITLES = st.lists(
    st.tuples(st.one_of(PLAIN, QUOTED), st.sampled_from(["1", "x", "1,1"])), max_size=30
)


@given(TITLES, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
def test_lines_are_right_in_blocks_of_any_size_and_after_values_of_many_lines(
    tmp_path_factory: pytest.TempPathFactory,
    titles: list[tuple[str, str]],
    line_end: str,
    empty_lines: bool,
) -> None:
    # The title stands in the column of users, who may be called anything.
    folder = tmp_path_factory.mktemp("tables")
    text = f"user,item,rating,timestamp,note{line_end}u,i,1,1,{line_end}"
    expected = []
    for note, rating in titles:
        if empty_lines:
            text += line_end
        if rating != "1":
            expected.append(text.count("\n") + 1)
        text += f"u,i,{rating},1,{note}{line_end}"
    (folder / "interactions.csv").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tabular_files, "_BLOCK_BYTES", 64)
        _, said = load(folder, "skip")

    found = [int(line.split(":")[2]) for line in said if line.startswith("bad row: ")]
    assert found == expected[:10]


def test_a_value_longer_than_python_s_reader_takes_is_passed_over(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    write(tmp_path, f"u,a,1,1\n{'u' * (limit + 1)},a,1,1\nu,b,x,1\n")

    _, said = load(tmp_path, "skip")

    assert [line.split(": ")[1] for line in said[:2]] == [
        "interactions.csv:3",
        "interactions.csv:4",
    ]
    assert csv.field_size_limit() == limit
