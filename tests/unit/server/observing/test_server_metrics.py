import pytest
from metrics_scrape import Scrape, readings

from recserve_server.metrics import SecurityReadings
from recserve_server.observing.heartbeat import Heartbeat
from recserve_server.stats import RequestLogStats

FAMILIES = {
    "grpc_server_started": "counter",
    "grpc_server_handled": "counter",
    "grpc_server_handling_seconds": "histogram",
    "recserve_answered_items": "counter",
    "recserve_answers": "counter",
    "recserve_asked_k": "histogram",
    "recserve_auth_refused": "counter",
    "recserve_batch_run_seconds": "histogram",
    "recserve_batch_size": "histogram",
    "recserve_batcher_woken": "counter",
    "recserve_callers_reloads": "counter",
    "recserve_canary_share": "gauge",
    "recserve_degraded_answers": "counter",
    "recserve_draining": "gauge",
    "recserve_empty_answers": "counter",
    "recserve_excluded_items": "counter",
    "recserve_failed_batches": "counter",
    "recserve_fallbacks": "counter",
    "recserve_first_item_percentile": "histogram",
    "recserve_golden_overlap": "gauge",
    "recserve_model_create_time_seconds": "gauge",
    "recserve_model_info": "gauge",
    "recserve_model_items": "gauge",
    "recserve_model_load_seconds": "histogram",
    "recserve_model_load_time_seconds": "gauge",
    "recserve_model_loads": "counter",
    "recserve_model_queue_depth": "gauge",
    "recserve_model_refused": "counter",
    "recserve_model_rows": "counter",
    "recserve_model_run_seconds": "histogram",
    "recserve_model_users": "gauge",
    "recserve_model_versions": "gauge",
    "recserve_padding_rows": "counter",
    "recserve_queue_depth": "gauge",
    "recserve_queue_evicted": "counter",
    "recserve_queue_wait_seconds": "histogram",
    "recserve_rejected": "counter",
    "recserve_serving": "gauge",
    "recserve_short_answers": "counter",
    "recserve_tenants": "gauge",
    "recserve_tls_certificate_expiry_timestamp_seconds": "gauge",
    "recserve_tls_rotations": "counter",
    "recserve_wasted_rows": "counter",
}
OPTIONAL = {
    "recserve_event_loop_lag_seconds": "histogram",
    "recserve_request_log_dropped": "counter",
    "recserve_request_log_written": "counter",
}


def test_every_family_is_there_before_anything_happened_and_is_zero() -> None:
    scrape = Scrape(readings())

    told = {name: family.type for name, family in scrape.families.items()}
    ours = {name: kind for name, kind in told.items() if name.startswith(("grpc_", "recserve_"))}
    assert ours == FAMILIES
    samples = [each for each in scrape.samples if each.name.startswith(("grpc_", "recserve_"))]
    assert {each.value for each in samples} == {0.0}


def test_families_of_what_is_not_configured_are_there_only_if_it_is() -> None:
    told = readings(heartbeat=Heartbeat(), request_log=RequestLogStats())

    families = Scrape(told).families

    assert {name: families[name].type for name in OPTIONAL} == OPTIONAL


def test_security_is_told() -> None:
    security = SecurityReadings(
        auth_refused={"missing": 3, "expired": 0},
        callers_reloads={"loaded": 1, "failed": 2},
        tls_rotations={"loaded": 4, "failed": 0},
        certificate_expiry_s=1_800_000_000.0,
    )

    scrape = Scrape(readings(security=security))

    assert scrape.value("recserve_auth_refused_total", reason="missing") == 3
    assert scrape.value("recserve_auth_refused_total", reason="expired") == 0
    assert scrape.value("recserve_callers_reloads_total", outcome="failed") == 2
    assert scrape.value("recserve_tls_rotations_total", outcome="loaded") == 4
    assert scrape["recserve_tls_certificate_expiry_timestamp_seconds"] == 1_800_000_000


def test_the_servers_own_state_is_told() -> None:
    log = RequestLogStats(written=9, overrun=2, failed=1)
    heartbeat = Heartbeat()
    heartbeat.lag_s.add(0.02)

    scrape = Scrape(readings(is_draining=True, heartbeat=heartbeat, request_log=log))

    assert scrape["recserve_draining"] == 1
    assert scrape["recserve_event_loop_lag_seconds_sum"] == pytest.approx(0.02)
    assert scrape["recserve_request_log_written_total"] == 9
    assert scrape.value("recserve_request_log_dropped_total", reason="overrun") == 2
    assert scrape.value("recserve_request_log_dropped_total", reason="failed") == 1


def test_the_process_and_python_are_told_too() -> None:
    scrape = Scrape(readings())

    assert scrape["process_resident_memory_bytes"] > 0
    assert "python_info" in scrape.families
