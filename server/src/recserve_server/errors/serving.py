"""Models and stores that do not answer, or not now."""

from google.rpc import code_pb2

from recserve_server.errors.base import RetryLater, ServingError


class UnknownModel(ServingError):
    """The server has no such model, or no such version of it."""

    code = code_pb2.NOT_FOUND
    reason = "MODEL_UNKNOWN"

    def __init__(self, name: str, version: int = 0) -> None:
        if version:
            text, metadata = (
                f"there is no version {version} of model {name!r}",
                {"version": str(version)},
            )
        else:
            text, metadata = f"there is no model {name!r}", {}
        super().__init__(text, metadata={"name": name, **metadata})


class VersionRetired(ServingError):
    """The version that must answer does not serve (any more)."""

    code = code_pb2.NOT_FOUND
    reason = "VERSION_RETIRED"

    def __init__(self, name: str, version: int, serving: int) -> None:
        super().__init__(
            f"version {version} of model {name!r} does not serve, version {serving} does",
            metadata={"name": name, "version": str(version), "serving": str(serving)},
        )


class LabelUnknown(ServingError):
    """No version of the model has the label."""

    code = code_pb2.NOT_FOUND
    reason = "LABEL_UNKNOWN"

    def __init__(self, name: str, label: str) -> None:
        super().__init__(
            f"no version of model {name!r} is labelled {label!r}",
            metadata={"name": name, "label": label},
        )


class NotReady(RetryLater):
    """No model is loaded yet, or the server is going down; another replica may answer."""

    code = code_pb2.UNAVAILABLE
    reason = "NOT_READY"

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text, retry_after_s)


class ModelFailed(ServingError):
    """The model raised or broke its contract; details are in the server's log only."""

    reason = "MODEL_FAILED"

    def __init__(self) -> None:
        super().__init__("the model failed")


class StoreUnavailable(RetryLater):
    """Events cannot be kept or read now; it does no harm to send them again."""

    code = code_pb2.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text, retry_after_s)


class EventsDisabled(ServingError):
    """The server keeps no events."""

    code = code_pb2.FAILED_PRECONDITION
    reason = "EVENTS_DISABLED"

    def __init__(self) -> None:
        super().__init__("this server keeps no events; --events makes it do so")
