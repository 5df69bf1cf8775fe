"""Which operations a model's graph may have: those that compute, none that reach outside.

A SavedModel is a program (TensorFlow, "Using TensorFlow Securely"): `ReadFile`, `PyFunc` and their
like would run with the server's rights. What is looked at before it is loaded is defence in depth,
not a sandbox; see docs/security.md.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from recserve_server.models.refusal import Refusal, VersionRefused

_NUMBERS: Final = """
Abs Add AddN AddV2 All Any ArgMax ArgMin Assert BatchMatMulV2 BatchMatMulV3 BiasAdd BroadcastArgs
BroadcastTo Bucketize Cast Ceil Cholesky ClipByValue ConcatV2 Const Cumsum DenseBincount Div
DivNoNan Einsum Elu EnsureShape Equal Erf Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod Gather
GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If InvertPermutation IsFinite IsInf IsNan
L2Loss LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr
LowerBound MatMul MatrixDiagV3 MatrixTriangularSolve Max Maximum Mean Merge Min Minimum Mul MulNoNan
Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall Placeholder Pow PreventGradient
Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ReverseV2 Round Rsqrt ScatterNd SegmentMax
SegmentMean SegmentMin SegmentSum Select SelectV2 Selu Shape ShapeN Sigmoid Sign Size Slice Softmax
Softplus Softsign SparseTensorDenseMatMul Split SplitV Sqrt Square SquaredDifference Squeeze
StatefulPartitionedCall StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Switch Tanh
TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack
TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose Unique UniqueV2 Unpack UnsortedSegmentMax
UnsortedSegmentMean UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum UpperBound Where While
Xdivy Xlogy ZerosLike
"""
_VARIABLES: Final = """
AssignVariableOp DisableCopyOnRead ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp
"""
_SCANN: Final = "Scann>ScannSearchBatched Scann>TensorsToScann"
_SAVER: Final = """
MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin
"""

ALLOWED: Final = frozenset((_NUMBERS + _VARIABLES + _SCANN).split())
"""What may stand anywhere."""
SAVER_ONLY: Final = frozenset(_SAVER.split())
"""What reads and writes files: only in the functions that TensorFlow adds for its own saver."""
_SAVER_FUNCTION: Final = re.compile(r"__inference__traced_(save|restore)_\d+")
_MOST_TOLD: Final = 5


def refuse_forbidden_ops(saved_model: Any) -> None:  # noqa: ANN401  # tensorflow has no types
    """Checks a graph before anything of it is loaded.

    Args:
        saved_model: a parsed `tensorflow.SavedModel` message.

    Raises:
        VersionRefused: it has operations that no model of ours needs, or files of its own.
    """
    for meta_graph in saved_model.meta_graphs:
        if meta_graph.asset_file_def or meta_graph.object_graph_def.ByteSize() == 0:
            raise _refused("has assets or no objects, which no exported model has")
        forbidden = sorted(set(_forbidden(meta_graph.graph_def)))
        if forbidden:
            more = ", ..." if len(forbidden) > _MOST_TOLD else ""
            raise _refused(
                f"has operations that are not allowed: {', '.join(forbidden[:_MOST_TOLD])}{more}"
            )
        _refuse_called_savers(meta_graph)


def _forbidden(graph: Any) -> Iterator[str]:  # noqa: ANN401
    functions = {function.signature.name for function in graph.library.function}
    yield from functions & SAVER_ONLY  # a function may not hide behind an operation's name
    yield from (node.op for node in graph.node if node.op not in ALLOWED | functions)
    for function in graph.library.function:
        is_saver = _SAVER_FUNCTION.fullmatch(function.signature.name)
        allowed = ALLOWED | functions | (SAVER_ONLY if is_saver else frozenset())
        yield from (node.op for node in function.node_def if node.op not in allowed)


def _refuse_called_savers(meta_graph: Any) -> None:  # noqa: ANN401
    """Makes sure that nothing that a caller can reach leads to the saver."""
    called = set(meta_graph.object_graph_def.concrete_functions)
    for node in meta_graph.object_graph_def.nodes:
        called.update(node.function.concrete_functions)
        called.add(node.bare_concrete_function.concrete_function_name)
        called.add(node.captured_tensor.concrete_function)
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            called.add(node.op)
            for attribute in node.attr.values():
                called.add(attribute.func.name)
                called.update(each.name for each in attribute.list.func)
    if any(_SAVER_FUNCTION.fullmatch(name) for name in called):
        raise _refused("calls its own saver, which reads and writes files")


def _refused(text: str) -> VersionRefused:
    return VersionRefused(Refusal.FORBIDDEN_OP, f"its graph {text}")
