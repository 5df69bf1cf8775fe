"""What a server that logs everything says of its callers, their users and their tokens: nothing."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from credentials import CALLERS, GONE, NIGHTLY, SHOP

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import (
    BearerToken,
    ChannelConfig,
    Event,
    EventType,
    HistoryEntry,
    RecommenderClient,
    RecommenderError,
)
from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixModel

PROGRAM = Path(__file__).with_name("logging_server.py")
WRONG = "wrong-0123456789abcdef"
USER, ITEM, NOTE = "a-private-user", "a-private-item", "a-private-note"
FORGED = "forged\n00:00:00 ERROR   this was never logged\x1b[2J"


@pytest.fixture(params=["json", "text"])
def log(request: pytest.FixtureRequest, config: ServerConfig, tmp_path: Path) -> Path:
    """Everything that a server wrote while all kinds of calls were made."""
    callers_file, log = tmp_path / "callers.toml", tmp_path / "log"
    callers_file.write_text(CALLERS)
    MatrixModel(np.ones((3, 5), np.float32), item_item=np.ones((5, 5), np.float32)).publish(
        config.models_dir, version=2
    )
    arguments = [str(config.models_dir), request.param, str(callers_file)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            call_in_every_way(address, callers_file)
        finally:
            rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    log.write_bytes(log.read_bytes() + rest.encode())
    return log


def call_in_every_way(address: str, callers_file: Path) -> None:
    for token in (SHOP, NIGHTLY, WRONG, GONE, "x" * 5000):
        config = ChannelConfig(
            bearer_token=BearerToken(token), token_in_plain_text=True, max_attempts=1
        )
        with RecommenderClient(address, config=config, timeout_s=20.0) as client:
            for call in (
                lambda: client.recommend("u0", k=1),
                lambda: client.recommend("u2"),  # fails the model
                lambda: client.recommend(USER, history=[HistoryEntry(ITEM), HistoryEntry("i1")]),
                lambda: client.recommend(FORGED),
                lambda: client.recommend("u0", excluded_item_ids=[ITEM], model=FORGED),
                lambda: client.recommend("u0", features={NOTE: NOTE}),
                lambda: client.rank_items([ITEM], user_id=USER),
                lambda: client.find_similar_items(ITEM),
                lambda: client.recommend_batch([USER, USER]),
                lambda: client.record_events([Event(USER, ITEM, EventType.CLICK)]),
                lambda: client.list_models(),
            ):
                with contextlib.suppress(RecommenderError):
                    call()
    callers_file.write_text(CALLERS.replace("may", "mai"))
    malformed = pb.RecommendRequest(user_id=USER).SerializeToString() + b"\xff\xff"
    metadata = (("authorization", f"Bearer {SHOP}"), ("x-request-id", f"{NOTE} {NOTE}"))
    with grpc.insecure_channel(address) as channel:
        for encoded in (malformed, b"\xff" + ITEM.encode()):
            method = channel.unary_unary("/recserve.v1.RecommendationService/Recommend")
            with pytest.raises(grpc.RpcError):
                method(encoded, metadata=metadata)


def test_no_secret_and_no_line_of_somebody_elses_is_in_the_log(log: Path) -> None:
    text = log.read_text()

    # What ought to be there is, or else nothing would be shown by what is not.
    for said in (
        "INVALID_FIELDS",
        "MODEL_FAILED",
        "MALFORMED_MESSAGE",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "the model broke",
        "Traceback",
        "shop",
    ):
        assert said in text
    for secret in (SHOP, NIGHTLY, GONE, WRONG, USER, ITEM, NOTE, "forged", "xxxxxxxx", "Bearer"):
        assert secret not in text
    for line in text.splitlines():
        assert line.isprintable()
        assert (
            "never logged" not in line or line.startswith(("{", "  | ")) or "RuntimeError" in line
        )
        if text.startswith("{"):
            json.loads(line)
