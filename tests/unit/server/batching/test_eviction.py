"""Who has to go when the queue is full."""

from dataclasses import dataclass, field

import pytest
from batching.waiting import size_of, waiting
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_server.batching.eviction import find_victims
from recserve_server.batching.queue import BatchQueue
from recserve_server.batching.terms import Priority, Terms

INTERACTIVE, BATCH = Priority
MAX_ENQUEUED = 12
TENANTS = "abc"
FAIR_SHARE = MAX_ENQUEUED // len(TENANTS)
newcomers = st.tuples(st.sampled_from(TENANTS), st.sampled_from(Priority), st.integers(1, 14))


@dataclass
class Full:
    """A queue of `MAX_ENQUEUED` requests at the most."""

    queue: BatchQueue = field(default_factory=BatchQueue)
    callers: list = field(default_factory=list)
    """Who waits, the newest last."""

    def arrive(self, size=1, tenant="a", priority=INTERACTIVE, parts=1):
        """Lets a newcomer in, if at all; returns whether it is in, and who went."""
        excess = self.queue.request_count + size - MAX_ENQUEUED
        victims = []
        if excess > 0:
            victims = find_victims(
                self.queue, Terms(tenant=tenant, priority=priority), size, excess
            )
            if not victims:
                return False, []
            assert size_of(victims) >= excess
        for victim in victims:
            self.queue.discard(victim)
            self.callers.remove(victim)
        group = object() if parts > 1 else None
        for _ in range(parts):
            caller = waiting(size // parts, tenant, priority=priority, group=group)
            self.callers.append(caller)
            self.queue.append(caller)
        return True, victims

    def requests_of(self, tenant, priority):
        lanes = self.queue.batch if priority is BATCH else self.queue.interactive
        return lanes.requests_of(tenant)

    def take(self, room):
        for caller in self.queue.take(room):
            self.callers.remove(caller)


@pytest.fixture
def full():
    return Full()


def test_the_newest_of_whoever_has_most_waiting_makes_room_for_another_tenant(full) -> None:
    for _ in range(8):
        full.arrive(tenant="a")
    for _ in range(4):
        full.arrive(tenant="b")
    newest = full.callers[7]

    is_in, victims = full.arrive(tenant="c")

    assert is_in
    assert victims == [newest]


def test_whoever_has_most_waiting_is_refused(full) -> None:
    for _ in range(8):
        full.arrive(tenant="a")
    for _ in range(4):
        full.arrive(tenant="b")

    assert full.arrive(tenant="a") == (False, [])


def test_tenants_with_equally_much_waiting_do_not_drive_each_other_out(full) -> None:
    for tenant in "ab" * 6:
        full.arrive(tenant=tenant)

    assert full.arrive(tenant="a") == (False, [])
    assert full.arrive(tenant="b") == (False, [])


def test_a_tenant_that_would_have_as_many_waiting_as_any_other_is_refused(full) -> None:
    for tenant in "aaaaaabbbbbc":
        full.arrive(tenant=tenant)

    assert full.arrive(tenant="b") == (False, [])


def test_batch_work_goes_before_interactive_work_even_the_tenants_own(full) -> None:
    full.arrive(2, "a", BATCH)
    full.arrive(10, "b")

    is_in, victims = full.arrive(1, "a")

    assert is_in
    assert [each.terms.priority for each in victims] == [BATCH]


def test_batch_work_drives_out_no_interactive_work(full) -> None:
    for _ in range(12):
        full.arrive(tenant="a")

    assert full.arrive(1, "b", BATCH) == (False, [])


def test_nobody_goes_for_a_newcomer_that_would_not_fit_in_even_so(full) -> None:
    full.arrive(2, "b", BATCH)
    for _ in range(10):
        full.arrive(tenant="a")

    assert full.arrive(8, "c") == (False, [])
    assert full.queue.request_count == 12


def test_a_group_in_parts_goes_whole(full) -> None:
    full.arrive(8, "a", parts=4)
    full.arrive(4, "b")

    is_in, victims = full.arrive(1, "c")

    assert is_in
    assert size_of(victims) == 8


def test_who_was_chosen_is_spared_if_a_larger_one_makes_room_by_itself(full) -> None:
    full.arrive(4, "a")
    full.arrive(1, "a")
    full.arrive(7, "b")
    small = full.callers[1]

    is_in, victims = full.arrive(3, "c")

    assert is_in
    assert small in full.callers
    assert [len(each.requests) for each in victims] == [7]


@given(arrivals=st.lists(newcomers, max_size=40), parts=st.sampled_from([1, 2]))
def test_no_more_go_than_must(arrivals, parts):
    full = Full()
    for tenant, priority, size in arrivals:
        excess = full.queue.request_count + size - MAX_ENQUEUED
        _, victims = full.arrive(size, tenant, priority, parts=parts if size % parts == 0 else 1)

        for each in victims:
            spared = [
                one for one in victims if one is each or (one.group and one.group is each.group)
            ]
            in_last_priority = each.terms.priority is victims[-1].terms.priority
            assert not in_last_priority or size_of(victims) - size_of(spared) < excess
        assert full.queue.request_count <= MAX_ENQUEUED


@given(arrivals=st.lists(newcomers, max_size=40))
def test_batch_work_never_drives_out_interactive_work(arrivals):
    full = Full()
    for tenant, priority, size in arrivals:
        _, victims = full.arrive(size, tenant, priority)

        left = full.queue.batch.request_count
        if any(each.terms.priority is INTERACTIVE for each in victims):
            assert priority is INTERACTIVE
            assert left == 0


@settings(max_examples=300)
@given(
    steps=st.lists(st.one_of(newcomers, st.integers(1, 4)), max_size=60),
    priority=st.sampled_from(Priority),
)
def test_a_flood_takes_nothing_from_a_tenant_that_keeps_to_its_fair_share(steps, priority):
    """The others flood with any work that may compete; the tenant is never refused nor evicted."""
    full = Full()
    for step in steps:
        if isinstance(step, int):
            full.take(step)
            continue
        tenant, flood, size = step
        if tenant == "a":
            size = min(size, FAIR_SHARE - full.requests_of("a", priority))
            if size <= 0:
                continue
            flood = priority
        elif priority is BATCH:
            flood = BATCH  # interactive work may take all of the queue
        is_in, victims = full.arrive(size, tenant, flood)

        assert is_in or tenant != "a"
        assert not any(each.terms.tenant == "a" for each in victims)
