"""Which index `auto` comes to, and what is said where ScaNN cannot be imported."""

import sys

import pytest

from recserve_trainer import index_choice
from recserve_trainer.errors import IndexUnavailableError
from recserve_trainer.index_choice import EXACT_ITEMS, choose_index, scann_library


def unavailable() -> None:
    raise IndexUnavailableError("no scann")


@pytest.mark.parametrize(
    ("item_count", "available", "kind", "reason"),
    [
        (1682, True, "exact", "as up to 100,000 items"),
        (EXACT_ITEMS, True, "exact", "as up to 100,000 items"),
        (EXACT_ITEMS + 1, True, "scann", "as above 100,000 items"),
        (EXACT_ITEMS + 1, False, "exact", "though more than 100,000 items: no scann"),
        (1682, False, "exact", "as up to 100,000 items"),
    ],
)
def test_auto_goes_by_the_size_of_the_catalogue_and_says_why(
    monkeypatch: pytest.MonkeyPatch, item_count: int, available: bool, kind: str, reason: str
) -> None:
    monkeypatch.setattr(
        index_choice, "scann_library", (lambda: index_choice) if available else unavailable
    )

    choice = choose_index("auto", item_count)

    assert (choice.kind, choice.reason) == (kind, reason)


@pytest.mark.parametrize("kind", ["exact", "scann"])
@pytest.mark.parametrize("item_count", [1, 10**7])
def test_a_kind_that_was_asked_for_is_taken_whatever_the_size(kind: str, item_count: int) -> None:
    assert choose_index(kind, item_count).kind == kind


def test_a_library_that_is_not_installed_is_told_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scann", None)

    with pytest.raises(IndexUnavailableError, match=r"import of scann halted.*pip install") as told:
        scann_library()

    assert "\n" not in str(told.value)


class NotFoundError(Exception):
    """As TensorFlow raises it for a library that was built for another of its versions."""


def test_a_library_that_does_not_fit_tensorflow_is_told_likewise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise NotFoundError("_scann_ops.so: undefined symbol: absl\nand more")

    monkeypatch.setattr(index_choice.importlib, "import_module", fail)

    with pytest.raises(IndexUnavailableError, match=r"undefined symbol: absl\); install") as told:
        scann_library()

    assert "\n" not in str(told.value)
