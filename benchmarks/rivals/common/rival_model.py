"""The model that every rival serves: one TensorFlow call per batch, with recserve's own answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

_DEFAULT_K = 10


class RivalModel:
    """An artifact of docs/artifact.md in memory."""

    def __init__(self, folder: Path, intra_op_threads: int) -> None:
        """Loads `folder`; TensorFlow must not have run anything in this process before."""
        tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
        self._module = tf.saved_model.load(str(folder))  # owns the variables
        self._recommend = self._module.signatures["recommend"]
        items, users = _table(folder / "items.arrow"), _table(folder / "users.arrow")
        self.item_ids: list[str] = items["item_id"].to_pylist()
        self.titles: list[str] = items["title"].to_pylist()
        counts = items["train_count"].to_numpy()
        self._popular_rows = np.argsort(-counts, kind="stable").astype(np.int32)
        self._popular_scores = counts[self._popular_rows].astype(np.float32)
        self._row_of = {user_id: row for row, user_id in enumerate(users["user_id"].to_pylist())}
        histories = users["history"].combine_chunks()
        self._offsets, self._seen = histories.offsets.to_numpy(), histories.values.to_numpy()
        for size in (1, 2, 16, 64):
            self.rank(users["user_id"].to_pylist()[:1] * size, [_DEFAULT_K] * size)

    def rank(
        self, user_ids: Sequence[str], ks: Sequence[int]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks unseen items for a batch of users; users without embedding get popular ones.

        Returns item rows, filled up with -1, and scores, filled up with 0: both
        [batch, min(largest k, items)]. A k of 0 means 10.
        """
        wanted = np.array([k or _DEFAULT_K for k in ks], np.int32)
        width = min(int(wanted.max()), len(self.item_ids))
        user_rows = [self._row_of.get(user_id, -1) for user_id in user_ids]
        rows, scores = self._retrieve(user_rows, width)
        for position, user_row in enumerate(user_rows):
            if user_row < 0:
                rows[position] = self._popular_rows[:width]
                scores[position] = self._popular_scores[:width]
        beyond = (np.arange(width) >= wanted[:, None]) | (scores == -np.inf)
        rows[beyond], scores[beyond] = -1, 0
        return rows, scores

    def knows(self, user_id: str) -> bool:
        """Tells whether the user has an embedding."""
        return user_id in self._row_of

    def _retrieve(
        self, user_rows: list[int], width: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        seen = [
            self._seen[self._offsets[row] : self._offsets[row + 1]] if row >= 0 else self._seen[:0]
            for row in user_rows
        ]
        positions = np.repeat(np.arange(len(seen), dtype=np.int32), [len(rows) for rows in seen])
        inputs = {  # in the order of the names, as TensorFlow flattens them
            "excluded": np.stack([positions, np.concatenate(seen)], axis=1),
            "k": np.int32(width),
            "user_rows": np.maximum(np.array(user_rows, np.int32), 0),
        }
        # What calling the signature does in the end, without its checks in Python; recserve calls
        # it the same way, so that servers are compared and not this.
        item_rows, scores = self._recommend.inference_fn.call_flat(
            *(tf.constant(value) for value in inputs.values()), *self._recommend.captured_inputs
        )
        return item_rows.numpy().copy(), scores.numpy().copy()  # TensorFlow's own are read-only


def _table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()
