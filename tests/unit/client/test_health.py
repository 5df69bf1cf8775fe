"""Health through both clients, against a real server."""

import pytest

from recserve_client import HealthStatus


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("SERVING", HealthStatus.SERVING),
        ("NOT_SERVING", HealthStatus.NOT_SERVING),
        ("UNKNOWN", HealthStatus.UNKNOWN),
    ],
)
def test_health_is_that_of_the_service_asked_for(server, ask, status, expected) -> None:
    server.set_health("recserve.v1.RecommendationService", status)

    assert ask("check_health", "recserve.v1.RecommendationService") is expected


def test_health_of_the_whole_server_is_the_default(server, ask) -> None:
    assert ask("check_health") is HealthStatus.SERVING


def test_a_service_that_the_server_does_not_have_is_a_status_too(server, ask) -> None:
    assert ask("check_health", "no.such.Service") is HealthStatus.SERVICE_UNKNOWN
