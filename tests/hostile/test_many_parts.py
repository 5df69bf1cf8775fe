"""Requests of a megabyte that become a hundred times as much once they are decoded."""

from collections.abc import Iterator

import grpc
import pytest
from server_process import MIB, ServerProcess, server_process

pytestmark = pytest.mark.long

PART = {
    "RecommendationService/Recommend": b"\x12\x00",
    "RecommendationService/BatchRecommend": b"\x0a\x00",
    "FeedbackService/RecordEvents": b"\x0a\x00",
}
CALLS = 20
MOST_BYTES = 200 * MIB
"""All of them as they were sent, and two of them decoded."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("parts")) as running:
        running.check_answers()
        yield running


@pytest.mark.parametrize("method", PART)
def test_refused_requests_are_forgotten_before_the_next_are_read(
    server: ServerProcess, method: str
) -> None:
    server.forget_peak()
    before_bytes = server.peak_bytes()

    codes = ask(server, f"/recserve.v1.{method}", PART[method] * (MIB // 2))

    assert codes == {grpc.StatusCode.INVALID_ARGUMENT}
    assert server.peak_bytes() - before_bytes < MOST_BYTES
    server.check_answers()


def ask(server: ServerProcess, path: str, encoded: bytes) -> set[grpc.StatusCode]:
    """Makes all calls at the same time; returns how they ended."""
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(path)
        return {each.code() for each in [call.future(encoded, timeout=60) for _ in range(CALLS)]}
