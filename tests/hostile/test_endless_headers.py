"""Headers that go on in CONTINUATION frames and never end (CVE-2024-27316)."""

import pytest
from hpack import Encoder
from raw_http2 import CONTINUATION, HEADERS, RawConnection, frame
from server_process import MIB, ServerProcess

SENT_FRAMES, FRAME_BYTES = 20_000, 16_000
MOST_BYTES = 160 * MIB
"""Half of what is sent: gRPC forgets it, though not as soon as it arrives."""


@pytest.mark.parametrize("greets", [True, False], ids=["", "before the settings"])
def test_headers_without_end_are_not_kept(attacked: ServerProcess, greets: bool) -> None:
    attacked.forget_peak()
    before_bytes = attacked.peak_bytes()
    long = Encoder().encode([("x-long", "y" * FRAME_BYTES)], huffman=False)
    with RawConnection(attacked.address, greets=greets) as connection:
        connection.sends_or_is_cut_off(frame(HEADERS, 0, 1, b"\x83"))
        for _ in range(SENT_FRAMES // 100):
            connection.sends_or_is_cut_off(frame(CONTINUATION, 0, 1, long) * 100)

        attacked.wait_until_well()
        assert attacked.peak_bytes() - before_bytes < MOST_BYTES
