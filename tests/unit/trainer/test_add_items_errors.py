"""`recserve-train add-items` where it cannot be done: one line, an exit code and no trace."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published_world import ITEMS, NAME, add_items, assert_refused, content_of, publish_world

from recserve_trainer.artifact import export
from recserve_trainer.catalogue_config import CatalogueConfig, NewItemsConfig
from recserve_trainer.errors import ExportError

pytestmark = pytest.mark.tensorflow

EVERYTHING = [f"i{row}" for row in range(ITEMS)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir = tmp_path_factory.mktemp("models")
    publish_world("hybrid", models_dir)
    return models_dir


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    """A hybrid's models folder to write to."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "id,year\nn1,1990\ni5,1991\n",
            "new.csv: 1 of 2 items are in the catalogue already, the first 'i5'; give only new "
            "ones",
        ),
        (
            "id,year\nn1,1990\nn1,1991\n",
            "1 bad row (1 of new.csv: id repeats), the first at new.csv:3: id repeats: 'n1'; "
            "correct them, or leave them out with --bad-rows skip",
        ),
        (
            "id,year\nn1,old\n",
            "1 bad row (1 of new.csv: year is no number), the first at new.csv:2: year is no "
            "number: 'old'; correct them, or leave them out with --bad-rows skip",
        ),
        (
            "name,year\nx,1990\n",
            "{}/new.csv has no column for the id, only name, year; name it in a schema as items.id",
        ),
        ("id,year\n", "there is nothing to do: no item is new and none is retired"),
        ("", "{}/new.csv is empty, must begin with a line of column names"),
        ("id,year,year\n", "{}/new.csv has more than one column called year"),
    ],
    ids=["known", "twice", "no number", "no id", "no row", "empty", "columns"],
)
def test_a_table_that_cannot_be_used_is_refused(
    models: Path, capsys: pytest.CaptureFixture[str], table: str, said: str
) -> None:
    (models / "new.csv").write_text(table)

    assert_refused(models, ["--items", "new.csv"], said.format(models), capsys)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("maker", [["A", "B"]], "new.parquet: maker is list<element: string>, must be string"),
        ("year", [["A"]], "column 'year' is list<element: string>, which cannot be a number"),
    ],
)
def test_a_column_of_another_type_than_the_catalogues_is_refused(
    models: Path, capsys: pytest.CaptureFixture[str], name: str, values: list, said: str
) -> None:
    pq.write_table(pa.table({"id": ["n1"], name: values}), models / "new.parquet")
    before = content_of(models)

    assert add_items(models, "--items", "new.parquet") == 1

    assert said in capsys.readouterr().err.splitlines()[-1].replace("item:", "element:")
    assert content_of(models) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--items", "gone.csv"], "there is no file {}/gone.csv"),
        (["--retire", "gone.txt"], "{}/gone.txt cannot be read: No such file or directory"),
        (["--retire", "latin.txt"], "{}/latin.txt is not UTF-8, must have one id a line"),
        (["--retire", "blank.txt"], "there is nothing to do: no item is new and none is retired"),
        (
            ["--retire-id", "i1", "n7", "n8"],
            "2 of 3 items to retire are not in version 1, the first 'n7'",
        ),
        (
            ["--retire-id", *EVERYTHING],
            f"all {ITEMS} items would be retired; one must stay at least",
        ),
        (
            ["--version", "2", "--retire-id", "i1"],
            "there is no version 2 with a readable manifest.json, only 1",
        ),
        (
            ["--name", "films", "--retire-id", "i1"],
            f"there is no version of 'films' in {{}}: only {NAME}",
        ),
    ],
    ids=["items", "file", "latin", "blank", "ids", "all", "version", "name"],
)
def test_what_is_not_there_is_told(
    models: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (models / "latin.txt").write_bytes("Fîlm".encode("latin-1"))
    (models / "blank.txt").write_text("\n \n")

    assert_refused(models, arguments, said.format(models), capsys)


def test_a_hybrid_without_item_tower_says_why_it_takes_no_items(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = models / NAME / "1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"item_features"', '"of_old"'))
    (models / "new.csv").write_text("id\nn1\n")

    assert_refused(
        models,
        ["--items", "new.csv"],
        "version 1 has no item tower: its items had no attributes in training, or it is older than "
        "item towers; train it again instead",
        capsys,
    )


@pytest.mark.parametrize("prior", ['"4.0"', '"many"'])
def test_a_query_tower_that_cannot_be_read_back_is_refused(
    models: Path, capsys: pytest.CaptureFixture[str], prior: str
) -> None:
    manifest = models / NAME / "1" / "manifest.json"
    text = manifest.read_text()
    assert '"history_prior": "3.0"' in text
    manifest.write_text(text.replace('"history_prior": "3.0"', f'"history_prior": {prior}'))
    before = content_of(models)

    assert add_items(models, "--retire-id", "i1") == 1

    assert "train the model again" in capsys.readouterr().err
    assert content_of(models) == before


@pytest.mark.parametrize("file", ["items.arrow", "users.arrow", "saved_model.pb"])
def test_a_broken_version_is_told(
    models: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    (models / NAME / "1" / file).write_bytes(b"broken")
    before = content_of(models)

    assert add_items(models, "--retire-id", "i1") == 1

    [line] = [each for each in capsys.readouterr().err.splitlines() if "cannot be read" in each]
    assert str(models / NAME / "1") in line
    assert content_of(models) == before


def test_a_version_that_fails_its_gate_leaves_no_trace(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ExportError("the exported model ranks otherwise")

    monkeypatch.setattr(export, "check_parity", fail)

    assert_refused(models, ["--retire-id", "i1"], "the exported model ranks otherwise", capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is nothing to do; give new items by --items, or items that leave by --retire"),
        (["--items", "new.txt"], "must end in .csv or .parquet"),
        (["--version", "0", "--retire-id", "i1"], "version is 0, must be 1 or more"),
        (["--retire-id", "i1", "--min-index-recall", "2"], "min_index_recall is 2.0, must be"),
        (["--retire-id", "i1", "--bad-rows", "mend"], "invalid choice: 'mend'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        add_items(tmp_path, *arguments)

    assert stopped.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_config_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="nothing to do"):
        CatalogueConfig(models_dir=Path(), name="n")
    with pytest.raises(ValueError, match=r"items is 'a\.json', must end in"):
        NewItemsConfig(file=Path("a.json"))
    with pytest.raises(ValueError, match="bad_rows is 'mend', must be one of fail, skip"):
        NewItemsConfig(file=Path("A.CSV"), bad_rows="mend")
