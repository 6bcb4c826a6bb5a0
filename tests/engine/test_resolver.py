"""Resolving: names, roles and due phrases become amoCRM's own objects."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.fakes import BRIEF, LOST, MEETING, NEW, NOON, agency, on_stage, record, user

from amo_bridge.config.model import Absence, RoleByField, RoleSpec
from amo_bridge.crm.records import TaskRecord
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer, task_view
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.errors import UnknownName
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    AssignDeal,
    ChangeTask,
    CreateDeal,
    CreateTask,
    FinishTask,
    Lack,
    LinkContacts,
    MoveDeal,
    RollBack,
    SetFields,
)
from amo_bridge.rules.deal import Deal, Task
from amo_bridge.rules.option_types import CustomFieldName, UserName

MOSCOW = ZoneInfo("Europe/Moscow")
URL = "https://agency.amocrm.ru"
ROLES: dict[str, RoleSpec] = {
    "head": UserName("Елена Орлова"),
    "pr": RoleByField(field=CustomFieldName("PR-менеджер"), otherwise=UserName("Павел Смирнов")),
    "editor": RoleByField(field=CustomFieldName("PR-менеджер")),
}
RESOLVER = Resolver(agency(), People(agency(), ROLES), CalendarOptions().calendar("Europe/Moscow"))
HOUR = Due.parse("1 hour")


def moscow(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=MOSCOW).timestamp())  # type: ignore[misc, arg-type]


def field(name: str) -> int:
    return agency().field(name).id


def resolved(action: Action, at: datetime = NOON, tasks: tuple[Task, ...] = (), **of_deal: Any) -> list[Effect]:
    now = record(**({"on": BRIEF} | of_deal))
    deal = Viewer(agency(), URL).deal(now)
    return RESOLVER.effects(action, Deal(**{**vars(deal), "own_tasks": tasks}), now, at)


def body_of(action: Action, **how: Any) -> dict[str, Any]:
    (effect,) = resolved(action, **how)
    return dict(effect.body)


def task(**changed: Any) -> CreateTask:
    facts: dict[str, Any] = {"deal_id": 7, "text": "Позвонить", "to": "manager", "due": HOUR}
    return CreateTask(**(facts | changed))


def test_contacts_that_are_linked_already_are_not_linked_again() -> None:
    effects = resolved(LinkContacts(deal_id=7, contact_ids=(11, 12, 13)), contact_ids=(11,))
    assert [effect.kind for effect in effects] == ["link_contact"] * 2
    assert effects[0].body == {"entity_id": 7, "to_entity_id": 12, "to_entity_type": "contacts"}
    assert resolved(LinkContacts(deal_id=7, contact_ids=(11,)), contact_ids=(11,)) == []


def test_a_task() -> None:
    (effect,) = resolved(task(task_type="согласование", slot="first"))
    assert effect.kind == "create_task"
    assert effect.body == {
        "text": "Позвонить",
        "complete_till": int(NOON.timestamp()) + 3600,
        "responsible_user_id": user("Иван Петров"),
        "entity_id": 7,
        "entity_type": "leads",
        "task_type_id": agency().task_type("Согласование").id,
    }
    assert (effect.deal_id, effect.slot, effect.not_before) == (7, "first", NOON.timestamp())
    assert effect.words == "задача «Позвонить» — Иван Петров, до 23.11.2026 13:00"


def test_a_task_on_the_main_contact_s_card_or_on_the_deal_s_if_there_is_no_contact() -> None:
    on_contact = task(on="contact")
    body = body_of(on_contact, contact_ids=(41, 40), main_contact_id=40)
    assert (body["entity_type"], body["entity_id"]) == ("contacts", 40)
    assert body_of(on_contact)["entity_type"] == "leads"


@pytest.mark.parametrize(
    ("phrase", "at", "falls_due"),
    [
        pytest.param("end of day", NOON, (2026, 11, 23, 19, 0), id="the account's working day"),
        pytest.param("today", NOON, (2026, 11, 23, 23, 59), id="all day"),
        pytest.param(
            "today", datetime(2026, 11, 23, 22, 30, tzinfo=UTC), (2026, 11, 24, 23, 59), id="after midnight in Moscow"
        ),
        pytest.param("1 working hour", NOON, (2026, 11, 23, 13, 0), id="a working hour"),
        pytest.param("field: Дата дедлайна", NOON, (2026, 12, 31, 23, 59), id="a date field"),
        pytest.param("field: Дата первой встречи", NOON, (2026, 12, 1, 11, 30), id="a field with a time"),
    ],
)
def test_when_a_task_falls_due(phrase: str, at: datetime, falls_due: tuple[int, ...]) -> None:
    filled = {
        "Дата дедлайна": (moscow(2026, 12, 31),),
        "Дата первой встречи": (moscow(2026, 12, 1, 11, 30),),
    }
    assert body_of(task(due=Due.parse(phrase)), at=at, fields=filled)["complete_till"] == moscow(*falls_due)


def test_a_due_over_an_empty_field_is_refused() -> None:
    with pytest.raises(ValueError, match="«Дата дедлайна» не заполнено"):
        resolved(task(due=Due.parse("field: Дата дедлайна")))


@pytest.mark.parametrize(
    ("person", "filled", "who"),
    [
        ("manager", {}, "Иван Петров"),
        ("Head", {}, "Елена Орлова"),
        ("мария кузнецова", {}, "Мария Кузнецова"),
        ("pr", {}, "Павел Смирнов"),
        ("pr", {"PR-менеджер": ("Ольга Волкова",)}, "Ольга Волкова"),
        ("editor", {"PR-менеджер": ("Ольга Волкова",)}, "Ольга Волкова"),
    ],
)
def test_who_is_meant(person: str, filled: dict[str, Any], who: str) -> None:
    assert body_of(task(to=person), fields=filled)["responsible_user_id"] == user(who)


def test_a_person_known_by_id_only_is_taken_as_he_is() -> None:
    (effect,) = resolved(task(to=424242))
    assert effect.body["responsible_user_id"] == 424242
    assert "424242" in effect.words


@pytest.mark.parametrize(
    ("person", "words"),
    [("boss", "«boss» нет в аккаунте"), ("editor", "поле «PR-менеджер» сделки пусто"), ("Иван Петровв", "Иван Петров")],
)
def test_a_person_who_is_not_there_is_named_with_advice(person: str, words: str) -> None:
    with pytest.raises(UnknownName, match=words):
        resolved(task(to=person))


OWN = Task(id=55, text="Позвонить", is_completed=False, due=NOON, responsible_user_id=user("Иван Петров"))


def test_a_task_is_changed_in_what_is_different_only() -> None:
    change = ChangeTask(deal_id=7, task_id=55, due=HOUR, text="Позвонить", to="head")
    (effect,) = resolved(change, tasks=(OWN,))
    assert effect.kind == "change_task"
    assert effect.body == {
        "id": 55,
        "complete_till": int(NOON.timestamp()) + 3600,
        "responsible_user_id": user("Елена Орлова"),
    }
    assert effect.words == "задача «Позвонить»: срок 23.11.2026 13:00, исполнитель Елена Орлова"
    same = ChangeTask(deal_id=7, task_id=55, text="Позвонить", to="manager")
    assert resolved(same, tasks=(OWN,)) == []


def test_a_task_of_somebody_else_is_changed_as_said() -> None:
    assert body_of(ChangeTask(deal_id=7, task_id=99, text="Иначе")) == {"id": 99, "text": "Иначе"}


def test_a_task_is_finished_with_its_result() -> None:
    body = body_of(FinishTask(deal_id=7, task_id=55, result="Не нужно"))
    assert body == {"id": 55, "is_completed": True, "result": {"text": "Не нужно"}}


def test_a_move_names_the_pair_and_what_it_was_decided_on() -> None:
    (effect,) = resolved(MoveDeal(deal_id=7, to="продажи / закрыто и не реализовано"))
    assert effect.body == {"id": 7, **on_stage(LOST)}
    assert effect.expects == agency().stage(BRIEF).key
    assert not effect.rolls_back
    assert resolved(MoveDeal(deal_id=7, to=BRIEF)) == []


def test_a_roll_back_is_explained_only_after_it_was_done() -> None:
    back = RollBack(
        deal_id=7,
        to=agency().stage(NEW).key,
        because="перехода на этап «Встреча назначена»",
        missing=(Lack("заполните", "Дата первой встречи"), Lack("заполните", "Бюджет")),
        tell=user("Мария Кузнецова"),
        due=HOUR,
    )
    (move,) = resolved(back, on=MEETING)
    assert (move.kind, move.rolls_back, move.expects) == ("patch_deal", True, agency().stage(MEETING).key)
    assert move.body == {"id": 7, **on_stage(NEW)}
    (explained,) = move.then
    assert explained.body["text"] == (
        "Сделка возвращена на этап «Новый клиент». Для перехода на этап «Встреча назначена» заполните: "
        "«Дата первой встречи», «Бюджет»"
    )
    assert explained.body["responsible_user_id"] == user("Мария Кузнецова")


def test_a_note() -> None:
    assert body_of(AddNote(deal_id=7, text="Внимание")) == {
        "entity_id": 7,
        "note_type": "common",
        "params": {"text": "Внимание"},
    }


def test_fields_are_written_in_amocrm_s_forms() -> None:
    midnight, meeting = date(2026, 12, 31), datetime(2026, 12, 1, 11, 30, tzinfo=MOSCOW)
    wanted: dict[str, object] = {
        "Дата дедлайна": midnight,
        "Дата первой встречи": meeting,
        "Закрывающие документы получены": True,
        "Тип оплаты": "Предоплата",
        "Бриф": None,
    }
    body = body_of(SetFields(deal_id=7, values=wanted), fields={"Бриф": ("старый",)})
    assert body == {
        "id": 7,
        "custom_fields_values": [
            {"field_id": field("Дата дедлайна"), "values": [{"value": moscow(2026, 12, 31)}]},
            {"field_id": field("Дата первой встречи"), "values": [{"value": moscow(2026, 12, 1, 11, 30)}]},
            {"field_id": field("Закрывающие документы получены"), "values": [{"value": True}]},
            {"field_id": field("Тип оплаты"), "values": [{"value": "Предоплата"}]},
            {"field_id": field("Бриф"), "values": None},
        ],
    }


def test_fields_that_are_so_already_are_left_alone() -> None:
    filled = {
        "Дата дедлайна": (moscow(2026, 12, 31),),
        "Закрывающие документы получены": (True,),
        "roistat": ("5",),
        "Тип оплаты": ("Предоплата",),
    }
    same: dict[str, object] = {
        "Дата дедлайна": date(2026, 12, 31),
        "Закрывающие документы получены": True,
        "roistat": 5,
        "Тип оплаты": "Предоплата",
        "Бриф": None,
    }
    assert resolved(SetFields(deal_id=7, values=same), fields=filled) == []
    (effect,) = resolved(SetFields(deal_id=7, values=same | {"roistat": 6}), fields=filled)
    assert [one["field_id"] for one in effect.body["custom_fields_values"]] == [field("roistat")]
    assert effect.words == "поле «roistat» = 6"


def test_only_new_tags_are_added() -> None:
    body = body_of(AddTags(deal_id=7, tags=("VIP", "дорого")), tags=("vip",))
    assert body == {"id": 7, "tags_to_add": [{"name": "дорого"}]}
    assert resolved(AddTags(deal_id=7, tags=("VIP",)), tags=("vip",)) == []


def test_a_deal_is_lost_for_a_reason() -> None:
    (effect,) = resolved(MoveDeal(deal_id=7, to="Продажи / Закрыто и не реализовано", reason="дорого"))
    assert effect.body["loss_reason_id"] == agency().loss_reason("Дорого").id
    assert effect.words == "этап → «Продажи / Закрыто и не реализовано», причина «Дорого»"


def test_somebody_else_answers_for_the_deal() -> None:
    (effect,) = resolved(AssignDeal(deal_id=7, to="head"))
    head = agency().user("Елена Орлова").id
    assert effect.body == {"id": 7, "responsible_user_id": head}
    assert effect.words == "ответственный → Елена Орлова"
    assert resolved(AssignDeal(deal_id=7, to="manager")) == []


def test_a_deal_that_goes_on_where_another_ended() -> None:
    action = CreateDeal(
        deal_id=7,
        name="Ромашка",
        to="Потерянные",
        responsible="manager",
        price=90_000,
        tags=("дорого",),
        contact_ids=(40, 41),
        company_id=50,
        values={"Дата дедлайна": date(2026, 12, 31)},
        link_field="Связанная сделка",
        then=(AddNote(deal_id=7, text="Дальше здесь: {new.url}"),),
    )
    (effect,) = resolved(action, contact_ids=(40, 41), main_contact_id=40)
    assert effect.body == {
        "name": "Ромашка",
        **on_stage("Работа с потерянными / Потерянные"),
        "responsible_user_id": user("Иван Петров"),
        "price": 90_000,
        "_embedded": {
            "tags": [{"name": "дорого"}],
            "contacts": [{"id": 40, "is_main": True}, {"id": 41, "is_main": False}],
            "companies": [{"id": 50}],
        },
        "custom_fields_values": [
            {"field_id": field("Дата дедлайна"), "values": [{"value": moscow(2026, 12, 31)}]},
            {"field_id": field("Связанная сделка"), "values": [{"value": f"{URL}/leads/detail/7"}]},
        ],
    }
    assert effect.once
    note, link = effect.then
    assert note.body["params"]["text"] == "Дальше здесь: {new.url}"
    assert link.body == {
        "id": 7,
        "custom_fields_values": [{"field_id": field("Связанная сделка"), "values": [{"value": "{new.url}"}]}],
    }


@pytest.mark.parametrize(
    "action",
    [
        MoveDeal(deal_id=7, to="Продажи / Бриф полученный"),
        SetFields(deal_id=7, values={"Дата дедлайн": "?"}),
        task(task_type="Согласования"),
        CreateDeal(deal_id=7, name="?", to=NEW, responsible="manager", link_field="Связанные сделки"),
    ],
)
def test_a_name_that_the_account_lost_since_the_start_is_told_with_advice(action: Action) -> None:
    with pytest.raises(UnknownName, match="может быть"):
        resolved(action)


def test_tasks_of_a_rule_carry_the_mark_it_gave_them() -> None:
    record = TaskRecord(id=55, text="?", is_completed=True, complete_till=NOON, result="да", created_by=3)
    seen = task_view(record, "first", "rule.one")
    assert (seen.id, seen.slot, seen.is_completed, seen.due, seen.result) == (55, "first", True, NOON, "да")
    assert (seen.made_by, seen.created_by, seen.task_type_id) == ("rule.one", 3, 1)


# --- somebody is away ---------------------------------------------------------------------------------------------

AWAY = {
    UserName("Иван Петров"): (
        Absence.model_validate({"from": date(2026, 11, 24), "to": date(2026, 11, 25), "deputy": "Мария Кузнецова"}),
    )
}
IN_HOLIDAYS = Resolver(agency(), People(agency(), ROLES, AWAY), CalendarOptions().calendar("Europe/Moscow"))


def set_for(due: str, to: str = "manager") -> Effect:
    now = record(on=BRIEF)
    action = CreateTask(deal_id=7, text="Позвонить", to=to, due=Due.parse(due))
    (effect,) = IN_HOLIDAYS.effects(action, Viewer(agency(), URL).deal(now), now, NOON)
    return effect


@pytest.mark.parametrize(
    ("due", "who"),
    [
        ("today", "Иван Петров"),
        ("tomorrow", "Мария Кузнецова"),
        ("2 d", "Мария Кузнецова"),
        ("3 d", "Иван Петров"),
    ],
)
def test_a_task_that_falls_due_while_its_person_is_away_is_his_deputys(due: str, who: str) -> None:
    assert set_for(due).body["responsible_user_id"] == user(who)


def test_the_journal_says_for_whom_the_deputy_works() -> None:
    assert "— Мария Кузнецова (за Иван Петров), до 24.11.2026" in set_for("tomorrow").words
    assert set_for("tomorrow", to="head").body["responsible_user_id"] == user("Елена Орлова")


def test_whoever_moved_the_deal_just_now_is_not_away_whatever_is_planned() -> None:
    now = record(on=MEETING)
    mover, due = user("Иван Петров"), Due.parse("tomorrow")
    lacks = (Lack("заполните", "Дата"),)
    refusal = RollBack(deal_id=7, to=None, because="перехода", missing=lacks, tell=mover, due=due)
    (effect,) = IN_HOLIDAYS.effects(refusal, Viewer(agency(), URL).deal(now), now, NOON)
    assert effect.body["responsible_user_id"] == mover


def test_what_speaks_of_a_change_is_done_after_it() -> None:
    told = AddNote(deal_id=7, text="Клиент возвращён")
    (back,) = resolved(AssignDeal(deal_id=7, to="Павел Смирнов").followed_by(task(), told))
    assert (back.kind, [after.kind for after in back.then]) == ("patch_deal", ["create_task", "add_note"])
    (new,) = resolved(CreateDeal(deal_id=7, name="Дальше", to=NEW, responsible="manager", then=(told,)))
    assert [after.kind for after in new.then] == ["add_note"]


def test_what_need_not_be_changed_is_not_spoken_of() -> None:
    there = AssignDeal(deal_id=7, to="manager").followed_by(AddNote(deal_id=7, text="Клиент возвращён"))
    assert resolved(there) == []


def test_a_task_may_stand_on_another_deal() -> None:
    (effect,) = resolved(task(deal_id=8))
    assert (effect.deal_id, effect.body["entity_id"], effect.body["entity_type"]) == (7, 8, "leads")
