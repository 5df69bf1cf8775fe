import numpy as np

from recserve_trainer.learning.side_information import side_information
from recserve_trainer.tables import Column, ItemTable, category_column, number_column

ITEMS = 5


def table(**columns: Column) -> ItemTable:
    ids = [str(row) for row in range(ITEMS)]
    return ItemTable(ids, ids, columns)


def test_attributes_become_ones_that_like_items_share() -> None:
    items = table(
        price=number_column([1.0, 2.0, None, 1e9, 2.0]),
        genres=category_column([["a"], ["a", "b"], [], ["b"], ["only here"]]),
    )

    side = side_information(items, np.arange(ITEMS, dtype=np.int32))

    shared = side @ side.T
    assert set(np.unique(side)) == {0, 1}
    assert shared[0, 1] == 1  # a genre, and another price
    assert shared[1, 4] == 1  # a price
    assert shared[0, 3] == 0
    assert (side[2] == 0).all()


def test_numbers_are_cut_so_that_items_spread_evenly() -> None:
    count = 140
    ids = [str(row) for row in range(count)]
    years = number_column([float(2 ** (row / 4)) for row in range(count)])

    side = side_information(ItemTable(ids, ids, {"year": years}), np.arange(count, dtype=np.int32))

    assert side.sum(axis=0).tolist() == [10] * 14


def test_attributes_that_are_not_there_have_no_columns() -> None:
    nothing = number_column([None, float("nan"), None, None, float("inf")])

    assert side_information(table(), np.arange(3, dtype=np.int32)).shape == (ITEMS, 0)
    assert side_information(table(x=nothing), np.arange(3, dtype=np.int32)).shape == (ITEMS, 0)
