"""Rows of the dashboard: panels, each with its queries by what their legend says.

`$S` in a query stands for what selects a server's series.
"""

from typing import Final

from model_rows import MODEL_ROWS
from panels import Panel, quantile, rate

UNARY: Final = ',grpc_type="unary"'
OK: Final = f'{UNARY},grpc_code="OK"'
FAILED: Final = ',grpc_code=~"Internal|Unavailable|DeadlineExceeded|ResourceExhausted|Unknown"'

ROWS: Final[dict[str, list[Panel]]] = {
    "Traffic": [
        Panel(
            "Calls by method",
            {"{{grpc_method}}": rate("grpc_server_started_total", "grpc_method", where=UNARY)},
            "reqps",
        ),
        Panel(
            "Calls by status",
            {"{{grpc_code}}": rate("grpc_server_handled_total", "grpc_code", where=UNARY) + " > 0"},
            "reqps",
        ),
        Panel(
            "Share that the server failed or shed",
            {
                "failed": f"{rate('grpc_server_handled_total', where=UNARY + FAILED)} / "
                f"{rate('grpc_server_handled_total', where=UNARY)}"
            },
            "percentunit",
            width=5,
        ),
        Panel(
            "In flight",
            {
                "calls": f"sum (grpc_server_started_total{{$S{UNARY}}}) - "
                f"sum (grpc_server_handled_total{{$S{UNARY}}})"
            },
            width=3,
            kind="stat",
        ),
    ],
    "Latency": [
        Panel(
            "Good answers",
            {
                f"p{100 * share:g}": quantile(share, "grpc_server_handling_seconds", where=OK)
                for share in (0.5, 0.95, 0.99, 0.999)
            },
            "s",
            width=12,
            about="In the server: from a call's arrival in Python to its end.",
        ),
        Panel(
            "p99 by method",
            {
                "{{grpc_method}}": quantile(
                    0.99, "grpc_server_handling_seconds", "grpc_method", where=OK
                )
            },
            "s",
            width=12,
        ),
    ],
    "Queue and batches": [
        Panel("Queue depth", {"{{instance}}": "recserve_queue_depth{$S}"}, width=6),
        Panel(
            "Wait for a batch, p99",
            {"{{priority}}": quantile(0.99, "recserve_queue_wait_seconds", "priority")},
            "s",
            width=6,
        ),
        Panel(
            "Mean batch size",
            {
                "requests": f"{rate('recserve_batch_size_sum')} / "
                f"{rate('recserve_batch_size_count')}"
            },
            width=6,
            about="Near --max-batch-size the server is saturated.",
        ),
        Panel(
            "Batch, with the way to the model's process",
            {
                f"p{100 * share:g}": quantile(share, "recserve_batch_run_seconds")
                for share in (0.5, 0.99)
            },
            "s",
            width=6,
        ),
        Panel(
            "Refused by reason",
            {"{{reason}}": rate("recserve_rejected_total", "reason")},
            "reqps",
        ),
        Panel(
            "Work for nobody",
            {
                "caller gone": rate("recserve_wasted_rows_total"),
                "padding": rate("recserve_padding_rows_total"),
                "evicted": rate("recserve_queue_evicted_total"),
                "failed batches": rate("recserve_failed_batches_total"),
                "queue woken": rate("recserve_batcher_woken_total"),
            },
            "rps",
        ),
        Panel("Tenants who wait", {"{{instance}}": "recserve_tenants{$S}"}),
    ],
    **MODEL_ROWS,
    "Events": [
        Panel(
            "Store answers", {"{{instance}}": "recserve_events_available{$S}"}, kind="stat", width=6
        ),
        Panel("Recorded", {"events": rate("recserve_events_recorded_total")}, "rps", width=9),
        Panel(
            "Questions answered without",
            {
                "share": f"{rate('recserve_events_degraded_total')} / "
                f"{rate('recserve_events_reads_total')}"
            },
            "percentunit",
            width=9,
        ),
    ],
    "Security": [
        Panel(
            "Not let in, by reason", {"{{reason}}": rate("recserve_auth_refused_total", "reason")}
        ),
        Panel(
            "Certificate's rest",
            {
                "{{instance}}": "recserve_tls_certificate_expiry_timestamp_seconds{$S} - time()",
            },
            "s",
            kind="stat",
        ),
        Panel(
            "Files read again, per hour",
            {
                "certificate {{outcome}}": "sum by (outcome) "
                "(increase(recserve_tls_rotations_total{$S}[1h]))",
                "callers {{outcome}}": "sum by (outcome) "
                "(increase(recserve_callers_reloads_total{$S}[1h]))",
            },
        ),
    ],
    "Process": [
        Panel(
            "Health",
            {
                "{{instance}} serving": "recserve_serving{$S}",
                "{{instance}} draining": "recserve_draining{$S}",
            },
            width=6,
        ),
        Panel(
            "Lag of the event loop",
            {
                f"p{100 * share:g}": quantile(share, "recserve_event_loop_lag_seconds")
                for share in (0.5, 0.99)
            },
            "s",
            width=6,
        ),
        Panel(
            "Processor time of the server's process",
            {"{{instance}}": "rate(process_cpu_seconds_total{$S}[$__rate_interval])"},
            "percentunit",
            width=6,
        ),
        Panel(
            "Memory of the server's process",
            {"{{instance}}": "process_resident_memory_bytes{$S}"},
            "bytes",
            width=6,
        ),
        Panel(
            "Open files",
            {"{{instance}}": "process_open_fds{$S} / process_max_fds{$S}"},
            "percentunit",
            width=12,
        ),
        Panel(
            "Request log",
            {
                "written": rate("recserve_request_log_written_total"),
                "dropped, {{reason}}": rate("recserve_request_log_dropped_total", "reason"),
            },
            "rps",
            width=12,
        ),
    ],
}
