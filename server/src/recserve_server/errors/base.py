"""The base of everything that a call can be refused with."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from google.protobuf import duration_pb2, message
from google.rpc import code_pb2, error_details_pb2


class ServingError(Exception):
    """Base of everything a call can be refused with; the text goes to the caller."""

    code: ClassVar[int] = code_pb2.INTERNAL
    reason: ClassVar[str] = "UNEXPECTED"

    def __init__(
        self,
        text: str,
        *,
        metadata: Mapping[str, str] | None = None,
        details: Sequence[message.Message] = (),
    ) -> None:
        super().__init__(text)
        self.metadata = dict(metadata or {})
        """Every changing part of the text, for programs."""
        self.details = tuple(details)
        """Further google.rpc details."""

    def __reduce__(self) -> tuple[object, ...]:
        """Lets it leave the model process: subclasses are not made again from their text."""
        return _restored, (type(self), str(self), self.__dict__)


class RetryLater(ServingError):
    """The same call may well succeed after a while, which google.rpc.RetryInfo tells."""

    def __init__(self, text: str, retry_after_s: float, **metadata: str) -> None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(retry_after_s * 1e9))
        retry = error_details_pb2.RetryInfo(retry_delay=delay)
        super().__init__(text, metadata=metadata, details=[retry])
        self.retry_after_s = retry_after_s


class Unexpected(ServingError):
    """Anything else: a defect of the server."""

    def __init__(self) -> None:
        super().__init__("internal error")


def _restored(kind: type[ServingError], text: str, attributes: dict[str, object]) -> ServingError:
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    error.__dict__.update(attributes)
    return error
