"""A connected client, whatever it asks: opening, closing, health and models; blocking."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from . import _convert, _requests
from ._errors import NotFoundError
from ._models import HealthStatus, ModelVersion
from ._transport import methods
from ._transport.blocking import BlockingCalls
from ._transport.budget import TimeBudget
from ._transport.config import ChannelConfig
from ._transport.hooks import CallHook
from ._transport.shared import Policy
from ._transport.targets import parse_target


class ConnectedClient:
    """The part of a client that has nothing to do with recommendations."""

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        config: ChannelConfig | None = None,
        timeout_s: float = 2.0,
        hooks: Sequence[CallHook] = (),
    ) -> None:
        """Prepares the connection, which is made at the first call.

        Args:
            target: "host:port" or any gRPC name, such as "dns:///host:port" for all addresses of a
                name or "unix:/path"; or the addresses of several replicas, as a sequence or split
                by commas: "10.0.0.1:8500,10.0.0.2:8500".
            config: Message sizes, retries, hedging, load balancing and security; None means the
                defaults.
            timeout_s: Seconds that a call may take, retries included, unless it says otherwise.
            hooks: What is told of every call.

        Raises:
            ValueError: `target`, `timeout_s` or the token of `config` is out of range.
        """
        parsed = parse_target(target)
        self._calls = BlockingCalls(Policy(parsed, config or ChannelConfig(), timeout_s, hooks))
        self._target = parsed.name

    def get_model(
        self, name: str = "", version: int = 0, *, timeout_s: float | None = None
    ) -> ModelVersion:
        """Describes one model version.

        Args:
            name: Name of the model; empty means the server's first.
            version: Version of the model; 0 means the one that answers by default.
            timeout_s: Seconds that the call may take; None means the client's default.

        Raises:
            NotFoundError: the server has no such model version.
        """
        request = _requests.get_model_request(name, version)
        response = self._calls.run(methods.GET_MODEL, request, timeout_s)
        return _convert.model_version(response.model)

    def list_models(self, *, timeout_s: float | None = None) -> tuple[ModelVersion, ...]:
        """Lists the model versions that the server found, by name, newest version first.

        Args:
            timeout_s: Seconds that all pages together may take; None means the client's default.
        """
        request, found = _requests.list_models_request(), list[ModelVersion]()
        with TimeBudget(self._calls.limit_s(timeout_s)):
            while True:
                page = self._calls.run(methods.LIST_MODELS, request)
                found += map(_convert.model_version, page.models)
                if not page.next_page_token:
                    return tuple(found)
                request = _requests.list_models_request(page.next_page_token)

    def check_health(self, service: str = "", *, timeout_s: float | None = None) -> HealthStatus:
        """Asks whether the server accepts calls.

        Args:
            service: Full name of one service, e.g. "recserve.v1.RecommendationService"; empty
                means the server as a whole.
            timeout_s: Seconds that the call may take; None means the client's default.
        """
        # Imported here because few programs ask.
        from ._transport import health

        try:
            response = self._calls.run(health.CHECK, health.request(service), timeout_s)
        except NotFoundError:
            return HealthStatus.SERVICE_UNKNOWN
        return _convert.health_status(response.status)

    def close(self) -> None:
        """Closes the connection; calls under way fail. Closing twice does nothing."""
        self._calls.close()

    def __repr__(self) -> str:
        """Tells the target and whether the client is closed."""
        return f"{type(self).__name__}({self._target!r}{', closed' * self._calls.is_closed})"

    def __enter__(self) -> Self:
        """Returns the client itself."""
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the client."""
        self.close()
