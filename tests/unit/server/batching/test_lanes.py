"""Who is taken next: fair between tenants, in order of arrival for each."""

from collections import Counter, deque

from batching.waiting import size_of, waiting
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.batching.lanes import Lanes

LARGEST = 6
tenants = st.sampled_from("abcd")
sizes = st.integers(1, LARGEST)
arrivals = st.lists(st.tuples(tenants, sizes), max_size=30)
rooms = st.integers(LARGEST, 3 * LARGEST)


def take(lanes, room):
    """Returns who is taken, having checked that they fit."""
    taken = []
    left = lanes.take(room, taken)
    assert size_of(taken) == room - left <= room
    return taken


def filled(arrivals):
    lanes = Lanes()
    for tenant, size in arrivals:
        lanes.append(waiting(size, tenant))
    return lanes


def take_all(lanes, room=LARGEST):
    taken = []
    while lanes.request_count:
        taken += take(lanes, room)
    return taken


@given(steps=st.lists(st.one_of(sizes, st.just("take"), st.just("leave")), max_size=40), room=rooms)
def test_one_tenant_is_served_in_order_of_arrival(steps, room):
    lanes, expected = Lanes(), deque()
    for step in steps:
        if step == "take":
            left = room
            for caller in take(lanes, room):
                assert caller is expected.popleft()
                left -= len(caller.requests)
            assert not expected or len(expected[0].requests) > left
        elif step == "leave":
            if expected:
                caller = expected[len(expected) // 2]
                expected.remove(caller)
                assert lanes.discard(caller)
        else:
            expected.append(waiting(step))
            lanes.append(expected[-1])
        assert lanes.request_count == size_of(expected)


@given(arrivals=arrivals, room=rooms)
def test_each_of_several_tenants_is_served_in_order_of_arrival(arrivals, room):
    callers = [waiting(size, tenant) for tenant, size in arrivals]
    lanes = Lanes()
    for caller in callers:
        lanes.append(caller)

    taken = take_all(lanes, room)

    for tenant in "abcd":
        assert [each for each in taken if each.terms.tenant == tenant] == [
            each for each in callers if each.terms.tenant == tenant
        ]


@given(
    of_each=st.lists(st.lists(sizes, min_size=1, max_size=20), min_size=2, max_size=4),
    rooms=st.lists(rooms, max_size=20),
)
def test_tenants_that_all_wait_have_equally_many_requests_taken(of_each, rooms):
    lanes = filled(
        [("abcd"[place], size) for place, all_of in enumerate(of_each) for size in all_of]
    )
    served = Counter(dict.fromkeys("abcd"[: len(of_each)], 0))

    for room in rooms:
        served.update(
            {tenant: 0 for tenant in served}
            | Counter(each.terms.tenant for each in take(lanes, room) for _ in each.requests)
        )
        if not all(lanes.requests_of(tenant) for tenant in served):
            break
        assert max(served.values()) - min(served.values()) <= LARGEST + 1


def test_single_requests_of_tenants_are_taken_in_turn() -> None:
    lanes = filled([("a", 1)] * 5 + [("b", 1)] * 2 + [("c", 1)])

    taken = take(lanes, 7)

    assert "".join(each.terms.tenant for each in taken) == "abcabaa"


def test_a_group_weighs_as_many_requests_as_it_has() -> None:
    lanes = filled([("a", 4), ("a", 4)] + [("b", 1)] * 9)

    taken = take_all(lanes, room=100)

    assert "".join(each.terms.tenant for each in taken) == "bbbabbbbabb"


def test_a_large_caller_is_not_kept_out_by_small_ones_that_always_come_back() -> None:
    lanes, large = filled([("small", 1)]), waiting(LARGEST, "large")
    lanes.append(large)

    batches = 0
    while lanes.requests_of("large"):
        batches += 1
        for caller in take(lanes, LARGEST):
            if caller is not large:
                lanes.append(waiting(1, "small"))

    assert batches <= 2


@given(
    before=arrivals,
    rooms=st.lists(st.integers(1, LARGEST), max_size=3),
    then=arrivals,
    leaves=st.lists(st.integers(0, 100), max_size=5),
    newcomer=st.tuples(tenants, sizes),
    room=rooms,
)
def test_nobody_is_taken_later_than_was_estimated(before, rooms, then, leaves, newcomer, room):
    lanes = filled(before)
    for each in rooms:
        take(lanes, each)
    for tenant, size in then:
        lanes.append(waiting(size, tenant))
    there = [caller for lane in lanes.lanes() for caller in lane.callers]
    for place in leaves:
        if there:
            lanes.discard(there.pop(place % len(there)))
    tenant, size = newcomer
    place, caller = lanes.place_of(tenant, size), waiting(size, tenant)
    lanes.append(caller)

    taken = take_all(lanes, room)

    assert size_of(taken[: taken.index(caller) + 1]) <= place


def test_a_lone_tenant_is_estimated_to_be_taken_after_what_it_has_waiting_and_no_later() -> None:
    assert filled([("a", 3), ("a", 2)]).place_of("a", 4) == 9


def test_a_newcomer_is_estimated_to_be_taken_when_every_other_tenant_has_had_its_turns() -> None:
    flooded = filled([("a", 1)] * 50 + [("b", 1)] * 50)

    assert flooded.place_of("c", 2) == 6
    assert flooded.place_of("a", 1) == 101


def test_what_others_have_earned_is_part_of_the_estimate() -> None:
    lanes = filled([("large", 4)] + [("small", 1)] * 9)
    take(lanes, 3)  # the large one is short of one turn

    place = lanes.place_of("c", 1)
    lanes.append(waiting(1, "c"))

    taken = [each.terms.tenant for each in take_all(lanes)]
    assert taken[:3] == ["large", "small", "c"]
    assert 6 <= place < 10


def test_who_leaves_takes_along_what_was_earned() -> None:
    lanes, large = Lanes(), waiting(4, "large")
    for caller in (large, *(waiting(1, "small") for _ in range(9))):
        lanes.append(caller)
    take(lanes, 3)

    lanes.discard(large)

    assert lanes.place_of("c", 1) == 2
    lanes.append(waiting(2, "c"))
    assert [each.terms.tenant for each in take_all(lanes)][:3] == ["small", "small", "c"]


def test_who_leaves_is_not_counted_and_leaves_only_once() -> None:
    lanes, caller = filled([("a", 1)]), waiting(3, "b")
    lanes.append(caller)

    assert lanes.discard(caller)
    assert not lanes.discard(caller)

    assert (lanes.request_count, list(lanes)) == (1, ["a"])


@given(arrivals=arrivals, room=rooms)
def test_a_tenant_with_nothing_waiting_is_forgotten(arrivals, room):
    lanes = filled(arrivals)

    while lanes.request_count:
        take(lanes, room)
        assert all(lanes.requests_of(tenant) for tenant in lanes)

    assert list(lanes) == []


@given(arrivals=arrivals)
def test_clearing_returns_everybody(arrivals):
    lanes = filled(arrivals)

    assert size_of(lanes.clear()) == sum(size for _, size in arrivals)
    assert (lanes.request_count, list(lanes)) == (0, [])
