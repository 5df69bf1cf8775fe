from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recserve_server.answering.catalogue import Catalogue, Users
from recserve_server.matrix_model import MatrixModel

HISTORIES = [[2, 0], [], [1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return MatrixModel(np.zeros((3, 4), np.float32), HISTORIES).publish(tmp_path)


def write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def test_the_catalogue_is_read_in_the_order_of_its_rows(folder: Path) -> None:
    catalogue = Catalogue.open(folder / "items.arrow")

    assert list(catalogue.item_ids) == ["i0", "i1", "i2", "i3"]
    assert list(catalogue.titles) == ["Film 0", "Film 1", "Film 2", "Film 3"]
    assert catalogue.by_popularity[0].tolist() == [3, 2, 1, 0]
    assert catalogue.by_popularity[1].tolist() == [3.0, 2.0, 1.0, 0.0]


def test_each_user_keeps_their_own_history(folder: Path) -> None:
    users = Users.open(folder / "users.arrow")

    assert users.row_of == {"u0": 0, "u1": 1, "u2": 2}
    assert [users.history(row).tolist() for row in range(3)] == [[0, 2], [], [1]]


def test_a_missing_column_is_named(folder: Path) -> None:
    write(folder / "items.arrow", pa.table({"item_id": ["a"], "train_count": [1]}))

    with pytest.raises(ValueError, match="lacks the columns title"):
        Catalogue.open(folder / "items.arrow")


@pytest.mark.parametrize("ids", [pa.array([1]), pa.array([None], pa.string())])
def test_a_column_of_the_wrong_kind_is_named(folder: Path, ids: pa.Array) -> None:
    table = pa.table({"item_id": ids, "title": ["t"], "train_count": [1]})
    write(folder / "items.arrow", table)

    with pytest.raises(ValueError, match="column item_id is"):
        Catalogue.open(folder / "items.arrow")


def test_what_is_not_arrow_is_refused(folder: Path) -> None:
    (folder / "items.arrow").write_bytes(b"not an arrow file")

    with pytest.raises(ValueError, match="Arrow"):
        Catalogue.open(folder / "items.arrow")
