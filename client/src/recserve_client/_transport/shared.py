"""What the blocking and the asyncio transport have in common; does no I/O itself."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from recserve_client._errors import (
    DeadlineExceededError,
    RecommenderError,
    UnauthenticatedError,
)

from .budget import TimeBudget, current_budget
from .config import ChannelConfig
from .hooks import Call, CallHook, checked_metadata, tell_ended, tell_started
from .limits import checked_timeout_s
from .methods import Method
from .outcome import code_name
from .retrying import HedgeBudget, wait_before_retry_s
from .targets import Target
from .tokens import TokenCache

Metadata = tuple[tuple[str, str], ...]

clock: Final = time.monotonic


class Policy:
    """How every call of one client is made."""

    def __init__(
        self, target: Target, config: ChannelConfig, timeout_s: float, hooks: Sequence[CallHook]
    ) -> None:
        self.target = target
        self.config = config
        self.timeout_s = checked_timeout_s(timeout_s)
        self.hooks = tuple(hooks)
        self.hedges = HedgeBudget()
        source = config.bearer_token
        self.tokens = None if source is None else TokenCache(source)
        self.is_plain = not (
            self.hooks
            or self.tokens is not None
            or config.wait_when_told
            or config.hedge_after_s is not None
        )
        """Whether a call only has to be sent, if there is no budget around it either."""

    def limit_s(self, timeout_s: float | None, budget: TimeBudget | None) -> float:
        """Returns how long a call may take."""
        own_s = self.timeout_s if timeout_s is None else checked_timeout_s(timeout_s)
        return own_s if budget is None else budget.limited_s(own_s)

    def hedge_after_s(self, method: Method[Any, Any]) -> float | None:
        """Returns when to send a call of the method a second time, or None."""
        return self.config.hedge_after_s if method.is_read else None


@dataclass(slots=True)
class Attempts:
    """One call from its start to its end, however often it is sent."""

    policy: Policy
    call: Call
    deadline_s: float
    budget: TimeBudget | None
    is_patient: bool
    """Whether to wait as long as the server asks and send the call again."""
    is_token_renewed: bool = False
    started_s: float = field(default_factory=clock)

    @classmethod
    def of(
        cls,
        policy: Policy,
        method: Method[Any, Any],
        timeout_s: float | None,
        metadata: Metadata,
        is_patient: bool,
    ) -> "Attempts":
        """Begins a call."""
        budget = current_budget()
        limit_s = policy.limit_s(timeout_s, budget)
        call = Call(
            service=method.service,
            method=method.name,
            target=policy.target.name,
            timeout_s=limit_s,
            metadata=dict(metadata),
        )
        is_patient |= policy.config.wait_when_told
        return cls(policy, call, clock() + limit_s, budget, is_patient)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Surrounds the call; tells the hooks of its start and its end."""
        call = self.call
        tell_started(self.policy.hooks, call)
        call.code = "CANCELLED"  # unless it ends in one of the ways below
        try:
            yield
            call.code = "OK"
        except RecommenderError as error:
            call.error, call.code = error, code_name(error)
            raise
        finally:
            call.duration_s = clock() - self.started_s
            tell_ended(self.policy.hooks, call)

    def remaining_s(self) -> float:
        """Returns the time left; raises DeadlineExceededError if there is none."""
        remaining_s = self.deadline_s - clock()
        if remaining_s <= 0:
            raise DeadlineExceededError("no answer before the deadline")
        return remaining_s

    def metadata(self, token: str | None) -> Metadata:
        """Returns what is sent besides the request; raises InvalidRequestError if it cannot be."""
        pairs = checked_metadata(self.call.metadata)
        return pairs if token is None else (*pairs, ("authorization", f"Bearer {token}"))

    def may_hedge(self) -> bool:
        """Returns whether the call may be sent twice, and notes that it is."""
        may_hedge = self.policy.hedges.spend()
        self.call.was_hedged |= may_hedge
        return may_hedge

    def pause_s(self, error: RecommenderError, token: str | None) -> float:
        """Returns how long to wait before sending the call again; raises `error` not to."""
        if isinstance(error, UnauthenticatedError) and token is not None:
            tokens = self.policy.tokens
            if tokens is not None and not self.is_token_renewed and tokens.refused(token):
                self.is_token_renewed = True
                return 0.0
        wait_s = wait_before_retry_s(error, self.deadline_s - clock()) if self.is_patient else None
        if wait_s is None:
            raise error
        return wait_s
