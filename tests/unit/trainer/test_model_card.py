import json
from dataclasses import replace
from pathlib import Path

import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.card_files import Evidence, model_card, write_card
from recserve_trainer.artifact.card_limits import known_limits
from recserve_trainer.artifact.card_results import Facts, Measurement
from recserve_trainer.artifact.card_text import escape, markdown
from recserve_trainer.artifact.model_card import (
    Activity,
    Difference,
    Estimate,
    ModelCard,
    Result,
    Training,
)
from recserve_trainer.errors import TrainerError

ODD = 'a|b <script>alert("1")</script>\n# `c` *d*'
FACTS = Facts(
    time_order="per user",
    user_count=943,
    test_count=9_988,
    new_user_count=0,
    new_item_count=70,
    new_item_test_count=52,
    new_items_found=0,
    low_rating_share=0.17,
)


def result(scorer: str, shift: float) -> Result:
    return Result(
        scorer=scorer,
        user_count=943,
        metrics={
            "ndcg@10": Estimate(0.1234 + shift, 0.1111 + shift, 0.1357 + shift),
            "coverage@10": Estimate(0.25 + shift),
        },
        precision=tuple((0.3 + shift) / k for k in range(1, 51)),
        recall=tuple((k / 60) + shift for k in range(1, 51)),
    )


def difference(baseline: str, low: float, mean: float, high: float) -> Difference:
    return Difference(baseline=baseline, metrics={"ndcg@10": Estimate(mean, low, high)})


MEASURED = Measurement(
    metrics={},
    results=(result("model", 0), result("popularity", -0.05), result("ease", 0.01)),
    differences=(
        difference("popularity", 0.0401, 0.0502, 0.0603),
        difference("ease", -0.0201, -0.0102, 0.0003),
    ),
    activity=(
        Activity(fewest=18, most=30, user_count=471, metrics={"model": {"ndcg@10": 0.0707}}),
        Activity(fewest=30, most=663, user_count=472, metrics={"model": {"ndcg@10": 0.1717}}),
    ),
    facts=FACTS,
)
CURVE = [
    {"loss": 6.5, "ndcg@10": 0.1, "recall@10": 0.11, "epoch_seconds": 3.0},
    {"loss": float("nan"), "ndcg@10": 0.12, "recall@10": 0.13, "epoch_seconds": 2.0},
]


def manifest() -> manifest_pb2.Manifest:
    made = manifest_pb2.Manifest(
        model_name="films",
        model=manifest_pb2.Model(
            kind="collaborative", embedding_dimension=65, user_count=943, item_count=1682
        ),
        index=manifest_pb2.Index(kind="scann", recall_at_10=0.9876),
        dataset=manifest_pb2.Dataset(
            name="movielens/100k",
            version="0.1.1",
            split="per user by time",
            train_count=80_024,
            validation_count=9_989,
            test_count=9_988,
            split_sha256="ab" * 32,
        ),
        evaluations=[manifest_pb2.Evaluation(scorer="model", user_count=943, metrics={"a@1": 0.5})],
        library_versions={"numpy": "2.4.6"},
        training_arguments={"seed": "42", "odd": ODD},
    )
    made.create_time.FromJsonString("2026-01-02T03:04:05Z")
    return made


def card(curve: list[dict[str, float]] = CURVE) -> ModelCard:
    return model_card(manifest(), Evidence(MEASURED, 2, curve))


def limits(measured: Measurement = MEASURED, index: tuple[str, float] = ("exact", 1.0)) -> str:
    training = Training(kept_epoch=1, curve=({}, {}))
    return "\n".join(known_limits(measured, training, index))


def test_the_card_reads_back_from_json_as_it_was() -> None:
    text = card().to_json()

    assert ModelCard.from_json(text) == card()
    assert json.loads(text)["schema"] == "recserve.model_card/1"
    assert json.loads(text)["training"]["curve"][1]["loss"] is None


def test_a_card_from_a_manifest_alone_reads_back_too() -> None:
    made = ModelCard.from_manifest(manifest())

    assert ModelCard.from_json(made.to_json()) == made
    assert made.results == (Result(scorer="model", user_count=943, metrics={"a@1": Estimate(0.5)}),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "must be a JSON object"),
        ('{"schema": "recserve.model_card/2"}', "must be 'recserve.model_card/1'"),
        ('{"schema": "recserve.model_card/1"}', "cannot be read"),
        ('{"schema": "recserve.model_card/1", "results": 3}', "cannot be read"),
    ],
)
def test_what_is_no_card_is_told_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(TrainerError, match=reason) as caught:
        ModelCard.from_json(text)

    assert "\n" not in str(caught.value)


