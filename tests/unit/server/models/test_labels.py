"""Labels: what may be written down, how it is kept, and whose canary it is."""

import json
import stat
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_server.models.labels import Labels, is_canary_user, read_labels, write_labels

NAMES = st.text(max_size=20)
PERCENT = st.floats(0, 100)
VERSION = st.integers(1, 10**6)


@given(user=NAMES, version=VERSION, shares=st.tuples(PERCENT, PERCENT))
def test_whoever_gets_a_canary_gets_it_at_any_larger_share(
    user: str, version: int, shares: tuple[float, float]
) -> None:
    smaller, larger = sorted(shares)

    if is_canary_user("films", version, user, smaller):
        assert is_canary_user("films", version, user, larger)


@given(user=NAMES, version=VERSION)
def test_a_share_of_nothing_is_nobody_and_of_all_is_everybody(user: str, version: int) -> None:
    assert not is_canary_user("films", version, user, 0.0)
    assert is_canary_user("films", version, user, 100.0)


def test_a_share_of_nothing_is_nobody_of_very_many() -> None:
    # About six of them are the first to come once there is a share at all.
    assert not any(is_canary_user("films", 3, f"u{user}", 0.0) for user in range(60_000))


@pytest.mark.parametrize("percent", [0.5, 5.0, 10.0, 50.0, 95.0])
def test_a_share_is_kept_among_many_users(percent: float) -> None:
    users, share = 20_000, percent / 100

    found = sum(is_canary_user("films", 3, f"u{user}", percent) for user in range(users))

    # Six standard deviations of a binomial: the users are fixed, so it holds for good.
    assert abs(found - users * share) < 6 * (users * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("other", [("films", 4), ("books", 3)])
def test_each_version_and_model_has_users_of_its_own(other: tuple[str, int]) -> None:
    users = [f"u{user}" for user in range(4000)]

    first = {user for user in users if is_canary_user("films", 3, user, 20)}
    second = {user for user in users if is_canary_user(*other, user, 20)}

    # A fifth of a fifth, 160, if the two know nothing of each other.
    assert 80 < len(first & second) < 260


def test_users_stay_who_they_were_in_the_release_before() -> None:
    users = [user for user in range(200) if is_canary_user("films", 3, f"u{user}", 10)]

    assert users[:5] == [3, 4, 14, 17, 38]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"stable": -1}, "stable is -1"),
        ({"stable": True}, "stable is True"),
        ({"stable": "1"}, "stable is '1'"),
        ({"stable": 1.0}, "stable is 1.0"),
        ({"stable": 1, "previous": -2}, "previous is -2"),
        ({"canary": 2}, "canary needs a stable version"),
        ({"stable": 1, "canary": 2, "canary_percent": 100.1}, "canary_percent is 100.1"),
        ({"stable": 1, "canary": 2, "canary_percent": -1}, "canary_percent is -1"),
        ({"stable": 1, "canary": 2, "canary_percent": True}, "canary_percent is True"),
        ({"stable": 1, "canary": 2, "canary_percent": float("nan")}, "canary_percent is nan"),
        ({"stable": 1, "canary": 2, "canary_percent": None}, "canary_percent is None"),
    ],
)
def test_labels_that_mean_nothing_are_refused_by_name(
    tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"films": fields}))

    with pytest.raises(ValueError, match=rf"labels.json: model 'films': {reason}"):
        read_labels(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("\xff", "holds no object|cannot be read"),
        ("[]", "holds no object of models"),
        ("null", "holds no object of models"),
        ('{"films": 3}', "model 'films' has 3, may have canary"),
        ('{"films": {"stabel": 3}}', "model 'films' has"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_labels_file_that_is_none_says_so_in_one_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(ValueError, match=reason) as caught:
        read_labels(path)

    assert "\n" not in str(caught.value)


def test_no_file_means_no_labels(tmp_path: Path) -> None:
    assert read_labels(tmp_path / "none.json") == {}


@settings(deadline=None, max_examples=30)  # it writes to a disk
@given(
    written=st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.builds(Labels, stable=VERSION, canary=VERSION, canary_percent=PERCENT, previous=VERSION),
        max_size=4,
    )
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, Labels]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.json"

    write_labels(path, written)

    assert read_labels(path) == written


def test_a_model_without_labels_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"

    write_labels(path, {"films": Labels(), "books": Labels(stable=2)})

    assert json.loads(path.read_text()) == {"books": asdict(Labels(stable=2))}


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.mkdir()
    (path / "in-the-way").write_text("")

    with pytest.raises(IsADirectoryError):
        write_labels(path, {"films": Labels(stable=1)})

    assert [each.name for each in tmp_path.iterdir()] == ["labels.json"]


def test_the_file_is_replaced_and_never_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    write_labels(path, {"films": Labels(stable=1)})
    with path.open() as reader:
        write_labels(path, {"films": Labels(stable=2)})

        assert json.load(reader)["films"]["stable"] == 1
    assert stat.S_ISREG(path.stat().st_mode)
    assert read_labels(path)["films"].stable == 2
