"""The history family: queries from what somebody took, in closed form, no gradient and no id.

EASE with sessions and attributes and iALS score the catalogue, each standardised per user, added,
and projected on the main directions of the training users' scores, so that one index of short
vectors ranks by both. A user of the user table is embedded by the very tower that is served.
"""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.evaluation.split import Split
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.learning.ease import item_item_matrix
from recserve_trainer.learning.history_tower import BlendedScores, HistoryTower, IalsTower
from recserve_trainer.learning.ials import Confidences, RatingScale, fit_ials
from recserve_trainer.learning.side_information import side_information
from recserve_trainer.learning.user_step import UserStep
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages

_ENTRIES_PER_BATCH = 2**17  # 32 MiB of vectors at 64 dimensions
_USERS_PER_BATCH = 256
_SMALLEST_DIRECTION = 1e-5  # of the largest singular value; below it is rounding

_SIGNATURE = (
    tf.TensorSpec([None, 2], tf.int32),
    tf.TensorSpec([None], tf.float32),
    tf.TensorSpec([None, 0], tf.float32),
)


class HistoryTraining:
    """One model being fitted to one split."""

    def __init__(self, dataset: Dataset, split: Split, config: HistoryConfig) -> None:
        self._dataset, self._train, self._config = dataset, split.train, config
        self._histories = Histories.rated(len(dataset.users), split.train)
        self._side = side_information(dataset.items, np.unique(split.train.item_rows))
        self._model: RetrievalModel | None = None

    def run_epoch(self) -> dict[str, float]:
        """Fits everything.

        Returns:
            `items` and `users` known to training, `dimension` of the vectors, and the wall times
            `seconds_ials`, `seconds_ease` if the catalogue is not too large for it, and
            `seconds_queries` for basis and user vectors.
        """
        logged = {
            "items": float(len(np.unique(self._train.item_rows))),
            "users": float(len(np.unique(self._train.user_rows))),
        }
        start_s = time.perf_counter()
        user_step = self._fit_ials()
        logged["seconds_ials"] = time.perf_counter() - start_s
        blended = None
        if len(self._dataset.items) <= self._config.ease_items:
            start_s = time.perf_counter()
            blended = self._fit_ease(user_step)
            logged["seconds_ease"] = time.perf_counter() - start_s
        start_s = time.perf_counter()
        tower, items = self._tower(user_step, blended)
        users = self._embed_users(tower)
        logged["seconds_queries"] = time.perf_counter() - start_s
        logged["dimension"] = float(items.shape[1])
        self._model = RetrievalModel(Embeddings(users, items), Stages(query_tower=tower))
        return logged

    def model(self) -> RetrievalModel:
        """Returns what `run_epoch` fitted."""
        assert self._model is not None  # there is an epoch before there is a model
        return self._model

    def _fit_ials(self) -> UserStep:
        histories = self._histories
        pairs, ratings = histories.rated_pairs(np.arange(len(histories)))
        scale = RatingScale.of(ratings, self._config.least_confidence)
        by_user = Confidences(histories.offsets, pairs[:, 1], scale.confidence(ratings))
        factors = fit_ials(by_user, self._side, self._config)
        return UserStep(factors.items.astype(np.float32), scale, self._config)

    def _fit_ease(self, user_step: UserStep) -> BlendedScores:
        matrix = item_item_matrix(self._train, self._side, len(self._histories), self._config)
        return BlendedScores(matrix.astype(np.float32), user_step, self._config.blend)

    def _tower(
        self, user_step: UserStep, blended: BlendedScores | None
    ) -> tuple[HistoryTower | IalsTower, NDArray[np.float32]]:
        if blended is None:
            return IalsTower(user_step), user_step.items.numpy()
        basis = self._basis(blended)
        return HistoryTower(blended, basis), basis

    def _basis(self, blended: BlendedScores) -> NDArray[np.float32]:
        """Finds the directions in item space that hold most of the users' scores.

        They change little when other users are drawn, so that a sample will do for many users.
        """
        known = np.flatnonzero(np.diff(self._histories.offsets))
        if len(known) > self._config.basis_users:
            random = np.random.default_rng(self._config.seed)
            known = np.sort(random.choice(known, self._config.basis_users, replace=False))
        scores = self._in_batches(blended.scores, known, len(self._dataset.items))
        return main_directions(scores, self._config.dimension)

    def _embed_users(self, tower: HistoryTower | IalsTower) -> NDArray[np.float32]:
        known = np.flatnonzero(np.diff(self._histories.offsets))
        of_known = self._in_batches(tower.embed, known, tower.mean_query.shape[0])
        tower.mean_query.assign(of_known.mean(axis=0))
        users = np.tile(tower.mean_query.numpy(), (len(self._histories), 1))
        users[known] = of_known
        return users

    def _in_batches(
        self, embed: Callable[..., tf.Tensor], user_rows: NDArray[np.intp], width: int
    ) -> NDArray[np.float32]:
        """Calls a tower's method for users of similar length at a time; [users, width]."""
        traced = tf.function(embed, _SIGNATURE).get_concrete_function()
        counts = np.diff(self._histories.offsets)[user_rows]
        order = np.argsort(counts, kind="stable")
        embedded = np.zeros((len(user_rows), width), np.float32)
        start = 0
        while start < len(order):
            batch = order[start : start + _USERS_PER_BATCH]
            # In graph every history is as long as the batch's longest.
            batch = batch[: max(1, _ENTRIES_PER_BATCH // int(counts[batch[-1]]))]
            history, ratings = self._histories.rated_pairs(user_rows[batch])
            features = np.zeros((len(batch), 0), np.float32)
            embedded[batch] = traced(*map(tf.constant, (history, ratings, features))).numpy()
            start += len(batch)
        return embedded


def main_directions(scores: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """Finds the first right singular vectors, from the smaller of the two Gram matrices.

    Args:
        scores: [users, items].
        dimension: how many, at most; no more than the rank.

    Returns:
        float32 [items, dimension], orthonormal columns, the largest singular value first.
    """
    wide = scores.astype(np.float64)
    is_wide = wide.shape[0] < wide.shape[1]
    squares, vectors = np.linalg.eigh(wide @ wide.T if is_wide else wide.T @ wide)
    singular = np.sqrt(np.maximum(squares, 0))
    kept = np.flatnonzero(singular > _SMALLEST_DIRECTION * singular[-1])[::-1][:dimension]
    directions = wide.T @ vectors[:, kept] / singular[kept] if is_wide else vectors[:, kept]
    return np.ascontiguousarray(directions, np.float32)
