"""Too much to do, or too little time for it."""

from google.rpc import code_pb2

from recserve_server.errors.base import RetryLater, ServingError


class Overloaded(RetryLater):
    """More is waiting than should; come back after the delay."""

    code = code_pb2.RESOURCE_EXHAUSTED
    reason = "QUEUE_FULL"


class QueueFull(Overloaded):
    """As many requests wait as may."""

    def __init__(self, max_enqueued: int, retry_after_s: float) -> None:
        super().__init__(
            f"{max_enqueued} requests are waiting already",
            retry_after_s,
            max_enqueued=str(max_enqueued),
        )


class WaitTooLong(Overloaded):
    """The request would wait longer than anybody is to."""

    def __init__(self, wait_s: float, max_wait_s: float, retry_after_s: float) -> None:
        wait_ms, max_wait_ms = f"{wait_s * 1000:.1f}", f"{max_wait_s * 1000:g}"
        super().__init__(
            f"the wait is estimated at {wait_ms} ms, at most {max_wait_ms} ms are allowed",
            retry_after_s,
            estimated_wait_ms=wait_ms,
            max_wait_ms=max_wait_ms,
        )


class DeadlineTooShort(ServingError):
    """The answer would come after the caller has gone; nothing was queued."""

    code = code_pb2.DEADLINE_EXCEEDED
    reason = "DEADLINE_TOO_SHORT"

    def __init__(self, timeout_s: float, answer_s: float) -> None:
        timeout_ms, answer_ms = f"{timeout_s * 1000:.1f}", f"{answer_s * 1000:.1f}"
        super().__init__(
            f"the deadline is {timeout_ms} ms away, an answer may take {answer_ms} ms",
            metadata={"timeout_ms": timeout_ms, "estimated_wait_ms": answer_ms},
        )


class ExpiredInQueue(ServingError):
    """The deadline passed while the request waited; nothing was computed."""

    code = code_pb2.DEADLINE_EXCEEDED
    reason = "EXPIRED_IN_QUEUE"

    def __init__(self, queue_s: float) -> None:
        queue_ms = f"{queue_s * 1000:.1f}"
        super().__init__(
            f"the deadline passed after {queue_ms} ms in the queue", metadata={"queue_ms": queue_ms}
        )
