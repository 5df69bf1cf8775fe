import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for the modules beside it
sys.path.append(str(Path(__file__).parents[1] / "chaos"))  # for its clock

from server_process import MIB, ServerProcess, server_process

MOST_GROWTH_BYTES = 64 * MIB


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all that is hostile: what one test leaves behind, the next ones meet."""
    with server_process(tmp_path_factory.mktemp("attacked")) as running:
        running.check_answers()
        yield running
        assert running.process.poll() is None


@pytest.fixture
def unharmed(attacked: ServerProcess) -> Iterator[None]:
    """Looks after the test whether the server lives, answers well, and kept its memory."""
    attacked.forget_peak()
    before_bytes, defects = attacked.peak_bytes(), len(attacked.defects())
    yield
    assert attacked.process.poll() is None, "the server is gone"
    attacked.wait_until_well()
    assert attacked.peak_bytes() - before_bytes < MOST_GROWTH_BYTES
    assert attacked.defects()[defects:] == []
