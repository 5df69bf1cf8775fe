"""One call under way, and who is told of it."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import grpc

from recserve_server.batching.terms import Priority, Terms, Timing

# grpcio's classes are generic in their stubs only, hence the quotes.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
"""Keys in lower case with their values, as the caller sent them."""


@dataclass(slots=True)
class Call:
    """One call, from its arrival to its end."""

    method: str
    """`/package.Service/Method`."""
    request_id: str
    caller: str = ""
    """Name of the authenticated caller; empty if nobody has to be."""
    tenant: str = ""
    """With whom the queue is shared fairly: may be anything that a client sends."""
    priority: Priority = Priority.INTERACTIVE
    timing: Timing | None = None
    """When its batch ran; None unless somebody is told of calls."""

    def terms(self, timeout_s: float | None) -> Terms:
        """Returns on which terms the call waits for a batch, for `timeout_s` at the most."""
        return Terms(timeout_s, self.tenant, self.priority, self.timing)


@dataclass(slots=True)
class Ended:
    """How a call ended."""

    code: str = "OK"
    """Name of the gRPC code."""
    outcome: str = "OK"
    """The code, or the reason of a refusal."""
    duration_s: float = 0.0
    request: object = None
    """The decoded message; None if it did not parse."""
    response: object = None
    """A message or its encoding; None if there is none."""


class CallObserver(Protocol):
    """Is told of unary calls, in the event loop: it must not block, nor raise."""

    def started(self, call: Call, metadata: Metadata) -> None:
        """Takes note of a call that was let in."""
        ...

    def ended(self, call: Call, ended: Ended) -> None:
        """Takes note of its end."""
        ...

    def close(self) -> None:
        """Writes what is left; may block."""
        ...


current_call: Final[ContextVar[Call]] = ContextVar("current_call")
"""The call that the running task answers."""
