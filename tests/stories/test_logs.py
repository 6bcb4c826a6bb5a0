"""A whole journey's log: every line tells what it is about, and none tells a client's phone, a mail or a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.bridge_process import BridgeProcess
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import ENVIRONMENT, SECRET, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from bench.processes import REGULATION

PHONE, MAIL = "+7 916 123-45-67", "olga.romashkina@example.ru"
METRICS = "metrics-password"
# However they are written: in an address, in a form, with blanks.
PERSONAL = re.compile(r"916\D{0,4}123\D{0,4}45\D{0,4}67|romashkina|olga\.")


@pytest.fixture
def bridge(sandbox: LocalCrm, tmp_path: Path) -> Iterator[BridgeProcess]:
    environment = {
        **ENVIRONMENT,
        "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
        "AMO_BRIDGE_DATA": str(tmp_path / "data"),
        "AMO_BRIDGE_SETTLE": "0.2",
        "AMO_BRIDGE_METRICS_TOKEN": METRICS,
    }
    process = BridgeProcess(tmp_path / "log", environment, "--config", str(REGULATION))
    process.wait_ready()
    yield process
    process.kill()


def contact_with_everything(office: CrmUser) -> int:
    contact = office.new_contact(MANAGER, f"Ольга {PHONE}")
    codes = {"PHONE": PHONE, "EMAIL": MAIL}
    fields = [{"field_code": code, "values": [{"value": value, "enum_code": "WORK"}]} for code, value in codes.items()]
    answer = requests.patch(
        f"{office.url}/api/v4/contacts/{contact}",
        json={"custom_fields_values": fields},
        headers={"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(office.users[MANAGER])},
        timeout=30,
    )
    assert answer.ok, answer.text
    return contact


def journey(office: CrmUser, sandbox: LocalCrm) -> int:
    """Tasks are set while an answer gets lost and amoCRM is broken."""
    sandbox.fault("lost_answer", method="POST", path="/api/v4/tasks", count=1)
    contact = contact_with_everything(office)
    deal = office.new_deal(MANAGER, f"Ромашка {PHONE} {MAIL}", "Продажи / Новый клиент", contact, 1000)
    wait_for_task(office, deal, "Связаться и взять в работу")
    sandbox.fault("status", status=502, method="GET", path="/api/v4/leads*", count=2)
    office.attach(MANAGER, deal, f"Договор {PHONE} {MAIL}.pdf")
    office.move(MANAGER, deal, "Продажи / Согласование КП")
    wait_for_task(office, deal, "Согласовать КП")
    return deal


def wait_for_task(office: CrmUser, deal: int, text: str) -> None:
    wait_until(lambda: text in {task["text"] for task in office.tasks(deal)}, text)


def lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def test_the_log_of_a_journey_is_structured_and_tells_nothing_personal(
    bridge: BridgeProcess, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = journey(office, sandbox)
    hostile = f"leads[add][0][id]=x&phone={PHONE}&mail={MAIL}&{SECRET}={TOKEN}".encode()
    assert bridge.hook(SECRET, hostile) == 204
    assert bridge.hook("guessed", hostile) == 404
    assert bridge.stop() == 0

    told = bridge.told
    assert not PERSONAL.findall(told)
    assert not [secret for secret in (TOKEN, SECRET, METRICS, ENVIRONMENT["AMO_BRIDGE_KEY"]) if secret in told]
    written = lines(told)
    done = [line for line in written if line["event"] == "done" and line["deal"] == deal]
    assert done
    for line in done:
        assert {"rule", "deal", "event_id", "effect", "kind", "id", "timestamp", "level"} <= set(line)
    assert "Traceback" not in told
