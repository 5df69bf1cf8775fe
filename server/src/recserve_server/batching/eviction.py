"""Who has to go when the queue is full; pure."""

from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias, TypeVar

from recserve_server.batching.caller import Caller
from recserve_server.batching.lanes import Lane, Lanes
from recserve_server.batching.queue import BatchQueue
from recserve_server.batching.terms import Priority, Terms

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_Unit: TypeAlias = list[Caller[Request, Answer]]
"""A caller, or all that wait for the same group: they are answered together or not at all."""


def find_victims(
    queue: BatchQueue[Request, Answer], terms: Terms, size: int, excess: int
) -> list[Caller[Request, Answer]]:
    """Returns whom to let go so that a newcomer fits in.

    The newest of whoever has most waiting, as in Suter et al., "Buffer management schemes for
    supporting TCP in gigabit routers with per-flow queueing" (JSAC 1999), until there is room.
    Batch work goes first, and always makes room for interactive work. Within one priority only
    a tenant that has more waiting than the newcomer's then would loses any: whoever keeps to an
    equal share of the queue loses nothing and is never refused.

    Args:
        queue: what waits; it is left as it is.
        terms: the newcomer's.
        size: the newcomer's requests.
        excess: how many of them do not fit in.

    Returns:
        Callers with `excess` requests or more, but of one priority none who could stay; nobody
        if that many must not go.
    """
    own = queue.batch if terms.priority is Priority.BATCH else queue.interactive
    victims: _Unit[Request, Answer] = []
    left = excess
    if own is not queue.batch:
        victims += _newest_of_longest(queue.batch, left, keep=0)
        left -= _size(victims)
    if left > 0:
        more = _newest_of_longest(own, left, keep=own.requests_of(terms.tenant) + size)
        victims += more
        left -= _size(more)
    return victims if left <= 0 else []


def _newest_of_longest(
    lanes: Lanes[Request, Answer], excess: int, *, keep: int
) -> _Unit[Request, Answer]:
    """Returns callers with `excess` requests, or all there are in lanes longer than `keep`."""
    # Places differ, so that nothing behind them is compared.
    heap = [
        (-lane.request_count, place, _newest_first(lane))
        for place, lane in enumerate(lanes.lanes())
        if lane.request_count > keep
    ]
    heapify(heap)
    found: list[_Unit[Request, Answer]] = []
    while heap and excess > 0:
        count, place, units = heap[0]
        unit = next(units)
        size = _size(unit)
        found.append(unit)
        excess -= size
        if -count - size > keep:
            heapreplace(heap, (count + size, place, units))
        else:
            heappop(heap)
    return _without_superfluous(found, -excess)


def _without_superfluous(
    found: list[_Unit[Request, Answer]], surplus: int
) -> _Unit[Request, Answer]:
    """Spares whom a larger one after them has made needless."""
    victims: _Unit[Request, Answer] = []
    for unit in found:
        if _size(unit) <= surplus:
            surplus -= _size(unit)
        else:
            victims += unit
    return victims


def _newest_first(lane: Lane[Request, Answer]) -> Iterator[_Unit[Request, Answer]]:
    unit: _Unit[Request, Answer] = []
    for caller in reversed(lane.callers):
        if unit and (caller.group is None or caller.group is not unit[0].group):
            yield unit
            unit = []
        unit.append(caller)
    yield unit


def _size(callers: _Unit[Request, Answer]) -> int:
    return sum(len(each.requests) for each in callers)
