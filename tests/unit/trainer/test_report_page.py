import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.card_files import Evidence, model_card, write_card
from recserve_trainer.artifact.card_results import measure
from recserve_trainer.artifact.model_card import ModelCard
from recserve_trainer.commands import report
from recserve_trainer.errors import TrainerError, UsageError
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.tables import ItemTable, UserTable

ODD = '<script>alert("x")</script> & "quoted" | \t\n'
VOID = {"meta", "img"}
USERS, ITEMS = 12, 9


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what there is to look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def manifest(version: int, *, digest: str = "ab" * 32) -> manifest_pb2.Manifest:
    made = manifest_pb2.Manifest(
        format_version=1,
        model_name="films",
        model_version=version,
        model=manifest_pb2.Model(kind="collaborative", user_count=USERS, item_count=ITEMS),
        index=manifest_pb2.Index(kind="exact", recall_at_10=1),
        dataset=manifest_pb2.Dataset(name=ODD, version="1", split=ODD, split_sha256=digest),
        evaluations=[
            manifest_pb2.Evaluation(
                scorer="model", user_count=USERS, metrics={"ndcg@10": version / 1000}
            )
        ],
        training_arguments={"setting": ODD},
    )
    made.create_time.FromJsonString("2026-01-02T03:04:05Z")
    return made


def evidence() -> Evidence:
    random = np.random.default_rng(0)
    users, items = np.divmod(random.permutation(USERS * ITEMS)[:60].astype(np.int32), ITEMS)
    everything = Interactions(users, items, np.ones(60, np.float32), np.arange(60))
    parts = [everything.take(np.arange(start, start + 20)) for start in (0, 20, 40)]
    dataset = Dataset(
        "d",
        "1",
        UserTable([str(row) for row in range(USERS)]),
        ItemTable([str(row) for row in range(ITEMS)], [ODD] * ITEMS),
        everything,
    )
    scores = random.normal(size=(USERS, ITEMS)).astype(np.float32)
    measured = measure(
        dataset,
        Split(*parts, "random"),
        Histories.of(USERS, *parts[:2]),
        {"model": lambda rows: scores[rows], "popularity": lambda rows: -scores[rows]},
    )
    return Evidence(measured, 2, [{"loss": 2.0, "ndcg@10": 0.1}, {"loss": 1.0, "ndcg@10": 0.2}])


def publish(models: Path, version: int, *, has_card: bool = True, digest: str = "ab" * 32) -> Path:
    folder = models / "films" / str(version)
    folder.mkdir(parents=True)
    written = manifest(version, digest=digest)
    (folder / "manifest.json").write_text(json_format.MessageToJson(written))
    if has_card:
        write_card(folder / "card", model_card(written, evidence()))
    return folder


def rendered(models: Path, *flags: str) -> str:
    out = models / "page.html"
    report.run(report.parser().parse_args(["--models", str(models), "--out", str(out), *flags]))
    return out.read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    publish(tmp_path, 1)

    text = rendered(tmp_path)

    page = Page(text)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")
    assert "//" not in re.sub(r'src="data:[^"]*"', "", text)
    assert "url(" not in text


def test_the_pictures_are_those_of_the_card_and_have_a_text(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)

    pictures = [found for tag, found in Page(rendered(tmp_path)).tags if tag == "img"]

    contents = {base64.b64decode((found["src"] or "").partition(",")[2]) for found in pictures}
    assert contents == {path.read_bytes() for path in (folder / "card").glob("*.png")}
    assert len(contents) == 2
    assert all(found["alt"] for found in pictures)


def test_every_column_and_row_of_a_table_says_what_it_is_for(tmp_path: Path) -> None:
    publish(tmp_path, 1)

    heads = [found for tag, found in Page(rendered(tmp_path)).tags if tag == "th"]

    assert heads
    assert {found.get("scope") for found in heads} == {"row", "col"}


def test_the_numbers_of_the_card_are_on_the_page(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    card = ModelCard.from_json((folder / "card" / "model_card.json").read_text())

    text = Page(rendered(tmp_path)).text

    for result in card.results:
        for found in result.metrics.values():
            assert f"{found.mean:.4f}" in text
            assert found.low is None or f"({found.low:.4f} to {found.high:.4f})" in text
    for limit in card.known_limits:
        assert limit in text
    assert "films, version 1" in text


def test_odd_text_is_shown_and_not_run(tmp_path: Path) -> None:
    publish(tmp_path, 1)

    page = Page(rendered(tmp_path))

    assert '<script>alert("x")</script> & "quoted"' in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_versions_are_compared_and_those_of_another_split_are_marked(tmp_path: Path) -> None:
    publish(tmp_path, 1, has_card=False)
    publish(tmp_path, 2, has_card=False, digest="cd" * 32)
    publish(tmp_path, 10)

    text = rendered(tmp_path)

    table = text[text.index("<h2>Versions of films</h2>") : text.index("<h2>Made with</h2>")]
    rows = re.findall(r'<th scope="row">(\d+)[^<]*</th>(.*?)</tr>', table, flags=re.DOTALL)
    marked = {number: "not comparable" in cells for number, cells in rows}
    assert list(marked) == ["10", "2", "1"]
    assert marked == {"10": False, "2": True, "1": False}
    assert all(f"{int(number) / 1000:.4f}" in cells for number, cells in rows)


def test_a_version_without_a_card_is_shown_from_its_manifest(tmp_path: Path) -> None:
    publish(tmp_path, 1, has_card=False)
    publish(tmp_path, 2)

    page = Page(rendered(tmp_path, "--version", "1"))

    assert "has no model card" in page.text
    assert "0.0010" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)


def test_the_newest_version_is_shown_unless_told_and_the_path_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 9, has_card=False)
    publish(tmp_path, 10, has_card=False)
    monkeypatch.chdir(tmp_path)

    report.run(report.parser().parse_args(["--models", str(tmp_path)]))

    assert capsys.readouterr().out == "films-10.html\n"
    assert "films, version 10" in (tmp_path / "films-10.html").read_text()


def test_a_broken_manifest_is_passed_over_unless_it_is_the_one(tmp_path: Path) -> None:
    publish(tmp_path, 1, has_card=False)
    (tmp_path / "films" / "2").mkdir()
    (tmp_path / "films" / "2" / "manifest.json").write_text("{")

    assert "films, version 1" in rendered(tmp_path)
    with pytest.raises(TrainerError, match=r"no version 2 with a readable .*, only 1"):
        rendered(tmp_path, "--version", "2")


def test_a_broken_card_is_told_with_its_path(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    (folder / "card" / "model_card.json").write_text("{}")

    with pytest.raises(TrainerError, match=r"model_card\.json: the model card's schema is None"):
        rendered(tmp_path)


@pytest.mark.parametrize(
    ("flags", "error", "reason"),
    [
        (["--name", "books"], TrainerError, "only films"),
        (["--models", "/nowhere"], TrainerError, "cannot list /nowhere: No such file"),
        (["--version", "7"], TrainerError, "no version 7"),
        (["--version", "0"], UsageError, "must be 1 or more"),
        (["--out", "/nowhere/page.html"], TrainerError, "cannot write /nowhere/page.html"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    tmp_path: Path, flags: list[str], error: type[Exception], reason: str
) -> None:
    publish(tmp_path, 1, has_card=False)

    with pytest.raises(error, match=reason) as caught:
        rendered(tmp_path, *flags)

    assert "\n" not in str(caught.value)


def test_an_empty_folder_says_that_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="nothing is published there"):
        rendered(tmp_path)
