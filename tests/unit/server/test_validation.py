import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.v1 import model_service_pb2, recommendation_service_pb2
from recserve_server.config import Limits
from recserve_server.errors import InvalidRequest
from recserve_server.query import Query, Schema
from recserve_server.validation.models import (
    decode_page_token,
    encode_page_token,
    parse_get_model,
    parse_list_models,
)
from recserve_server.validation.recommend import parse_recommend

LIMITS = Limits(max_k=500)
NOTHING = Schema()


def violated(**fields: object) -> list[str]:
    request = recommendation_service_pb2.RecommendRequest(**fields)
    try:
        parse_recommend(request, LIMITS, NOTHING)
    except InvalidRequest as error:
        return [violation.field for violation in error.violations]
    return []


@pytest.mark.parametrize(("k", "fields"), [(-1, ["k"]), (0, []), (1, []), (500, []), (501, ["k"])])
def test_k_is_accepted_from_zero_to_the_limit(k: int, fields: list[str]) -> None:
    assert violated(user_id="u", k=k) == fields


@pytest.mark.parametrize(
    ("user_id", "fields"),
    [
        ("", ["user_id"]),
        ("u", []),
        ("ü" * 64, []),
        ("ü" * 64 + "u", ["user_id"]),
        ("u" * 128, []),
        ("u" * 129, ["user_id"]),
        ("a\nb", ["user_id"]),
        ("a\0b", ["user_id"]),
        ("a\x7fb", ["user_id"]),
        ("a\x85b", ["user_id"]),
        ("a b", []),
        ("用户 42 🎬", []),
    ],
)
def test_user_ids_are_short_and_free_of_control_characters(user_id: str, fields: list[str]) -> None:
    assert violated(user_id=user_id) == fields


def test_a_request_without_a_query_is_refused() -> None:
    assert violated(k=3) == ["user_id"]


def test_all_violations_are_told_at_once() -> None:
    assert violated(user_id="", k=-1, model="m" * 129) == ["user_id", "model", "k"]


def test_a_violation_says_what_was_seen_and_what_is_allowed() -> None:
    with pytest.raises(InvalidRequest, match="k is 501, must be from 1 to 500, or 0 for 10"):
        parse_recommend(
            recommendation_service_pb2.RecommendRequest(user_id="u", k=501), LIMITS, NOTHING
        )


def test_k_zero_means_the_default() -> None:
    request = recommendation_service_pb2.RecommendRequest(user_id="u", include_seen=True)

    assert parse_recommend(request, LIMITS, NOTHING) == Query("u", 10, include_seen=True)


def test_a_cap_below_the_default_k_caps_the_default_too() -> None:
    request = recommendation_service_pb2.RecommendRequest(user_id="u")

    assert parse_recommend(request, Limits(max_k=5), NOTHING).k == 5


@given(name=st.text(min_size=1, max_size=40), version=st.integers(1, 2**63 - 1))
def test_a_page_token_brings_back_what_it_was_made_of(name: str, version: int) -> None:
    assert decode_page_token(encode_page_token(name, version)) == (name, version)


@given(st.text(max_size=30))
def test_any_other_page_token_is_refused_or_read_never_a_crash(token: str) -> None:
    try:
        name, version = decode_page_token(token)
    except ValueError:
        return
    assert name
    assert version >= 0


@pytest.mark.parametrize(("asked", "given_size"), [(0, 50), (1, 1), (1000, 1000), (5000, 1000)])
def test_page_sizes_are_coerced_to_the_largest(asked: int, given_size: int) -> None:
    request = model_service_pb2.ListModelsRequest(page_size=asked)

    assert parse_list_models(request) == (given_size, None)


@pytest.mark.parametrize("fields", [{"page_size": -1}, {"page_token": "?"}, {"page_token": "YQ=="}])
def test_wrong_pages_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        parse_list_models(model_service_pb2.ListModelsRequest(**fields))


@pytest.mark.parametrize("fields", [{"name": "a\nb"}, {"version": -1}])
def test_wrong_model_names_and_versions_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        parse_get_model(model_service_pb2.GetModelRequest(**fields), LIMITS)
