"""The sandbox's webhook bodies against captured ones: same keys, same order, same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from amo_bridge.sandbox.changes import Action, Change, Kind
from amo_bridge.sandbox.digital_pipeline import pipeline_hooks
from amo_bridge.sandbox.webhook_bodies import hooks_of
from amo_bridge.sandbox.webhook_entities import HookAccount
from amo_bridge.sandbox.world import World

PAYLOADS = Path(__file__).parents[1] / "payloads"
MOSCOW_MIDNIGHT_1980 = 316472400  # 12.01.1980 00:00 +03:00


def captured(name: str) -> str:
    return next(PAYLOADS.glob(f"{name}-*.form")).read_text(encoding="ascii").strip()


@pytest.fixture
def world() -> World:
    world = World()
    world.account.update(id=32427762, subdomain="example", timezone="Europe/Moscow", name="Example")
    return world


def bodies(world: World, *changes: Change) -> list[tuple[str, str]]:
    account = HookAccount(world)
    for change in changes:
        account.remember(change)
    return [(hook.setting, hook.body.decode("ascii")) for hook in hooks_of(changes, account)]


def without_account(body: str) -> str:
    """Vendor documentation prints its samples without the account block, which comes first on the wire."""
    head, parts = body.split("&")[:3], body.split("&")[3:]
    assert [unquote_plus(part.split("=")[0]) for part in head] == [
        "account[subdomain]",
        "account[id]",
        "account[_links][self]",
    ]
    return "&".join(parts)


def change(
    kind: Kind,
    action: Action,
    after: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Change:
    return Change(kind, action, after["id"], before, after, after.get("updated_by", 0), 0, extra or {})


def card(**more: Any) -> dict[str, Any]:
    return {"custom_fields_values": None, "tags": [], **more}


def field(number: int, name: str, kind: str, *values: Mapping[str, Any], code: str | None = None) -> dict[str, Any]:
    return {
        "field_id": number,
        "field_name": name,
        "field_code": code,
        "field_type": kind,
        "values": list(values),
    }


ABIBA = card(
    id=37054081,
    name="Абиба абибович",
    responsible_user_id=10000698,
    created_by=10000698,
    updated_by=10000698,
    created_at=1748289231,
    updated_at=1748289231,
)

DEAL_15318175 = card(
    id=15318175,
    name="",
    status_id=67548619,
    pipeline_id=8572511,
    price=1000,
    responsible_user_id=12345678,
    created_by=11087123,
    updated_by=11087123,
    created_at=1726572752,
    updated_at=1726572758,
)


def test_a_new_contact_is_told_byte_for_byte(world: World) -> None:
    assert bodies(world, change("contacts", "add", ABIBA)) == [("add_contact", captured("s01"))]


def test_a_contact_update_names_the_old_responsible_user_even_when_it_is_the_same(world: World) -> None:
    fields = [
        field(735647, "Должность", "text", {"value": "555"}, code="POSITION"),
        field(735649, "Телефон", "multitext", {"value": "333", "enum_id": 718321, "enum_code": "WORK"}, code="PHONE"),
        field(735651, "Email", "multitext", {"value": "444", "enum_id": 718333, "enum_code": "WORK"}, code="EMAIL"),
    ]
    after = {**ABIBA, "updated_at": 1748292937, "custom_fields_values": fields}

    assert bodies(world, change("contacts", "update", after, ABIBA)) == [("update_contact", captured("s02"))]


def test_a_new_deal_is_told_byte_for_byte(world: World) -> None:
    deal = card(
        id=32966269,
        name="Test",
        status_id=76789230,
        pipeline_id=9621010,
        price=999,
        responsible_user_id=10000698,
        created_by=10000698,
        updated_by=10000698,
        created_at=1748268669,
        updated_at=1748268669,
    )

    assert bodies(world, change("leads", "add", deal)) == [("add_lead", captured("s03"))]


def test_a_stage_change_is_also_told_as_an_update_with_the_old_status(world: World) -> None:
    world.account["id"] = 31257294
    after = card(
        id=27754599,
        name="",
        status_id=59936202,
        pipeline_id=7173574,
        price=0,
        responsible_user_id=10004026,
        created_by=0,
        updated_by=10004026,
        created_at=1694590926,
        updated_at=1695482894,
    )

    hooks = bodies(world, change("leads", "update", after, {**after, "status_id": 59936198}))

    assert [setting for setting, _ in hooks] == ["status_lead", "update_lead"]
    assert hooks[1][1] == captured("s06")


def test_custom_fields_of_every_captured_type(world: World) -> None:
    world.account["id"] = 66666666
    deal = card(
        id=1111111,
        name="New Lead",
        status_id=2222222,
        pipeline_id=5555555,
        price=500,
        responsible_user_id=3333333,
        created_by=44444444,
        updated_by=44444444,
        created_at=1726566390,
        updated_at=1726566390,
    )
    deal["custom_fields_values"] = [
        field(88888888, "Text", "text", {"value": "Text"}),
        field(9999999, "Numeric", "numeric", {"value": "123"}),
        field(12345678, "Toggle switch", "checkbox", {"value": True}),
        field(87654321, "Date", "date", {"value": 1729717200}),
        field(12312312, "Currency", "monetary", {"value": "200"}),
    ]

    [(_, body)] = bodies(world, change("leads", "add", deal))

    assert without_account(body) == captured("s33")


def test_a_status_hook_with_select_and_date(world: World) -> None:
    world.account["id"] = 12345678
    fields = [
        field(1246489, "Select", "select", {"value": "2", "enum_id": 908107, "enum_code": None}),
        field(1246491, "Date", "date", {"value": 1725915600}),
    ]
    after = {**DEAL_15318175, "custom_fields_values": fields}

    hooks = bodies(world, change("leads", "update", after, {**after, "status_id": 67548607}))

    assert hooks[0][0] == "status_lead"
    assert without_account(hooks[0][1]) == captured("s34")


def test_a_responsible_hook_still_names_the_stage_the_deal_left_before(world: World) -> None:
    world.account["id"] = 12345678
    account = HookAccount(world)
    account.remember(change("leads", "update", DEAL_15318175, {**DEAL_15318175, "status_id": 67548607}))
    after = {**DEAL_15318175, "responsible_user_id": 1234567, "updated_at": 1726572882}
    before = {**DEAL_15318175, "responsible_user_id": 12345673}

    hooks = bodies(world, change("leads", "update", after, before))

    assert [setting for setting, _ in hooks] == ["responsible_lead", "update_lead"]
    assert without_account(hooks[0][1]) == captured("s35")


def test_a_restored_deal(world: World) -> None:
    world.account["id"] = 12345678
    deal = card(
        id=15317715,
        name="123",
        status_id=67548607,
        pipeline_id=8572511,
        price=80,
        responsible_user_id=12345678,
        created_by=11087123,
        updated_by=11087123,
        created_at=1726571070,
        updated_at=1726572650,
    )

    [(setting, body)] = bodies(world, change("leads", "restore", deal))

    assert (setting, without_account(body)) == ("restore_lead", captured("s37"))


def test_radiobutton_and_birthday_have_forms_of_their_own(world: World) -> None:
    world.account["id"] = 32720107
    contact = card(
        id=17611273,
        name="Contact Name",
        responsible_user_id=11087123,
        created_by=11087123,
        updated_by=11087123,
        created_at=1726573127,
        updated_at=1726573127,
    )
    contact["custom_fields_values"] = [
        field(771906, "Phone", "multitext", {"value": "1234567890", "enum_id": 552476}, code="PHONE"),
        field(782386, "Birthday", "birthday", {"value": MOSCOW_MIDNIGHT_1980}),
        field(791730, "Any radiobutton", "radiobutton", {"value": "2", "enum_id": 566642}),
    ]

    [(_, body)] = bodies(world, change("contacts", "add", contact))

    assert without_account(body) == captured("s38")


def test_what_a_robot_made_belongs_to_group_minus_one_and_links_are_a_map(world: World) -> None:
    world.account["id"] = 36398783
    world.table("links")["contacts/43684612"] = {"leads": [{"id": 35144366}]}
    contact = card(
        id=43684612,
        name="contact-name",
        responsible_user_id=0,
        created_by=0,
        updated_by=15179615,
        created_at=1783305452,
        updated_at=1783305452,
    )
    phone = field(2031462, "Teléfono", "multitext", {"value": "2001", "enum_id": 1364056}, code="PHONE")
    contact["custom_fields_values"] = [phone]

    [(_, body)] = bodies(world, change("contacts", "add", contact))

    assert body == captured("s30").replace("amocrm.com", "amocrm.ru")


def test_a_company_comes_under_contacts(world: World) -> None:
    world.account["id"] = 32720107
    world.table("links")["companies/17612521"] = {"leads": [{"id": 15319601}]}
    company = card(
        id=17612521,
        name="Company name",
        responsible_user_id=11087123,
        created_by=11087123,
        updated_by=11087123,
        created_at=1726576533,
        updated_at=1726576534,
    )

    [(setting, body)] = bodies(world, change("companies", "add", company))

    assert (setting, without_account(body)) == ("add_company", captured("s40"))


def task(**more: Any) -> dict[str, Any]:
    return {
        "entity_type": "leads",
        "entity_id": 15320411,
        "task_type_id": 1,
        "is_completed": False,
        "result": None,
        "created_by": 11087123,
        "updated_by": 11087123,
        "responsible_user_id": 11087123,
        **more,
    }


def test_a_new_task(world: World) -> None:
    world.account["id"] = 32720107
    times = {"created_at": 1726578449, "updated_at": 1726578449, "complete_till": 1759438740}

    [(setting, body)] = bodies(world, change("tasks", "add", task(id=1564671, text="Task text", **times)))

    assert (setting, without_account(body)) == ("add_task", captured("s41"))


def test_a_task_whose_text_was_edited(world: World) -> None:
    world.account["id"] = 32720107
    times = {"created_at": 1725465613, "updated_at": 1726578680, "complete_till": 1757019540}
    before = task(id=1502517, entity_id=14791277, text="task text", **times)

    [(_, body)] = bodies(world, change("tasks", "update", {**before, "text": "task text edited"}, before))

    assert without_account(body) == captured("s42")


def test_a_completed_task_closes_in_that_very_update(world: World) -> None:
    world.account["id"] = 32720107
    times = {"created_at": 1726579225, "updated_at": 1726579269, "complete_till": 1729717140}
    before = task(id=1564845, text="text", **times)

    [(_, body)] = bodies(world, change("tasks", "update", {**before, "is_completed": True}, before))

    assert without_account(body) == captured("s43")


def test_a_task_with_another_responsible_user(world: World) -> None:
    world.account["id"] = 32720107
    times = {"created_at": 1726579673, "updated_at": 1726579681, "complete_till": 1758142740}
    before = task(id=1564917, text="text", **times)

    [(_, body)] = bodies(world, change("tasks", "update", {**before, "responsible_user_id": 11940747}, before))

    assert without_account(body) == captured("s45")


def test_a_task_finished_in_the_task_list_comes_in_two_updates(world: World) -> None:
    times = {"created_at": 1726579225, "updated_at": 1726579269, "complete_till": 1729717140}
    before = task(id=1564845, text="text", **times)
    after = {**before, "is_completed": True, "result": {"id": 400000001, "text": "Готово"}}

    from_list = bodies(world, change("tasks", "update", after, before, {"from_task_list": True}))
    from_card = bodies(world, change("tasks", "update", after, before))

    closing = [("action_close%5D=1" in body, "result%5D%5Bid%5D=400000001" in body) for _, body in from_list]
    assert closing == [(True, False), (False, True)]
    assert [("action_close%5D=1" in body, "result%5D" in body) for _, body in from_card] == [(True, True)]


def test_a_deleted_task(world: World) -> None:
    before = task(id=1564885)
    gone = Change("tasks", "delete", 1564885, before, None, 11087123, 0)

    [(setting, body)] = bodies(world, gone)

    assert (setting, without_account(body)) == ("delete_task", captured("s46"))


def note(**more: Any) -> dict[str, Any]:
    return {
        "note_type": "common",
        "group_id": 0,
        "created_by": 11087123,
        "updated_by": 11087123,
        "responsible_user_id": 11087123,
        **more,
    }


def test_a_deals_text_note(world: World) -> None:
    world.account["id"] = 32720107
    world.table("users")[11087123] = {"id": 11087123, "name": "Jean Pierre"}
    written = note(id=4600471, entity_type="leads", entity_id=15320411, params={"text": "note text"})
    written |= {"created_at": 1726580291, "updated_at": 1726580329}

    [(setting, body)] = bodies(world, change("notes", "add", written))

    assert (setting, without_account(body)) == ("note_lead", captured("s47"))


def test_a_companys_note_says_its_type_beside_the_note(world: World) -> None:
    world.account["id"] = 32720107
    world.table("users")[11087123] = {"id": 11087123, "name": "Gloria Potter"}
    written = note(id=4600623, entity_type="companies", entity_id=17614267, params={"text": "text note"})
    written |= {"created_at": 1726580653, "updated_at": 1726580689}

    [(setting, body)] = bodies(world, change("notes", "add", written))

    # The captured hook was anonymised: the author inside the metadata is another one than its creator.
    expected = captured("s49").replace("2222222%2C%22author", "11087123%2C%22author")
    assert (setting, without_account(body)) == ("note_company", expected)


def test_a_calls_text_is_json_with_upper_case_keys(world: World) -> None:
    params = {
        "uniq": "8f52d38a-5fb3-406d-93a3-a4832dc28f8b",
        "link": "https://example.com/rec.mp3",
        "phone": "79990000000",
        "duration": 60,
        "source": "pbx",
        "call_status": 4,
        "call_result": "",
    }
    times = {"created_at": 1, "updated_at": 1}
    call = note(id=1, note_type="call_in", entity_type="leads", entity_id=15320411, params=params, **times)

    [(_, body)] = bodies(world, change("notes", "add", call))

    text = next(part for part in captured("c-call").split("&") if "text" in part)
    assert text in body.split("&")


def test_an_incoming_lead_from_a_form(world: World) -> None:
    world.account["id"] = 32720107
    record = {
        "id": 1,
        "uid": "4278accf80c59e99411d5c6e01e4054864ca958e594699484ba8c5f40bb1",
        "category": "forms",
        "created_at": 1726573764,
        "pipeline_id": 8572511,
        "request_id": 0,
        "source_id": 36504,
        "lead_id": 15318519,
        "source_data": _branch(captured("s50"), "source_data"),
        "data": _branch(captured("s50"), "data"),
    }

    [(setting, body)] = bodies(world, change("unsorted", "add", record))

    assert (setting, without_account(body)) == ("add_unsorted", captured("s50"))


def test_a_declined_incoming_lead(world: World) -> None:
    record = {
        "id": 1,
        "uid": "f575b754b0d1eb1c380e457edeba88954891f3dce5d2fe1324fd3e2af58d",
        "category": "mail",
        "created_at": 1726426986,
        "lead_id": 15270337,
        "updated_by": 11087123,
    }

    [(setting, body)] = bodies(world, change("unsorted", "decline", record, record))

    assert (setting, without_account(body)) == ("delete_unsorted", captured("s52"))


def test_an_incoming_lead_from_a_chat(world: World) -> None:
    world.account["id"] = 31257294
    sample = captured("s11")
    record = {
        "id": 1,
        "uid": "00b625866db8641999f48766d61d4d0663c12aa38b9bcb4d2866b0c49605",
        "source": "telegram:29e8f8c6-7557-5f5f-8642-2789ef3f3a13",
        "source_uid": "amojo:telegram:54caee02-e383-46d8-a9b7-1fb43f07cffe",
        "category": "chats",
        "created_at": 1695484695,
        "pipeline_id": 7173574,
        "source_id": 22594646,
        "lead_id": 28455371,
        "contacts": [93589657],
        "source_data": _branch(sample, "source_data"),
    }

    assert bodies(world, change("unsorted", "add", record)) == [("add_unsorted", sample)]


def test_a_clients_message(world: World) -> None:
    world.account["id"] = 31257294
    message = {
        "id": "a0ce13c7-4825-4ecc-9dc0-b35c49b86db4",
        "chat_id": "54caee02-e383-46d8-a9b7-1fb43f07cffe",
        "talk_id": 100,
        "contact_id": 93589657,
        "text": "f",
        "created_at": 1695482791,
        "element_type": 2,
        "entity_type": "lead",
        "element_id": 27754599,
        "entity_id": 27754599,
        "type": "incoming",
        "author": _branch(captured("s08"), "author"),
        "origin": "telegram",
    }

    assert bodies(world, change("messages", "add", message)) == [("add_message", captured("s08"))]


@pytest.mark.parametrize(
    ("sample", "account_id", "deal", "left"),
    [
        ("s13", 23681254, (25431551, 34354531, 3273697), (35108005, 3273697)),
        ("s14", 30307558, (10754147, 54423922, 6344290), (54435014, 6344290)),
    ],
)
def test_a_digital_pipeline_hook_says_seven_things(
    world: World, sample: str, account_id: int, deal: tuple[int, int, int], left: tuple[int, int]
) -> None:
    world.account["id"] = account_id
    world.table("dp_hooks")[1] = {"id": 1, "destination": "d", "event": "status"}
    after = {"id": deal[0], "status_id": deal[1], "pipeline_id": deal[2]}
    before = {**after, "status_id": left[0], "pipeline_id": left[1]}

    [(_, _, body)] = pipeline_hooks(change("leads", "update", after, before), world)

    assert body.decode() == captured(sample)


def test_a_letter_fires_the_digital_pipeline(world: World) -> None:
    world.account["id"] = 9884604
    world.table("dp_hooks")[1] = {"id": 1, "destination": "d", "event": "mail_in", "pipeline_id": 7438250}
    world.table("dp_hooks")[2] = {"id": 2, "destination": "elsewhere", "event": "mail_in", "status_id": 142}
    world.table("leads")[34388191] = {"id": 34388191, "status_id": 61769054, "pipeline_id": 7438250}
    letter = note(id=1, note_type="amomail_message", entity_type="leads", entity_id=34388191, params={"income": True})

    [(destination, _, body)] = pipeline_hooks(change("notes", "add", letter), world)

    assert (destination, body.decode()) == ("d", captured("s16"))
    assert bodies(world, change("notes", "add", letter)) == []


def _branch(body: str, name: str) -> dict[str, Any]:
    """A branch of the captured tree that documentation shows only as an example of free content."""
    root: dict[str, Any] = {}
    for part in body.split("&"):
        key, _, value = part.partition("=")
        path = [piece.rstrip("]") for piece in unquote_plus(key).split("[")][3:]
        if path[:1] != [name]:
            continue
        node = root
        for piece in path[1:-1]:
            node = node.setdefault(piece, {})
        node[path[-1]] = unquote_plus(value)
    return root
