"""Undo: what of each kind of doing can be taken back, and why the rest stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.fakes import ACCOUNT, BRIEF, LOST, NEW, agency, clock, record, rule_engine, user

from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine import undo as module
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.undo import NotUndoable, Undo
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

RULE = "stage_creates_tasks.new_client"
FIELD = agency().field("Основной продукт")
IVAN, MARIA = user("Иван Петров"), user("Мария Кузнецова")


def key(stage: str) -> dict[str, int]:
    found = agency().stage(stage)
    return {"pipeline_id": found.pipeline_id, "status_id": found.status_id}


def filled(*values: str) -> list[dict[str, Any]]:
    return [{"field_id": FIELD.id, "values": [{"value": one} for one in values] or None}]


class Doing:
    """One thing that a rule did to deal 7, and the deal and the task as they are now."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.deal: DealRecord | None = record(BRIEF, 7)
        self.task: TaskRecord | None = None
        monkeypatch.setattr(module, "deals_by_ids", lambda *_, **__: {7: self.deal} if self.deal else {})
        monkeypatch.setattr(module, "tasks_by_ids", lambda *_: {5: self.task} if self.task else {})
        self.dry_run = False

    def did(
        self, kind: str, body: dict[str, Any], state: str = "done", error: str | None = None, **payload: Any
    ) -> None:
        told = {"body": {"id": 7, **body}, "words": "сделано", **payload}
        row = {
            "account": ACCOUNT, "key": f"{kind}{state}", "event_id": 1, "rule": RULE, "deal_id": 7, "kind": kind,
            "payload": json.dumps(told), "state": state, "created_at": 1.0, "result": json.dumps({"id": 5}),
            "error": error,
        }  # fmt: skip
        with self.store.write() as connection:
            connection.execute(insert(outbox), [row])

    def undo(self) -> Undo:
        engine = rule_engine()
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.dry_run})
        return Undo(self.store, replace(engine, config=replace(engine.config, bridge=bridge)), object(), clock())  # type: ignore[arg-type]

    def written(self) -> list[tuple[str, dict[str, Any]]]:
        """What goes to amoCRM to take it back."""
        with self.store.read() as connection:
            rows = connection.execute(select(outbox).where(outbox.c.key.like("undo|%")).order_by(outbox.c.id)).all()
        return [(row.kind, {k: v for k, v in json.loads(row.payload)["body"].items() if k != "id"}) for row in rows]


@pytest.fixture
def doing(store: Store, monkeypatch: pytest.MonkeyPatch) -> Doing:
    return Doing(store, monkeypatch)


@pytest.mark.parametrize(
    ("now", "body", "more", "back"),
    [
        pytest.param({}, key(BRIEF), {"expects": list(key(NEW).values())}, key(NEW), id="stage"),
        pytest.param(
            {"fields": {FIELD.name: ("чай",)}}, {"custom_fields_values": filled("чай")},
            {"before": {str(FIELD.id): ["кофе"]}}, {"custom_fields_values": filled("кофе")}, id="field",
        ),
        pytest.param(
            {"fields": {FIELD.name: ("чай",)}}, {"custom_fields_values": filled("чай")},
            {"before": {str(FIELD.id): []}}, {"custom_fields_values": filled()}, id="field was empty",
        ),
        pytest.param(
            {"responsible_user_id": MARIA}, {"responsible_user_id": MARIA}, {"before": {"responsible_user_id": IVAN}},
            {"responsible_user_id": IVAN}, id="person",
        ),
        pytest.param(
            {"tags": ("дорого",)}, {"tags_to_add": [{"name": "дорого"}]}, {}, {"tags_to_delete": [{"name": "дорого"}]},
            id="tag",
        ),
        pytest.param(
            {"fields": {FIELD.name: ("вода",)}, "tags": ("дорого",)},
            {"custom_fields_values": filled("чай"), "tags_to_add": [{"name": "дорого"}]},
            {"before": {str(FIELD.id): []}}, {"tags_to_delete": [{"name": "дорого"}]}, id="a part is a person's",
        ),
    ],
)  # fmt: skip
def test_a_deal_is_as_it_was(doing: Doing, now: dict[str, Any], body: dict[str, Any], more: Any, back: Any) -> None:
    doing.deal = record(BRIEF, 7, **now)
    doing.did("patch_deal", body, **more)
    doing.undo().carry_out(7, 1, RULE, "Анна")
    assert doing.written() == [("patch_deal", back)]


