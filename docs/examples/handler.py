"""A web service that shows recommendations, and popular items while their server does not answer.

    RECSERVE_TARGET=localhost:8500 python handler.py 8000
    curl 'localhost:8000/recommendations?user=42'

Any WSGI server takes `handler:application`, forking ones too: the client connects at its first
call, so that each process has a connection of its own, which its threads share.
"""

import json
import logging
import os
import sys
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Final
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from recserve_client import InvalidRequestError, RecommenderClient, RecommenderError, TimeBudget

LONGEST_S: Final = 1.0
RESERVE_S: Final = 0.02  # of the caller's time, to answer without the server
POPULAR_FOR_S: Final = 600.0
NOBODY: Final = "-"  # whom the server does not know it gives popular items

Answer = tuple[str, dict[str, object]]
log = logging.getLogger("handler")


class Application:
    """Answers HTTP requests with JSON."""

    def __init__(self, target: str) -> None:
        self._client = RecommenderClient(target, timeout_s=LONGEST_S)
        self._popular: list[dict[str, str]] = []
        self._popular_until_s = 0.0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answers one request."""
        routes = {"/recommendations": self._recommendations, "/health": self._health}
        route = routes.get(environ["PATH_INFO"])
        status, answer = route(environ) if route else ("404 Not Found", {"error": "no such page"})
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _recommendations(self, environ: WSGIEnvironment) -> Answer:
        user_id = parse_qs(environ.get("QUERY_STRING", "")).get("user", [""])[0]
        try:
            with TimeBudget(budget_s(environ)):
                items = self._items(user_id)
                self._keep_popular()
        except InvalidRequestError as error:
            return "400 Bad Request", {"error": str(error)}
        except RecommenderError as error:
            log.warning("popular items for user %r: %s %s", user_id, error, error.request_id)
            return "200 OK", {"user": user_id, "items": self._popular, "fallback": True}
        return "200 OK", {"user": user_id, "items": items, "fallback": False}

    def _keep_popular(self) -> None:
        if time.monotonic() > self._popular_until_s:
            with suppress(RecommenderError):  # the old ones are better than none
                self._popular = self._items(NOBODY)
                self._popular_until_s = time.monotonic() + POPULAR_FOR_S

    def _items(self, user_id: str) -> list[dict[str, str]]:
        answer = self._client.recommend(user_id, k=10)
        return [{"id": item.item_id, "title": item.title} for item in answer]

    def _health(self, environ: WSGIEnvironment) -> Answer:
        # This service is well without recommendations, too: restarting it would not bring them.
        try:
            recommendations = str(self._client.check_health(timeout_s=budget_s(environ)))
        except RecommenderError as error:
            recommendations = str(error)
        return "200 OK", {"status": "ok", "recommendations": recommendations}


def budget_s(environ: WSGIEnvironment) -> float:
    """Seconds that may be spent on an answer; Envoy tells how long the caller waits."""
    told_ms = environ.get("HTTP_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS", "")
    told_s = int(told_ms) / 1000 if told_ms.isdecimal() else LONGEST_S
    return min(LONGEST_S, max(told_s - RESERVE_S, 0.001))


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A thread per request; for trying out."""

    daemon_threads = True


application = Application(os.environ.get("RECSERVE_TARGET", "localhost:8500"))

if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), application, ThreadingServer) as web:
        print(f"serving on http://127.0.0.1:{web.server_port}", flush=True)
        web.serve_forever()
