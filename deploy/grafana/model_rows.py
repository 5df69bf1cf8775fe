"""Rows of the dashboard that are about models and their answers; see rows.py."""

from typing import Final

from panels import Panel, quantile, rate

MODEL: Final = ',model=~"$model"'
ANSWERS: Final = rate("recserve_answers_total", where=MODEL)

MODEL_ROWS: Final[dict[str, list[Panel]]] = {
    "Models": [
        Panel(
            "Loaded versions",
            {"": f"recserve_model_info{{$S{MODEL}}}"},
            kind="table",
            width=12,
        ),
        Panel(
            "Versions on disk",
            {
                "{{model}} {{state}}": "max by (model, state) "
                f"(recserve_model_versions{{$S{MODEL}}}) > 0"
            },
            width=6,
        ),
        Panel(
            "Age of the newest version",
            {
                "{{model}}": "time() - max by (model) "
                f"(recserve_model_create_time_seconds{{$S{MODEL}}})"
            },
            "s",
            width=6,
            kind="stat",
        ),
        Panel(
            "Loads and refusals, per hour",
            {
                "{{model}} {{outcome}}": "sum by (model, outcome) "
                f"(increase(recserve_model_loads_total{{$S{MODEL}}}[1h]))",
                "{{model}} {{reason}}": "sum by (model, reason) "
                f"(increase(recserve_model_refused_total{{$S{MODEL}}}[1h])) > 0",
            },
        ),
        Panel(
            "Time to load, mean of a day",
            {
                "seconds": "sum (increase(recserve_model_load_seconds_sum{$S}[1d])) / "
                "sum (increase(recserve_model_load_seconds_count{$S}[1d]))",
                "since the last one": "time() - max by (model) "
                f"(recserve_model_load_time_seconds{{$S{MODEL}}})",
            },
            "s",
            kind="stat",
        ),
        Panel(
            "Share of expected items",
            {"{{model}} {{against}}": f"recserve_golden_overlap{{$S{MODEL}}}"},
            "percentunit",
        ),
        Panel(
            "Model's process, p99 of a batch, by version",
            {
                "{{model}} {{version}}": quantile(
                    0.99, "recserve_model_run_seconds", "model", "version", where=MODEL
                )
            },
            "s",
        ),
        Panel(
            "Users ranked for, by version",
            {
                "{{model}} {{version}}": rate(
                    "recserve_model_rows_total", "model", "version", where=MODEL
                )
            },
            "rps",
        ),
        Panel(
            "Canary",
            {
                "{{model}} share": f"max by (model) (recserve_canary_share{{$S{MODEL}}})",
            },
            "percentunit",
            width=4,
        ),
        Panel(
            "Size, and waiting",
            {
                "{{model}} items": f"max by (model) (recserve_model_items{{$S{MODEL}}})",
                "{{model}} users": f"max by (model) (recserve_model_users{{$S{MODEL}}})",
                "{{model}} waiting": f"sum by (model) (recserve_model_queue_depth{{$S{MODEL}}})",
            },
            width=4,
            kind="stat",
        ),
    ],
    "Recommendations": [
        Panel(
            "Answers by source",
            {"{{kind}} {{source}}": rate("recserve_answers_total", "kind", "source", where=MODEL)},
            "reqps",
        ),
        Panel(
            "Not personal, by reason",
            {
                "{{reason}}": f"{rate('recserve_fallbacks_total', 'reason', where=MODEL)} / "
                f"on () group_left () {ANSWERS}"
            },
            "percentunit",
        ),
        Panel(
            "Short, empty, without recorded events",
            {
                name: f"{rate(f'recserve_{name}_answers_total', where=MODEL)} / {ANSWERS}"
                for name in ("short", "empty", "degraded")
            },
            "percentunit",
        ),
        Panel(
            "Items per answer",
            {
                "answered": f"{rate('recserve_answered_items_total', where=MODEL)} / {ANSWERS}",
                "asked for": f"{rate('recserve_asked_k_sum', where=MODEL)} / "
                f"{rate('recserve_asked_k_count', where=MODEL)}",
            },
        ),
        Panel(
            "Ids that callers exclude",
            {"known ids": rate("recserve_excluded_items_total", where=MODEL)},
            "rps",
        ),
        Panel(
            "Percentile of the first items",
            {
                f"p{round(100 * share)}": quantile(
                    share, "recserve_first_item_percentile", where=MODEL
                )
                for share in (0.1, 0.5, 0.9)
            },
        ),
    ],
}
