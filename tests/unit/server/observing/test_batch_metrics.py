from collections import Counter
from dataclasses import fields

import pytest
from metrics_scrape import Scrape, films, readings

from recserve_server.errors import ServingError
from recserve_server.stats import BatchStats


def test_batches_are_told() -> None:
    batches = BatchStats()
    for size in (1, 3, 64):
        batches.batch_size.add(size)
    batches.queue_wait_s.add(0.02, times=3)
    batches.batch_queue_wait_s.add(2.0)
    batches.run_s.add(0.004)
    batches.failed_batches, batches.wasted, batches.evicted = 2, 5, 7
    batches.woken = 1

    scrape = Scrape(
        readings(loaded=[films(batches=batches, queue_depth=11, tenants=2)], is_serving=True)
    )

    sizes = dict(scrape.buckets("recserve_batch_size"))
    assert (sizes["1.0"], sizes["2.0"], sizes["4.0"], sizes["4096.0"]) == (1, 1, 2, 3)
    assert scrape["recserve_batch_size_sum"] == 68
    assert scrape.value("recserve_queue_wait_seconds_count", priority="interactive") == 3
    assert scrape.value("recserve_queue_wait_seconds_sum", priority="batch") == 2
    assert scrape["recserve_batch_run_seconds_sum"] == pytest.approx(0.004)
    assert (scrape["recserve_queue_depth"], scrape["recserve_serving"]) == (11, 1)
    assert scrape["recserve_tenants"] == 2
    assert scrape["recserve_failed_batches_total"] == 2
    assert scrape["recserve_wasted_rows_total"] == 5
    assert scrape["recserve_queue_evicted_total"] == 7
    assert scrape["recserve_batcher_woken_total"] == 1


def test_what_batchers_did_is_added_up_over_versions_that_serve_and_that_have_gone() -> None:
    stats = [BatchStats(), BatchStats(), BatchStats()]
    for count, each in enumerate(stats, start=1):
        each.batch_size.add(8, times=count)
        each.refused["QUEUE_FULL"] = count
        each.wasted = 10 * count
    gone, old, new = stats

    scrape = Scrape(readings(retired=gone, loaded=[films(3, batches=old), films(4, batches=new)]))

    assert scrape["recserve_batch_size_count"] == 6
    assert scrape["recserve_wasted_rows_total"] == 60
    assert scrape.value("recserve_rejected_total", reason="QUEUE_FULL") == 6
    assert gone.batch_size.count == 1, "a scrape changed what it read"


def test_absorbing_takes_every_field_of_a_batcher() -> None:
    some, total = BatchStats(), BatchStats()
    for each in fields(BatchStats):
        value = getattr(some, each.name)
        if isinstance(value, int):
            setattr(some, each.name, 3)
        elif isinstance(value, Counter):
            value["QUEUE_FULL"] = 3
        else:
            value.add(1.0, times=3)

    total.absorb(some)
    total.absorb(some)

    told = {each.name: getattr(total, each.name) for each in fields(BatchStats)}
    counts = {
        name: value["QUEUE_FULL"] if isinstance(value, Counter) else getattr(value, "count", value)
        for name, value in told.items()
    }
    assert counts == dict.fromkeys(counts, 6)


def test_refusals_are_told_by_the_reasons_of_the_error_table_and_no_others() -> None:
    batches = BatchStats()
    batches.refused.update({"QUEUE_FULL": 3, "NOT_READY": 1, "invented": 2, "user 42": 1})

    scrape = Scrape(readings(loaded=[films(batches=batches)]))

    told = {
        each.labels["reason"]: each.value for each in scrape.families["recserve_rejected"].samples
    }
    assert told == {
        "QUEUE_FULL": 3,
        "DEADLINE_TOO_SHORT": 0,
        "EXPIRED_IN_QUEUE": 0,
        "NOT_READY": 1,
        "MODEL_FAILED": 0,
        ServingError.reason: 3,
    }
