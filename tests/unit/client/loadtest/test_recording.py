import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.loadtest.files import FileError
from recserve_client.loadtest.traffic.recording import Recording, read_recording

SERVICE = "/recserve.v1.RecommendationService/"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def read(file: Path, *lines: object) -> Recording:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return read_recording(file)


def test_calls_are_read_in_order(file: Path) -> None:
    found = read(
        file,
        {"request": {"user_id": "42", "k": 5}},
        {"method": "RankItems", "request": {"userId": "7", "itemIds": ["50"]}},
        {"method": "FindSimilarItems", "request": {"item_ids": ["50"]}},
        {"method": "BatchRecommend", "request": {"requests": [{"user_id": "é"}]}},
    )
    names = ["Recommend", "RankItems", "FindSimilarItems", "BatchRecommend"]
    assert [each.method for each in found.questions] == [SERVICE + name for name in names]
    assert pb.RecommendRequest.FromString(found.questions[0].message) == pb.RecommendRequest(
        user_id="42", k=5
    )
    assert found.times_s == ()


def test_times_count_from_the_first(file: Path) -> None:
    found = read(file, *({"at_s": at_s, "request": {}} for at_s in (-2, -1.5, -1.5, 3)))
    assert found.times_s == (0, 0.5, 0.5, 5)


def test_empty_lines_are_passed_over_and_counted(file: Path) -> None:
    file.write_text('\n{"request": {}}\n\n{"request": 3}\n')
    with pytest.raises(FileError, match=rf"^{file}, line 4 has no object `request`$"):
        read_recording(file)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ([], "has no object `request`"),
        ({"method": "Recommend"}, "has no object `request`"),
        ({"request": {}, "time": 1}, "has 'time', allowed are at_s, method, request"),
        ({"request": {}, "method": "GetModel"}, "has method 'GetModel', allowed are Recommend, "),
        ({"request": {}, "method": 3}, "has method 3, allowed are"),
        ({"request": {"bogus": 1}}, "is no Recommend: "),
        ({"request": {"k": "five"}}, "is no Recommend: "),
        ({"request": {"user_id": "\ud800"}}, "is no Recommend: "),
        ({"request": {"view": float("inf")}}, "is no Recommend: "),
        ({"request": {}, "at_s": "1"}, "has at_s '1', must be a number in all lines or in none"),
        ({"request": {}, "at_s": True}, "has at_s True, must be a number"),
        ({"request": {}, "at_s": None}, "has at_s None, must be a number"),
        ({"request": {}}, "has at_s None, must be a number in all lines or in none"),
        ({"request": {}, "at_s": float("nan")}, "has at_s nan, must be finite"),
        ({"request": {}, "at_s": float("inf")}, "has at_s inf, must be finite"),
        ({"request": {}, "at_s": 0.9}, "has at_s 0.9, must not be before the line above it"),
    ],
)
def test_a_line_that_is_no_call_is_told(file: Path, line: object, told: str) -> None:
    with pytest.raises(FileError) as raised:
        read(file, {"request": {}, "at_s": 1}, line)
    assert str(raised.value).startswith(f"{file}, line 2 {told}")
    assert "\n" not in str(raised.value)


def test_a_time_after_calls_without_one_is_told(file: Path) -> None:
    with pytest.raises(FileError, match=r"line 2 has at_s 1, must be a number in all lines"):
        read(file, {"request": {}}, {"request": {}, "at_s": 1})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has no calls"),
        (b"\n\n", "has no calls"),
        (b"{\n", ", line 1 is no JSON: "),
        (b"\xff\n", "is not UTF-8: "),
    ],
)
def test_a_file_that_is_no_recording_is_told(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    with pytest.raises(FileError, match=rf"^{file} ?{told}"):
        read_recording(file)


def test_a_recording_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(FileError, match=rf"^cannot read {file}: No such file or directory$"):
        read_recording(file)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["userId", "k", "history", "features", "filters", "view", "item_id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({"request": JSON}, optional={"at_s": JSON, "method": JSON}))
def test_whatever_a_line_holds_it_is_a_call_or_told(file: Path, line: dict[str, object]) -> None:
    try:
        assert len(read(file, line).questions) == 1
    except FileError as error:
        told = str(error)
    else:
        return
    assert told.startswith(f"{file}, line 1 ")
