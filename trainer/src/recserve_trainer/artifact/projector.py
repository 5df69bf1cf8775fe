"""Item vectors as TensorBoard's embedding projector reads them."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.tables import ItemTable

MOST_ITEMS: Final = 10_000
_MOST_NUMBERS: Final = 2_000_000
_CONFIG: Final = """\
embeddings {
  tensor_name: "items"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
}
"""


def projected_rows(train_counts: NDArray[np.int64], length: int) -> NDArray[np.intp]:
    """Returns the rows of the items that are shown, ascending.

    All of them, or the most popular 10,000; fewer if their vectors would be more than two million
    numbers, which a browser takes long to read. Equally popular ones go by row.

    Args:
        train_counts: [items], training interactions.
        length: of a vector.
    """
    count = min(MOST_ITEMS, max(1, _MOST_NUMBERS // length))
    return np.sort(np.argsort(-train_counts, kind="stable")[:count])


def write_projector(
    folder: Path, items: ItemTable, vectors: NDArray[np.float32], train_counts: NDArray[np.int64]
) -> None:
    """Writes vectors.tsv, metadata.tsv and projector_config.pbtxt; nothing of any user.

    Metadata are id, title, training interactions and the attributes with one value an item.

    Args:
        folder: exists.
        items: the catalogue.
        vectors: [items, length].
        train_counts: [items], training interactions.

    Raises:
        OSError: a file cannot be written.
    """
    rows = projected_rows(train_counts, vectors.shape[1])
    # Nine digits give the same float32 back.
    with (folder / "vectors.tsv").open("w", encoding="utf-8", newline="\n") as file:
        np.savetxt(file, vectors[rows], fmt="%.9g", delimiter="\t")
    columns: dict[str, list[Any]] = {
        "item_id": [items.ids[row] for row in rows],
        "title": [items.titles[row] for row in rows],
        "train_count": train_counts[rows].tolist(),
        **_single_valued(items, rows),
    }
    lines = [[*columns], *zip(*columns.values(), strict=True)]
    text = "".join("\t".join(_cell(value) for value in line) + "\n" for line in lines)
    (folder / "metadata.tsv").write_text(text, encoding="utf-8", newline="\n")
    (folder / "projector_config.pbtxt").write_text(_CONFIG, encoding="utf-8")


def _single_valued(items: ItemTable, rows: NDArray[np.intp]) -> dict[str, list[Any]]:
    return {
        name: column.values.take(rows).to_pylist()
        for name, column in items.columns.items()
        if not pa.types.is_list(column.values.type)
    }


def _cell(value: object) -> str:
    """Returns a value as one cell: no tab or line end of any kind; a lone surrogate as `?`."""
    text = "" if value is None else " ".join(str(value).split())
    return text.encode("utf-8", errors="replace").decode("utf-8")
