"""The only door to TensorFlow: loads a SavedModel and runs its signatures."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from recserve_server.model import Found, Restriction, Strangers
from recserve_server.model_process.graph_ops import refuse_forbidden_ops
from recserve_server.models.refusal import reason_of


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
    from tensorflow.core.protobuf import saved_model_pb2
_FEW_ITEMS = 100_000
Input: TypeAlias = "NDArray[np.generic] | tf.Tensor"
_SEARCH: Final = {"query_embeddings", "k", "excluded"}
_USERS: Final = {"history", "ratings", "features"}
_INPUTS: Final = {
    "recommend": {"user_rows", "k", "excluded"},
    "embed_users": {"user_rows"},
    "embed_queries": _USERS,
    "search": _SEARCH,
    "search_eligible": _SEARCH | {"mask_of", "masks"},
    "score_items": {"query_embeddings", "item_rows"},
    "rank": {"user_rows", "item_rows"},
    "embed_items": {"item_rows"},
    "search_similar": _SEARCH | {"mask_of", "masks"},
    "explain": _USERS | {"item_rows"},
}
_RANKED: Final = {"item_rows", "scores"}
_OUTPUTS: Final = {
    "recommend": _RANKED,
    "embed_users": {"embeddings"},
    "embed_queries": {"embeddings"},
    "search": _RANKED,
    "search_eligible": _RANKED,
    "score_items": {"scores"},
    "rank": {"scores"},
    "embed_items": {"embeddings"},
    "search_similar": _RANKED,
    "explain": {"contributions", "base"},
}


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
    tf.constant(0)  # makes TensorFlow's threads, here and now


def _load_scann() -> None:
    try:
        with _without_keras():
            import scann  # noqa: F401  # registers the operations that the graph is made of
    except (ImportError, tf.errors.NotFoundError) as error:
        raise ValueError(
            "its index needs scann: pip install 'recserve-server[scann]' (Linux on x86-64); "
            f"{reason_of(error)}"
        ) from error


class _Signature:
    """One signature, called as cheaply as TensorFlow lets it be called."""

    def __init__(self, name: str, function: "tf.types.experimental.ConcreteFunction") -> None:
        inputs = set(function.structured_input_signature[1])
        self.outputs = set(function.structured_outputs)
        if inputs != _INPUTS[name] or not self.outputs >= _OUTPUTS[name]:
            raise ValueError(f"signature {name} has inputs {inputs} and outputs {self.outputs}")
        # TensorFlow flattens both sides by name.
        self._input_names, self._output_names = sorted(inputs), sorted(self.outputs)
        self._graph, self._captured = function.inference_fn, function.captured_inputs

    def __call__(self, **inputs: Input) -> dict[str, Any]:
        """Takes arrays or tensors by name, returns arrays by name."""
        # Calling the signature by keywords binds and checks them in Python each time, which takes
        # as long as a small model's whole graph; `inference_fn` is what it calls in the end.
        tensors = [_tensor(inputs[name]) for name in self._input_names]
        found = self._graph.call_flat(*tensors, *self._captured)
        return {
            name: tensor.numpy() for name, tensor in zip(self._output_names, found, strict=True)
        }


class SavedModel:
    """A `ServedModel` over a SavedModel of docs/artifact.md."""

    def __init__(self, folder: Path) -> None:
        """Loads the model.

        Raises:
            VersionRefused: its graph has operations that are not allowed.
            ValueError: TensorFlow cannot load it, or a signature is missing or not as it must be.
        """
        refuse_forbidden_ops(_graph_of(folder))
        try:
            # The object owns the variables: a signature alone would lose them.
            self._module = tf.saved_model.load(str(folder))
            found = dict(self._module.signatures)
        except Exception as error:  # it raises whatever comes up
            raise ValueError(f"TensorFlow cannot load it: {reason_of(error)}") from error
        if "recommend" not in found:
            raise ValueError("it has no signature recommend")
        self._signatures = {
            name: _Signature(name, function) for name, function in found.items() if name in _INPUTS
        }
        self._recommend = self._signatures["recommend"]

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the signatures that it has."""
        return frozenset(self._signatures)

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        """Ranks the catalogue; this and all others as `recserve_server.model.ServedModel`."""
        return _found(self._recommend(user_rows=user_rows, k=_scalar(k), excluded=excluded))

    def embed_users(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns query vectors."""
        return self._numbers("embed_users", "embeddings", user_rows=user_rows)

    def embed_queries(self, strangers: Strangers) -> NDArray[np.float32]:
        """Returns query vectors."""
        return self._numbers("embed_queries", "embeddings", **strangers._asdict())

    def search(self, queries: NDArray[np.float32], k: int, restriction: Restriction) -> Found:
        """Ranks the catalogue by the first stage."""
        if not len(restriction.masks):
            excluded = restriction.excluded
            signature = self._signatures["search"]
            return _found(signature(query_embeddings=queries, k=_scalar(k), excluded=excluded))
        signature = self._signatures["search_eligible"]
        return _found(signature(query_embeddings=queries, k=_scalar(k), **restriction._asdict()))

    def score_items(
        self, queries: NDArray[np.float32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Returns the first stage's scores."""
        return self._numbers("score_items", "scores", query_embeddings=queries, item_rows=item_rows)

    def rank(
        self, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Returns the second stage's scores."""
        return self._numbers("rank", "scores", user_rows=user_rows, item_rows=item_rows)

    def embed_items(self, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns similarity vectors."""
        return self._numbers("embed_items", "embeddings", item_rows=item_rows)

    def search_similar(
        self, queries: NDArray[np.float32], k: int, restriction: Restriction
    ) -> Found:
        """Ranks the catalogue by similarity."""
        masks, mask_of = restriction.masks, restriction.mask_of
        if not len(masks):
            masks = np.ones((1, masks.shape[1]), np.bool_)
        signature = self._signatures["search_similar"]
        found = signature(
            query_embeddings=queries,
            k=_scalar(k),
            excluded=restriction.excluded,
            mask_of=mask_of,
            masks=masks,
        )
        return _found(found)

    def explain(
        self, strangers: Strangers, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Tells what the entries of histories add to scores."""
        told = self._signatures["explain"](**strangers._asdict(), item_rows=item_rows)
        return told["contributions"], told["base"]

    def _numbers(self, signature: str, output: str, **inputs: Input) -> NDArray[np.float32]:
        numbers: NDArray[np.float32] = self._signatures[signature](**inputs)[output]
        return numbers


def _graph_of(folder: Path) -> "saved_model_pb2.SavedModel":
    graph = saved_model_pb2.SavedModel()
    try:
        graph.ParseFromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError("saved_model.pb is no SavedModel") from error
    return graph


def _found(outputs: dict[str, Any]) -> Found:
    return Found(outputs["item_rows"], outputs["scores"], outputs.get("retrieval_scores"))


def _tensor(given: Input) -> "tf.Tensor":
    # Half the time of `convert_to_tensor`, which takes anything.
    return tf.constant(given) if isinstance(given, np.ndarray) else given


@lru_cache(maxsize=1024)
def _scalar(number: int) -> tf.Tensor:
    return tf.constant(number, tf.int32)
