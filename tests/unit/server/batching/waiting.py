"""Callers for tests of what only keeps them in order: nobody waits for their replies."""

import itertools

from recserve_server.batching.caller import Caller
from recserve_server.batching.terms import Priority, Terms

_NUMBERS = itertools.count()


def waiting(size=1, tenant="", *, priority=Priority.INTERACTIVE, group=None):
    """Returns a caller with `size` requests, which differ from those of all others."""
    requests = tuple(itertools.islice(_NUMBERS, size))
    terms = Terms(tenant=tenant, priority=priority)
    return Caller(requests, 0.0, float("inf"), None, terms, group)


def size_of(callers):
    """Returns how many requests they have."""
    return sum(len(each.requests) for each in callers)
