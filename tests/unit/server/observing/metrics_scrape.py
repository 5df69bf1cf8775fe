"""Readings of a made-up server, and what a Prometheus would read of them."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from recserve.artifact.v1 import manifest_pb2
from recserve_server.metrics import LoadedReadings, Readings, build_registry
from recserve_server.stats import AnswerStats, BatchStats, CallStats

RECOMMEND = "/recserve.v1.RecommendationService/Recommend"
WATCH = "/grpc.health.v1.Health/Watch"
RECOMMEND_LABELS = {
    "grpc_type": "unary",
    "grpc_service": "recserve.v1.RecommendationService",
    "grpc_method": "Recommend",
}
FILMS = {"model": "films", "version": "3"}


def readings(**changed: object) -> Readings:
    calls = CallStats(methods={RECOMMEND: "unary", WATCH: "server_stream"})
    return Readings(**{"calls": calls, "is_serving": False, **changed})


def films(version: int = 3, **changed: object) -> LoadedReadings:
    manifest = manifest_pb2.Manifest(
        model_name="films",
        model_version=version,
        model=manifest_pb2.Model(kind="two_tower", item_count=1682, user_count=943),
        index=manifest_pb2.Index(kind="exact"),
    )
    manifest.create_time.FromSeconds(1_767_225_600)
    fresh = {"load_time_s": 1_767_230_000.5, "batches": BatchStats(), "answers": AnswerStats()}
    return LoadedReadings(manifest=manifest, **{**fresh, **changed})


class Scrape:
    """What a Prometheus would read."""

    def __init__(self, told: Readings) -> None:
        text = generate_latest(build_registry(lambda: told)).decode()
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples = [each for family in self.families.values() for each in family.samples]

    def __getitem__(self, name: str) -> float:
        return self.value(name)

    def value(self, name: str, /, **labels: str) -> float:
        [value] = [
            each.value for each in self.samples if (each.name, each.labels) == (name, labels)
        ]
        return value

    def buckets(self, name: str, **labels: str) -> list[tuple[str, float]]:
        return [
            (each.labels["le"], each.value)
            for each in self.samples
            if each.name == f"{name}_bucket" and labels.items() <= each.labels.items()
        ]
