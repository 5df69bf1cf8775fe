"""What a server has to tell at one moment, gathered from its parts; called by a scrape's thread."""

from collections import Counter
from collections.abc import Sequence

from recserve_server.app import App
from recserve_server.metrics import LoadedReadings, ModelReadings, Readings, SecurityReadings
from recserve_server.models.lineup import Lineup
from recserve_server.models.live import LiveModel
from recserve_server.models.store import ModelStore
from recserve_server.models.version import State
from recserve_server.observing.heartbeat import Heartbeat
from recserve_server.security.opening import Security


def read(app: App, heartbeat: Heartbeat) -> Readings:
    """Returns the newest readings of a server."""
    lineups = list(app.store.lineups)
    # Copied in one step each: the event loop changes them.
    live = [each for lineup in lineups for each in (*lineup.live.values(), *lineup.leaving)]
    return Readings(
        calls=app.calls,
        is_serving=app.health.is_serving,
        is_draining=app.health.is_draining,
        loaded=[_loaded(each) for each in live],
        retired=app.store.stats.retired,
        models=_models(app.store, lineups),
        security=_security(app.security),
        events=app.events,
        heartbeat=heartbeat,
        request_log=app.request_log.stats if app.request_log else None,
    )


def _loaded(live: LiveModel) -> LoadedReadings:
    loaded_at = live.version.load_time
    return LoadedReadings(
        manifest=live.version.manifest,
        load_time_s=loaded_at.timestamp() if loaded_at else 0.0,
        batches=live.batcher.stats,
        answers=live.runner.stats,
        queue_depth=live.batcher.queue_depth,
        tenants=live.batcher.tenant_count,
    )


def _models(store: ModelStore, lineups: Sequence[Lineup]) -> ModelReadings:
    counts: Counter[tuple[str, str]] = Counter()
    overlaps: dict[tuple[str, str], float] = {}
    for lineup in lineups:
        versions = list(lineup.versions.values())
        for state in State:
            counts[lineup.name, state.value] = sum(each.state is state for each in versions)
        asked = [each for each in versions if each.golden_overlap is not None]
        for newest in sorted(asked, key=lambda each: each.number)[-1:]:
            told = {"export": newest.golden_overlap, "serving": newest.serving_overlap}
            overlaps |= {
                (lineup.name, by): share for by, share in told.items() if share is not None
            }
    return ModelReadings(
        versions=counts,
        stats=store.stats.versions,
        golden_overlap=overlaps,
        canary_share={
            each.name: each.labels.canary_percent / 100 if each.canary else 0.0 for each in lineups
        },
    )


def _security(security: Security) -> SecurityReadings:
    tls, access = security.tls, security.access
    for each in (tls, access):
        if each is not None:
            # Else what is told of them would be as old as the last connection or call.
            each.refresh()
    return SecurityReadings(
        auth_refused=dict(access.refused) if access else {},
        callers_reloads={"loaded": access.rotations, "failed": access.failures} if access else {},
        tls_rotations={"loaded": tls.rotations, "failed": tls.failures} if tls else {},
        certificate_expiry_s=tls.not_after if tls else None,
    )
