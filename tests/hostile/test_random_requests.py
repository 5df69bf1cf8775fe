"""Any bytes, sent to any method: a status that the contract names, and no harm to others."""

import os
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hostile_world import best
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from raw_http2 import QUESTION, RECOMMEND
from refusals import check_refusal
from server_process import ServerProcess
from wire_messages import grouped, messages, mutated, nested

from recserve.v1 import (
    feedback_service_pb2,
    model_service_pb2,
    recommendation_service_pb2,
)

pytestmark = [
    pytest.mark.usefixtures("unharmed"),
    # Of what failed; it would hide why.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]
EXAMPLES = int(os.environ.get("RECSERVE_EXAMPLES", "60"))
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (recommendation_service_pb2, feedback_service_pb2, model_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
Call = tuple[str, bytes]


@pytest.fixture(scope="module")
def channel(attacked: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(attacked.address) as connected:
        yield connected


def calls_of(path: str, method: MethodDescriptor) -> st.SearchStrategy[Call]:
    encoded = messages(method.input_type)
    return st.tuples(st.just(path), st.one_of(*[encoded] * 5, mutated(encoded)))


CALLS = st.one_of([calls_of(path, method) for path, method in METHODS.items()])


def outcome(channel: grpc.Channel, call: Call) -> grpc.Future:
    path, encoded = call
    return channel.unary_unary(path).future(encoded, timeout=20)


def check(answered: grpc.Future, path: str) -> None:
    """Checks that a call has been answered, or refused as the contract says."""
    error = answered.exception()
    if error is None:
        METHODS[path].output_type._concrete_class.FromString(answered.result())
    else:
        check_refusal(answered)


def check_random_calls(channel: grpc.Channel, examples: int, *phases: Phase) -> None:
    @settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(CALLS, min_size=1, max_size=12))
    def ask(calls: list[Call]) -> None:
        hostile = [outcome(channel, call) for call in calls]
        good = [outcome(channel, (RECOMMEND, QUESTION)) for _ in range(3)]
        for (path, _), answered in zip(calls, hostile, strict=True):
            check(answered, path)
        for answered in good:
            response = recommendation_service_pb2.RecommendResponse.FromString(answered.result())
            assert [item.item_id for item in response.items] == best(0, 3)

    ask()


def test_any_requests_are_answered_or_refused_and_spare_their_batch_mates(
    channel: grpc.Channel,
) -> None:
    check_random_calls(channel, EXAMPLES, Phase.generate)  # to shrink may take minutes


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_more_requests_are_answered_or_refused(channel: grpc.Channel) -> None:
    check_random_calls(channel, 2000, Phase.generate, Phase.shrink)


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("depth", [10, 90, 110, 10_000])
def test_no_depth_of_nesting_is_a_defect(channel: grpc.Channel, path: str, depth: int) -> None:
    for number in (1, 2, 10, 1000):
        for encoded in (nested(number, depth), grouped(number, depth)):
            check(outcome(channel, (path, encoded)), path)


@pytest.mark.parametrize("path", METHODS)
def test_nothing_and_too_much_are_refused_or_answered(channel: grpc.Channel, path: str) -> None:
    check(outcome(channel, (path, b"")), path)
    check(outcome(channel, (path, b"\x0a\x00" * 100_000)), path)  # field 1, empty, again and again
