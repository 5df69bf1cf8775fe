"""One version on disk, and what became of it."""

import datetime
from dataclasses import dataclass, field
from enum import Enum

from recserve.artifact.v1 import manifest_pb2
from recserve_server.models.artifact import VersionPath
from recserve_server.models.refusal import Refusal
from recserve_server.query import Schema


class State(Enum):
    """What became of a version; named as in recserve.v1.ModelState."""

    AVAILABLE = "available"
    LOADING = "loading"
    SERVING = "serving"
    REFUSED = "refused"


@dataclass(slots=True)
class ModelVersion:
    """One version on disk and what the server made of it."""

    location: VersionPath
    state: State = State.AVAILABLE
    state_message: str = ""
    refusal: Refusal | None = None
    """Why it was refused, None if it was not."""
    refused_s: float = 0.0
    """When it was refused, on the monotonic clock."""
    manifest: manifest_pb2.Manifest = field(default_factory=manifest_pb2.Manifest)
    schema: Schema = field(default_factory=Schema)
    """What requests may name; empty until it is loaded."""
    load_time: datetime.datetime | None = None
    golden_overlap: float | None = None
    """Share of the items expected at export that it answered; None if nothing is expected."""
    serving_overlap: float | None = None
    """Share of the items of the version that served before that it answered, too."""
    fingerprint: int = 0
    """Of its files when it was last tried."""
    seen: int = 0
    """Of its files when they were last looked at."""

    @property
    def number(self) -> int:
        """Its version number."""
        return self.location.version

    @property
    def fields(self) -> dict[str, object]:
        """What a log record names it by."""
        return {"model": self.location.name, "version": self.number}
