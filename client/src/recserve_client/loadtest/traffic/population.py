"""Who may ask and for what, as far as the server and files tell."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from recserve_client._client import RecommenderClient
from recserve_client._errors import InvalidRequestError
from recserve_client._models import ModelVersion
from recserve_client.loadtest.files import FileError, reading
from recserve_client.loadtest.result import ServerSeen

from .drawing import Population

_PROBED: Final = 10
_MOST_ITEMS: Final = 500


class Found(NamedTuple):
    """What was learnt before the test."""

    server: ServerSeen
    """The server, as it tells of itself."""
    population: Population
    """Who may ask, and for what."""
    warnings: tuple[str, ...]
    """What is doubtful."""


def read_ids(path: Path) -> list[str]:
    """Reads a file with an id on each line.

    Raises:
        FileError: it cannot be read, or is empty.
    """
    with reading(path):
        # Spreadsheets write a mark of UTF-8 first, which would be part of the first id.
        ids = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line]
    if not ids:
        raise FileError(f"{path} has no ids")
    return ids


def explore(
    client: RecommenderClient,
    target: str,
    user_ids: Sequence[str] | None,
    item_ids: Sequence[str] | None,
    seed: int,
) -> Found:
    """Asks the server what it serves, and some questions of the kind that will follow.

    Args:
        client: Connected to the server.
        target: The server's name in reports.
        user_ids: Known users; None means "1" to as many as the model has.
        item_ids: Items for histories and exclusions; None means the most popular ones.
        seed: Draws the users that are asked for.

    Raises:
        RecommenderError: the server does not answer.
    """
    model = client.get_model()
    warnings: list[str] = []
    if user_ids is None:
        user_ids = range_of_ids(model.user_count)
        warnings += _doubts(client, user_ids, seed)
    if item_ids is None:
        item_ids = _popular_items(client, model)
    return Found(_seen(target, model), Population(user_ids, item_ids), tuple(warnings))


def range_of_ids(count: int) -> list[str]:
    """Returns "1" to `count`, as MovieLens and many others name their users."""
    return [str(number) for number in range(1, count + 1)]


def _doubts(client: RecommenderClient, user_ids: Sequence[str], seed: int) -> list[str]:
    some = random.Random(seed).sample(user_ids, min(_PROBED, len(user_ids)))
    unknown = [user_id for user_id in some if not client.recommend(user_id, k=1).is_personal]
    if not unknown:
        return []
    return [
        f"{len(unknown)} of {len(some)} users between 1 and {len(user_ids)} are not known to the "
        "model; give the ids of its users by --users FILE"
    ]


def _popular_items(client: RecommenderClient, model: ModelVersion) -> list[str]:
    k = max(1, min(model.max_k or _MOST_ITEMS, model.item_count, _MOST_ITEMS))
    nobody = f"load-test-{random.getrandbits(32):08x}"
    try:
        return [item.item_id for item in client.recommend(nobody, k=k)]
    except InvalidRequestError:
        return [item.item_id for item in client.recommend(nobody)]


def _seen(target: str, model: ModelVersion) -> ServerSeen:
    return ServerSeen(
        target=target,
        model_name=model.name,
        model_version=model.version,
        kind=model.kind,
        index=model.index,
        user_count=model.user_count,
        item_count=model.item_count,
    )
