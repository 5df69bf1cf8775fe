import dataclasses

import pytest

from recserve_client.testing import SAMPLE_ITEMS, SAMPLE_USERS, FakeServer, Item


def test_an_item_is_made_of_numbers_and_texts() -> None:
    item = Item("50", "Star Wars", year=1977, genres=["Sci-Fi", "War"], studio="Fox", awards=())

    assert item.attributes == {
        "year": 1977.0,
        "genres": ("Sci-Fi", "War"),
        "studio": ("Fox",),
    }
    assert eval(repr(item)) == item
    assert hash(item) == hash(Item("50", "Star Wars"))


def test_an_item_cannot_be_changed() -> None:
    item = Item("50", year=1977)

    with pytest.raises(dataclasses.FrozenInstanceError):
        item.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        item.attributes["year"] = 1.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "attributes", "told"),
    [
        (("",), {}, "item_id is '', which is empty"),
        (("x" * 129,), {}, "has 129 bytes, must have at most 128"),
        (("a\nb",), {}, "the control character U\\+000A at position 1"),
        ((50,), {}, "item_id is 50, which is no str"),
        (("50", 1977), {}, "title of item '50' is 1977, must be a str"),
        (("50",), {"year": float("nan")}, "year of item '50' is nan, must be a finite number"),
        (("50",), {"genres": ["War", 3]}, "genres of item '50' is"),
        (("50",), {"year": None}, "year of item '50' is None"),
    ],
)
def test_an_item_that_cannot_be_is_refused(arguments, attributes, told) -> None:
    with pytest.raises(ValueError, match=told):
        Item(*arguments, **attributes)


@pytest.mark.parametrize(
    ("items", "users", "told"),
    [
        ([Item("1"), Item("1")], {}, "items has the id '1' twice"),
        ([Item("1"), "2"], {}, "items has '2', must have nothing but Item"),
        ([Item("1", year=1), Item("2", year="1")], {}, "year of item '2' is .* the same kind"),
        ([Item("1")], {"ann": ["2"]}, r"users\['ann'\] names item '2', which is not"),
        ([Item("1")], {"ann": "1"}, r"users\['ann'\] is '1', must be a sequence"),
        ([Item("1")], {"": []}, "user id is '', which is empty"),
    ],
)
def test_a_catalogue_that_cannot_be_is_refused(items, users, told) -> None:
    with pytest.raises(ValueError, match=told):
        FakeServer(items, users)


def test_given_items_come_without_sample_users() -> None:
    assert "1 items, 0 users" in repr(FakeServer([Item("1")]))


def test_users_may_be_given_for_the_sample_items() -> None:
    assert "20 items, 1 users" in repr(FakeServer(users={"ann": [SAMPLE_ITEMS[0].item_id]}))


def test_the_samples_are_sound() -> None:
    assert repr(FakeServer()).endswith(f"20 items, {len(SAMPLE_USERS)} users>")
