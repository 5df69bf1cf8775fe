"""ModelService: what the model store knows, as messages."""

import datetime
from typing import Any

import grpc
from google.protobuf import timestamp_pb2

from recserve.v1 import model_service_pb2 as pb
from recserve.v1 import model_service_pb2_grpc as pb_grpc
from recserve_server.config import Limits
from recserve_server.models.store import ModelStore
from recserve_server.models.version import ModelVersion, State
from recserve_server.validation.models import encode_page_token, parse_get_model, parse_list_models

_STATES = {
    State.AVAILABLE: pb.MODEL_STATE_AVAILABLE,
    State.LOADING: pb.MODEL_STATE_LOADING,
    State.SERVING: pb.MODEL_STATE_SERVING,
    State.REFUSED: pb.MODEL_STATE_REFUSED,
}


class ModelService(pb_grpc.ModelServiceServicer):
    """Describes model versions."""

    def __init__(self, store: ModelStore, limits: Limits) -> None:
        self._store, self._limits = store, limits

    async def GetModel(
        self, request: pb.GetModelRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.GetModelResponse:
        """Describes one model version."""
        name, version = parse_get_model(request, self._limits)
        return pb.GetModelResponse(model=self._to_model(self._store.version(name, version)))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.ListModelsResponse:
        """Lists the model versions found on disk."""
        page_size, after = parse_list_models(request)
        versions = self._store.versions()
        if after is not None:
            position = (after[0], -after[1])
            versions = [each for each in versions if _position(each) > position]
        page = versions[:page_size]
        token = ""
        if len(versions) > page_size:
            token = encode_page_token(page[-1].location.name, page[-1].location.version)
        return pb.ListModelsResponse(
            models=[self._to_model(each) for each in page], next_page_token=token
        )

    def _to_model(self, version: ModelVersion) -> pb.Model:
        manifest = version.manifest
        metrics = [
            each.metrics
            for each in manifest.evaluations
            if each.scorer == "model" and each.split == "test"
        ]
        labels = self._store.labels_of(version)
        return pb.Model(
            name=version.location.name,
            version=version.location.version,
            state=_STATES[version.state],
            state_message=version.state_message,
            kind=manifest.model.kind,
            index=manifest.index.kind,
            user_count=manifest.model.user_count,
            item_count=manifest.model.item_count,
            embedding_dimension=manifest.model.embedding_dimension,
            dataset=manifest.dataset.name,
            test_metrics=metrics[0] if metrics else {},
            create_time=manifest.create_time if manifest.HasField("create_time") else None,
            load_time=_timestamp(version.load_time),
            max_k=self._limits.max_k,
            labels=labels,
            canary_percent=self._store.canary_percent(version) if "canary" in labels else 0,
            golden_overlap=version.golden_overlap,
        )


def _position(version: ModelVersion) -> tuple[str, int]:
    return version.location.name, -version.location.version


def _timestamp(time: datetime.datetime | None) -> timestamp_pb2.Timestamp | None:
    if time is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time)
    return message
