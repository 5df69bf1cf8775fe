"""What a server may call in the SavedModel, and under which names."""

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow

EMBEDDINGS = Embeddings(
    np.array([[1, 0], [0, 1], [2, -1]], np.float32),
    np.array([[3, 0], [1, 1], [0, 2], [1, 1]], np.float32),
)
INT, FLOAT = tf.int32, tf.float32
ELIGIBLE = {
    "query_embeddings": (FLOAT, [None, 2]),
    "k": (INT, []),
    "excluded": (INT, [None, 2]),
    "mask_of": (INT, [None]),
    "masks": (tf.bool, [None, 4]),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("saved")
    ExactIndex(EMBEDDINGS).save(folder)
    return tf.saved_model.load(str(folder))


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        (
            "recommend",
            {"user_rows": (INT, [None]), "k": (INT, []), "excluded": (INT, [None, 2])},
            {"item_rows": INT, "scores": FLOAT},
        ),
        (
            "search",
            {"query_embeddings": (FLOAT, [None, 2]), "k": (INT, []), "excluded": (INT, [None, 2])},
            {"item_rows": INT, "scores": FLOAT},
        ),
        ("embed_users", {"user_rows": (INT, [None])}, {"embeddings": FLOAT}),
        ("search_eligible", ELIGIBLE, {"item_rows": INT, "scores": FLOAT}),
        ("search_similar", ELIGIBLE, {"item_rows": INT, "scores": FLOAT}),
        (
            "score_items",
            {"query_embeddings": (FLOAT, [None, 2]), "item_rows": (INT, [None, None])},
            {"scores": FLOAT},
        ),
        ("embed_items", {"item_rows": (INT, [None])}, {"embeddings": FLOAT}),
    ],
)
def test_a_signature_takes_and_gives_what_is_promised(
    loaded: object, name: str, inputs: dict, outputs: dict
) -> None:
    function = loaded.signatures[name]

    taken = function.structured_input_signature[1]
    assert {key: (spec.dtype, spec.shape.as_list()) for key, spec in taken.items()} == inputs
    assert {key: spec.dtype for key, spec in function.structured_outputs.items()} == outputs


def test_users_are_embedded_in_the_order_asked_for_repeats_included(loaded: object) -> None:
    found = loaded.signatures["embed_users"](user_rows=tf.constant([2, 0, 2]))

    assert found["embeddings"].numpy().tolist() == [[2, -1], [1, 0], [2, -1]]


def test_an_item_excluded_twice_is_excluded_for_that_user_alone(loaded: object) -> None:
    # Scores of user 0: 3, 1, 0, 1; of user 1: 0, 1, 2, 1. Item 0 is excluded for user 0, twice.
    found = loaded.signatures["recommend"](
        user_rows=tf.constant([0, 1]), k=tf.constant(4), excluded=tf.constant([[0, 0], [0, 0]])
    )

    assert found["item_rows"].numpy().tolist() == [[1, 3, 2, 0], [2, 1, 3, 0]]
    assert found["scores"].numpy().tolist() == [[1, 1, 0, float("-inf")], [2, 1, 1, 0]]


def test_given_items_are_scored_in_the_order_given_repeats_included(loaded: object) -> None:
    found = loaded.signatures["score_items"](
        query_embeddings=tf.constant([[1.0, 0.0], [2.0, -1.0]]),
        item_rows=tf.constant([[2, 0, 0], [1, 0, 2]]),
    )

    assert found["scores"].numpy().tolist() == [[0, 3, 3], [1, 6, -2]]
