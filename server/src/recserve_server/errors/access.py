"""Callers who are not known, or may not do what they ask."""

from google.rpc import code_pb2

from recserve_server.errors.base import ServingError


class Unauthenticated(ServingError):
    """Nothing shows who calls."""

    code = code_pb2.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"

    def __init__(self, text: str) -> None:
        super().__init__(text)


class PermissionDenied(ServingError):
    """The caller is known and may not call this method."""

    code = code_pb2.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"

    def __init__(self, caller: str, method: str, permission: str) -> None:
        super().__init__(
            f"caller {caller!r} may not call {method}, which needs the permission {permission!r}",
            metadata={"caller": caller, "method": method, "permission": permission},
        )
