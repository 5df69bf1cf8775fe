"""What is told to programs that watch calls: metrics, traces, logs."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc

from recserve_client._errors import RecommenderError, refusal

_log = logging.getLogger("recserve_client")

_NAME: Final = re.compile(r"[0-9a-z_.-]+(?<!-bin)")
_VALUE: Final = re.compile(r"[ -~]*")
_ALLOWED: Final = "printable ASCII, under a name of 0-9, a-z and _.- that does not end in -bin"


@dataclass(eq=False, kw_only=True, slots=True)
class Call:
    """One call of a client, as hooks see it."""

    service: str
    """Full name of the service: "recserve.v1.RecommendationService"."""
    method: str
    """Name of the method: "Recommend"."""
    target: str
    """The server or servers, as gRPC resolves them."""
    timeout_s: float
    """Seconds that the call may take."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Sent with the call, such as its priority; when it starts, a hook may add to it. Names are in
    lower case, values in printable ASCII; others make the call raise InvalidRequestError."""
    sent_count: int = 0
    """How often the client sent it: once, and once more for each wait that the server asked for,
    each hedge and each renewed token. What gRPC tries again by itself is not counted."""
    was_hedged: bool = False
    """Whether it was sent to a second server before the first answered."""
    duration_s: float = 0.0
    """From start to end, waits included; 0 until it ended."""
    code: str = ""
    """Name of the gRPC status that it ended with; empty until then."""
    error: RecommenderError | None = None
    """What it raised, unless it went well or its task was cancelled."""

    @property
    def status_code(self) -> int:
        """Number of the gRPC status; UNKNOWN (2) until the call ended."""
        status = grpc.StatusCode.__members__.get(self.code, grpc.StatusCode.UNKNOWN)
        number: int = status.value[0]
        return number


class CallHook:
    """Is told of every call; override what is needed.

    The methods run where the call is made, in a thread or in the event loop, and should not take
    long. What they raise is logged (logger `recserve_client`) and does no harm to the call.
    """

    def call_started(self, call: Call) -> None:
        """Is called before the call is sent; may add to `call.metadata`."""

    def call_ended(self, call: Call) -> None:
        """Is called when the outcome is known."""


def tell_started(hooks: Sequence[CallHook], call: Call) -> None:
    """Tells all hooks, in order."""
    for hook in hooks:
        try:
            hook.call_started(call)
        except Exception:
            _log.exception("a hook failed at the start of a call")


def tell_ended(hooks: Sequence[CallHook], call: Call) -> None:
    """Tells all hooks, last one first, so that they nest."""
    for hook in reversed(hooks):
        try:
            hook.call_ended(call)
        except Exception:
            _log.exception("a hook failed at the end of a call")


def checked_metadata(metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Returns the pairs; raises InvalidRequestError naming the first that cannot be sent."""
    for name, value in metadata.items():
        if not (_is_text(name, _NAME) and _is_text(value, _VALUE)):
            raise refusal(f"metadata[{name!r}]", value, _ALLOWED)
    return tuple(metadata.items())


def _is_text(value: object, form: re.Pattern[str]) -> bool:
    # Hooks are others' code, which need not have been type checked.
    return isinstance(value, str) and form.fullmatch(value) is not None
