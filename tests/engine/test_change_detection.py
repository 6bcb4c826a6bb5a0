"""Observing: what is different on a deal, whichever hook rang."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.fakes import BRIEF, LOST, MEETING, NEW, NOON, OFFER, agency, at, on_stage, record, user

from amo_bridge.config.model import RoleByField, RoleSpec
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.change_detection import Observer
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.people import People
from amo_bridge.events import (
    DealAdded,
    DealMoved,
    DealObserved,
    DealReassigned,
    DealReported,
    DealRestored,
    DealUpdated,
    FieldChanged,
    PipelineTriggerFired,
    ResponsibleChanged,
    StageEntered,
)
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.rules.deal import HIDDEN
from amo_bridge.rules.option_types import CustomFieldName, UserName

ROLES: dict[str, RoleSpec] = {
    "head": UserName("Елена Орлова"),
    "pr": RoleByField(field=CustomFieldName("PR-менеджер"), otherwise=UserName("Павел Смирнов")),
    "editor": RoleByField(field=CustomFieldName("PR-менеджер")),
}
OBSERVER = Observer(agency(), People(agency(), ROLES))
OLD = at(-86400 * 30)


def told(kind: type[DealReported] = DealUpdated, seconds: float = 0, **more: Any) -> DealReported:
    facts: dict[str, Any] = {"at": at(seconds), "deal_id": 7}
    return kind(**(facts | more))


def mirrored(**changed: Any) -> MirroredDeal:
    return MirroredDeal(record(**({"seconds": -60} | changed)), OLD)


def changes(before: MirroredDeal | None, now: DealRecord, by: DealReported | None = None) -> list[DealObserved]:
    return OBSERVER.changes(before, now, by or told())


def entered(found: list[DealObserved]) -> list[tuple[str, str, bool]]:
    """(came from, came to, is new) of the moves."""
    return [(one.from_stage_name, one.stage_name, one.is_new) for one in found if isinstance(one, StageEntered)]


def fields(found: list[DealObserved]) -> dict[str, tuple[str | None, str | None]]:
    return {one.field_name: (one.old, one.new) for one in found if isinstance(one, FieldChanged)}


YOUNG: dict[str, Any] = {"created_at": at(-5)}
AGED: dict[str, Any] = {"created_at": OLD}


@pytest.mark.parametrize(
    ("before", "now", "by", "expected"),
    [
        pytest.param(None, record(NEW, **YOUNG), told(DealAdded), [("", NEW, True)], id="a new deal"),
        pytest.param(
            None, record(MEETING, **YOUNG), told(DealAdded, -1, **on_stage(NEW)), [(NEW, MEETING, False)],
            id="a new deal that was moved before anybody heard of it",
        ),
        pytest.param(
            None, record(NEW, **YOUNG), told(DealAdded, **on_stage(NEW)), [("", NEW, True)],
            id="a new deal, told in full",
        ),
        pytest.param(mirrored(), record(BRIEF), told(DealMoved), [(NEW, BRIEF, False)], id="a move"),
        pytest.param(mirrored(), record(BRIEF), told(), [(NEW, BRIEF, False)], id="a move that «changed» tells of"),
        pytest.param(mirrored(), record(NEW), told(DealMoved), [], id="moved and back within a second"),
        pytest.param(
            mirrored(on=BRIEF, seconds=0), record(NEW), told(DealMoved), [(BRIEF, NEW, False)],
            id="back within the second in which it was seen to move",
        ),
        pytest.param(mirrored(), record(OFFER), told(DealMoved, -30), [(NEW, OFFER, False)], id="a stale hook"),
        pytest.param(mirrored(), record(LOST), told(DealMoved), [(NEW, LOST, False)], id="lost"),
        pytest.param(
            None, record(BRIEF, **AGED),
            told(DealMoved, old_status_id=on_stage(MEETING)["status_id"], **on_stage(BRIEF)),
            [(MEETING, BRIEF, False)],
            id="unknown before, the hook tells where from",
        ),
        pytest.param(
            None, record(BRIEF, **AGED), told(DealMoved, old_status_id=1, **on_stage(BRIEF)), [("", BRIEF, False)],
            id="unknown before, the hook tells of a stage of another pipeline",
        ),
        pytest.param(None, record(BRIEF, **AGED), told(), [], id="unknown before, something on it changed"),
        pytest.param(
            None, record(BRIEF, **AGED), told(PipelineTriggerFired, at=None, trigger="mail_in"), [],
            id="unknown before, a letter came",
        ),
        pytest.param(None, record(NEW, **YOUNG), told(), [("", NEW, True)], id="a new deal whose «added» is late"),
        pytest.param(
            None, record(NEW, **YOUNG), told(PipelineTriggerFired, at=None, trigger="add"), [("", NEW, True)],
            id="a new deal that the pipeline tells of first",
        ),
        pytest.param(
            None, record(BRIEF, **YOUNG),
            told(DealMoved, old_status_id=on_stage(NEW)["status_id"], **on_stage(BRIEF)),
            [(NEW, BRIEF, False)],
            id="a new deal that has moved on already",
        ),
        pytest.param(mirrored(), record(NEW), told(DealRestored), [(NEW, NEW, False)], id="restored"),
        pytest.param(
            None, record(NEW, **YOUNG), told(DealRestored), [("", NEW, False)], id="restored after it was forgotten"
        ),
        pytest.param(mirrored(), record(NEW), told(DealAdded), [], id="«added» of a deal that is known"),
    ],
)  # fmt: skip
def test_when_a_deal_enters_a_stage(
    before: MirroredDeal | None, now: DealRecord, by: DealReported, expected: list[tuple[str, str, bool]]
) -> None:
    assert entered(changes(before, now, by)) == expected


MIDNIGHT = int(datetime(2026, 12, 31, tzinfo=ZoneInfo("Europe/Moscow")).timestamp())


@pytest.mark.parametrize(
    ("was", "is_now", "expected"),
    [
        pytest.param({}, {"Дата дедлайна": (MIDNIGHT,)}, {"Дата дедлайна": (None, "31.12.2026")}, id="a date filled"),
        pytest.param(
            {"Дата дедлайна": (MIDNIGHT,)}, {"Дата дедлайна": (MIDNIGHT + 86400,)},
            {"Дата дедлайна": ("31.12.2026", "01.01.2027")}, id="a date changed",
        ),
        pytest.param(
            {"Дата дедлайна": (MIDNIGHT,)}, {"Дата дедлайна": (str(MIDNIGHT + 3600),)}, {}, id="the same day otherwise"
        ),
        pytest.param({"Дата дедлайна": (MIDNIGHT,)}, {}, {"Дата дедлайна": ("31.12.2026", None)}, id="a date emptied"),
        pytest.param(
            {}, {"Дата первой встречи": (MIDNIGHT + 39600,)},
            {"Дата первой встречи": (None, "31.12.2026 11:00")}, id="a date with a time, in the account's zone",
        ),
        pytest.param(
            {}, {"Закрывающие документы получены": (True,)},
            {"Закрывающие документы получены": (None, "да")}, id="ticked",
        ),
        pytest.param(
            {"Закрывающие документы получены": (True,)}, {"Закрывающие документы получены": (False,)},
            {"Закрывающие документы получены": ("да", "нет")}, id="unticked",
        ),
        pytest.param({"roistat": ("",)}, {"roistat": (None,)}, {}, id="one kind of empty for another"),
        pytest.param(
            {"Тип оплаты": ("Предоплата",)}, {"Тип оплаты": ("Постоплата",)},
            {"Тип оплаты": ("Предоплата", "Постоплата")}, id="another choice",
        ),
    ],
)  # fmt: skip
def test_which_fields_changed(was: dict[str, Any], is_now: dict[str, Any], expected: dict[str, Any]) -> None:
    assert fields(changes(mirrored(fields=was), record(fields=is_now))) == expected


def test_built_in_fields_answer_to_their_russian_names() -> None:
    now = record(LOST, name="Лютик", price=500, loss_reason="Дорого")
    assert fields(changes(mirrored(), now)) == {
        "Название": ("Ромашка", "Лютик"),
        "Бюджет": (None, "500"),
        "Причина отказа": (None, "Дорого"),
    }


def test_a_new_deal_s_filled_fields_are_news_and_an_old_stranger_s_are_not() -> None:
    filled = {"Дата дедлайна": (MIDNIGHT,)}
    assert "Дата дедлайна" in fields(changes(None, record(fields=filled, **YOUNG), told(DealAdded)))
    assert fields(changes(None, record(fields=filled, **AGED), told(DealMoved))) == {}


def test_a_field_that_the_account_s_copy_does_not_know_yet_is_passed_over() -> None:
    now = DealRecord(**{**vars(record()), "fields": {999_999: ("?",)}})
    assert changes(mirrored(), now) == []


def test_a_new_responsible_user() -> None:
    (found,) = changes(mirrored(), record(responsible_user_id=user("Мария Кузнецова")), told(DealReassigned))
    assert found == ResponsibleChanged(
        at=NOON,
        deal_id=7,
        user_id=None,
        user_is=(),
        old=user("Иван Петров"),
        new=user("Мария Кузнецова"),
        old_is=("Иван Петров",),
        new_is=("Мария Кузнецова", "manager"),
    )


@pytest.mark.parametrize(
    ("by", "updated_by", "who"),
    [
        pytest.param(told(user_id=user("Елена Орлова")), 0, user("Елена Орлова"), id="the hook knows"),
        pytest.param(
            told(seconds=-5, user_id=user("Павел Смирнов")), user("Елена Орлова"), user("Елена Орлова"),
            id="the hook speaks of an earlier change",
        ),
        pytest.param(
            told(status_id=record(NEW).status_id, user_id=user("Павел Смирнов")),
            user("Елена Орлова"),
            user("Елена Орлова"),
            id="the hook speaks of another's change in the same second",
        ),
        pytest.param(told(user_id=0), user("Елена Орлова"), None, id="a robot"),
        pytest.param(told(), user("Елена Орлова"), user("Елена Орлова"), id="only the deal knows"),
        pytest.param(told(), 0, None, id="nobody knows"),
        pytest.param(told(user_id=user("Интеграция amo-bridge")), 0, None, id="the integration"),
    ],
)  # fmt: skip
def test_who_did_it(by: DealReported, updated_by: int, who: int | None) -> None:
    (found,) = changes(mirrored(), record(BRIEF, updated_by=updated_by), by)
    assert found.user_id == who


def test_who_did_it_has_a_name_and_the_roles_of_this_deal() -> None:
    def roles_of(person: str, **field: Any) -> tuple[str, ...]:
        now = record(BRIEF, fields=field.get("fields", {}))
        (move, *_) = changes(mirrored(), now, told(user_id=user(person)))
        return move.user_is

    assert roles_of("Иван Петров") == ("Иван Петров", "manager")
    assert roles_of("Елена Орлова") == ("Елена Орлова", "head")
    assert roles_of("Павел Смирнов") == ("Павел Смирнов", "pr")
    chosen = {"PR-менеджер": ("Ольга Волкова",)}
    assert roles_of("Павел Смирнов", fields=chosen) == ("Павел Смирнов",)
    assert roles_of("Ольга Волкова", fields=chosen) == ("Ольга Волкова", "pr", "editor")


def test_the_stage_s_age_is_that_of_the_move() -> None:
    moved_at = told(DealMoved)
    assert OBSERVER.mirrored_after(mirrored(), record(NEW), moved_at).stage_since == OLD
    assert OBSERVER.mirrored_after(mirrored(), record(BRIEF), moved_at).stage_since == NOON
    new = OBSERVER.mirrored_after(None, record(BRIEF, seconds=9), told(DealMoved, at=None))
    assert new.stage_since == NOON + timedelta(seconds=9)


def test_a_deal_seen_for_the_first_time_in_mid_life_is_where_it_is_since_nobody_knows_when() -> None:
    made = record(BRIEF, seconds=9)
    assert OBSERVER.mirrored_after(None, made, told()).stage_since == made.created_at


def test_of_a_secret_field_only_that_it_is_filled_is_told() -> None:
    observer = Observer(agency(), People(agency(), ROLES), secret=["тема Запроса"])
    first, second = (record(fields={"Тема запроса": (word,)}) for word in ("Qwerty-1", "Qwerty-2"))
    filled = observer.changes(mirrored(), first, told())
    assert fields(filled)["Тема запроса"] == (None, HIDDEN)
    assert "Qwerty" not in repr([*filled, *observer.changes(MirroredDeal(second, OLD), record(), told())])
    assert fields(observer.changes(MirroredDeal(first, OLD), second, told())) == {}
    shown = Viewer(agency(), "https://agency.amocrm.ru", secret=["тема Запроса"]).deal(first)
    assert (shown.has("Тема запроса"), shown.text("Тема запроса")) == (True, HIDDEN)
