"""What is asked of the servers, and whether they answer it rightly."""

import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pyarrow as pa
from h2load import Question

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import Recommendation, RecommenderClient

_SERVICE = "/recserve.v1.RecommendationService"
BATCH_USERS = 256
K = 10
_TIMEOUT_S = 60.0


class WrongAnswerError(Exception):
    """A server answered, but not as it should; its numbers mean nothing."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The calls of every scenario, with their requests on disk."""

    version: Path
    """MODELS/NAME/VERSION that was asked."""
    user_id: str
    """Who `recommend` is about: the user with a history of the median length."""
    batch_user_ids: tuple[str, ...]
    """Who `batch` is about: drawn over the whole user table."""
    recommend: Question
    batch: Question
    answer: Path
    """File: the message that answers `recommend`, for the floor to send."""
    item_ids: tuple[str, ...]
    """The items of that answer."""


def prepare(target: str, models: Path, folder: Path, seed: int) -> Questions:
    """Chooses users, writes the requests into `folder` and keeps one answer of recserve's.

    Raises:
        WrongAnswerError: recserve does not answer as its model and tables say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with RecommenderClient(target, timeout_s=_TIMEOUT_S) as client:
        model = client.get_model()
        version = models / model.name / str(model.version)
        user_ids, median_user, seen = _users(version)
        reference = client.recommend(median_user, k=K)
    _check_plausible(reference, seen)
    draw = random.Random(seed)
    some = draw.sample(user_ids, min(BATCH_USERS, len(user_ids)))
    some += draw.choices(user_ids, k=BATCH_USERS - len(some))
    single = pb.RecommendRequest(user_id=median_user, k=K)
    batch = pb.BatchRecommendRequest(
        requests=[pb.RecommendRequest(user_id=user_id, k=K) for user_id in some]
    )
    questions = Questions(
        version=version,
        user_id=median_user,
        batch_user_ids=tuple(some),
        recommend=_question(folder / "recommend.request", "Recommend", single.SerializeToString()),
        batch=_question(folder / "batch.request", "BatchRecommend", batch.SerializeToString()),
        answer=folder / "recommend.answer",
        item_ids=tuple(item.item_id for item in reference),
    )
    questions.answer.write_bytes(_raw_answer(target, single.SerializeToString()))
    return questions


def check_recommend(target: str, questions: Questions) -> None:
    """Asks with the SDK.

    Raises:
        WrongAnswerError: the answer is not the one that was kept.
    """
    with RecommenderClient(target, timeout_s=_TIMEOUT_S) as client:
        answer = client.recommend(questions.user_id, k=K)
    _check_same(target, questions, tuple(item.item_id for item in answer))


def check_batch(target: str, questions: Questions) -> None:
    """Asks for all users of the batch at once, and for some of them one by one.

    Raises:
        WrongAnswerError: the answers differ, or are not personal.
    """
    users = questions.batch_user_ids
    with RecommenderClient(target, timeout_s=_TIMEOUT_S) as client:
        answers = client.recommend_batch(users, k=K)
        for place in range(0, len(users), 32):
            alone = client.recommend(users[place], k=K)
            if not _are_close(alone, answers[place]):
                raise WrongAnswerError(f"user {users[place]} is ranked otherwise in a batch")
    for answer in answers:
        _check_plausible(answer, frozenset())


def check_item_ids(name: str, questions: Questions, ask: Callable[[], tuple[str, ...]]) -> None:
    """Holds the items that a server of another kind answers against the ones that were kept.

    Raises:
        WrongAnswerError: they differ.
    """
    _check_same(name, questions, ask())


def _check_same(name: str, questions: Questions, item_ids: tuple[str, ...]) -> None:
    if item_ids != questions.item_ids:
        raise WrongAnswerError(
            f"{name} answers {', '.join(item_ids)} to user {questions.user_id}, should be "
            f"{', '.join(questions.item_ids)}"
        )


def _are_close(one: Recommendation, other: Recommendation) -> bool:
    """Tells whether scores agree; a product of other sizes may round otherwise and swap equals."""
    pairs = zip(one, other, strict=True)
    return all(math.isclose(a.score, b.score, rel_tol=1e-4, abs_tol=1e-5) for a, b in pairs)


def _check_plausible(answer: Recommendation, seen: frozenset[str]) -> None:
    items, scores = {item.item_id for item in answer}, [item.score for item in answer]
    if not answer.is_personal or len(items) != K or len(scores) != K:
        raise WrongAnswerError(f"user {answer.user_id} does not get {K} personal items")
    if items & seen or scores != sorted(scores, reverse=True):
        raise WrongAnswerError(f"user {answer.user_id} gets seen items, or not the best first")


def _users(version: Path) -> tuple[list[str], str, frozenset[str]]:
    """Returns all user ids, the one whose history has the median length, and its items."""
    users, items = _table(version / "users.arrow"), _table(version / "items.arrow")
    user_ids: list[str] = users["user_id"].to_pylist()
    histories = users["history"].combine_chunks()
    lengths = histories.value_lengths().to_pylist()
    median = sorted(range(len(lengths)), key=lengths.__getitem__)[len(lengths) // 2]
    item_ids = items["item_id"].take(histories[median].values).to_pylist()
    return user_ids, user_ids[median], frozenset(item_ids)


def _table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def _question(file: Path, method: str, message: bytes) -> Question:
    file.write_bytes(struct.pack(">BI", 0, len(message)) + message)
    return Question(f"{_SERVICE}/{method}", file)


def _raw_answer(target: str, message: bytes) -> bytes:
    with grpc.insecure_channel(target) as channel:
        answer: bytes = channel.unary_unary(f"{_SERVICE}/Recommend")(message, timeout=_TIMEOUT_S)
        return answer
