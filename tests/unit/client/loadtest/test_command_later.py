"""What the command line makes of runs that are over."""

import json
from pathlib import Path

import runs
import timings
from screens import failure, usage_error

from recserve_client.loadtest.command import main
from recserve_client.loadtest.files import to_json


def test_two_runs_are_compared(capsys, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(to_json(timings.random_run(1)))
    after.write_text(to_json(timings.random_run(2, factor=2.0)))

    assert main(["compare", str(before), str(after)], {}) == 0
    assert capsys.readouterr().out.endswith("The second run is worse.\n")
    assert main(["compare", str(before), str(after), "--fail-if-worse"], {}) == 1
    assert main(["compare", str(after), str(before), "--fail-if-worse"], {}) == 0
    capsys.readouterr()
    assert main(["compare", str(before), str(after), "--json", "--tolerance", "100%"], {}) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["differences"]] == ["p50", "p99", "errors"]
    assert found["verdict"] in ("same", "worse")


def test_a_comparison_that_cannot_be_made_is_told(capsys, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, stage in zip(files, (runs.open_stage(500.0), runs.open_stage(600.0)), strict=True):
        file.write_text(to_json(runs.run(stage)))
    argv = ["compare", *map(str, files)]

    assert "have no stage in common" in usage_error(capsys, lambda: main(argv, {}))
    assert "'5' is 500%" in usage_error(capsys, lambda: main([*argv, "--tolerance", "5"], {}))
    assert main(["compare", str(files[0]), "/no/file"], {}) == 1
    assert failure(capsys) == ("recserve loadtest: cannot read /no/file: No such file or directory")


def test_a_run_is_made_a_page_or_a_table_later(capsys, tmp_path: Path) -> None:
    file, page = tmp_path / "run.json", tmp_path / "run.html"
    file.write_text(to_json(runs.search_run()))

    assert main(["report", str(file)], {}) == 0
    assert "1,850/s keeps p99<=20ms" in capsys.readouterr().out
    assert main(["report", str(file), "--html", str(page)], {}) == 0
    assert capsys.readouterr().out == ""
    assert main(["report", str(file), "--html", "-"], {}) == 0
    assert capsys.readouterr().out == page.read_text(encoding="utf-8")
