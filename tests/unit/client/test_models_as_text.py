"""The table that `recserve models` prints."""

from datetime import UTC, datetime

from recserve_client import ModelState, ModelVersion
from recserve_client._cli import as_text


def model(**changes) -> ModelVersion:
    fields = {
        "name": "films",
        "version": 3,
        "state": ModelState.SERVING,
        "state_message": "",
        "kind": "collaborative",
        "index": "exact",
        "user_count": 943,
        "item_count": 1682,
        "embedding_dimension": 32,
        "dataset": "ml-100k",
        "test_metrics": {"recall@10": 0.25},
        "create_time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "load_time": None,
        "max_k": 500,
    }
    return ModelVersion(**(fields | changes))


def test_models_are_a_table_and_a_refused_one_tells_why() -> None:
    refused = model(
        version=12, state=ModelState.REFUSED, state_message="bad index", create_time=None
    )

    assert as_text.models([model(), refused]).splitlines() == [
        "NAME   VERSION  STATE    KIND           INDEX  USERS  ITEMS  CREATED            NOTE",
        "films        3  serving  collaborative  exact    943   1682  2026-01-02 03:04Z",
        "films       12  refused  collaborative  exact    943   1682                     bad index",
    ]  # fmt: skip


def test_labels_and_golden_queries_get_columns_if_the_server_tells_of_them() -> None:
    new = model(version=12, labels=("canary",), canary_percent=2.5, golden_overlap=1.0)
    old = model(labels=("stable",), golden_overlap=0.9984)

    assert [line[16:] for line in as_text.models([new, old, model(version=2)]).splitlines()] == [
        "STATE    LABELS       KIND           INDEX  USERS  ITEMS  CREATED            GOLDEN  NOTE",
        "serving  canary 2.5%  collaborative  exact    943   1682  2026-01-02 03:04Z   1.000",
        "serving  stable       collaborative  exact    943   1682  2026-01-02 03:04Z   0.998",
        "serving               collaborative  exact    943   1682  2026-01-02 03:04Z",
    ]  # fmt: skip


def test_no_models_are_said_to_be_none() -> None:
    assert as_text.models([]) == "the server has no models"
