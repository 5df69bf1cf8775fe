"""What a graph may not have, in SavedModels as TensorFlow itself writes them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from recserve_server.model_process.graph_ops import refuse_forbidden_ops
from recserve_server.model_process.saved_model import SavedModel
from recserve_server.models.refusal import Refusal, VersionRefused

pytestmark = pytest.mark.tensorflow

Function = Callable[[tf.Tensor], tf.Tensor]


def save(folder: Path, function: Function, **parts: object) -> Path:
    """Writes a SavedModel whose signature `recommend` is the function."""
    module = tf.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    module.weights = tf.Variable([1.0, 2.0])
    module.recommend = tf.function(function, input_signature=[tf.TensorSpec([], tf.float32, "x")])
    tf.saved_model.save(module, str(folder), signatures={"recommend": module.recommend})
    return folder


def parsed(folder: Path) -> "saved_model_pb2.SavedModel":
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((folder / "saved_model.pb").read_bytes())
    return graph


def text_to_number(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(text), tf.float32)


def in_a_branch(x: tf.Tensor) -> tf.Tensor:
    return tf.cond(x > 1e9, lambda: text_to_number(tf.io.read_file("/etc/passwd")), lambda: x)


def in_a_loop(x: tf.Tensor) -> tf.Tensor:
    def body(n: tf.Tensor) -> tuple[tf.Tensor]:
        return (n + text_to_number(tf.io.read_file("/etc/passwd")),)

    return tf.while_loop(lambda n: n < 0, body, (x,))[0]


def in_a_map(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.map_fn(lambda n: tf.py_function(float, [n], tf.float32), x[None]))


def write_a_file(x: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.io.write_file("/tmp/written", "x")]):
        return tf.identity(x)


def print_it(x: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.print(x, output_stream="file:///tmp/written")]):
        return tf.identity(x)


def save_a_checkpoint(x: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(prefix="/tmp/written", tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


def restore_a_checkpoint(x: tf.Tensor) -> tf.Tensor:
    [read] = tf.raw_ops.RestoreV2(
        prefix="/tmp/read", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return x + tf.reduce_sum(read)


FORBIDDEN: dict[str, tuple[Function, str]] = {
    "reads a file": (lambda x: x + text_to_number(tf.io.read_file("/etc/passwd")), "ReadFile"),
    "writes a file": (write_a_file, "WriteFile"),
    "lists files": (
        lambda x: x + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32),
        "MatchingFiles",
    ),
    "runs Python": (lambda x: tf.numpy_function(lambda n: n, [x], tf.float32), "PyFunc"),
    "runs eager Python": (lambda x: tf.py_function(lambda n: n, [x], tf.float32), "EagerPyFunc"),
    "prints": (print_it, "PrintV2"),
    "saves": (save_a_checkpoint, "SaveV2"),
    "restores": (restore_a_checkpoint, "RestoreV2"),
    "reads in a branch": (in_a_branch, "ReadFile"),
    "reads in a loop": (in_a_loop, "ReadFile"),
    "runs Python for each": (in_a_map, "EagerPyFunc"),
    "reads through a data set": (
        lambda x: x + tf.data.TextLineDataset("/etc/passwd").reduce(0.0, lambda n, _: n + 1),
        "TextLineDataset",
    ),
}


@pytest.mark.parametrize(("function", "op"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_graph_that_reaches_outside_is_refused_before_it_is_loaded(
    tmp_path: Path, function: Function, op: str
) -> None:
    folder = save(tmp_path / "model", function)

    with pytest.raises(VersionRefused) as caught:
        SavedModel(folder)

    assert caught.value.kind is Refusal.FORBIDDEN_OP
    assert op in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_that_only_computes_passes(tmp_path: Path) -> None:
    table = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    refuse_forbidden_ops(
        parsed(save(tmp_path, lambda x: tf.reduce_sum(table @ table) * x, table=table))
    )


def test_a_graph_with_files_of_its_own_is_refused(tmp_path: Path) -> None:
    asset = tmp_path / "vocabulary.txt"
    asset.write_text("a\nb\n")
    folder = save(tmp_path / "model", lambda x: x, asset=tf.saved_model.Asset(str(asset)))

    with pytest.raises(VersionRefused, match="has assets or no objects"):
        refuse_forbidden_ops(parsed(folder))


def test_a_table_read_from_a_file_is_refused(tmp_path: Path) -> None:
    asset = tmp_path / "vocabulary.txt"
    asset.write_text("a\nb\n")
    source = tf.lookup.TextFileInitializer(
        str(asset), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1
    )
    table = tf.lookup.StaticHashTable(source, 0)
    folder = save(
        tmp_path / "model",
        lambda x: x + tf.cast(table.lookup(tf.constant("a")), tf.float32),
        table=table,
    )

    with pytest.raises(VersionRefused):
        refuse_forbidden_ops(parsed(folder))


def test_a_graph_of_the_first_tensorflow_is_refused(tmp_path: Path) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    graph.meta_graphs[0].ClearField("object_graph_def")

    with pytest.raises(VersionRefused, match="has assets or no objects"):
        refuse_forbidden_ops(graph)


def test_a_second_graph_beside_a_good_one_is_looked_at(tmp_path: Path) -> None:
    graph = parsed(save(tmp_path / "good", lambda x: x))
    bad = parsed(save(tmp_path / "bad", FORBIDDEN["reads a file"][0]))
    graph.meta_graphs.extend(bad.meta_graphs)

    with pytest.raises(VersionRefused, match="ReadFile"):
        refuse_forbidden_ops(graph)


def function_named(graph: "saved_model_pb2.SavedModel", part: str) -> str:
    [name] = [
        each.signature.name
        for each in graph.meta_graphs[0].graph_def.library.function
        if part in each.signature.name
    ]
    return name


@pytest.mark.parametrize("part", ["_traced_save_", "_traced_restore_"])
def test_a_saver_that_is_called_by_the_model_is_refused(tmp_path: Path, part: str) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    saver = function_named(graph, part)
    library = graph.meta_graphs[0].graph_def.library
    [wrapper] = [each for each in library.function if "signature_wrapper" in each.signature.name]
    [call] = [node for node in wrapper.node_def if "PartitionedCall" in node.op]
    call.attr["f"].func.name = saver

    with pytest.raises(VersionRefused, match="calls its own saver"):
        refuse_forbidden_ops(graph)


def test_a_saver_among_the_models_functions_is_refused(tmp_path: Path) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    objects = graph.meta_graphs[0].object_graph_def
    objects.concrete_functions[function_named(graph, "_traced_save_")].SetInParent()

    with pytest.raises(VersionRefused, match="calls its own saver"):
        refuse_forbidden_ops(graph)


@pytest.mark.parametrize("kind", ["function", "bare"])
def test_a_saver_that_an_object_runs_is_refused(tmp_path: Path, kind: str) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    saver = function_named(graph, "_traced_save_")
    node = graph.meta_graphs[0].object_graph_def.nodes.add()
    if kind == "function":
        node.function.concrete_functions.append(saver)
    else:
        node.bare_concrete_function.concrete_function_name = saver

    with pytest.raises(VersionRefused, match="calls its own saver"):
        refuse_forbidden_ops(graph)


def test_a_saver_in_all_but_name_may_not_write(tmp_path: Path) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    [saver] = [
        each
        for each in graph.meta_graphs[0].graph_def.library.function
        if "_traced_save_" in each.signature.name
    ]
    saver.signature.name = "__inference__traced_save_x"

    with pytest.raises(VersionRefused, match="SaveV2"):
        refuse_forbidden_ops(graph)


def test_many_forbidden_operations_are_told_in_one_short_line(tmp_path: Path) -> None:
    graph = parsed(save(tmp_path, lambda x: x))
    for number in range(100):
        graph.meta_graphs[0].graph_def.node.add(name=f"n{number}", op=f"Forbidden{number:03}")

    with pytest.raises(VersionRefused) as caught:
        refuse_forbidden_ops(graph)

    assert "Forbidden004, ..." in str(caught.value)
    assert len(str(caught.value)) < 200
