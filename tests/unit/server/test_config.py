from pathlib import Path

import pytest

from recserve_server.config import BatchingConfig, Limits, ServerConfig


@pytest.mark.parametrize(
    ("size", "enqueued", "fits"),
    [(0, 10, False), (1, 1, True), (8, 7, False), (8, 8, True), (4097, 9000, False)],
)
def test_a_batch_fits_the_queue(size: int, enqueued: int, fits: bool) -> None:
    try:
        BatchingConfig(max_batch_size=size, max_enqueued=enqueued)
    except ValueError:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:8500", "0.0.0.0:65535"])
def test_addresses_have_a_host_and_a_port(address: str) -> None:
    assert ServerConfig(models_dir=Path(), address=address).address == address


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", ":8500", "localhost:65536", "localhost:http"]
)
def test_anything_else_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=f"address is '{address}', must be HOST:PORT"):
        ServerConfig(models_dir=Path(), address=address)


@pytest.mark.parametrize("max_k", [0, 1_000_001])
def test_the_largest_k_is_bounded(max_k: int) -> None:
    with pytest.raises(ValueError, match="max_k is"):
        Limits(max_k=max_k)


@pytest.mark.parametrize("fields", [{"grace_s": -1.0}, {"drain_delay_s": 3601.0}])
def test_waits_are_bounded(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be from 0 to 3600 seconds"):
        ServerConfig(models_dir=Path(), **fields)
