import asyncio
from dataclasses import replace

import pytest
from admission import POLICIES, SCENARIOS, play, told

from recserve_server.batching.pace import Pace

FLOOD = replace(SCENARIOS["flood"], seconds=4.0)


def outcome(scenario, policy, seed=1):
    return asyncio.run(play(scenario, policy, seed))


def test_the_same_seed_tells_the_same() -> None:
    scenario = replace(SCENARIOS["flood, scatter 1"], seconds=2.0)

    assert outcome(scenario, Pace) == outcome(scenario, Pace)
    assert outcome(scenario, Pace) != outcome(scenario, Pace, seed=2)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_call_ends_once(policy: type[Pace]) -> None:
    ended = outcome(FLOOD, policy)

    assert ended.total() == pytest.approx(10 * 4 / 0.05 * 4.0, rel=0.1)
    assert ended["refused"] > 0.8 * ended.total()


def test_batches_that_only_begin_in_time_are_answered_late() -> None:
    begun, ended = (
        outcome(FLOOD, POLICIES["begins in time, last batch"]),
        outcome(FLOOD, Pace),
    )

    assert told(FLOOD, begun) < 0.7
    assert told(FLOOD, ended) >= 1.0
    assert ended["late"] == 0
