"""The ranking family: two stages, the history family retrieves and a ranker puts in order."""

import time
from dataclasses import replace

from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.history import HistoryTraining
from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning.dcn_ranker import DcnRanker, fit_networks
from recserve_trainer.learning.lambdamart import LambdaMartRanker, fit_forests, importances
from recserve_trainer.learning.ranking_features import FeatureTables
from recserve_trainer.learning.ranking_lists import KnownPart, RankingLists, build_lists, folds
from recserve_trainer.learning.ranking_tables import build_tables
from recserve_trainer.retrieval import Ranker, RetrievalModel, Stages


class RankingTraining:
    """One model being fitted to one split."""

    def __init__(self, dataset: Dataset, split: Split, config: RankingConfig) -> None:
        self._dataset, self._split, self._config = dataset, split, config
        self._candidates = min(config.candidates, len(dataset.items))
        self._model: RetrievalModel | None = None

    def run_epoch(self) -> dict[str, float]:
        """Fits everything.

        Returns:
            `lists` that the ranker learnt from, how many `positives` they hold, the wall times
            `seconds_retrieval`, `seconds_lists` and `seconds_ranker`, and as `gain_NAME` what share
            of the trees' gain each feature has.
        """
        start_s = time.perf_counter()
        retrieval, part = self._fit_known(self._split.train)
        fitted_s = time.perf_counter()
        lists = self._lists()
        listed_s = time.perf_counter()
        ranker, gains = self._fit_ranker(lists, part.tables)
        self._model = RetrievalModel(
            retrieval.embeddings, Stages(query_tower=retrieval.stages.query_tower, ranker=ranker)
        )
        return {
            "lists": float(len(lists)),
            "positives": float(lists.labels.sum()),
            "seconds_retrieval": fitted_s - start_s,
            "seconds_lists": listed_s - fitted_s,
            "seconds_ranker": time.perf_counter() - listed_s,
            **gains,
        }

    def model(self) -> RetrievalModel:
        """Returns what `run_epoch` fitted."""
        assert self._model is not None  # there is an epoch before there is a model
        return self._model

    def _fit_ranker(
        self, lists: RankingLists, tables: FeatureTables
    ) -> tuple[Ranker, dict[str, float]]:
        if self._config.ranker == "dcn":
            return DcnRanker(tables, fit_networks(lists, self._config), self._candidates), {}
        fitted = fit_forests(lists, self._config)
        gains = importances(fitted, tables.names)
        ranker = LambdaMartRanker(tables, fitted, self._candidates)
        return ranker, {f"gain_{name}": share for name, share in gains.items()}

    def _lists(self) -> RankingLists:
        train, config = self._split.train, self._config
        return build_lists(
            self._dataset,
            train,
            folds(train, config.folds, config.seed),
            min(config.list_length, self._candidates),
            lambda known: self._fit_known(known)[1],
        )

    def _fit_known(self, known: Interactions) -> tuple[RetrievalModel, KnownPart]:
        """Fits the first stage and the features to some interactions."""
        split = replace(self._split, train=known)
        training = HistoryTraining(self._dataset, split, self._config)
        training.run_epoch()
        retrieval = training.model()
        tables = build_tables(self._dataset, known, retrieval.embeddings, self._candidates)
        return retrieval, KnownPart(retrieval.embeddings, tables)