def test_the_markdown_holds_every_number() -> None:
    text = markdown(card())

    for each in MEASURED.results:
        found, coverage = each.metrics["ndcg@10"], each.metrics["coverage@10"]
        assert f"| {found.mean:.4f} ({found.low:.4f} to {found.high:.4f}) |" in text
        assert f"| {coverage.mean:.4f} |" in text
        for k in (1, 5, 10, 20, 50):
            assert f"| {each.precision[k - 1]:.4f} / {each.recall[k - 1]:.4f} |" in text
    assert "| +0.0502 (+0.0401 to +0.0603) | -0.0102 (-0.0201 to +0.0003) |" in text
    assert "| 18 to 30 | 471 | 0.0707 |" in text
    assert "| 30 to 663 | 472 | 0.1717 |" in text
    assert "80,024 train, 9,989 validation, 9,988 test" in text
    for fact in ("ab" * 32, "Kept epoch 2 of 2", "65", "1,682", "0.9876", "2.4.6", "2026-01-02"):
        assert fact in text


def test_odd_text_neither_breaks_a_table_nor_becomes_a_tag() -> None:
    text = markdown(card())

    (row,) = [line for line in text.splitlines() if line.startswith("| odd |")]
    assert row == f"| odd | {escape(ODD)} |"
    assert "\\|" in row
    assert "&lt;script&gt;" in row
    assert "<script" not in text


def test_a_fit_in_one_pass_has_no_curve_and_says_so(tmp_path: Path) -> None:
    write_card(tmp_path / "card", card(CURVE[:1]))

    names = {path.name for path in (tmp_path / "card").iterdir()}
    assert names == {"model_card.md", "model_card.json", "precision_recall.png"}
    text = (tmp_path / "card" / "model_card.md").read_text()
    assert "there is no training curve" in text
    assert "training_curve.png" not in text


@pytest.mark.parametrize(("refit", "validation_count"), [("True", 9), ("True", 0), ("False", 9)])
def test_learning_once_more_is_told_where_it_was_done(refit: str, validation_count: int) -> None:
    made = card()
    made.settings["refit"] = refit
    made.dataset["validation_count"] = validation_count

    assert ("learnt once more" in markdown(made)) == (refit == "True" and validation_count > 0)


@pytest.mark.parametrize("without", ["loss", "ndcg@10", "recall@10"])
def test_a_curve_is_drawn_of_what_was_logged(tmp_path: Path, without: str) -> None:
    curve = [{name: value for name, value in epoch.items() if name != without} for epoch in CURVE]

    write_card(tmp_path / "card", card(curve))

    assert (tmp_path / "card" / "training_curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_card_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_card(tmp_path / name, card())

    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        for chunk in (b"tEXt", b"tIME", b"iTXt"):
            assert path.suffix != ".png" or chunk not in path.read_bytes()


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(-0.02, 0.01, "cannot be told from"), (-0.02, -0.01, "is below"), (0.01, 0.02, None)],
)
def test_a_baseline_that_is_not_beaten_is_a_known_limit(
    low: float, high: float, told: str | None
) -> None:
    against = difference("ease", low, (low + high) / 2, high)

    text = limits(replace(MEASURED, differences=(against,)))

    assert ("that of ease" in text) == (told is not None)
    assert told is None or f"ndcg@10 {told} that of ease" in text


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"time_order": "none"}, "without regard to time"),
        ({"time_order": "per user"}, "not at one moment"),
        ({"time_order": "global"}, "what came after"),
        ({}, "70 items have no training interactions; none of them"),
        ({"new_items_found": 3}, "3 of them came into somebody's first 50"),
        ({"new_user_count": 5}, "5 users of the dataset have no history"),
        ({}, "17% of the test interactions"),
    ],
)
def test_limits_follow_from_the_facts(facts: dict, told: str) -> None:
    assert told in limits(replace(MEASURED, facts=replace(FACTS, **facts)))


def test_no_limit_is_told_of_what_is_not_there() -> None:
    nothing = replace(FACTS, new_item_count=0, low_rating_share=0.0)

    text = limits(replace(MEASURED, facts=nothing))

    for word in ("training interactions", "lower half", "index", "one pass", "EASE"):
        assert word not in text


def test_an_approximate_index_and_a_missing_baseline_are_told() -> None:
    text = limits(replace(MEASURED, differences=()), ("scann", 0.9876))

    assert "scann index finds 0.9876" in text
    assert "Not held against EASE" in text
