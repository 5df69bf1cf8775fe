from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering.row_index import RowDictionary, RowIndex, row_index

IDS = st.lists(st.text(max_size=4), unique=True, max_size=20)


@given(IDS, st.lists(st.text(max_size=4), max_size=20), st.sampled_from([hash, len, lambda _: 7]))
def test_rows_are_those_of_a_dictionary_even_if_hashes_are_equal(
    ids: list[str], asked: list[str], hash_of: object
) -> None:
    row_of = {item_id: row for row, item_id in enumerate(ids)}

    rows = RowIndex(ids, hash_of=hash_of).rows([*ids, *asked])

    assert rows.tolist() == [row_of.get(item_id, -1) for item_id in [*ids, *asked]]


@given(IDS, st.lists(st.text(max_size=4), max_size=20))
def test_a_small_table_has_a_dictionary_that_says_the_same(
    ids: list[str], asked: list[str]
) -> None:
    index = row_index(ids)

    assert isinstance(index, RowDictionary)
    assert index.rows([*ids, *asked]).tolist() == RowIndex(ids).rows([*ids, *asked]).tolist()
