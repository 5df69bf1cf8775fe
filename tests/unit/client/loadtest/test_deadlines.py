import math

from recserve_client.loadtest.wire.calls import Call, EncodedCall
from recserve_client.loadtest.wire.deadlines import Deadlines


def call() -> Call:
    return Call(EncodedCall("/a.B/C", (), 5, b""), intended_s=0.0)


def test_calls_are_due_in_the_order_in_which_they_began() -> None:
    deadlines, first, second = Deadlines(2.0), call(), call()
    deadlines.begin(first, 10.0)
    deadlines.begin(second, 11.0)

    assert deadlines.next_s == 12
    assert deadlines.overdue(11.9) == []
    assert deadlines.overdue(12.0) == [first]
    assert deadlines.overdue(20.0) == [second]
    assert deadlines.next_s == math.inf


def test_a_call_that_ended_is_never_due() -> None:
    deadlines, ended = Deadlines(2.0), call()
    deadlines.begin(ended, 10.0)
    ended.status = "OK"

    assert deadlines.overdue(99.0) == []


def test_a_call_that_waited_has_its_whole_time_once_it_left() -> None:
    deadlines, waited = Deadlines(2.0), call()
    deadlines.begin(waited, 10.0)
    deadlines.begin(waited, 11.5)

    assert deadlines.overdue(12.0) == []
    assert deadlines.overdue(13.5) == [waited]


def test_without_a_timeout_nothing_is_due() -> None:
    deadlines = Deadlines(None)
    deadlines.begin(call(), 10.0)

    assert deadlines.next_s == math.inf
    assert deadlines.overdue(1e9) == []


def test_one_call_without_an_answer_does_not_keep_those_after_it() -> None:
    deadlines, silent = Deadlines(3600.0), call()
    deadlines.begin(silent, 0.0)
    for number in range(50_000):
        ended = call()
        deadlines.begin(ended, 1.0)
        ended.status = "OK"
        if number % 100 == 0:
            assert deadlines.overdue(1.0) == []
            assert len(deadlines) < 20_000

    assert deadlines.overdue(3600.0) == [silent]


def test_a_call_that_is_begun_twice_at_a_time_is_overdue_once() -> None:
    deadlines, waiting = Deadlines(2.0), call()
    deadlines.begin(waiting, 5.0)
    deadlines.begin(waiting, 5.0)

    assert deadlines.overdue(7.0) == [waiting]
