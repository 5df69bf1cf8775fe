"""The process that holds the model: batches in, encoded responses out, over a socket pair.

In a process of its own the model does not compete with gRPC for Python's one lock, cannot take the
server along when it crashes, and can be ended when it hangs (docs/decisions/0009).
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Final, TypeVar

from recserve.artifact.v1 import manifest_pb2
from recserve_server.garbage import spare_what_stays
from recserve_server.logs import configure_logging
from recserve_server.model import Replayed
from recserve_server.model_process.frames import FrameReader, to_frame
from recserve_server.model_process.loaded_model import LoadedModel
from recserve_server.model_process.messages import Answered, Opened, Opening
from recserve_server.models.refusal import Refusal, VersionRefused, reason_of
from recserve_server.query import Question

_RECEIVE_BYTES = 1 << 18
_NICE: Final = 10
"""Of ten parts of a processor that others want, too, it gets one."""
_log = logging.getLogger(__name__)

Result = TypeVar("Result")


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
            model, replayed = _open(opening)
        except Exception as error:  # TensorFlow raises what it likes, and operators want a reason
            refusal = error.kind if isinstance(error, VersionRefused) else Refusal.FAILED
            connection.sendall(to_frame(Opened(reason_of(error), refusal=refusal)))
            return
        connection.sendall(to_frame(Opened(schema=model.schema, replayed=replayed)))
        for batch in messages:
            connection.sendall(to_frame(_answer(model, batch)))  # type: ignore[arg-type]


def _messages(connection: socket.socket) -> Iterator[object]:
    reader = FrameReader()
    while received := connection.recv(_RECEIVE_BYTES):
        yield from reader.feed(received)


def _open(opening: Opening) -> tuple[LoadedModel, Replayed]:
    run = _quietly if opening.is_background else _at_once
    module = run(_import_tensorflow)
    manifest = manifest_pb2.Manifest.FromString(opening.manifest)
    # Not quietly: TensorFlow's own threads inherit what the one has that makes them.
    module.prepare(manifest.index.kind, manifest.model.item_count)

    def load() -> tuple[LoadedModel, Replayed]:
        model = LoadedModel(opening.folder, manifest, module.SavedModel, opening.batch_sizes)
        model.warm_up(opening.max_k)
        return model, model.replay()

    model, replayed = run(load)
    spare_what_stays()
    return model, replayed


def _import_tensorflow() -> ModuleType:
    from recserve_server.model_process import saved_model

    return saved_model


def _at_once(act: Callable[[], Result]) -> Result:
    return act()


def _quietly(act: Callable[[], Result]) -> Result:
    """Does something with what processor time the serving version leaves.

    On Linux each thread has a nice value of its own (sched(7)), and one that was raised cannot be
    lowered again without privileges: so it is another thread's.
    """
    with ThreadPoolExecutor(1, initializer=_be_nice) as quiet:
        return quiet.submit(act).result()


def _be_nice() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _answer(model: LoadedModel, batch: Sequence[Question]) -> Answered:
    try:
        return Answered(model.answer(batch), "", model.stats.packed())
    except Exception as error:
        _log.exception("a batch failed", extra={"batch_size": len(batch)})
        return Answered((), repr(error), model.stats.packed())


if __name__ == "__main__":
    main()
