import base64
import hashlib
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from types import MappingProxyType

import pytest
import runs

from recserve_client.loadtest.report import numbers
from recserve_client.loadtest.report.page import page
from recserve_client.loadtest.result import Condition, Run, Search

ODD = "</script><script>alert('x')</script><!-- & \"quoted\" $title é"
VOID = {"meta", "input"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what there is to look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.code: dict[str, list[str]] = {"script": [], "style": [], "json": []}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("script", "style"):
            self.code["json" if dict(attrs).get("type") else tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            tag, attributes = self.tags[-1]
            self.code["json" if attributes.get("type") else tag][-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def policy(self) -> dict[str, list[str]]:
        (content,) = (
            attributes["content"]
            for tag, attributes in self.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )
        rules = (rule.split() for rule in content.split(";"))
        return {name: sources for name, *sources in rules}

    @property
    def run(self) -> dict[str, object]:
        (text,) = self.code["json"]
        return json.loads(text)

    @property
    def checked(self) -> list[str]:
        return [attributes["value"] for _, attributes in self.tags if "checked" in attributes]


def odd_run() -> Run:
    stage = replace(runs.closed_stage(8), label=ODD, errors={ODD: 3}, warnings=(ODD,))
    return runs.run(
        stage,
        tool=ODD,
        arguments=(ODD,),
        mix=ODD,
        versions={ODD: ODD},
        started_at=ODD,
        search=Search(objective=ODD, rate_per_s=None, refused_rate_per_s=None),
        conditions=(Condition(text=ODD, seen=ODD, failed=True),),
        warnings=(ODD,),
        server=replace(runs.run().server, target=ODD, model_name=ODD, kind=ODD, index=ODD),
        host=replace(runs.run().host, name=ODD, cpu=ODD, system=ODD),
    )


def test_the_page_needs_nothing_from_elsewhere() -> None:
    shown = Page(page(runs.search_run()))

    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in shown.tags}
    for _, attributes in shown.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not re.search(r"url\(|@import", "".join(shown.code["style"]))


def test_the_policy_allows_what_is_on_the_page_and_nothing_else() -> None:
    shown = Page(page(runs.search_run()))

    def sources(texts: list[str]) -> list[str]:
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

    assert shown.policy == {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "style-src": sources(shown.code["style"]),
        "script-src": sources(shown.code["script"]),
    }


def test_the_policy_comes_before_everything_that_it_rules() -> None:
    tags = [tag for tag, _ in Page(page(runs.search_run())).tags]

    assert tags[:4] == ["html", "head", "meta", "meta"]


def test_the_page_holds_the_whole_run_as_json() -> None:
    run = runs.search_run()

    assert Page(page(run)).run == json.loads(json.dumps(asdict(run)))


def test_any_kind_of_mapping_becomes_json() -> None:
    run = runs.run(versions=MappingProxyType({"grpcio": "1.80.0"}))

    assert Page(page(run)).run["versions"] == {"grpcio": "1.80.0"}


def test_texts_of_a_run_cannot_end_the_json() -> None:
    shown = Page(page(odd_run()))

    assert shown.run["arguments"] == [ODD]
    assert shown.run["stages"][0]["errors"] == {ODD: 3}


def test_texts_of_a_run_are_shown_as_they_are() -> None:
    tame, odd = Page(page(runs.search_run())), Page(page(odd_run()))

    assert len(odd.code["script"]) == len(tame.code["script"])
    # Title, tool, target, model, kind, index, time, search, condition, what was seen, both
    # warnings and the stage of one, stage, command, mix, host, CPU, system, tool, versions, start.
    assert odd.text.count(ODD) + odd.text.count(ODD.replace("'", "'\"'\"'")) >= 24


def test_the_same_run_makes_the_same_page() -> None:
    assert page(runs.search_run()) == page(runs.search_run())


def test_arguments_that_are_not_utf_8_do_not_keep_the_page_from_being_written() -> None:
    run = runs.run(arguments=("--users", "caf\udce9"))

    assert "caf?" in page(run).encode().decode()


def test_a_figure_that_is_no_number_is_refused() -> None:
    stage = replace(runs.closed_stage(8), ok_per_s=float("nan"))

    with pytest.raises(ValueError, match="not JSON compliant"):
        page(runs.run(stage))


def test_the_last_stage_that_holds_is_shown_first() -> None:
    run = runs.search_run()

    (checked,) = Page(page(run)).checked

    assert run.stages[int(checked)].label == "1850/s"


def test_without_a_search_the_last_stage_is_shown_first() -> None:
    run = runs.run(*(runs.closed_stage(count) for count in (1, 8, 32)))

    assert Page(page(run)).checked == ["2"]


def test_the_verdicts_say_what_was_found() -> None:
    text = Page(page(runs.search_run())).text

    assert "holds 1,850/s with p99<=20ms, errors<=0.1%" in text
    assert "2,000/s does not" in text
    assert "1 condition failed" in text
    assert "1 condition passed" in text
    assert "2 warnings" in text
    assert "failed p99>20ms p99 is 960 ms at 2400/s" in text


def test_a_search_in_vain_says_so() -> None:
    search = Search(objective="p99<=1ms", rate_per_s=None, refused_rate_per_s=100.0)

    text = Page(page(runs.run(runs.open_stage(500.0), search=search))).text

    assert "no rate tried holds p99<=1ms" in text
    assert "100/s does not" in text


def test_many_warnings_are_folded_away_and_none_is_lost() -> None:
    run = runs.run(warnings=tuple(f"doubt {place}." for place in range(30)))

    shown = Page(page(run))

    assert "22 more" in shown.text
    assert "details" in {tag for tag, _ in shown.tags}
    assert [place for place in range(30) if f"doubt {place}." not in shown.text] == []


def test_a_run_without_stages_says_so() -> None:
    assert "No stage was measured." in Page(page(runs.run())).text


def test_a_stage_without_answers_has_dashes_for_its_latencies() -> None:
    text = Page(page(runs.run(runs.silent_stage()))).text

    dashes = " ".join([numbers.UNKNOWN] * 6)
    assert f"200/s ! open, poisson 40 0 100 {dashes} ✗ no" in text


def test_the_command_can_be_pasted_into_a_shell() -> None:
    text = Page(page(runs.search_run())).text

    assert "recserve loadtest --target 127.0.0.1:8500 --search 'p99<=20ms, errors<=0.1%'" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (0.0, "0.00"), (3.072, "3.07"), (20.44, "20.4"), (1850.4, "1,850")],
)
def test_a_figure_has_three_digits_or_more(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0"),
        (1e-9, "<0.01"),
        (0.00123, "0.12"),
        (0.175, "17.5"),
        (0.999999, ">99.99"),
        (1, "100"),
    ],
)
def test_a_share_is_nothing_or_everything_only_if_it_is(share: float, text: str) -> None:
    assert numbers.percent(share) == text


def test_the_page_brings_the_licence_of_what_it_holds() -> None:
    scripts = "".join(Page(page(runs.run())).code["script"])

    assert "uPlot (v1.6.32)" in scripts
    assert "Permission is hereby granted, free of charge" in scripts
