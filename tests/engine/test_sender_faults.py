"""Sending into the local amoCRM, whose answers get lost: every kind of write is found again and not repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, NEW, OFFER, agency, client_of, effect, errors, on_stage, queue, states, user
from support.local_crm import LocalCrm
from support.running_bridge import config_for

from amo_bridge import retry
from amo_bridge.clock import SystemClock
from amo_bridge.crm.lost_writes import _holds
from amo_bridge.crm.records import DealRecord
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.effects import Effect, state_before
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.sender import Sender
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

MANAGER = "Иван Петров"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One kind is enough here: it is about amoCRM."""
    opened = Store.in_folder(tmp_path)
    opened.prepare()
    return opened


@pytest.fixture
def deal(office: CrmUser) -> int:
    return office.new_deal(MANAGER, "Ромашка", NEW, office.new_contact(MANAGER, "Анна"), 1000)


@pytest.fixture
def sender(sandbox: LocalCrm, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.setattr(retry, "FIRST", 0.0)
    rules = CurrentRules(RuleEngine.of(config_for(sandbox.url, tmp_path), agency(), SystemClock()))
    return Sender(AccountStore(store, ACCOUNT), client_of(sandbox.url), rules, sandbox.url, SystemClock(), settle=0.0)


def send_all(sender: Sender) -> None:
    while sender.send():
        pass


def task_of(office: CrmUser, deal: int) -> int:
    rows = [{"text": "Была", "complete_till": 2_000_000_000, "entity_id": deal, "entity_type": "leads"}]
    return int(office._ask("POST", "/api/v4/tasks", rows, MANAGER)["_embedded"]["tasks"][0]["id"])


def field(name: str) -> int:
    return agency().field(name).id


def new_task(office: CrmUser, deal: int) -> Effect:
    body = {**effect(deal_id=deal).body, "complete_till": 2_000_000_000}
    return effect(deal_id=deal, body=body, not_before=datetime.now(UTC).timestamp())


def changed_task(office: CrmUser, deal: int) -> Effect:
    body = {"id": task_of(office, deal), "text": "Стала", "complete_till": 1_900_000_000}
    return effect("change_task", deal, body=body)


def finished_task(office: CrmUser, deal: int) -> Effect:
    done = {"id": task_of(office, deal), "is_completed": True, "result": {"text": "Снята"}}
    return effect("change_task", deal, body=done)


def moved_deal(office: CrmUser, deal: int) -> Effect:
    return effect("patch_deal", deal, body={"id": deal, **on_stage(OFFER)}, expects=agency().stage(NEW).key)


def filled_deal(office: CrmUser, deal: int) -> Effect:
    values: dict[str, Any] = {
        "Дата дедлайна": 1_798_664_400,
        "Закрывающие документы получены": True,
        "Тип оплаты": "Предоплата",
        "Связанная сделка": "https://agency.amocrm.ru/leads/detail/1?a=1&b=2",
    }
    sent = [{"field_id": field(name), "values": [{"value": value}]} for name, value in values.items()]
    sent.append({"field_id": field("Бриф"), "values": None})
    return effect("patch_deal", deal, body={"id": deal, "custom_fields_values": sent})


def tagged_deal(office: CrmUser, deal: int) -> Effect:
    return effect("patch_deal", deal, body={"id": deal, "tags_to_add": [{"name": "дорого"}, {"name": "vip"}]})


def new_note(office: CrmUser, deal: int) -> Effect:
    return effect("add_note", deal, text="«Внимание» & <важно>", not_before=datetime.now(UTC).timestamp())


def new_deal(office: CrmUser, deal: int) -> Effect:
    body = {
        "name": "Ромашка & Ко",
        **on_stage("Работа с потерянными / Потерянные"),
        "responsible_user_id": user(MANAGER),
        "price": 500,
        "_embedded": {"tags": [{"name": "дорого"}]},
        "custom_fields_values": [{"field_id": field("Дата дедлайна"), "values": [{"value": 1_798_664_400}]}],
    }
    follow = effect("add_note", deal, text="Дальше: {new.url}")
    return effect("create_deal", deal, body=body, then=(follow,), not_before=datetime.now(UTC).timestamp())


Make = Callable[[CrmUser, int], Effect]
EVERY_KIND = [new_task, changed_task, finished_task, moved_deal, filled_deal, tagged_deal, new_note, new_deal]


def writes(sandbox: LocalCrm) -> int:
    return sum(count for asked, count in sandbox.requests().items() if asked.startswith(("POST /api", "PATCH /api")))


def everything(sandbox: LocalCrm) -> dict[str, int]:
    """How many of each kind there are in amoCRM."""
    tables = sandbox.control("GET", "state")["tables"]
    return {kind: len(tables.get(kind, ())) for kind in ("leads", "tasks", "notes", "tags/leads")}


@pytest.mark.parametrize("make", EVERY_KIND)
def test_what_was_done_though_the_answer_was_lost_is_found_and_not_repeated(
    make: Make, sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    wanted = make(office, deal)
    queue(store, wanted)
    sandbox.forget_requests()
    fault = sandbox.fault("lost_answer", method="P*", count=1)
    assert sender.send() == 0
    assert states(store)[0] == "doubt"
    assert sandbox.struck(fault) == 1
    after = everything(sandbox)
    sandbox.forget_requests()
    sender.send()
    assert states(store)[0] == "done"
    follows = len(wanted.then)
    assert writes(sandbox) == follows
    assert everything(sandbox) == {**after, "notes": after["notes"] + follows}


Change = Callable[[CrmUser, int], None]


def newest(office: CrmUser, path: str, name: str) -> dict[str, Any]:
    return dict(max(office._rows(path, name), key=lambda row: int(row["id"])))


def change(where: tuple[str, str], **changed: Any) -> Change:
    """A person changes the newest row of a list."""

    def by_person(office: CrmUser, deal: int) -> None:
        row = newest(office, *where)
        office._ask("PATCH", where[0], [{"id": row["id"], **changed}], MANAGER)

    return by_person


TASKS, DEALS = ("/api/v4/tasks", "tasks"), ("/api/v4/leads", "leads")
CHANGED_BY_PEOPLE = [
    pytest.param(new_task, change(TASKS, complete_till=2_100_000_000), id="the task's date"),
    pytest.param(new_task, change(TASKS, text="Другое"), id="the task's text"),
    pytest.param(new_task, change(TASKS, responsible_user_id=user("Мария Кузнецова")), id="the task's person"),
    pytest.param(new_task, change(TASKS, is_completed=True, result={"text": "Готово"}), id="the task is done"),
    pytest.param(new_deal, change(DEALS, name="Ромашка плюс"), id="the deal's name"),
    pytest.param(new_deal, change(DEALS, responsible_user_id=user("Мария Кузнецова")), id="the deal's person"),
    pytest.param(new_deal, change(DEALS, **on_stage(OFFER)), id="the deal's stage"),
]


@pytest.mark.parametrize(("make", "by_person"), CHANGED_BY_PEOPLE)
def test_what_people_have_changed_before_the_look_is_not_made_twice(
    make: Make,
    by_person: Change,
    sandbox: LocalCrm,
    store: Store,
    sender: Sender,
    office: CrmUser,
    deal: int,
) -> None:
    queue(store, make(office, deal))
    sandbox.fault("lost_answer", method="P*", count=1)
    assert sender.send() == 0
    sandbox.later()
    by_person(office, deal)
    before = everything(sandbox)
    send_all(sender)
    assert states(store)[0] == "done"
    after = everything(sandbox)
    assert (after["leads"], after["tasks"]) == (before["leads"], before["tasks"])


def patched(body: dict[str, Any], **more: Any) -> Make:
    """A change of the deal, decided by what the deal was when it was decided."""

    def make(office: CrmUser, deal: int) -> Effect:
        record = DealRecord.from_api(office.deal(deal))
        return effect("patch_deal", deal, body={"id": deal, **body}, before=state_before(record, body), **more)

    return make


def retimed_task(office: CrmUser, deal: int) -> Effect:
    number = task_of(office, deal)
    body = {"id": number, "complete_till": 1_900_000_000}
    return effect("change_task", deal, body=body, before={"complete_till": 2_000_000_000})


def text_field(name: str, value: object) -> dict[str, Any]:
    return {"field_id": field(name), "values": None if value is None else [{"value": value}]}


BRIEF, KIND = "https://example.com/1", "Предоплата"
FILLED = patched({"custom_fields_values": [text_field("Бриф", BRIEF)]})
FILLED_BOTH = patched({"custom_fields_values": [text_field("Бриф", BRIEF), text_field("Тип оплаты", KIND)]})
ASSIGNED = patched({"responsible_user_id": user("Мария Кузнецова")})
MINE = {"custom_fields_values": [text_field("Бриф", "https://example.com/mine")]}


def by_person(path: str, **changed: Any) -> Change:
    return change((path, path.rsplit("/", 1)[-1]), **changed)


OVERWRITTEN = [
    pytest.param(FILLED, by_person("/api/v4/leads", **MINE), "поле «Бриф» изменено человеком", id="a field"),
    pytest.param(
        FILLED,
        by_person("/api/v4/leads", custom_fields_values=[text_field("Бриф", "x"), text_field("Тип оплаты", KIND)]),
        "поле «Бриф» изменено человеком",
        id="a field and another",
    ),
    pytest.param(
        ASSIGNED,
        by_person("/api/v4/leads", responsible_user_id=user("Елена Орлова")),
        "ответственный изменён человеком",
        id="the responsible person",
    ),
    pytest.param(
        retimed_task,
        by_person("/api/v4/tasks", complete_till=2_100_000_000),
        "срок задачи изменён человеком",
        id="a task's date",
    ),
    pytest.param(
        changed_task,
        by_person("/api/v4/tasks", complete_till=2_100_000_000, text="Моя"),
        "текст задачи изменён человеком; срок задачи изменён человеком",
        id="a task that the rule did not read",
    ),
]


@pytest.mark.parametrize(("make", "changes", "reason"), OVERWRITTEN)
@pytest.mark.parametrize("fault", ["lost_answer", "refuse_before"])
def test_a_part_that_people_have_changed_since_is_theirs(
    fault: str,
    make: Make,
    changes: Change,
    reason: str,
    sandbox: LocalCrm,
    store: Store,
    sender: Sender,
    office: CrmUser,
    deal: int,
) -> None:
    """Whether the lost write had landed or not."""
    queue(store, make(office, deal))
    sandbox.fault(fault, method="P*", count=1)
    assert sender.send() == 0
    sandbox.later()
    changes(office, deal)
    before = sandbox.control("GET", "state")["tables"]
    send_all(sender)
    after = sandbox.control("GET", "state")["tables"]
    assert (states(store), errors(store)) == (["done"], [reason])
    assert (after["leads"], after.get("tasks")) == (before["leads"], before.get("tasks"))


def test_tasks_of_one_deal_are_read_and_finished_together(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    queue(store, *(finished_task(office, deal) for _ in range(5)))
    sandbox.forget_requests()
    send_all(sender)
    assert set(states(store)) == {"done"}
    assert sandbox.requests() == {"GET /api/v4/tasks": 1, "PATCH /api/v4/tasks": 1}


def test_two_changes_of_one_task_are_two_requests_in_their_order(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    task = task_of(office, deal)
    first, second = ({"id": task, "text": text} for text in ("Раз", "Два"))
    queue(store, effect("change_task", deal, body=first), effect("change_task", deal, body=second))
    sandbox.forget_requests()
    send_all(sender)
    assert sandbox.requests()["PATCH /api/v4/tasks"] == 2
    assert newest(office, "/api/v4/tasks", "tasks")["text"] == "Два"


UNTOUCHED = [
    pytest.param(FILLED, by_person("/api/v4/leads", price=7), id="another attribute"),
    pytest.param(
        FILLED, by_person("/api/v4/leads", custom_fields_values=[text_field("Тип оплаты", KIND)]), id="another field"
    ),
    pytest.param(ASSIGNED, by_person("/api/v4/leads", name="Ромашка плюс"), id="the name"),
    pytest.param(retimed_task, by_person("/api/v4/tasks", text="Моя"), id="a task's text"),
]


@pytest.mark.parametrize(("make", "changes"), UNTOUCHED)
def test_a_part_that_is_still_as_it_was_is_written_whatever_else_people_changed(
    make: Make, changes: Change, sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    wanted = make(office, deal)
    queue(store, wanted)
    sandbox.fault("refuse_before", method="P*", count=1)
    assert sender.send() == 0
    sandbox.later()
    changes(office, deal)
    send_all(sender)
    assert (states(store), errors(store)) == (["done"], [""])
    name = "leads" if wanted.kind == "patch_deal" else "tasks"
    row = newest(office, f"/api/v4/{name}", name)
    assert _holds(wanted.body, row)


def test_of_two_fields_the_one_that_nobody_touched_is_written(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    queue(store, FILLED_BOTH(office, deal))
    sandbox.fault("refuse_before", method="P*", count=1)
    assert sender.send() == 0
    sandbox.later()
    by_person("/api/v4/leads", **MINE)(office, deal)
    send_all(sender)
    assert states(store) == ["done"]
    fields = DealRecord.from_api(office.deal(deal)).fields
    assert (fields[field("Бриф")], fields[field("Тип оплаты")]) == (("https://example.com/mine",), (KIND,))
    with store.read() as connection:
        words = json.loads(connection.execute(select(outbox.c.payload)).scalar_one())["words"]
    assert words.endswith("(кроме части: поле «Бриф» изменено человеком)")


def test_what_the_bridge_itself_has_written_in_between_is_nobody_s_change(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    """Two rules decided by the same look; the second one's answer gets lost."""
    second = patched({"custom_fields_values": [text_field("Бриф", "https://example.com/2")]})
    queue(store, FILLED(office, deal), second(office, deal))
    assert sender.send() == 1
    sandbox.fault("refuse_before", method="P*", count=1)
    assert sender.send() == 0
    send_all(sender)
    assert (states(store), errors(store)) == (["done", "done"], ["", ""])
    assert DealRecord.from_api(office.deal(deal)).fields[field("Бриф")] == ("https://example.com/2",)


def test_what_nobody_can_tell_apart_any_more_waits_for_a_person(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    tasks = [{**effect(deal_id=deal, text=text).body, "complete_till": 2_000_000_000} for text in ("Одно", "Другое")]
    queue(store, *(effect(deal_id=deal, body=body, not_before=datetime.now(UTC).timestamp()) for body in tasks))
    sandbox.fault("lost_answer", method="P*", count=1)
    assert sender.send() == 0
    sandbox.later()
    rows = office._rows("/api/v4/tasks", "tasks")
    office._ask("PATCH", "/api/v4/tasks", [{"id": row["id"], "text": "Третье"} for row in rows], MANAGER)
    send_all(sender)
    assert states(store) == ["unknown", "unknown"]
    assert all("люди его уже изменили" in error for error in errors(store))
    assert everything(sandbox)["tasks"] == 2


def test_a_task_of_ours_that_nobody_has_touched_is_another_one(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    """It may have been set by another program with the same rights."""
    queue(store, new_task(office, deal))
    sandbox.fault("refuse_before", method="P*", count=1)
    assert sender.send() == 0
    client = client_of(sandbox.url)
    client.post("/api/v4/tasks", [{**new_task(office, deal).body, "text": "Другое"}])
    send_all(sender)
    assert states(store) == ["done"]
    assert everything(sandbox)["tasks"] == 2


@pytest.mark.parametrize("make", EVERY_KIND)
@pytest.mark.parametrize("fault", [{"kind": "refuse_before"}, {"kind": "status", "status": 502}], ids=["cut", "502"])
def test_what_was_not_done_is_done_after_the_look(
    fault: dict[str, Any], make: Make, sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    wanted = make(office, deal)
    queue(store, wanted)
    sandbox.forget_requests()
    sandbox.fault(method="P*", count=1, **fault)
    sender.send()
    assert states(store)[0] == "doubt"
    send_all(sender)
    assert set(states(store)) == {"done"}
    # The one that failed, the same again, and what follows.
    assert writes(sandbox) == 2 + len(wanted.then)


def test_the_new_deal_that_was_found_again_is_pointed_at(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    queue(store, new_deal(office, deal))
    sandbox.fault("lost_answer", method="POST", count=1)
    send_all(sender)
    sender.send()
    send_all(sender)
    (new,) = office.deals_on("Работа с потерянными / Потерянные")
    assert office.notes(deal) == [f"Дальше: {sandbox.url}/leads/detail/{new['id']}"]


def test_a_bad_item_fails_with_amocrm_s_own_words_and_takes_nobody_with_it(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    good, bad = new_task(office, deal), new_task(office, deal)
    queue(store, good)
    queue(store, effect(deal_id=404, body={**bad.body, "entity_id": 404}), event_key="bad")
    queue(store, effect(deal_id=405, body={**bad.body, "task_type_id": "звонок"}), event_key="worse")
    send_all(sender)
    assert states(store)[:2] == ["done", "failed"]
    assert "entity_id" in errors(store)[1]
    assert len(office.tasks(deal)) == 2, "the third is set without the type that amoCRM does not take"


def test_a_task_for_somebody_who_is_gone_is_set_for_the_head(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    queue(store, effect(deal_id=deal, body={**new_task(office, deal).body, "responsible_user_id": 1}))
    send_all(sender)
    assert states(store) == ["done"]
    assert [task["who"] for task in office.tasks(deal)] == ["Елена Орлова"]


def test_too_many_requests_is_waited_out_without_a_look(
    sandbox: LocalCrm, store: Store, sender: Sender, office: CrmUser, deal: int
) -> None:
    queue(store, new_task(office, deal))
    sandbox.forget_requests()
    sandbox.fault("status", status=429, method="POST", count=1)
    assert sender.send() == 0
    assert states(store) == ["ready"]
    assert sandbox.requests() == {"POST /api/v4/tasks": 1}
    assert "429" in errors(store)[0]
