"""The only door to TensorFlow: loads a SavedModel and runs its `recommend` signature."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
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
_FEW_ITEMS = 100_000
_SIGNATURE = "recommend"
_INPUTS = {"user_rows", "k", "excluded"}
_OUTPUTS = {"item_rows", "scores"}


def prepare(index_kind: str, item_count: int) -> None:
    """Makes TensorFlow ready for an index; to be called once, before a model is opened.

    Args:
        index_kind: as the manifest has it.
        item_count: rows of the catalogue.

    Raises:
        ValueError: the kind is unknown, or what it needs is not installed.
    """
    if index_kind == "scann":
        _load_scann()
    elif index_kind != "exact":
        raise ValueError(f"index {index_kind!r} is unknown, this server has exact and scann")
    # One op after the other, on the thread that calls: what graphs like ours would run side by
    # side takes less time than waking a thread for it.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if item_count <= _FEW_ITEMS:
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _load_scann() -> None:
    try:
        with _without_keras():
            import scann  # noqa: F401  # registers the operations that the graph is made of
    except (ImportError, tf.errors.NotFoundError) as error:
        raise ValueError(
            "its index needs scann: pip install 'recserve-server[scann]' (Linux on x86-64); "
            f"{_first_line(error)}"
        ) from error


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
        self._captured = self._recommend.captured_inputs

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue; see `recserve_server.model.Retriever`."""
        inputs = {
            "user_rows": tf.constant(user_rows),
            "k": _scalar(k),
            "excluded": tf.constant(excluded),
        }
        outputs = self._call([inputs[name] for name in self._input_names])
        return outputs["item_rows"].numpy(), outputs["scores"].numpy()

    def _call(self, inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        # Calling the signature by keywords binds and checks them in Python each time, which takes
        # as long as a small model's whole graph; `inference_fn` is what it calls in the end.
        tensors = self._graph.call_flat(*inputs, *self._captured)
        return dict(zip(self._output_names, tensors, strict=True))


@lru_cache(maxsize=1024)
def _scalar(number: int) -> tf.Tensor:
    return tf.constant(number, tf.int32)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
