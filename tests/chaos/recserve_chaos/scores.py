"""Scores all items for all users and histories: python -m recserve_chaos.scores FOLDER IN OUT.

Only vectors and inner products are the SavedModel's; what is left out, cut off and put in order is
worked out anew by the oracle. A process of its own, so that TensorFlow is gone before the load.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

from recserve_chaos.bases import table
from recserve_server.model import Strangers
from recserve_server.model_process.saved_model import SavedModel

Entries = dict[int, float]


def main(folder: Path, asked: Path, found: Path) -> None:
    model = SavedModel(folder)
    items, users = table(folder, "items"), table(folder, "users")
    rows_of_items = {item_id: row for row, item_id in enumerate(items["item_id"])}
    rows_of_users = {user_id: row for row, user_id in enumerate(users["user_id"])}
    everything = np.arange(len(rows_of_items), dtype=np.int32)

    def scored(queries: np.ndarray) -> np.ndarray:
        return model.score_items(queries, np.tile(everything, (len(queries), 1)))

    vectors = model.embed_users(np.arange(len(rows_of_users), dtype=np.int32))
    queries = []
    for user_id, item_ids, ratings in json.loads(asked.read_text()):
        fresh = {
            rows_of_items[item_id]: math.nan if rating is None else rating
            for item_id, rating in zip(item_ids, ratings, strict=True)
            if item_id in rows_of_items
        }
        if user_id:
            row = rows_of_users[user_id]
            told = zip(users["history"][row], users["history_rating"][row], strict=True)
            trained = dict(told)
            after, before = embedded(model, {**trained, **fresh}), embedded(model, trained)
            queries.append(vectors[row] + after - before)
        else:
            queries.append(embedded(model, fresh))
    unit = model.embed_items(everything)
    np.savez(
        found, users=scored(vectors), told=scored(np.stack(queries)), similarities=unit @ unit.T
    )


def embedded(model: SavedModel, entries: Entries) -> np.ndarray:
    pairs = np.array([[0, row] for row in entries], np.int32).reshape(-1, 2)
    ratings = np.array(list(entries.values()), np.float32)
    # This family's tower takes no features.
    return model.embed_queries(Strangers(pairs, ratings, np.zeros((1, 0), np.float32)))[0]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
