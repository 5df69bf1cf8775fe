import pytest
from metrics_scrape import FILMS, Scrape, films, readings

from recserve_server.metrics import ModelReadings
from recserve_server.model import Fallback, Source
from recserve_server.models.refusal import Refusal
from recserve_server.stats import AnswerStats, VersionStats


def test_each_loaded_version_is_told() -> None:
    answers = AnswerStats(rows=90, padding_rows=7)
    answers.run_s.add(0.003)

    scrape = Scrape(readings(loaded=[films(3, answers=answers, queue_depth=4), films(4)]))

    kinds = {"kind": "two_tower", "index": "exact"}
    assert scrape.value("recserve_model_info", **FILMS, **kinds) == 1
    assert scrape.value("recserve_model_info", model="films", version="4", **kinds) == 1
    assert scrape.value("recserve_model_load_time_seconds", **FILMS) == 1_767_230_000.5
    assert scrape.value("recserve_model_create_time_seconds", **FILMS) == 1_767_225_600
    assert scrape.value("recserve_model_items", **FILMS) == 1682
    assert scrape.value("recserve_model_users", **FILMS) == 943
    assert scrape.value("recserve_model_queue_depth", **FILMS) == 4
    assert scrape.value("recserve_model_rows_total", **FILMS) == 90
    assert scrape.value("recserve_padding_rows_total", **FILMS) == 7
    assert scrape.value("recserve_model_run_seconds_sum", **FILMS) == pytest.approx(0.003)


def test_answers_are_told_by_what_they_were_made_from() -> None:
    answers = AnswerStats(similar=3, short=4, empty=1, items=80, excluded=6, degraded=2)
    answers.recommended[Source.USER_ID] = 5
    answers.ranked[Source.POPULARITY] = 2
    answers.fallbacks[Fallback.UNKNOWN_USER] = 2
    answers.asked_k.add(10, times=7)
    answers.first_percent.add(99.7, times=2)

    scrape = Scrape(readings(loaded=[films(answers=answers)]))

    told = {
        (each.labels["kind"], each.labels["source"]): each.value
        for each in scrape.families["recserve_answers"].samples
    }
    assert {key: count for key, count in told.items() if count} == {
        ("recommend", "user_id"): 5,
        ("rank", "popularity"): 2,
        ("similar", "items"): 3,
    }
    assert len(told) == 2 * len(Source) + 1
    assert scrape.value("recserve_fallbacks_total", **FILMS, reason="unknown_user") == 2
    assert scrape.value("recserve_short_answers_total", **FILMS) == 4
    assert scrape.value("recserve_empty_answers_total", **FILMS) == 1
    assert scrape.value("recserve_answered_items_total", **FILMS) == 80
    assert scrape.value("recserve_excluded_items_total", **FILMS) == 6
    assert scrape.value("recserve_degraded_answers_total", **FILMS) == 2
    asked = dict(scrape.buckets("recserve_asked_k", **FILMS))
    assert (asked["5.0"], asked["10.0"]) == (0, 7)
    placed = dict(scrape.buckets("recserve_first_item_percentile", **FILMS))
    assert (placed["99.5"], placed["99.9"]) == (0, 2)


def test_what_is_counted_of_answers_survives_the_way_between_processes() -> None:
    answers = AnswerStats(1, 2, [3] * 8, [4] * 8, 5, [6] * 8, 7, 8, 9, 10, 11)
    answers.asked_k.add(20, times=12)
    answers.first_percent.add(99.7, times=11)
    answers.run_s.add(0.01, times=13)

    told = AnswerStats.unpacked(answers.packed())

    before, after = (
        [
            each
            for each in Scrape(readings(loaded=[films(answers=stats)])).samples
            if each.name.startswith("recserve_")
        ]
        for stats in (answers, told)
    )
    assert after == before
    assert {3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0} <= {each.value for each in after}


def test_how_versions_came_and_went_is_told_by_model_zeros_included() -> None:
    stats = VersionStats()
    stats.loads["films", "loaded"] += 2
    stats.refused["films", "tampered"] += 1
    stats.load_s.add(7.0)
    models = ModelReadings(
        versions={("films", "serving"): 2, ("films", "refused"): 1, ("songs", "serving"): 1},
        stats=stats,
        golden_overlap={("films", "export"): 0.98},
        canary_share={"films": 0.05, "songs": 0.0},
    )

    scrape = Scrape(readings(models=models))

    assert scrape.value("recserve_model_versions", model="films", state="serving") == 2
    assert scrape.value("recserve_model_versions", model="songs", state="refused") == 0
    assert scrape.value("recserve_model_loads_total", model="films", outcome="loaded") == 2
    assert scrape.value("recserve_model_loads_total", model="songs", outcome="refused") == 0
    reasons = {
        each.labels["reason"]: each.value
        for each in scrape.families["recserve_model_refused"].samples
        if each.labels["model"] == "films"
    }
    assert reasons == {each.value: float(each is Refusal.TAMPERED) for each in Refusal}
    assert scrape["recserve_model_load_seconds_sum"] == 7
    assert scrape.value("recserve_golden_overlap", model="films", against="export") == 0.98
    assert scrape.value("recserve_canary_share", model="films") == 0.05
