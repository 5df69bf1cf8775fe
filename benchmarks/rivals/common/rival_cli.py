"""What the command lines of all rivals have in common."""

import argparse
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def question_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser for one question: whose recommendations, and how many."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--user", required=True, help="user id")
    parser.add_argument("--k", type=int, default=10, help="number of items")
    return parser


def server_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser for a server's model, port and TensorFlow threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="folder of one model version")
    parser.add_argument("--port", type=int, required=True, help="gRPC port on 127.0.0.1")
    parser.add_argument("--intra-op-threads", type=int, default=1, help="for TensorFlow")
    return parser


def write_frame(path: Path, message: bytes) -> None:
    """Writes the body of a unary gRPC request: not compressed, length, message."""
    path.write_bytes(struct.pack(">BI", 0, len(message)) + message)


def keep_stdout_for_ready() -> Callable[[], None]:
    """Sends all output of this process and its children to stderr, but one line.

    Returns what prints that line, `ready`, to the stdout that there was.
    """
    stdout = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def ready() -> None:
        os.write(stdout, b"ready\n")

    return ready


def serve_until_signal(ready: Callable[[], None]) -> None:
    """Says that the server answers, and returns after SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ready()
    while not stop.wait(1):  # a signal that another thread takes does not end a wait for ever
        pass
