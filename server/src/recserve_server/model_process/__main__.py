"""The process that holds the model: batches in, encoded responses out, over a socket pair.

In a process of its own the model does not compete with gRPC for Python's one lock, cannot take the
server along when it crashes, and can be ended when it hangs (docs/decisions/0009).
"""

import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence

from recserve.artifact.v1 import manifest_pb2
from recserve_server.logs import configure_logging
from recserve_server.model_process.frames import FrameReader, to_frame
from recserve_server.model_process.loaded_model import LoadedModel
from recserve_server.model_process.messages import Answered, Opened, Opening
from recserve_server.query import Question

_RECEIVE_BYTES = 1 << 18
_log = logging.getLogger(__name__)


def main() -> None:
    """Runs until the other end of the socket is closed; argv[1] is its file descriptor."""
    # Whoever stops the server may signal all of its processes; this one is to end last.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        messages = _messages(connection)
        opening = next(messages)
        assert isinstance(opening, Opening)
        configure_logging(opening.log_level, opening.log_format)
        try:
            model = _open(opening)
        except (OSError, ValueError) as error:
            connection.sendall(to_frame(Opened(str(error))))
            return
        connection.sendall(to_frame(Opened(schema=model.schema)))
        for batch in messages:
            connection.sendall(to_frame(_answer(model, batch)))  # type: ignore[arg-type]


def _messages(connection: socket.socket) -> Iterator[object]:
    reader = FrameReader()
    while received := connection.recv(_RECEIVE_BYTES):
        yield from reader.feed(received)


def _open(opening: Opening) -> LoadedModel:
    from recserve_server.model_process.saved_model import SavedModel, prepare

    manifest = manifest_pb2.Manifest.FromString(opening.manifest)
    prepare(manifest.index.kind, manifest.model.item_count)
    model = LoadedModel(opening.folder, manifest, SavedModel, opening.batch_sizes)
    model.warm_up(opening.max_k)
    # The model and TensorFlow stay for good: no later collection need walk through them.
    gc.collect()
    gc.freeze()
    return model


def _answer(model: LoadedModel, batch: Sequence[Question]) -> Answered:
    try:
        return Answered(model.answer(batch), "", model.padding)
    except Exception as error:
        _log.exception("a batch failed", extra={"batch_size": len(batch)})
        return Answered((), repr(error), model.padding)


if __name__ == "__main__":
    main()
