"""`make diversity`: what a more varied list costs in accuracy, asked of a running server.

Every user of the dataset's test split is asked for, with each setting; the model must have been
trained on the same dataset with the default split, so that the test split is new to it. Prints a
table in Markdown.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import servers
import tensorflow as tf
from numpy.typing import NDArray

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_trainer.config import DatasetConfig, SplitConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.beyond_accuracy import Catalogue, attribute_matrix, beyond_accuracy
from recserve_trainer.evaluation.metrics import Rankings, score_rankings
from recserve_trainer.evaluation.split import split_by_time
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.progress import Progress

K: Final = 10
_WEIGHTS: Final = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_CAPS: Final = (5, 3, 2)
_USERS_PER_CALL: Final = 128


def main() -> int:
    """Runs the measurement from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    try:
        config = DatasetConfig(name=args.dataset, data_dir=args.data_dir)
        dataset = load_dataset(config, Progress())
        with (
            tempfile.TemporaryDirectory() as logs,
            servers.recserve(args.models, Path(logs)) as server,
            grpc.insecure_channel(server.target) as channel,
        ):
            vectors = _similarity_vectors(args.models, len(dataset.items))
            _measure(dataset, RecommendationServiceStub(channel), args.attribute, vectors)
    except (TrainerError, servers.ServerError, grpc.RpcError) as error:
        print(f"diversity: {error}", file=sys.stderr)
        return 1
    return 0


def _similarity_vectors(models: Path, item_count: int) -> NDArray[np.float32]:
    """Returns float32 [items, length]: what maximal marginal relevance takes for similar."""
    versions = models.glob("*/*/saved_model.pb")
    newest = max(versions, key=lambda path: int(path.parent.name)).parent
    embed = tf.saved_model.load(str(newest)).signatures["embed_items"]
    vectors: NDArray[np.float32] = embed(item_rows=tf.range(item_count))["embeddings"].numpy()
    return vectors


def _distance(rankings: Rankings, vectors: NDArray[np.float32]) -> float:
    """Returns the mean over users of 1 - the mean similarity over pairs of a list."""
    distances = []
    for rows in rankings.item_rows:
        mine = vectors[rows[rows >= 0]]
        pairs = (mine @ mine.T)[np.triu_indices(len(mine), 1)]
        distances.append(1 - pairs.mean())
    return float(np.mean(distances))


def _measure(
    dataset: Dataset,
    stub: RecommendationServiceStub,
    attribute: str,
    vectors: NDArray[np.float32],
) -> None:
    split = split_by_time(dataset.interactions, SplitConfig())
    known = Histories.of(len(dataset.users), split.train, split.validation)
    relevant = Histories.of(len(dataset.users), split.test)
    counts = np.bincount(known.item_rows, minlength=len(dataset.items))
    catalogue = Catalogue(counts, attribute_matrix(dataset.items.columns.get(attribute)))
    users = np.flatnonzero(np.diff(relevant.offsets)).astype(np.int32)
    print(f"{len(users)} users, k = {K}, attribute {attribute}\n")
    print("| setting | nDCG@10 | of plain | distance by scores | by attribute | coverage |")
    print("|---|---|---|---|---|---|")
    plain = None
    for name, diversity in _settings(attribute):
        rankings = _ask(dataset, stub, users, diversity)
        ndcg = float(score_rankings(rankings, relevant, k=K).ndcg.mean())
        plain = plain or ndcg
        beyond = beyond_accuracy(rankings, known, catalogue)
        print(
            f"| {name} | {ndcg:.4f} | {ndcg / plain:.0%} | {_distance(rankings, vectors):.3f} "
            f"| {beyond.diversity:.3f} "
            f"| {beyond.coverage:.1%} |",
            flush=True,
        )


def _settings(attribute: str) -> Iterator[tuple[str, pb.Diversity]]:
    for weight in _WEIGHTS:
        name = f"lambda {weight:g}" if weight else "plain"
        yield name, pb.Diversity(**{"lambda": weight})
    for most in _CAPS:
        cap = pb.AttributeCap(attribute=attribute, max_count=most)
        yield f"at most {most} per value", pb.Diversity(caps=[cap])


def _ask(
    dataset: Dataset,
    stub: RecommendationServiceStub,
    users: Sequence[int],
    diversity: pb.Diversity,
) -> Rankings:
    row_of = {item_id: row for row, item_id in enumerate(dataset.items.ids)}
    ranked = np.full((len(users), K), -1, np.int32)
    for start in range(0, len(users), _USERS_PER_CALL):
        requests = [
            pb.RecommendRequest(user_id=dataset.users.ids[user], k=K, diversity=diversity)
            for user in users[start : start + _USERS_PER_CALL]
        ]
        batch = stub.BatchRecommend(pb.BatchRecommendRequest(requests=requests), timeout=60)
        for place, response in enumerate(batch.responses, start):
            rows = [row_of[item.item_id] for item in response.items]
            ranked[place, : len(rows)] = rows
    return Rankings(np.asarray(users, np.int32), ranked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--models", type=Path, required=True, help="folder of one NAME, as recserve-train writes")
    add("--dataset", default="movielens/100k", help="the dataset that it was trained on")
    add("--data-dir", type=Path, default=Path("build/datasets"), help="where it is prepared")
    add("--attribute", default="genres", help="by which distance is measured and caps count")
    return parser


if __name__ == "__main__":
    sys.exit(main())
