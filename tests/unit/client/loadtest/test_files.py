import json
import os
import stat
from pathlib import Path
from types import MappingProxyType

import pytest
import runs

from recserve_client.loadtest.files import (
    STANDARD_OUTPUT,
    FileError,
    check_writable,
    read_run,
    to_json,
    write_text,
)
from recserve_client.loadtest.result import Run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.json"


def written(file: Path, run: Run) -> dict:
    file.write_text(to_json(run))
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    "run",
    [
        runs.search_run(),
        runs.run(runs.closed_stage(8), runs.silent_stage()),
        runs.run(),
        runs.run(runs.open_stage(500.0, seconds=2), arguments=("é", "\udcff", "[/]")),
    ],
)
def test_a_run_is_the_same_after_a_file(file: Path, run: Run) -> None:
    write_text(file, to_json(run))
    assert read_run(file) == run
    assert to_json(read_run(file)) == to_json(run)


def test_every_kind_of_mapping_is_written() -> None:
    run = runs.run(versions=MappingProxyType({"grpcio": "1.80.0"}))
    assert json.loads(to_json(run))["versions"] == {"grpcio": "1.80.0"}


def test_fields_of_later_versions_are_left_out(file: Path) -> None:
    found = written(file, runs.search_run())
    found["new"] = found["stages"][0]["windows"][0]["new"] = {"a": [1]}
    file.write_text(json.dumps(found))
    assert read_run(file) == runs.search_run()


def test_fields_that_earlier_versions_had_not_have_their_defaults(file: Path) -> None:
    found = written(file, runs.run(runs.closed_stage(8)))
    del found["search"], found["stages"][0]["batch_sizes"]
    file.write_text(json.dumps(found))
    assert read_run(file) == runs.run(runs.closed_stage(8))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"is no JSON: Expecting value"),
        ('{"schema_version": 1, "seed": NaN}', r"is no JSON: NaN is no number"),
        ("[]", r"has schema_version None, must be 1, as recserve loadtest --json writes$"),
        ('{"schema_version": 2}', r"has schema_version 2, must be 1"),
        ('{"schema_version": 1}', r"is not a whole run: .* missing .*'tool'"),
    ],
)
def test_what_is_no_run_is_told(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(FileError, match=f"^{file} {told}"):
        read_run(file)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("seed",), "7", "'7' is not of type int"),
        (("seed",), True, "True is not of type int"),
        (("tool",), None, "None is not of type str"),
        (("arguments",), "--rate", "'--rate' is not of type list"),
        (("host",), [], "[] is not of type dict"),
        (("stages",), {}, "{} is not of type list"),
        (("stages", 0), 3, "3 is not of type dict"),
        (("stages", 0, "ok_per_s"), "fast", "'fast' is not of type float"),
        (("stages", 0, "errors"), {"UNAVAILABLE": "x"}, "'x' is not of type int"),
        (("stages", 0, "percentiles"), [[1.0]], ""),
        (("stages", 0, "holds"), 1, "1 is not of type bool"),
        (("stages", 0, "windows", 0, "histogram"), "HIST", ""),
        (("stages", 0, "windows", 0, "histogram"), "?", ""),
    ],
)
def test_a_damaged_run_is_told(file: Path, path: tuple, value: object, told: str) -> None:
    found = place = written(file, runs.search_run())
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    file.write_text(json.dumps(found))
    with pytest.raises(FileError) as raised:
        read_run(file)
    assert str(raised.value).startswith(f"{file} is not a whole run: {told}")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=rf"^cannot read {tmp_path}/no: No such file or directory$"):
        read_run(tmp_path / "no")
    with pytest.raises(FileError, match=r"^cannot read .*: Is a directory$"):
        read_run(tmp_path)


def test_nothing_but_the_file_is_left_after_writing(file: Path) -> None:
    write_text(file, "one\n")
    write_text(file, "two é\n")
    assert file.read_text(encoding="utf-8") == "two é\n"
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_written_leaves_what_was_there(file: Path) -> None:
    file.mkdir()
    with pytest.raises(FileError, match=rf"^cannot write {file}: Is a directory$"):
        write_text(file, "text")
    assert list(file.parent.iterdir()) == [file]


def test_a_link_is_written_through(file: Path) -> None:
    link = file.with_name("latest.json")
    link.symlink_to(file)
    write_text(link, "text")
    assert link.is_symlink()
    assert file.read_text() == "text"


def test_a_pipe_stays_a_pipe(file: Path) -> None:
    os.mkfifo(file)
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(file, "text")
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(file.stat().st_mode)


def test_a_pipe_of_the_shell_is_written_to() -> None:
    reader, writer = os.pipe()
    path = Path(f"/dev/fd/{writer}")
    check_writable(path)
    write_text(path, "text")
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == "text"


def test_a_dash_is_standard_output(capsys) -> None:
    write_text(STANDARD_OUTPUT, "text\n")
    check_writable(STANDARD_OUTPUT)
    assert capsys.readouterr().out == "text\n"
    assert not Path("-").exists()


def test_what_can_be_written_is_no_problem(file: Path) -> None:
    check_writable(file)
    assert not file.exists()
    file.touch()
    check_writable(file)
    check_writable(Path("/dev/null"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", r"it is a folder$"),
        ("no/run.json", r"there is no folder .*/no$"),
        ("file/run.json", r"there is no folder .*/file$"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=f"^cannot write {tmp_path / name}: {told}"):
        check_writable(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_known_before(file: Path) -> None:
    file.parent.chmod(0o500)
    with pytest.raises(FileError, match=r"permission denied$"):
        check_writable(file)
