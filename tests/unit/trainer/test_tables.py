import pyarrow as pa
import pytest

from recserve_trainer.tables import (
    Column,
    ItemTable,
    UserTable,
    category_column,
    number_column,
)


@pytest.mark.parametrize(
    "name", ["item_id", "title", "train_count", "user_id", "history", "history_rating"]
)
def test_an_attribute_cannot_take_the_name_of_a_column_of_the_artifact(name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
        ItemTable(["1"], ["One"], {name: number_column([1])})
    with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
        UserTable(["1"], {name: number_column([1])})


def test_columns_are_as_long_as_the_ids() -> None:
    with pytest.raises(ValueError, match="column 'age' has 2 rows for 1 ids"):
        UserTable(["1"], {"age": number_column([1, 2])})
    with pytest.raises(ValueError, match="1 titles for 2 items"):
        ItemTable(["1", "2"], ["One"])


def test_columns_keep_what_is_not_known_apart_from_what_is_empty() -> None:
    assert number_column([1, None]).values.to_pylist() == [1, None]
    assert category_column(["a", None]).values.to_pylist() == ["a", None]
    several = category_column([["a", "b"], []])
    assert several == Column("category", several.values)
    assert several.values.type == pa.list_(pa.string())
    assert several.values.to_pylist() == [["a", "b"], []]
