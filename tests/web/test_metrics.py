"""``/metrics`` and ``/health``: what they tell, to whom, and never a secret."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import ENVIRONMENT, SECRET, RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.metrics import Metrics
from amo_bridge.errors import StoreUnavailable
from amo_bridge.web.app import create_app

IVAN = "Иван Петров"
PASSWORD = "for-prometheus"


@pytest.fixture
def start(start_bridge: Callable[..., RunningBridge], config: Config) -> Callable[[], RunningBridge]:
    return lambda: start_bridge(config, environment=ENVIRONMENT | {"AMO_BRIDGE_METRICS_TOKEN": PASSWORD}).wait_ready()


def samples(bridge: RunningBridge) -> dict[str, float]:
    """«name{label="value" …}» without the account → value."""
    answer = requests.get(f"{bridge.url}/metrics", timeout=10)
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = " ".join(f"{key}={value}" for key, value in sorted(sample.labels.items()) if key != "account")
            found[f"{sample.name} {labels}".strip()] = sample.value
    return found


def look(bridge: RunningBridge, page: str, **headers: str) -> requests.Response:
    return requests.get(f"{bridge.url}/{page}", headers=headers, timeout=10)


def test_a_hook_and_its_effect_are_counted(
    start: Callable[[], RunningBridge], office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start()
    # What the first look would find by itself came by no hook, and has no lag.
    wait_until(lambda: "amo_bridge_reconcile_age_seconds" in samples(bridge), "the account has been compared")
    before = samples(bridge)
    contact = office.new_contact(IVAN, "Ольга")
    office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(sandbox)
    wait_until(lambda: samples(bridge).get("amo_bridge_lag_seconds_count") == 1, "the effect's lag is counted")
    after = samples(bridge)
    delivered = len(sandbox.control("GET", "hooks")["attempts"])
    assert after["amo_bridge_hooks_total status=204"] == delivered
    assert after["amo_bridge_hook_seconds_count"] == delivered
    assert after["amo_bridge_effects_total kind=create_task"] == 1
    assert after["amo_bridge_crm_requests_total method=POST status=200"] >= 1
    assert after["amo_bridge_crm_wait_seconds_count"] > before["amo_bridge_crm_wait_seconds_count"]
    assert after["amo_bridge_crm_allowed_per_second"] == bridge.config.account.requests_per_second
    assert after["amo_bridge_mirror_deals"] == 1
    assert (after["amo_bridge_ready"], after["amo_bridge_leading"], after["amo_bridge_store_up"]) == (1, 1, 1)
    assert (after["amo_bridge_inbox_new"], after["amo_bridge_events_open"], after["amo_bridge_overdue"]) == (0, 0, 0)
    assert 0 <= after["amo_bridge_last_hook_age_seconds"] < 60
    assert 0 <= after["amo_bridge_reconcile_age_seconds"] < 60


def test_push_backs_and_lost_answers_are_counted(
    start: Callable[[], RunningBridge], office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start()
    sandbox.fault("status", status=429, count=1, method="POST", path="/api/v4/tasks")
    sandbox.fault("refuse_before", count=1, method="GET", path="/api/v4/leads*")
    contact = office.new_contact(IVAN, "Ольга")
    office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    bridge.settle(sandbox)
    told = samples(bridge)
    assert told["amo_bridge_crm_push_backs_total"] == 1
    assert told["amo_bridge_crm_requests_total method=POST status=429"] == 1
    assert told["amo_bridge_crm_requests_total method=GET status=none"] == 1


def test_a_hook_with_a_wrong_secret_is_counted_apart(start: Callable[[], RunningBridge]) -> None:
    bridge = start()
    assert bridge.hook(b"", "guessed").status_code == 404
    text = look(bridge, "metrics").text
    assert 'amo_bridge_hooks_total{account="",status="404"} 1.0' in text


def test_a_stranger_needs_the_token(start: Callable[[], RunningBridge]) -> None:
    bridge = start()
    through_a_proxy = {"X-Forwarded-For": "203.0.113.5"}
    assert look(bridge, "metrics", **through_a_proxy).status_code == 401
    assert look(bridge, "metrics", **through_a_proxy, Authorization="Bearer guessed").status_code == 401
    assert look(bridge, "metrics", **through_a_proxy, Authorization=f"Bearer {PASSWORD}").status_code == 200


def test_without_a_token_no_stranger_gets_in(bridge: RunningBridge) -> None:
    for wrong in ("Bearer ", "Bearer", ""):
        refused = look(bridge, "metrics", **{"X-Real-IP": "203.0.113.5"}, Authorization=wrong)
        assert refused.status_code == 401
        assert "amo_bridge_" not in refused.text


def test_health_tells_this_machine_everything_and_a_stranger_one_word(start: Callable[[], RunningBridge]) -> None:
    bridge = start()
    told = look(bridge, "health/ready").json()
    assert told["status"] == "ready"
    assert told["counts"]["outbox"] == {"waiting": 0, "ready": 0, "sending": 0, "doubt": 0}
    assert {"leading", "trouble", "token_ends_at", "store"} <= set(told)
    assert look(bridge, "health/ready", Forwarded="for=203.0.113.5").json() == {"status": "ready"}
    assert look(bridge, "health/live", Forwarded="for=203.0.113.5").json() == {"status": "live"}


def test_no_secret_is_told(start: Callable[[], RunningBridge]) -> None:
    bridge = start()
    for page in ("metrics", "health", "health/ready", "health/live"):
        text = look(bridge, page).text
        assert not [secret for secret in (SECRET, TOKEN, PASSWORD) if secret in text], page


def test_a_store_that_does_not_answer_takes_only_its_own_numbers_away() -> None:
    def health_snapshot() -> None:
        raise StoreUnavailable("нет базы")

    meters = Metrics()
    sick = SimpleNamespace(
        meters=meters.of("agency"),
        is_ready=False,
        is_leading=False,
        token_ends_at=5e9,
        requests_per_second=7,
        health_snapshot=health_snapshot,
    )
    application: Any = SimpleNamespace(observed=lambda: [sick], process_metrics=meters)
    text = create_app(application, takes_hooks=False).test_client().get("/metrics").text
    assert 'amo_bridge_store_up{account="agency"} 0.0' in text
    assert 'amo_bridge_token_ends_timestamp_seconds{account="agency"} 5e+09' in text
    assert "amo_bridge_inbox_new{" not in text
