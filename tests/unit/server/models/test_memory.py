"""Whether a version fits: what the system says and a container's limit, in files like Linux's."""

import os
from pathlib import Path

import pytest

from recserve_server.models import memory

MIB = 1 << 20
NOWHERE = Path("/nonexistent")


def machine(folder: Path, available_kib: int) -> Path:
    (folder / "meminfo").write_text(
        f"MemTotal:       99999999 kB\nMemFree:        1 kB\nMemAvailable:   {available_kib} kB\n"
    )
    return folder


def container(folder: Path, limit: object, used: int, cached: int | None = None) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    if cached is not None:
        (folder / "memory.stat").write_text(
            f"anon 5\nfile 7\ninactive_anon 3\ninactive_file {cached}\nactive_file 9\n"
        )
    return folder


def test_without_a_container_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory.bytes_available(machine(tmp_path, 2048), NOWHERE) == 2 * MIB


def test_a_containers_limit_counts_where_it_is_less(tmp_path: Path) -> None:
    machine(tmp_path, 100 * 1024)
    container(tmp_path, 50 * MIB, 20 * MIB)

    assert memory.bytes_available(tmp_path, tmp_path) == 30 * MIB
    assert memory.bytes_available(machine(tmp_path, 1024), tmp_path) == MIB


def test_cached_files_of_a_container_give_way(tmp_path: Path) -> None:
    container(tmp_path, 50 * MIB, 20 * MIB, cached=15 * MIB)

    assert memory.bytes_available(NOWHERE, tmp_path) == 45 * MIB


def test_a_container_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    container(tmp_path, 10 * MIB, 20 * MIB)

    assert memory.bytes_available(NOWHERE, tmp_path) == 0


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path: Path) -> None:
    container(tmp_path, "max", 5)

    assert memory.bytes_available(machine(tmp_path, 1024), tmp_path) == MIB


def test_a_system_that_does_not_tell_keeps_nothing_out() -> None:
    assert memory.bytes_available(NOWHERE, NOWHERE) > memory.bytes_needed(1 << 50)


def test_this_machine_tells() -> None:
    assert 0 < memory.bytes_available() < 1 << 62


def test_a_version_needs_room_for_a_process_and_several_times_its_files() -> None:
    assert memory.bytes_needed(0) >= 300 * MIB
    assert memory.bytes_needed(100 * MIB) - memory.bytes_needed(0) == 300 * MIB


def test_what_processes_take_is_added_up_and_those_that_are_gone_take_nothing() -> None:
    own = memory.resident_bytes([os.getpid()])

    assert 10 * MIB < own < 1 << 40
    assert memory.resident_bytes([os.getpid(), 2**30]) == pytest.approx(own, rel=0.2)
    assert memory.resident_bytes([]) == 0


def test_sizes_are_told_in_mib() -> None:
    assert memory.in_mib(1234 * MIB) == "1,234 MiB"
