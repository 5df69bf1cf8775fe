import inspect

import pytest

from recserve_client import testing


def public_names() -> set[str]:
    return {
        name
        for name, value in vars(testing).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_public_names_are_listed() -> None:
    assert set(testing.__all__) == public_names()
    assert len(testing.__all__) == len(public_names())


@pytest.mark.parametrize("name", sorted(public_names() - {"SAMPLE_ITEMS", "SAMPLE_USERS"}))
def test_every_public_name_and_member_has_a_docstring(name) -> None:
    public = getattr(testing, name)

    assert inspect.getdoc(public)
    for member, value in vars(public).items():
        if not member.startswith("_") and (
            inspect.isfunction(value) or isinstance(value, property)
        ):
            assert inspect.getdoc(value), member
