"""What a call brings besides its message: request id, tenant, priority."""

import itertools
import re
import uuid
from collections.abc import Callable
from typing import Final, TypeAlias

from recserve_server.batching.terms import Priority
from recserve_server.calls.call import Call, Context, Metadata
from recserve_server.errors import FieldViolation, InvalidRequest

REQUEST_ID_KEY: Final = "x-request-id"
PRIORITY_KEY: Final = "x-recserve-priority"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_LONGEST_TENANT: Final = 128
_PRIORITIES: Final = {"interactive": Priority.INTERACTIVE, "batch": Priority.BATCH}
# A random half for the process and a counted one: no call has to ask the kernel for randomness.
_PROCESS_ID: Final = uuid.uuid4().hex[:16]
_CALLS: Final = itertools.count()

Admit: TypeAlias = Callable[[str, Metadata, Context], str]
"""Returns the name of a method's caller; raises Unauthenticated or PermissionDenied."""


class Reception:
    """Says of every call who it is from and how it is to be treated."""

    def __init__(self, tenant_key: str = "", admit: Admit | None = None) -> None:
        """Takes the metadata key that tells tenants apart, if any, and who lets callers in."""
        self._tenant_key, self._admit = tenant_key.lower(), admit

    @property
    def lets_anybody_in(self) -> bool:
        """Whether callers need not be known."""
        return self._admit is None

    def receive(self, method: str, context: Context) -> tuple[Call, Metadata]:
        """Returns the call, not yet let in."""
        metadata: Metadata = context.invocation_metadata() or ()  # type: ignore[assignment]  # pairs
        return Call(method, _request_id(metadata)), metadata

    def admit(self, call: Call, metadata: Metadata, context: Context) -> None:
        """Fills in caller, tenant and priority.

        Raises:
            Unauthenticated: nothing shows who calls.
            PermissionDenied: the caller may not.
            InvalidRequest: the priority is none that there is.
        """
        if self._admit is not None:
            call.caller = self._admit(call.method, metadata, context)
        call.priority = _priority(call.method, metadata)
        call.tenant = self._tenant(call, metadata, context)

    def _tenant(self, call: Call, metadata: Metadata, context: Context) -> str:
        if self._tenant_key:
            for key, value in metadata:
                if key == self._tenant_key and isinstance(value, str):
                    return value[:_LONGEST_TENANT]
        # Of `ipv4:HOST:PORT`, all but the port: a client may have many connections.
        return call.caller or str(context.peer()).rpartition(":")[0]


def _request_id(metadata: Metadata) -> str:
    for key, value in metadata:
        # Only a harmless one is echoed and logged: the caller chooses it.
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{_PROCESS_ID}{next(_CALLS):016x}"


def _priority(method: str, metadata: Metadata) -> Priority:
    for key, value in metadata:
        if key == PRIORITY_KEY:
            priority = _PRIORITIES.get(str(value))
            if priority is None:
                allowed = " or ".join(_PRIORITIES)
                raise InvalidRequest(
                    [FieldViolation(PRIORITY_KEY, f"is {value!r}, must be {allowed}")]
                )
            return priority
    return Priority.BATCH if method.endswith("/BatchRecommend") else Priority.INTERACTIVE
