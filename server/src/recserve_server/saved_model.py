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
        # TensorFlow flattens both sides by name.
        self._input_names, self._output_names = sorted(inputs), sorted(outputs)
        self._graph = self._recommend.inference_fn

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue; see `recserve_server.model.Retriever`."""
        inputs = {"user_rows": user_rows, "k": np.int32(k), "excluded": excluded}
        outputs = self._call([tf.constant(inputs[name]) for name in self._input_names])
        return outputs["item_rows"].numpy(), outputs["scores"].numpy()

    def _call(self, inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        # Calling the signature by keywords binds and checks them in Python each time, which takes
        # as long as a small model's whole graph; `inference_fn` is what it calls in the end.
        tensors = self._graph.call_flat(*inputs, *self._recommend.captured_inputs)
        return dict(zip(self._output_names, tensors, strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
