"""What a call of recserve.v1 asked and was told, in few words: counts and names, nobody's ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.calls.call import Call, Ended

_OURS: Final = "/recserve.v1."
_Asked: TypeAlias = pb.RecommendRequest | pb.FindSimilarItemsRequest | pb.RankItemsRequest
_Told: TypeAlias = pb.RecommendResponse | pb.FindSimilarItemsResponse | pb.RankItemsResponse
_RESPONSES: Final[dict[type[object], type[_Told] | type[pb.BatchRecommendResponse]]] = {
    pb.RecommendRequest: pb.RecommendResponse,
    pb.BatchRecommendRequest: pb.BatchRecommendResponse,
    pb.FindSimilarItemsRequest: pb.FindSimilarItemsResponse,
    pb.RankItemsRequest: pb.RankItemsResponse,
}


def is_ours(method: str) -> bool:
    """Whether a method, `/package.Service/Method`, is of recserve.v1; health checks are not."""
    return method.startswith(_OURS)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The questions of a call and their answers; a BatchRecommend has several."""

    asked: Sequence[_Asked] = ()
    answers: Sequence[_Told] = ()
    """Beside `asked`; none if the call failed."""
    event_count: int = 0

    @classmethod
    def of(cls, call: Call, ended: Ended) -> "Exchange":
        """Reads a call that has ended, encoded responses included."""
        if isinstance(ended.request, feedback_pb.RecordEventsRequest):
            return cls(event_count=len(ended.request.events))
        response_type = _RESPONSES.get(type(ended.request))
        if response_type is None:
            return cls()
        response = ended.response
        if isinstance(response, bytes):
            response = response_type.FromString(response)
        return cls(_questions(ended.request), _answers(response))

    @property
    def model(self) -> tuple[str, int] | None:
        """Name and version of the model that answered; None if none did."""
        first = next(iter(self.answers), None)
        return None if first is None else (first.model_name, first.model_version)

    @property
    def k(self) -> int | None:
        """Items asked for per question, the most of them; 0 stands for the server's default."""
        asked = (each for each in self.asked if not isinstance(each, pb.RankItemsRequest))
        return max((each.k for each in asked), default=None)

    @property
    def item_count(self) -> int:
        """Items in the answers."""
        return sum(len(each.items) for each in self.answers)

    def asked_count(self, field: str) -> int:
        """Returns how many entries the questions have in a repeated field."""
        return sum(len(getattr(each, field, ())) for each in self.asked)

    def sources(self) -> list[str]:
        """Returns what the answers were made from, each once; similar items have none."""
        return _names(pb.RecommendationSource.Name(each.source) for each in self._rankings())

    def fallbacks(self) -> list[str]:
        """Returns why answers are not personal, each reason once."""
        reasons = (each.fallback_reason for each in self._rankings())
        return _names(pb.FallbackReason.Name(reason) for reason in reasons if reason)

    def _rankings(self) -> Iterator[pb.RecommendResponse | pb.RankItemsResponse]:
        for each in self.answers:
            if not isinstance(each, pb.FindSimilarItemsResponse):
                yield each


def _questions(request: object) -> Sequence[_Asked]:
    if isinstance(request, pb.BatchRecommendRequest):
        return list(request.requests)
    return [request] if isinstance(request, _Asked) else []


def _answers(response: object) -> Sequence[_Told]:
    if isinstance(response, pb.BatchRecommendResponse):
        return list(response.responses)
    return [response] if isinstance(response, _Told) else []


def _names(names: Iterable[str]) -> list[str]:
    # RECOMMENDATION_SOURCE_USER_ID -> user_id, as metrics have it.
    prefixes = ("RECOMMENDATION_SOURCE_", "FALLBACK_REASON_")
    found = dict.fromkeys(names)
    return [name.removeprefix(prefixes[0]).removeprefix(prefixes[1]).lower() for name in found]
