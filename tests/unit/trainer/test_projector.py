from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.artifact.projector import projected_rows, write_projector
from recserve_trainer.tables import ItemTable, category_column, number_column

RANDOM = np.random.default_rng(0)
ODD_TITLES = ["a\tb", "new\nline", 'says "so"', "x | y\r\n", "<script>", "", "line\u2028end"]


def catalogue(titles: list[str]) -> ItemTable:
    count = len(titles)
    return ItemTable(
        [str(row) for row in range(count)],
        titles,
        {
            "year": number_column([1990 + row if row else None for row in range(count)]),
            "studio": category_column([f"studio\t{row}" for row in range(count)]),
            "genres": category_column([["Drama", "War"]] * count),
        },
    )


def written(folder: Path, titles: list[str], length: int = 3) -> tuple[np.ndarray, list[list[str]]]:
    vectors = RANDOM.normal(size=(len(titles), length)).astype(np.float32)
    write_projector(folder, catalogue(titles), vectors, np.arange(len(titles)))
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").split("\n")
    assert lines[-1] == ""  # the last line is ended, too
    return vectors, [line.split("\t") for line in lines[:-1]]


def test_the_vectors_are_the_items_rows_to_the_last_bit(tmp_path: Path) -> None:
    vectors, _ = written(tmp_path, ["A", "B", "C"], length=40)

    read = np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t", dtype=np.float32)

    np.testing.assert_array_equal(read, vectors)


def test_metadata_have_what_has_one_value_an_item(tmp_path: Path) -> None:
    _, lines = written(tmp_path, ["A", "B"])

    assert lines == [
        ["item_id", "title", "train_count", "year", "studio"],
        ["0", "A", "0", "", "studio 0"],
        ["1", "B", "1", "1991", "studio 1"],
    ]


def test_odd_titles_stay_in_their_cell(tmp_path: Path) -> None:
    _, lines = written(tmp_path, ODD_TITLES)

    assert [len(line) for line in lines] == [5] * (1 + len(ODD_TITLES))
    titles = [line[1] for line in lines[1:]]
    assert titles == ["a b", "new line", 'says "so"', "x | y", "<script>", "", "line end"]


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_titles_give_a_line_for_each_item(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str]
) -> None:
    _, lines = written(tmp_path_factory.mktemp("projector"), titles)

    assert [line[0] for line in lines] == ["item_id", *(str(row) for row in range(len(titles)))]


def test_a_large_catalogue_shows_its_most_popular_items_in_the_order_of_rows() -> None:
    counts = np.zeros(12_000, np.int64)
    counts[-1], counts[5_000] = 7, 9

    rows = projected_rows(counts, length=64)

    assert len(rows) == 10_000
    assert (np.diff(rows) > 0).all()
    assert {5_000, 11_999} < set(rows.tolist())
    assert set(rows.tolist()) - {11_999} == set(range(9_999))


@pytest.mark.parametrize(("length", "shown"), [(200, 10_000), (400, 5_000), (3_000_000, 1)])
def test_long_vectors_are_shown_of_fewer_items(length: int, shown: int) -> None:
    assert len(projected_rows(np.arange(20_000), length)) == shown


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    from tensorboard.plugins.projector import projector_plugin
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    vectors, _ = written(tmp_path, ODD_TITLES)

    text = (tmp_path / "projector_config.pbtxt").read_text()
    (embedding,) = text_format.Parse(text, ProjectorConfig()).embeddings
    read = projector_plugin._read_tensor_tsv_file(str(tmp_path / embedding.tensor_path))
    np.testing.assert_array_equal(read, vectors)
    assert (tmp_path / embedding.metadata_path).is_file()
