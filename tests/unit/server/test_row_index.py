from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering.row_index import RowIndex

IDS = st.lists(st.text(max_size=4), unique=True, max_size=20)


@given(IDS, st.lists(st.text(max_size=4), max_size=20), st.sampled_from([hash, len, lambda _: 7]))
def test_rows_are_those_of_a_dictionary_even_if_hashes_are_equal(
    ids: list[str], asked: list[str], hash_of: object
) -> None:
    row_of = {item_id: row for row, item_id in enumerate(ids)}

    rows = RowIndex(ids, hash_of=hash_of).rows([*ids, *asked])

    assert rows.tolist() == [row_of.get(item_id, -1) for item_id in [*ids, *asked]]
