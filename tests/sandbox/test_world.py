"""The world behind the API: the clock, the account file, the state that survives a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.sandbox_account import SandboxAccount

from amo_bridge.sandbox import account_file
from amo_bridge.sandbox.account_file import AccountFileError
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.clock import SandboxClock
from amo_bridge.sandbox.world import World


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = SandboxClock()
    seen: list[int] = []
    clock.subscribe(seen.append)
    clock.freeze()
    clock.set(1_000)
    clock.advance(60)
    assert clock.now() == 1_060
    assert seen == [1_000, 1_060]
    clock.unfreeze()
    assert clock.now() >= 1_060


def test_two_new_accounts_differ_in_amojo_id_only() -> None:
    one, two = load_world(), load_world()
    one.clock.freeze()
    assert one.account["amojo_id"] != two.account["amojo_id"]
    for kind in ("users", "statuses", "custom_fields/leads", "contacts"):
        assert list(one.table(kind)) == list(two.table(kind))


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.sqlite"
    first = SandboxAccount(load_world(state_file=state))
    lead_id = first.add_lead(
        name="Жива", tags_to_add=[{"name": "а"}], _embedded={"contacts": [{"id": first.contact()}]}
    )
    gone = first.add_task()
    first.post("/sandbox/ui/delete_task", {"user_id": 0, "task_id": gone})
    first.world.clock.advance(86_400)
    amojo_id = first.world.account["amojo_id"]
    first.world.close()

    second = SandboxAccount(load_world(state_file=state))
    lead = second.lead(lead_id)
    assert (lead["name"], lead["_embedded"]["tags"][0]["name"]) == ("Жива", "а")
    assert lead["_embedded"]["contacts"][0]["id"] == second.contact()
    assert second.get(f"tasks/{gone}").status == 204
    assert second.world.account["amojo_id"] == amojo_id
    assert second.world.clock.now() >= lead["updated_at"] + 86_400
    assert second.add_lead() == lead_id + 1
    second.world.close()


def test_what_was_answered_is_saved_without_a_clean_stop(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.sqlite"
    killed = SandboxAccount(load_world(state_file=state))
    lead_id = killed.add_lead(name="Записана")
    after = SandboxAccount(load_world(state_file=state))
    assert after.lead(lead_id)["name"] == "Записана"
    for account in (killed, after):
        account.world.close()


def test_a_new_start_forgets_everything_and_is_another_account(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.sqlite"
    account = SandboxAccount(load_world(state_file=state))
    lead_id, amojo_id = account.add_lead(), account.world.account["amojo_id"]
    account.world.start_anew()
    assert account.get(f"leads/{lead_id}").status == 204
    assert account.world.account["amojo_id"] != amojo_id
    account.world.close()
    again = load_world(state_file=state)
    assert again.table("leads") == {}
    again.close()


def agency() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(account_file.AGENCY.read_text(encoding="utf-8"))
    return body


def lead_field(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(field for field in body["custom_fields"]["leads"] if field["name"] == name)


def load(tmp_path: Path, body: dict[str, Any]) -> World:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    return load_world(path)


def test_own_groups_and_task_types_have_large_ids_beside_amocrms_small_ones() -> None:
    world = load_world()
    assert list(world.table("groups"))[:2] == [0, 600_001]
    assert list(world.table("task_types"))[:3] == [1, 2, 2_600_001]


def test_ids_given_in_the_file_are_kept_and_never_given_again(tmp_path: Path) -> None:
    body = agency()
    body["users"][0]["id"] = 10_000_001
    body["pipelines"][0]["stages"][0]["id"] = 70_000_000
    world = load(tmp_path, body)
    assert world.table("users")[10_000_001]["name"] == "Елена Орлова"
    assert len(world.table("users")) == len(body["users"])
    pipeline_id = next(iter(world.table("pipelines")))
    assert world.table("statuses")[f"{pipeline_id}/70000000"]["name"] == "Новый клиент"


def test_an_address_needs_no_lines_in_the_file(tmp_path: Path) -> None:
    body = agency()
    body["custom_fields"]["leads"].append({"name": "Адрес", "type": "smart_address"})
    fields = load(tmp_path, body).table("custom_fields/leads").values()
    address = next(field for field in fields if field["name"] == "Адрес")
    assert [enum["code"] for enum in address["enums"]][2] == "city"


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda body: body.update(colour="red"), "colour"),
        (lambda body: body["users"][1].update(group="Охрана"), "users → 1 → group: no group «Охрана»"),
        (lambda body: body["tokens"][0].update(user="Никто"), "tokens → 0 → user: no user «Никто»"),
        (lambda body: lead_field(body, "Тип клиента").pop("enums"), "type select needs enums"),
        (lambda body: body["contacts"][0]["fields"].update(Рост=5), "contacts → 0 → fields: no field «Рост»"),
        (lambda body: body["contacts"][0]["fields"].update(Пол="Да"), "Анна Соколова"),
        (lambda body: body["pipelines"][0].update(is_main=False), "exactly one has is_main"),
        (lambda body: body["pipelines"][1].pop("stages"), "pipelines → 1 → stages"),
        (lambda body: body["task_types"].pop(0), r"task_types: every account has the type 1 \(FOLLOW_UP\)"),
        (lambda body: body["task_types"].pop(1), r"task_types: every account has the type 2 \(MEETING\)"),
    ],
)
def test_a_wrong_account_file_is_refused_with_the_place(tmp_path: Path, spoil: Any, place: str) -> None:
    body = agency()
    spoil(body)
    with pytest.raises(AccountFileError, match=place):
        load(tmp_path, body)


def test_a_file_that_is_no_json_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    with pytest.raises(AccountFileError, match=r"account\.json"):
        load_world(path)
    path.write_text("{\n  nonsense", encoding="utf-8")
    with pytest.raises(AccountFileError, match=r"account\.json:2"):
        load_world(path)
