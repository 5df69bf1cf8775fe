"""What each command does: one call (or a few, for a file), then the printed result.

Every command returns in one line what is wrong with the result, or nothing.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from recserve_client._errors import RecommenderError
from recserve_client._models import HealthStatus
from recserve_client._options import RankItemsOptions, RecommendOptions, SimilarItemsOptions
from recserve_client._questions import Diversity, Event
from recserve_client._types import RecordedEvents

from . import as_json, as_text, events_file
from .failures import described

if TYPE_CHECKING:
    from recserve_client._client import RecommenderClient

Command = Callable[["RecommenderClient", Namespace], str]

_EVENTS_PER_CALL: Final = 1000


def _recommend(client: "RecommenderClient", arguments: Namespace) -> str:
    options = _options(arguments, RecommendOptions)
    if arguments.weight is not None or arguments.caps:
        options["diversity"] = Diversity(arguments.weight or 0.0, dict(arguments.caps))
    if len(arguments.user) > 1:
        several = client.recommend_batch(arguments.user, **options)
        print((as_json if arguments.json else as_text).recommendations(several))
        return ""
    one = client.recommend(*arguments.user, **options)
    print((as_json if arguments.json else as_text).recommendation(one))
    return ""


def _similar(client: "RecommenderClient", arguments: Namespace) -> str:
    options = _options(arguments, SimilarItemsOptions)
    found = client.find_similar_items(arguments.item_ids, **options)
    print((as_json if arguments.json else as_text).similar_items(found))
    return ""


def _rank(client: "RecommenderClient", arguments: Namespace) -> str:
    options = _options(arguments, RankItemsOptions)
    ranked = client.rank_items(arguments.item_ids, user_id=arguments.user, **options)
    print((as_json if arguments.json else as_text).ranked_items(ranked))
    return ""


def _events(client: "RecommenderClient", arguments: Namespace) -> str:
    if arguments.file is not None:
        return _events_of_file(client, arguments)
    optional = {} if arguments.event_id is None else {"event_id": arguments.event_id}
    event = Event(
        arguments.user, arguments.item, arguments.type, rating=arguments.rating, **optional
    )
    recorded = client.record_events([event])
    print((as_json if arguments.json else as_text).recorded_events(recorded))
    return ""


def _events_of_file(client: "RecommenderClient", arguments: Namespace) -> str:
    recorded, duplicates, last_line = 0, 0, 0
    failure = ""
    try:
        for batch in events_file.read(arguments.file, _EVENTS_PER_CALL):
            place = f"lines {batch.first_line} to {batch.last_line}: "
            answer = client.record_events(batch.events)
            recorded += answer.recorded_count
            duplicates += answer.duplicate_count
            last_line = batch.last_line
    except RecommenderError as error:
        failure = place + described(error, arguments.target)
    except events_file.EventsFileError as error:
        failure = str(error)
    if failure:
        return failure + (f"; the events up to line {last_line} are recorded" if last_line else "")
    outcome = RecordedEvents(recorded_count=recorded, duplicate_count=duplicates)
    print((as_json if arguments.json else as_text).recorded_events(outcome))
    return ""


def _models(client: "RecommenderClient", arguments: Namespace) -> str:
    print((as_json if arguments.json else as_text).models(client.list_models()))
    return ""


def _health(client: "RecommenderClient", arguments: Namespace) -> str:
    status = client.check_health(arguments.service)
    print((as_json if arguments.json else as_text).health(arguments.service, status))
    if status is HealthStatus.SERVING:
        return ""
    return f"{arguments.target} does not serve {arguments.service or 'calls'}: {status}"


COMMANDS: Final[Mapping[str, Command]] = {
    "recommend": _recommend,
    "similar": _similar,
    "rank": _rank,
    "events": _events,
    "models": _models,
    "health": _health,
}
"""Every command by its name."""


def _options(arguments: Namespace, options: type) -> dict[str, Any]:
    """Takes from the arguments what was given of the options of a call."""
    given = {name: getattr(arguments, name, None) for name in options.__annotations__}
    if given.get("features"):
        given["features"] = dict(arguments.features)
    return {name: value for name, value in given.items() if value}
