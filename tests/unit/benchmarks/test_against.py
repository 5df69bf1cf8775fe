from pathlib import Path

import pytest
from against import extract, table_of
from rich.console import Console


def test_a_revision_is_taken_out_without_touching_the_tree(tmp_path: Path) -> None:
    extract("HEAD", tmp_path)

    assert (tmp_path / "server/src/recserve_server/__main__.py").is_file()
    assert (tmp_path / "client/src/recserve/v1/recommendation_service_pb2.py").is_file()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["client", "server"]


def test_a_revision_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^no-such-revision: fatal: "):
        extract("no-such-revision", tmp_path)


def test_ratios_are_taken_within_a_round() -> None:
    console = Console(width=100)
    rounds = [
        {
            name: {
                "base": {"per_s": base, "cpu_us": 200.0},
                "now": {"per_s": now, "cpu_us": 220.0},
            }
            for name in ("in-flight-128", "in-flight-8", "in-flight-1")
        }
        for base, now in ((1000.0, 900.0), (2000.0, 2000.0), (500.0, 600.0))
    ]

    with console.capture() as printed:
        console.print(table_of(rounds))

    first, second = printed.get().splitlines()[3:5]
    assert all(each in first for each in ("1,000", "900", "1.00 (0.90..1.20)"))
    assert "CPU us a call" in second
    assert "1.10 (1.10..1.10)" in second
