"""The only door to TensorFlow: loads a SavedModel and runs its `recommend` signature."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@contextmanager
def _without_keras() -> Iterator[None]:
    # `import tensorflow` imports whichever Keras it finds, which a plain SavedModel does not need;
    # None in sys.modules makes it find none (Python reference, "The module cache").
    absent = [name for name in ("keras", "tf_keras") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is the point
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _without_keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

_SIGNATURE = "recommend"
_INPUTS = {"user_rows", "k", "excluded"}
_OUTPUTS = {"item_rows", "scores"}


class SavedModelRetriever:
    """A `Retriever` over a SavedModel of docs/artifact.md."""

    def __init__(self, folder: Path) -> None:
        """Loads the model.

        Raises:
            ValueError: TensorFlow cannot load it, or it lacks the signature.
        """
        try:
            # The object owns the variables: the signature alone would lose them.
            self._module = tf.saved_model.load(str(folder))
            self._recommend = self._module.signatures[_SIGNATURE]
        except (OSError, KeyError, tf.errors.OpError) as error:
            raise ValueError(f"TensorFlow cannot load it: {_first_line(error)}") from error
        inputs = set(self._recommend.structured_input_signature[1])
        outputs = set(self._recommend.structured_outputs)
        if inputs != _INPUTS or not outputs >= _OUTPUTS:
            raise ValueError(f"signature {_SIGNATURE} has inputs {inputs} and outputs {outputs}")

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue; see `recserve_server.model.Retriever`."""
        answer = self._recommend(
            user_rows=tf.constant(user_rows),
            k=tf.constant(k, tf.int32),
            excluded=tf.constant(excluded),
        )
        return answer["item_rows"].numpy(), answer["scores"].numpy()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
