"""Many deals at once, for benchmarks and an initial load: like any other deal, without events or webhooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.sandbox_account import SandboxAccount

from amo_bridge.sandbox.account_start import load_world


def seed(account: SandboxAccount, **body: Any) -> Any:
    answer = account.call("POST", "/sandbox/seed", body)
    assert answer.status == 201, answer.raw
    return answer.json


def test_seeded_deals_stand_on_the_stage_and_tell_nobody(account: SandboxAccount) -> None:
    seeded = seed(account, deals=120, stage="Продажи / Бриф получен")

    assert seeded == {"deals": 120, "first_id": 30_000_001, "last_id": 30_000_120}
    page = account.get("leads?limit=250").json["_embedded"]["leads"]
    assert [lead["id"] for lead in page] == list(range(30_000_001, 30_000_121))
    stage = account.stage("Бриф получен")
    assert all({name: lead[name] for name in stage} == stage for lead in page)
    assert len({lead["responsible_user_id"] for lead in page}) == 8
    assert account.changes == []
    assert account.get("events").status == 204
    assert account.add_lead(name="следующая") == 30_000_121


def test_a_seeded_contact_is_a_deals_main_one_and_has_a_phone(account: SandboxAccount) -> None:
    seeded = seed(account, deals=3, contacts=True)

    lead = account.lead(seeded["last_id"])
    assert account.stage("Новый клиент").items() <= lead.items()
    (contact,) = lead["_embedded"]["contacts"]
    assert contact["is_main"] is True
    shown = account.get(f"contacts/{contact['id']}?with=leads").json
    assert [one["id"] for one in shown["_embedded"]["leads"]] == [lead["id"]]
    assert [field["values"][0]["value"] for field in shown["custom_fields_values"]] == ["+79000000003"]


def test_seeded_deals_are_ordered_and_filtered_as_others(account: SandboxAccount) -> None:
    seeded = seed(account, deals=300)
    first, last = seeded["first_id"], seeded["last_id"]

    def ids(query: str) -> list[int]:
        return [lead["id"] for lead in account.get(f"leads?{query}").json["_embedded"]["leads"]]

    assert ids("order[updated_at]=desc&limit=3") == [last, last - 1, last - 2]
    assert ids("order[id]=asc&limit=250&page=2") == list(range(first + 250, last + 1))
    wanted = "&".join(f"filter[id][]={number}" for number in (last, 1, first, first + 7))
    assert ids(wanted) == [first, first + 7, last]
    now = account.world.clock.now()
    assert ids(f"filter[updated_at][from]={now - 1}&filter[id][]={last}&filter[id][]={first}") == [last]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"deals": 0},
        {"deals": True},
        {"deals": 5, "stages": "x"},
        {"deals": 5, "stage": "Бриф получен"},
        {"deals": 1, "stage": "Продажи / Неразобранное"},
    ],
)
def test_a_seed_that_makes_no_sense_is_refused(account: SandboxAccount, wrong: dict[str, Any]) -> None:
    assert account.call("POST", "/sandbox/seed", wrong or None).status == 400
    assert account.get("leads").status == 204


def test_seeded_deals_survive_a_restart(tmp_path: Path) -> None:
    world = load_world(state_file=tmp_path / "state.sqlite")
    seeded = seed(SandboxAccount(world), deals=5, contacts=True)
    world.close()

    again = load_world(state_file=tmp_path / "state.sqlite")
    assert len(SandboxAccount(again).lead(seeded["last_id"])["_embedded"]["contacts"]) == 1
    again.close()
