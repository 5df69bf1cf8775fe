"""What others have published on the same protocol; numbers as they stand there."""

from dataclasses import dataclass
from typing import Final

_BENCHMARK: Final = "recommenders-team, examples/06_benchmarks/movielens.ipynb, run of 2025-07-20"
_SAR: Final = "recommenders-team, examples/00_quick_start/sar_movielens.ipynb"
_LIGHTGCN: Final = (
    "recommenders-team, examples/02_model_collaborative_filtering/lightgcn_deep_dive.ipynb, "
    "50 epochs"
)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One model's means over users, k = 10, MovieLens 100K, seed 42, seen items removed."""

    model: str
    ndcg: float
    recall: float
    precision: float
    map: float
    source: str

    def by_name(self) -> dict[str, float]:
        """Returns the values by name, e.g. `ndcg@10`."""
        return {
            "ndcg@10": self.ndcg,
            "recall@10": self.recall,
            "precision@10": self.precision,
            "map@10": self.map,
        }


PUBLISHED_VERSION: Final = "archive-f30dc7fc1d0a"
"""The version of the dataset, as `movielens_archive.read_archive` digests it."""
PUBLISHED_SEED: Final = 42
PUBLISHED_K: Final = 10
PUBLISHED: Final[dict[str, tuple[PublishedRow, ...]]] = {
    "item": (
        PublishedRow("ALS, explicit (Spark)", 0.0332, 0.0134, 0.0385, 0.0033, _BENCHMARK),
        PublishedRow("SVD (Surprise)", 0.0944, 0.0301, 0.0891, 0.0121, _BENCHMARK),
        PublishedRow("embdotbias", 0.1178, 0.0425, 0.1042, 0.0190, _BENCHMARK),
        PublishedRow("NCF", 0.3686, 0.1632, 0.3269, 0.0952, _BENCHMARK),
        PublishedRow("SAR", 0.393819, 0.185377, 0.340615, 0.114038, _BENCHMARK),
        PublishedRow("LightGCN", 0.4164, 0.1960, 0.3592, 0.1209, _BENCHMARK),
        PublishedRow("BPR (Cornac)", 0.4450, 0.2166, 0.3887, 0.1340, _BENCHMARK),
        PublishedRow("BiVAE (Cornac)", 0.4687, 0.2209, 0.4082, 0.1436, _BENCHMARK),
    ),
    "user": (
        PublishedRow("SAR", 0.379533, 0.176837, 0.331071, 0.106959, _SAR),
        PublishedRow("LightGCN", 0.4530, 0.2132, 0.3993, 0.1353, _LIGHTGCN),
    ),
}
"""By protocol, the worst nDCG first. Their trainings differ in effort, and their settings were not
all tuned on this data: a row says what was reached, not what the method can reach."""
