"""One model version, loaded and warm: questions in, encoded responses out."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recserve.artifact.v1 import manifest_pb2
from recserve_server.answering.counting import count_answers
from recserve_server.answering.encoding import ResponseEncoder
from recserve_server.answering.item_ranking import ItemRanker
from recserve_server.answering.padding import PaddedRetriever
from recserve_server.answering.ranking import CatalogueRanker
from recserve_server.answering.recommending import Recommender
from recserve_server.answering.similar_items import SimilarItems
from recserve_server.answering.tables import Tables
from recserve_server.errors import ServingError
from recserve_server.model import Ranking, Replayed, ServedModel
from recserve_server.models.golden import item_ids, mean_overlap, read_golden
from recserve_server.models.refusal import Refusal, VersionRefused
from recserve_server.query import (
    Diversity,
    HistoryEntry,
    Options,
    Query,
    Question,
    RankQuery,
    Selection,
    SimilarQuery,
    Telling,
)
from recserve_server.stats import AnswerStats

OpenModelFolder = Callable[[Path], ServedModel]
"""Opens the folder of a version; raises OSError or ValueError if it cannot."""


class LoadedModel:
    """Everything of a version that answers requests."""

    def __init__(
        self,
        folder: Path,
        manifest: manifest_pb2.Manifest,
        open_folder: OpenModelFolder,
        batch_sizes: Sequence[int],
    ) -> None:
        """Opens a verified version.

        Args:
            folder: the version's folder.
            manifest: its manifest.
            open_folder: opens its SavedModel.
            batch_sizes: ascending numbers of users to call the model with; smaller batches are
                padded.

        Raises:
            OSError: a file cannot be read.
            ValueError: a table or the SavedModel is not as docs/artifact.md has it, or does not
                fit the manifest.
        """
        tables = Tables.open(folder, manifest)
        self.schema = tables.schema
        """What questions may name."""
        self._users = tables.users
        self._batch_sizes = tuple(batch_sizes)
        self._golden = read_golden(folder, manifest)
        model = open_folder(folder)
        self._retriever = PaddedRetriever(model, self._batch_sizes)
        self._ranker = CatalogueRanker(
            self._retriever, tables.catalogue, tables.users, tables.candidates
        )
        self._percent_of = tables.percentiles.lookup()
        self._item_id = tables.catalogue.item_ids[0]
        encoder = ResponseEncoder(
            tables.catalogue,
            tables.attributes,
            name=manifest.model_name,
            version=manifest.model_version,
        )
        self._plain = _Desk(self._ranker.rank, encoder.encode)
        self._optional = _Desk(Recommender(model, tables, self._ranker).rank, encoder.encode)
        self._ranked = _Desk(ItemRanker(model, tables).rank, encoder.encode_ranked)
        self._similar = _Desk(SimilarItems(model, tables).find, encoder.encode_similar)

    @property
    def stats(self) -> AnswerStats:
        """What the model was called with, and what its answers were like."""
        return self._retriever.stats

    def answer(self, questions: Sequence[Question]) -> list[bytes | ServingError]:
        """Returns an encoded response of recserve.v1 or a failure per question, in order.

        May block; to be called by one thread at a time.

        Raises:
            ValueError: the SavedModel broke its contract.
        """
        start_s = time.perf_counter()
        answers = self._answer(questions)
        self._retriever.stats.run_s.add(time.perf_counter() - start_s)
        return answers

    def _answer(self, questions: Sequence[Question]) -> list[bytes | ServingError]:
        if all(type(each) is Query and each.options is None for each in questions):
            return self._answered(self._plain, questions)
        desks = [self._desk(question) for question in questions]
        answers: dict[int, bytes | ServingError] = {}
        for desk in dict.fromkeys(desks):
            places = [place for place, each in enumerate(desks) if each is desk]
            found = self._answered(desk, [questions[place] for place in places])
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(questions))]

    def _answered(self, desk: "_Desk", questions: Sequence[Question]) -> list[bytes | ServingError]:
        encode, answers = desk.encode, desk.answer(questions)
        count_answers(self._retriever.stats, questions, answers, self._percent_of)
        return [
            answer if isinstance(answer, ServingError) else encode(answer) for answer in answers
        ]

    def _desk(self, question: Question) -> "_Desk":
        if isinstance(question, Query):
            return self._plain if question.options is None else self._optional
        return self._ranked if isinstance(question, RankQuery) else self._similar

    def warm_up(self, max_k: int) -> None:
        """Calls the model with every batch size: a size's first call takes many times the rest.

        Raises:
            ValueError: an answer is not as it must be.
        """
        user_ids = list(self._users.some_ids(max(self._batch_sizes)))
        for size in self._batch_sizes:
            for k in {10, max_k} if size == 1 else {10}:
                # Seen items included: a user who has seen everything rightly gets an empty list.
                asked = [user_ids[place % len(user_ids)] for place in range(size)]
                self._check([Query(user_id, k, include_seen=True) for user_id in asked])
        self.answer([Query("", k=10), *(Query(user_id, k=10) for user_id in user_ids[:1])])
        self.answer(_warm_up_questions(user_ids[0], self._item_id))
        self._retriever.stats = AnswerStats()  # nobody asked for these

    def replay(self) -> Replayed:
        """Answers the golden queries.

        Raises:
            VersionRefused: they cannot be read, or one of them cannot be answered.
        """
        golden = self._golden
        step = max(self._batch_sizes)
        answers: list[bytes | ServingError] = []
        for start in range(0, len(golden.questions), step):
            answers += self.answer(golden.questions[start : start + step])
        for answer in answers:
            if isinstance(answer, ServingError):
                raise VersionRefused(Refusal.FAILED, f"a golden query failed: {answer}")
        self._retriever.stats = AnswerStats()  # nobody asked for these
        answered = tuple(item_ids(answer) for answer in answers if isinstance(answer, bytes))
        return Replayed(
            golden.questions, answered, mean_overlap(golden.expected, answered), golden.overlap
        )

    def _check(self, queries: Sequence[Query]) -> None:
        for ranking in self._ranker.rank(queries):
            if not isinstance(ranking, Ranking):
                raise ValueError("warm-up gave scores that are not numbers")
            if not len(ranking.item_rows):
                raise ValueError("warm-up gave an empty ranking")


class _Desk(NamedTuple):
    """Who answers one kind of question, and how answers are encoded."""

    answer: Callable[[Sequence[Any]], Sequence[Any]]
    encode: Callable[[Any], bytes]


def _warm_up_questions(user_id: str, item_id: str) -> list[Question]:
    """Returns one question of each kind: the first call of a signature takes longer."""
    history = Options(history=(HistoryEntry(item_id),))
    filtered = Options(selection=Selection(allowed_item_ids=frozenset([item_id])))
    return [
        Query(user_id, 10, options=history),
        Query("", 10, options=history),
        Query(user_id, 10, options=filtered),
        Query(user_id, 10, options=Options(diversity=Diversity(0.5))),
        Query(user_id, 10, options=Options(telling=Telling(full=True, explain=True))),
        RankQuery(user_id, (item_id,)),
        SimilarQuery((item_id,), 10),
    ]
