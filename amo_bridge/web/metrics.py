"""``GET /metrics`` for Prometheus: what the process has counted, and the store of each account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from amo_bridge.engine.metrics import HealthSnapshot, Metrics
from amo_bridge.errors import StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application
from amo_bridge.web.auth.guard import TOKEN, may_look
from amo_bridge.web.context import METERS

# Hooks to an address with a wrong secret belong to nobody.
NOBODY = ""
CLOSED = f"Только с этой машины или с заголовком Authorization: Bearer (переменная {TOKEN})\n"


def install(app: Flask, application: Application, token: str) -> None:
    """Serve the page, and count the hooks that the app answers."""
    stored = CollectorRegistry()
    stored.register(StoredMetrics(application.observed))
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        if not may_look(request, token):
            return Response(CLOSED, 401, {"WWW-Authenticate": "Bearer"}, content_type="text/plain; charset=utf-8")
        body = generate_latest(application.process_metrics.registry) + generate_latest(stored)
        return Response(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    app.register_blueprint(routes)
    _count_hooks(app, application.process_metrics)
    app.extensions[METERS] = application.process_metrics


def _count_hooks(app: Flask, meters: Metrics) -> None:
    @app.before_request
    def began() -> None:
        g.began = perf_counter()

    @app.after_request
    def answered(response: Response) -> Response:
        if request.endpoint == "hooks.amocrm":
            receiver = g.get("receiver")
            counted = receiver.meters if receiver is not None else meters.of(NOBODY)
            counted.hook_answered(response.status_code, perf_counter() - g.began)
        return response


class StoredMetrics(Collector):
    """Read from the stores whenever Prometheus asks. A store that does not answer takes only its own numbers away."""

    def __init__(self, observed: Callable[[], Sequence[AccountRuntime]]) -> None:
        self._observed = observed

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = _families()
        for bridge in self._observed():
            account = bridge.meters.account
            families["ready"].add_metric([account], bridge.is_ready)
            families["leading"].add_metric([account], bridge.is_leading)
            families["crm_allowed_per_second"].add_metric([account], bridge.requests_per_second)
            if bridge.token_ends_at is not None:
                families["token_ends_timestamp_seconds"].add_metric([account], bridge.token_ends_at)
            try:
                health = bridge.health_snapshot()
            except StoreUnavailable as error:
                log.error("store not counted", account=account, error=str(error))
                health = None
            families["store_up"].add_metric([account], health is not None)
            if health is not None:
                families["rules_broken"].add_metric([account], len(bridge.fit.broken))
                families["names_renamed"].add_metric([account], len({one.name for one in bridge.fit.renamed}))
            if health is not None:
                _fill(families, account, health)
        yield from families.values()


def _fill(families: dict[str, GaugeMetricFamily], account: str, health: HealthSnapshot) -> None:
    plain: dict[str, Any] = {
        "inbox_new": health.inbox_new,
        "events_open": health.events_open,
        "overdue": health.overdue,
        "timers_open": health.timers_open,
        "timers_overdue": health.timers_overdue,
        "mirror_deals": health.mirror_deals,
        "last_hook_age_seconds": health.last_hook_age,
        "reconcile_age_seconds": health.reconcile_age,
        "crm_stopped": bool(health.stopped),
    }
    for name, value in plain.items():
        if value is not None:
            families[name].add_metric([account], value)
    for state, count in health.outbox.items():
        families["outbox"].add_metric([account, state], count)
    for kind, count in health.failed.items():
        families["failed"].add_metric([account, kind], count)


def _families() -> dict[str, GaugeMetricFamily]:
    words: dict[str, tuple[str, list[str]]] = {
        "ready": ("1: the account's bridge works", []),
        "leading": ("1: this process works for the account; 0: it stands by, or only takes hooks in", []),
        "store_up": ("1: the store answers; 0: it does not, or has not been opened yet", []),
        "crm_allowed_per_second": ("Requests a second that amoCRM may get from us: the whole budget", []),
        "token_ends_timestamp_seconds": ("When amoCRM's token dies, Unix seconds", []),
        "inbox_new": ("Hooks taken in and not decoded yet", []),
        "events_open": ("Events not judged yet", []),
        "outbox": ("Effects not yet in amoCRM, by state", ["state"]),
        "failed": ("What the bridge gave up on, by kind; see amo-bridge failed", ["kind"]),
        "overdue": ("Work that should have been done a minute ago", []),
        "timers_open": ("Steps of schedules that are still to come", []),
        "timers_overdue": ("Steps that fell due a minute ago and have not fired", []),
        "mirror_deals": ("Deals in the mirror", []),
        "rules_broken": ("Rules that are on and don't work, because the account has lost a name of theirs", []),
        "names_renamed": ("Names that amoCRM calls otherwise than the config", []),
        "last_hook_age_seconds": ("Since the last hook", []),
        "reconcile_age_seconds": ("Since the last reconciliation that went through", []),
        "crm_stopped": ("1: amoCRM has stopped us (token, payment, block); only probes are sent", []),
    }
    return {
        name: GaugeMetricFamily(f"amo_bridge_{name}", told, labels=["account", *labels])
        for name, (told, labels) in words.items()
    }
