import grpc
import pytest

from recserve.v1 import model_service_pb2 as model_pb
from recserve_client import DeadlineExceededError, InvalidRequestError, RecommenderError
from recserve_client._calls import CallGuard, ModelWalk, checked_timeout_s


@pytest.mark.parametrize("timeout_s", [0.001, 1, 86_400])
def test_a_timeout_from_nothing_to_a_day_is_accepted(timeout_s) -> None:
    assert checked_timeout_s(timeout_s) == timeout_s


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 86_401, "2", None])
def test_a_timeout_that_makes_no_deadline_is_refused(timeout_s) -> None:
    with pytest.raises(InvalidRequestError, match="timeout_s"):
        checked_timeout_s(timeout_s)


def test_a_walk_asks_for_page_after_page_until_no_token_comes_back() -> None:
    walk = ModelWalk(1.0)
    tokens = []

    for name, next_token in [("a", "t1"), ("b", "t2"), ("c", "")]:
        tokens.append(walk.next_request().page_token)
        page = [model_pb.Model(name=name)]
        walk.add(model_pb.ListModelsResponse(models=page, next_page_token=next_token))

    assert tokens == ["", "t1", "t2"]
    assert walk.next_request() is None
    assert [model.name for model in walk.models] == ["a", "b", "c"]


def test_the_pages_of_a_walk_share_one_deadline() -> None:
    now_s = [100.0]
    walk = ModelWalk(1.0, clock=lambda: now_s[0])

    now_s[0] = 100.75
    assert walk.remaining_s() == 0.25

    now_s[0] = 101.0
    with pytest.raises(DeadlineExceededError):
        walk.remaining_s()


def test_a_guard_leaves_foreign_exceptions_alone() -> None:
    error = ValueError("not ours")

    with pytest.raises(ValueError, match="not ours") as caught, CallGuard().translated_errors():
        raise error

    assert caught.value is error


@pytest.mark.parametrize("error", [ValueError("channel closed"), grpc.aio.UsageError("closed")])
def test_a_guard_explains_what_closing_during_a_call_did(error) -> None:
    guard = CallGuard()

    def close_during_call() -> None:
        with guard.translated_errors():
            guard.closed = True
            raise error

    with pytest.raises(RecommenderError, match="the client is closed") as caught:
        close_during_call()

    assert caught.value.__cause__ is error
