"""A gRPC server of recserve's services in the process of a test."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack

import grpc
from google.protobuf.message import DecodeError, Message

from recserve_client._questions import Event

from . import _checks, _refusals
from ._answers import METHODS
from ._calls import CallLog, ReceivedCall
from ._catalogue import Catalogue
from ._failures import FailureDetails, FailurePlan, refusal_of
from ._item import Item
from ._knowledge import FakeModel, Knowledge
from ._listener import Listener, ServerTls
from ._refusals import RefusedError
from ._samples import SAMPLE_ITEMS, SAMPLE_USERS


class FakeServer:
    """Answers as a recserve server does, from a catalogue that a test writes down.

    Real gRPC on a free port of 127.0.0.1, in threads of this process: a `with` block serves
    blocking and asyncio tests alike. Answers are the same in every run. A known user's order looks
    random, without what the user took; a stranger's follows from the history or the features of
    the request; all others get what most users took.

    What is told of it here may be changed at any time, by any thread. It holds up to 32 calls at a
    time; further ones wait unseen. Limits and errors are those of the real server, but for user
    features, which may have any name, and a history's ratings, which are passed over. The one model
    version is "stable"; none is "canary". Similarity is the share of attribute values in common.
    Health is answered whatever `fail`, `required_token` and `delay_s` say.
    """

    def __init__(
        self,
        items: Iterable[Item] | None = None,
        users: Mapping[str, Iterable[str]] | None = None,
        *,
        tls: ServerTls | None = None,
        required_token: str | None = None,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        """Makes a server that is not running; its port is chosen already.

        Args:
            items: The catalogue; None means `SAMPLE_ITEMS`. Where counts and scores are equal,
                earlier items come first.
            users: By user id, ids of the items that the user took; None means `SAMPLE_USERS`, or
                nobody if `items` are given.
            tls: Secures connections; None means plain text.
            required_token: What callers must bear, as in the metadata `authorization: Bearer
                TOKEN`; others are refused as UNAUTHENTICATED. None means that anybody may call.
            options: Further gRPC server arguments, as in {"grpc.max_receive_message_length": 99}.

        Raises:
            ValueError: an id occurs twice, a history names an item that there is not, or an
                attribute holds a number in one item and texts in another.
        """
        if users is None:
            users = SAMPLE_USERS if items is None else {}
        catalogue = Catalogue(SAMPLE_ITEMS if items is None else items, users)
        self._changed = threading.Condition()
        self._knowledge = Knowledge(catalogue)
        self._log = CallLog(self._changed)
        self._failures = FailurePlan(METHODS)
        self._listener = Listener(self._answer, tls, options or {})
        self._required_token = required_token
        self._is_down = self._is_paused = False
        self.delay_s = 0.0
        """Seconds by which every answer is late, refusals included."""

    @property
    def target(self) -> str:
        """Where it listens, for a client: "127.0.0.1:PORT"; the same for as long as it lives."""
        return self._listener.target

    @property
    def port(self) -> int:
        """The port, e.g. for "localhost:PORT" where a certificate asks for that name."""
        return self._listener.port

    @property
    def model(self) -> FakeModel:
        """Name, version and largest k, which may be set: `server.model.version = 2`."""
        return self._knowledge.model

    @property
    def calls(self) -> tuple[ReceivedCall, ...]:
        """The calls received, in the order in which they arrived; health checks are left out."""
        return self._log.calls

    @property
    def events(self) -> tuple[Event, ...]:
        """The events recorded, each once, in the order in which they arrived."""
        with self._changed:
            return tuple(self._knowledge.events.values())

    def start(self) -> None:
        """Listens, also again after `stop`.

        Raises:
            RuntimeError: it is running, or the port cannot be listened on.
        """
        self._listener.start(is_healthy=not self._is_down)

    def stop(self) -> None:
        """Ends at once, as a replica that dies: calls under way break, new ones find nobody.

        What it knows stays for the next `start`, after which a client's gRPC may take a second to
        try the port again. Stopping twice does nothing.
        """
        self._listener.stop()

    def set_recommendations(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Gives a user exactly these items, best first, from now on.

        The user counts as known. Seen items may be among them; `k` and what a request excludes,
        allows or filters still hold. `RankItems` puts them first.

        Raises:
            ValueError: an item is not in the catalogue, or twice in the list; or the id is none.
        """
        with self._changed:
            self._knowledge.set_exact_list(user_id, item_ids)

    def fail(
        self,
        code: str | grpc.StatusCode,
        *,
        times: int | None = None,
        method: str | None = None,
        **details: Unpack[FailureDetails],
    ) -> None:
        """Makes calls fail, as in `fail("INTERNAL", reason="MODEL_FAILED", times=1)`.

        Failures follow one another in the order in which they were told.

        Args:
            code: A gRPC status or its name, e.g. "UNAVAILABLE".
            times: How many calls fail, tries of a client that tries again included; None means
                all until `recover`.
            method: Name of the only method that fails, e.g. "Recommend"; None means all.
            **details: What else is told: `reason`, `message` and `retry_after_s`, as in
                `FailureDetails`.

        Raises:
            ValueError: the code, `times`, `method` or `retry_after_s` is none that there can be.
        """
        refusal = refusal_of(code, details)
        with self._changed:
            self._failures.add(refusal, times, method)

    def overload(
        self, *, retry_after_s: float = 0.05, times: int | None = None, method: str | None = None
    ) -> None:
        """Makes calls fail as those do that find a full queue; otherwise as `fail`."""
        self.fail(
            "RESOURCE_EXHAUSTED",
            times=times,
            method=method,
            reason="QUEUE_FULL",
            message="1024 requests are waiting already",
            retry_after_s=retry_after_s,
        )

    def recover(self) -> None:
        """Ends all that `fail` and `overload` began."""
        with self._changed:
            self._failures.clear()

    def go_down(self) -> None:
        """Refuses all calls as UNAVAILABLE, NOT_READY, and tells health NOT_SERVING."""
        self._set_down(True)

    def come_back(self) -> None:
        """Ends what `go_down` began."""
        self._set_down(False)

    def pause(self) -> None:
        """Holds all answers; calls still arrive."""
        with self._changed:
            self._is_paused = True

    def resume(self) -> None:
        """Gives the answers that were held; what is to fail is decided only now."""
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()

    def wait_for_call(self, timeout_s: float = 5.0) -> ReceivedCall:
        """Returns the next call, answered or not; each call is returned once.

        Blocks: asyncio tests await `asyncio.to_thread(server.wait_for_call)`.

        Raises:
            TimeoutError: none came within `timeout_s`.
        """
        return self._log.wait_for_next(timeout_s)

    def clear(self) -> None:
        """Forgets the calls and events received."""
        with self._changed:
            self._log.clear()
            self._knowledge.forget_events()

    def reset(self) -> None:
        """Makes it as it was at its birth, for a fixture that several tests share.

        Answers that are held are given; whether it runs stays as it is.
        """
        self.clear()
        self.recover()
        self.come_back()
        self.delay_s = 0.0
        with self._changed:
            self._knowledge.model = FakeModel()
            self._knowledge.exact_lists.clear()
        self.resume()

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()

    def __repr__(self) -> str:
        """Tells where it listens and what it knows."""
        catalogue = self._knowledge.catalogue
        state = "running" if self._listener.is_running else "stopped"
        return (
            f"<FakeServer {self.target} {state}: "
            f"{len(catalogue.items)} items, {len(catalogue.histories)} users>"
        )

    def _set_down(self, is_down: bool) -> None:
        self._is_down = is_down
        self._listener.set_health(not is_down)

    def _answer(self, method: str, encoded: bytes, context: grpc.ServicerContext) -> Message | None:
        """Answers a call; None if nobody waits for the answer any more."""
        try:
            request = METHODS[method].request_class.FromString(encoded)
        except DecodeError as error:
            path = f"/{METHODS[method].service}/{method}"
            raise _refusals.malformed_message(path) from error
        call = self._log.add(method, request, context)
        if not self._log.hold(call, self.delay_s, lambda: self._is_paused):
            return None
        with self._changed:
            refusal = self._refusal(call)
            if refusal is not None:
                # One may be raised many times, and would keep the traceback of each.
                raise refusal.with_traceback(None)
            return METHODS[method].answer(request, self._knowledge)

    def _refusal(self, call: ReceivedCall) -> RefusedError | None:
        if self._is_down:
            return _refusals.not_ready()
        token, given = self._required_token, call.metadata.get("authorization")
        if token is not None and given != f"Bearer {token}":
            return _refusals.unauthenticated(has_authorization=given is not None)
        violations = _checks.priority_violations(call.metadata)
        if violations:
            return _refusals.invalid_fields(violations)
        return self._failures.next(call.method)
