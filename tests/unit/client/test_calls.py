import grpc
import pytest

from recserve.v1 import model_service_pb2 as model_pb
from recserve_client import DeadlineExceededError, InvalidRequestError, RecommenderError
from recserve_client._calls import (
    CallGuard,
    ModelWalk,
    batch_recommend_request,
    checked_timeout_s,
    recommend_request,
)


def request(**changes):
    arguments = {"user_id": "42", "k": 10, "model": "", "include_seen": False} | changes
    return recommend_request(arguments.pop("user_id"), **arguments)


def test_a_request_carries_the_arguments() -> None:
    built = request(k=3, model="films", include_seen=True)

    assert (built.user_id, built.k, built.model, built.include_seen) == ("42", 3, "films", True)


def test_an_empty_user_is_sent_for_the_server_to_judge() -> None:
    assert request(user_id="").WhichOneof("query") == "user_id"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", 42),
        ("user_id", None),
        ("user_id", "\ud800"),
        ("k", "10"),
        ("k", 2**31),
        ("k", 1.5),
        ("model", 7),
        ("include_seen", "no"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_by_name(field, value) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{field}: is .*, must be a") as caught:
        request(**{field: value})

    assert [violation.field for violation in caught.value.violations] == [field]


def batch(user_ids, **changes):
    return batch_recommend_request(
        user_ids, **({"k": 10, "model": "", "include_seen": False} | changes)
    )


def test_a_batch_asks_for_each_user_what_would_be_asked_for_one() -> None:
    options = {"k": 3, "model": "films", "include_seen": True}

    built = batch(["42", "7", "42"], **options)

    assert list(built.requests) == [request(user_id=user, **options) for user in ("42", "7", "42")]


@pytest.mark.parametrize("users", [0, 257])
def test_how_many_users_a_batch_may_have_is_left_to_the_server(users) -> None:
    assert len(batch(["42"] * users).requests) == users


def test_users_that_can_be_read_only_once_are_read_once() -> None:
    assert [each.user_id for each in batch(iter(["42", "7"])).requests] == ["42", "7"]


@pytest.mark.parametrize(
    ("users", "changes", "place"),
    [
        (["42", "7", 42], {}, "requests[2].user_id"),
        (["42"], {"k": "10"}, "requests[0].k"),
        ("42", {}, "user_ids"),
        (None, {}, "user_ids"),
    ],
)
def test_a_batch_that_cannot_be_sent_is_refused_by_place(users, changes, place) -> None:
    with pytest.raises(InvalidRequestError, match=r"is .*, must be a") as caught:
        batch(users, **changes)

    (violation,) = caught.value.violations
    assert violation.field == place
    assert str(caught.value) == f"{place}: {violation.description}"


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
