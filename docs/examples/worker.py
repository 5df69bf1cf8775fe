"""Asks for all users named in a file or on standard input; writes a JSON line for each.

    python worker.py users.txt > recommendations.jsonl
    journal-of-users | python worker.py

Users are asked for 128 at a time, four calls under way. SIGTERM or SIGINT: reads no further,
answers what was read, exits with 0. When the server fails for good, what was answered is written,
standard error says from which user on to begin again, and the exit code is 1.
"""

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

from recserve_client import AsyncRecommenderClient, Recommendation, RecommenderError


async def answer(source: TextIO, target: str) -> None:
    """Writes what the server recommends to the users that `source` names."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncRecommenderClient(target) as client:
        users = user_ids(source, stopping)
        async for recommendation in client.recommend_many(users, k=10, timeout_s=60):
            print(json_line(recommendation))


def json_line(recommendation: Recommendation) -> str:
    """Spells one answer."""
    return json.dumps(
        {
            "user": recommendation.user_id,
            "items": [item.item_id for item in recommendation],
            "is_personal": recommendation.is_personal,
            "model_version": recommendation.model_version,
        }
    )


async def user_ids(source: TextIO, stopping: asyncio.Event) -> AsyncIterator[str]:
    """Yields what stands on the lines, until their end or until it is told to stop."""
    async for line in lines(source, stopping):
        if user_id := line.strip():
            yield user_id


async def lines(source: TextIO, stopping: asyncio.Event) -> AsyncIterator[str]:
    """Yields line by line, and lets other tasks run while it waits for the next."""
    mode = os.fstat(source.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty()):
        for line in source:  # a file never lets wait
            if stopping.is_set():
                return
            yield line
        return
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), source
    )
    closing = asyncio.create_task(stopping.wait())
    closing.add_done_callback(lambda _: pipe.close())  # which ends the loop below
    try:
        async for encoded in reader:
            yield encoded.decode()
    finally:
        closing.cancel()


def main() -> int:
    """Returns the exit code."""
    target = os.environ.get("RECSERVE_TARGET", "localhost:8500")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        with Path(sys.argv[1]).open() if len(sys.argv) > 1 else sys.stdin as source:
            asyncio.run(answer(source, target))
    except RecommenderError as error:
        print("worker:", error, *getattr(error, "__notes__", ()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
