"""What the list page does when many deals are ticked: one request of a person."""

from __future__ import annotations

import requests

from amo_bridge.demo.crm_user import CrmUser
from support.local_crm import TOKEN


def ask_for_many(office: CrmUser, method: str, deals: list[dict[str, object]], person: str) -> list[int]:
    """POST or PATCH many deals in one request; their ids."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(office.users[person])}
    answer = requests.request(method, f"{office.url}/api/v4/leads", json=deals, headers=headers, timeout=60)
    assert answer.ok, answer.text
    return [row["id"] for row in answer.json()["_embedded"]["leads"]]


def on_stage(office: CrmUser, stage: str) -> dict[str, object]:
    pipeline_id, status_id = office.stages[stage]
    return {"pipeline_id": pipeline_id, "status_id": status_id}


def many_deals(office: CrmUser, person: str, stage: str, how_many: int) -> list[int]:
    named = [{"name": f"Сделка {number}", **on_stage(office, stage)} for number in range(how_many)]
    return ask_for_many(office, "POST", named, person)


def move_many(office: CrmUser, person: str, deals: list[int], stage: str) -> None:
    ask_for_many(office, "PATCH", [{"id": deal, **on_stage(office, stage)} for deal in deals], person)
