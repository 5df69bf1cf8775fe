"""How many calls of which method are to fail, and with what."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypedDict

import grpc

from ._refusals import RefusedError, retry_after

_CODES: Final = {code.name: code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}


class FailureDetails(TypedDict, total=False):
    """What `FakeServer.fail` tells besides a code."""

    reason: str
    """Of the google.rpc.ErrorInfo, e.g. "MODEL_FAILED"; empty, the default, means that there is no
    ErrorInfo, as in what a proxy sends."""
    message: str
    """Text for people."""
    retry_after_s: float | None
    """Seconds that a google.rpc.RetryInfo asks to wait; None, the default, means no RetryInfo."""


@dataclass(slots=True)
class _Failure:
    refusal: RefusedError
    times: int | None
    method: str | None


class FailurePlan:
    """Failures in the order in which they were told."""

    def __init__(self, methods: Collection[str]) -> None:
        """Takes the names of the methods that there are."""
        self._methods = methods
        self._failures: list[_Failure] = []

    def add(self, refusal: RefusedError, times: int | None, method: str | None) -> None:
        """Makes the next calls of a method, or of all, fail.

        Raises:
            ValueError: `times` or `method` is not as it must be.
        """
        if times is not None and times < 1:
            raise ValueError(f"times is {times}, must be 1 or more, or None for until recover()")
        if method is not None and method not in self._methods:
            allowed = ", ".join(sorted(self._methods))
            raise ValueError(f"method is {method!r}, must be one of {allowed}, or None for all")
        self._failures.append(_Failure(refusal, times, method))

    def next(self, method: str) -> RefusedError | None:
        """Returns what a call ends with, which is then used up; None if it is to be answered."""
        for place, each in enumerate(self._failures):
            if each.method not in (None, method):
                continue
            if each.times is not None:
                each.times -= 1
                if not each.times:
                    del self._failures[place]
            return each.refusal
        return None

    def clear(self) -> None:
        """Forgets all failures."""
        self._failures.clear()


def refusal_of(code: str | grpc.StatusCode, details: FailureDetails) -> RefusedError:
    """Makes what calls are to fail with.

    Raises:
        ValueError: the code is none, or OK, or the wait is negative.
        TypeError: there is no detail of some name.
    """
    name = code.name if isinstance(code, grpc.StatusCode) else code
    if name not in _CODES:
        raise ValueError(f"code is {code!r}, must be one of {', '.join(_CODES)}")
    unknown = set(details) - set(FailureDetails.__annotations__)
    if unknown:
        raise TypeError(f"there is no detail {min(unknown)!r} of a failure")
    retry_after_s = details.get("retry_after_s")
    if retry_after_s is not None and not retry_after_s >= 0:
        raise ValueError(f"retry_after_s is {retry_after_s!r}, must be 0 or more seconds")
    return RefusedError(
        _CODES[name],
        details.get("reason", ""),
        details.get("message", "") or f"the fake server was told to fail with {name}",
        details=() if retry_after_s is None else [retry_after(retry_after_s)],
    )
