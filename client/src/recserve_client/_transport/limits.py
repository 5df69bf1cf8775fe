"""Which timeouts a call may have."""

from typing import Final

from recserve_client._errors import InvalidRequestError

_MAX_TIMEOUT_S: Final = 86_400.0


def checked_timeout_s(timeout_s: object, name: str = "timeout_s") -> float:
    """Returns `timeout_s`; raises InvalidRequestError if no deadline can be made of it."""
    if not isinstance(timeout_s, int | float) or not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise InvalidRequestError(
            f"{name}: is {timeout_s!r}, must be above 0 and at most {_MAX_TIMEOUT_S:.0f} seconds"
        )
    return timeout_s