@pytest.mark.parametrize(
    ("now", "body", "more", "why"),
    [
        ({}, key(NEW), {"expects": list(key(BRIEF).values())}, "сделка уже на другом"),
        ({}, key(BRIEF), {}, "прежнего мост не знает"),
        ({}, key(BRIEF), {"expects": [1, 2]}, "прежнего мост не знает"),
        ({}, {"custom_fields_values": filled("чай")}, {"before": {str(FIELD.id): []}}, "изменено с тех пор"),
        ({"fields": {FIELD.name: ("чай",)}}, {"custom_fields_values": filled("чай")}, {}, "прежнего значения"),
        (
            {"fields": {FIELD.name: ("чай",)}}, {"custom_fields_values": filled("чай")},
            {"before": {str(FIELD.id): [{"name": "ООО"}]}}, "прежнего значения",
        ),
        ({}, {"tags_to_add": [{"name": "дорого"}]}, {}, "назад не возвращает"),
        ({"is_deleted": True}, key(BRIEF), {}, "сделки в amoCRM больше нет"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_back_stays_and_says_why(
    doing: Doing, now: dict[str, Any], body: dict[str, Any], more: Any, why: str
) -> None:
    doing.deal = record(BRIEF, 7, **now)
    doing.did("patch_deal", body, **more)
    with pytest.raises(NotUndoable, match=why):
        doing.undo().carry_out(7, 1, RULE, "Анна")
    assert doing.written() == []


TASK = TaskRecord(id=5, text="Позвонить", responsible_user_id=IVAN)


@pytest.mark.parametrize(
    ("kind", "body", "task", "back"),
    [
        ("create_task", {}, TASK, {"is_completed": True, "result": {"text": "Отменено"}}),
        ("create_task", {}, replace(TASK, is_completed=True), "уже закрыта"),
        ("create_task", {}, None, "больше нет"),
        ("create_task", {"text": "Связаться"}, TASK, "с тех пор изменили"),
        ("create_task", {"responsible_user_id": MARIA}, TASK, "с тех пор изменили"),
        ("create_task", {"complete_till": 5}, TASK, "с тех пор изменили"),
        ("change_task", {"id": 5, "is_completed": True}, replace(TASK, is_completed=True), {"is_completed": False}),
        ("change_task", {"id": 5, "is_completed": True}, TASK, "снова открыта"),
        ("change_task", {"id": 5, "text": "Позвонить"}, TASK, {"text": "Написать"}),
        ("change_task", {"id": 5, "text": "Иное"}, TASK, "изменена с тех пор"),
    ],
)
def test_tasks(doing: Doing, kind: str, body: dict[str, Any], task: TaskRecord | None, back: Any) -> None:
    doing.task = task
    doing.did(kind, body, before={"text": "Написать"})
    if isinstance(back, str):
        with pytest.raises(NotUndoable, match=back):
            doing.undo().carry_out(7, 1, RULE, "Анна")
    else:
        doing.undo().carry_out(7, 1, RULE, "Анна")
        assert doing.written() == [("change_task", back)]


@pytest.mark.parametrize(
    ("kind", "state", "why"),
    [
        ("add_note", "done", "примечание из amoCRM"),
        ("create_deal", "done", "закройте её сами"),
        ("send_letter", "done", "уже ушло: почта"),
        ("send_sms", "done", "уже ушло: SMS"),
        ("create_task", "failed", "Не выполнено"),
        ("create_task", "unknown", "Не выполнено"),
        ("create_task", "sending", "сейчас отправляется"),
        ("send_sms", "unsent", "и не было сделано"),
        ("link_contact", "done", "уже откреплён"),
    ],
)
def test_the_rest_stays(doing: Doing, kind: str, state: str, why: str) -> None:
    doing.did(kind, {"to_entity_id": 9}, state)
    (one,) = doing.undo().preview(7, 1, RULE)
    assert why in one.words
    assert not one.is_possible


def test_what_is_not_sent_yet_is_not_sent(doing: Doing) -> None:
    doing.did("send_letter", {}, "ready")
    doing.did("create_task", {}, "waiting")
    doing.undo().carry_out(7, 1, RULE, "Анна")
    with doing.store.read() as connection:
        assert list(connection.execute(select(outbox.c.state)).scalars()) == ["dropped"] * 2


def test_a_linked_contact_is_unlinked(doing: Doing) -> None:
    doing.deal = record(BRIEF, 7, contact_ids=(8, 9), main_contact_id=8)
    doing.did("link_contact", {"entity_id": 7, "to_entity_id": 9, "to_entity_type": "contacts"})
    doing.undo().carry_out(7, 1, RULE, "Анна")
    assert doing.written() == [("unlink_contact", {"entity_id": 7, "to_entity_id": 9, "to_entity_type": "contacts"})]


def test_twice_is_once_and_a_dry_bridge_takes_nothing_back(doing: Doing) -> None:
    doing.did("patch_deal", key(BRIEF), expects=list(key(NEW).values()))
    doing.dry_run = True
    with pytest.raises(NotUndoable, match="вхолостую"):
        doing.undo().carry_out(7, 1, RULE, "Анна")
    doing.dry_run = False
    doing.undo().carry_out(7, 1, RULE, "Анна")
    with pytest.raises(NotUndoable, match="уже отменяется"):
        doing.undo().carry_out(7, 1, RULE, "Анна")
    assert len(doing.written()) == 1


def test_what_was_not_needed_any_more_was_not_done(doing: Doing) -> None:
    """A person had closed the task: it is not opened again."""
    doing.task = replace(TASK, is_completed=True)
    doing.did("change_task", {"id": 5, "is_completed": True}, error="задача уже закрыта")
    (one,) = doing.undo().preview(7, 1, RULE)
    assert (one.is_possible, one.words) == (False, "и не было сделано: задача уже закрыта")


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("ready", None, "уже отменяется"),
        ("doubt", None, "уже отменяется"),
        ("failed", "отказ", "Не выполнено"),
        ("done", None, "уже отменено"),
        ("done", "сделка уже на другом этапе", ""),
        ("dropped", None, ""),
    ],
)
def test_an_undoing_that_came_to_nothing_may_be_tried_again(
    doing: Doing, state: str, error: str | None, why: str
) -> None:
    doing.did("patch_deal", key(BRIEF), expects=list(key(NEW).values()))
    doing.undo().carry_out(7, 1, RULE, "Анна")
    with doing.store.write() as connection:
        connection.execute(update(outbox).where(outbox.c.key.like("undo|%")).values(state=state, error=error))
    if why:
        with pytest.raises(NotUndoable, match=why):
            doing.undo().carry_out(7, 1, RULE, "Анна")
    else:
        doing.undo().carry_out(7, 1, RULE, "Анна")
        assert len(doing.written()) == 2


def test_the_journal_shows_what_became_of_it(doing: Doing) -> None:
    doing.did("patch_deal", key(BRIEF), expects=list(key(NEW).values()))
    doing.undo().carry_out(7, 1, RULE, "Анна")
    (told,) = [one for one in Journal(doing.store).of_deal(7) if one.verdict == "undone"]
    assert [state for _, state, _ in told.effects] == ["ready"]


def test_what_is_leaving_already_is_not_said_to_be_held_back(doing: Doing) -> None:
    doing.did("send_letter", {}, "ready")
    undo = doing.undo()
    preview = undo.preview(7, 1, RULE)
    with doing.store.write() as connection:
        connection.execute(update(outbox).values(state="sending"))
    undo.preview = lambda *_: preview  # type: ignore[method-assign]
    with pytest.raises(NotUndoable, match="уже ушло"):
        undo.carry_out(7, 1, RULE, "Анна")
    assert Journal(doing.store).of_deal(7) == []


def test_what_was_taken_back_does_not_leave(doing: Doing) -> None:
    box = Outbox(doing.store, clock())
    doing.did("add_note", {}, "ready")
    taken = box.take("ready")
    doing.undo().carry_out(7, 1, RULE, "Анна")
    assert box.sending(taken) == []
    with doing.store.read() as connection:
        assert list(connection.execute(select(outbox.c.state)).scalars()) == ["dropped"]


def test_a_lost_deal_gets_its_stage_and_the_reason_is_a_persons(doing: Doing) -> None:
    doing.did("patch_deal", key(BRIEF), expects=list(key(LOST).values()))
    (one,) = doing.undo().preview(7, 1, RULE)
    assert "причину отказа amoCRM забыла" in one.words
