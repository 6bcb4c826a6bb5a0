"""Resolving what goes out past amoCRM: people become user ids, and the words say what is meant."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import BRIEF, NOON, agency, record, user

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.errors import UnknownName
from amo_bridge.rules.actions import (
    Action,
    AnswerClient,
    Attachment,
    JoinAudience,
    LeaveAudience,
    Notify,
    RecordViolation,
    SendLetter,
    SendSms,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
    StoreFile,
)
from amo_bridge.rules.option_types import UserName

HEAD, MANAGER = "Елена Орлова", "Иван Петров"
RESOLVER = Resolver(
    agency(), People(agency(), {"head": UserName(HEAD)}), CalendarOptions().calendar("Europe/Moscow")
)  # fmt: skip


def resolved(action: Action) -> list[Effect]:
    now = record(on=BRIEF, responsible_user_id=user(MANAGER))
    return RESOLVER.effects(action, Viewer(agency(), "https://agency.amocrm.ru").deal(now), now, NOON)


@pytest.mark.parametrize(
    ("action", "kind", "body", "words"),
    [
        (JoinAudience(deal_id=7, audience="VK"), "join_audience", {"audience": "VK"}, "включён в аудиторию «VK»"),
        (LeaveAudience(deal_id=7, audience="VK"), "leave_audience", {"audience": "VK"}, "исключён из аудитории «VK»"),
        (
            SendSms(deal_id=7, text="Ждём бриф"),
            "send_sms",
            {"text": "Ждём бриф", "service": False},
            "SMS клиенту «Ждём бриф»",
        ),
        (
            AnswerClient(deal_id=7, text="Ждём вас", note_id=31, contact_id=55),
            "answer_client",
            {"text": "Ждём вас", "note_id": 31, "contact_id": 55},
            "ответ клиенту «Ждём вас»",
        ),
        (
            StoreFile(deal_id=7, file_name="Договор.pdf", file_uuid="u", folder="Ромашка"),
            "store_file",
            {"file_name": "Договор.pdf", "file_uuid": "u", "folder": "Ромашка", "link_field": None},
            "копия файла «Договор.pdf» в папке «Ромашка»",
        ),
        (StopAutoDial(deal_id=7, because="ответил"), "stop_auto_dial", {"because": "ответил"}, "автодозвон выключен"),
        (
            StopSeries(deal_id=7, series="прогрев", because="ответил"),
            *("stop_series", {"series": "прогрев", "because": "ответил"}, "«прогрев» остановлена"),
        ),
        (StopSeries(deal_id=7), "stop_series", {"series": None, "because": ""}, "все серии писем остановлены"),
    ],
)
def test_what_needs_no_names(action: Action, kind: str, body: dict[str, Any], words: str) -> None:
    (effect,) = resolved(action)
    assert (effect.kind, effect.deal_id, dict(effect.body)) == (kind, 7, body)
    assert words in effect.words


@pytest.mark.parametrize("action", [StartAutoDial(deal_id=7), StartSeries(deal_id=7, series="прогрев")])
def test_what_lasts_knows_the_stage_that_it_ends_with(action: Action) -> None:
    (effect,) = resolved(action)
    assert tuple(effect.body["stage"]) == agency().stage(BRIEF).key


def test_a_letter_knows_who_is_to_find_the_address() -> None:
    (told,) = resolved(SendLetter(deal_id=7, template="ждём бриф", thread="бриф"))
    assert dict(told.body) == {
        "template": "ждём бриф", "service": True, "thread": "бриф", "no_address": user(MANAGER),
    }  # fmt: skip
    assert told.words == "письмо клиенту «ждём бриф»"
    (silent,) = resolved(SendLetter(deal_id=7, template="прогрев/1", service=False, no_address=None))
    assert (silent.body["service"], silent.body["no_address"]) == (False, None)


def test_a_letter_says_what_goes_along() -> None:
    along = (Attachment(file="Бриф.docx"), Attachment(deal_file=("Счёт", "Акт")))
    (told,) = resolved(SendLetter(deal_id=7, template="ждём бриф", attach=along))
    assert told.body["attach"] == [{"file": "Бриф.docx"}, {"deal_file": ["Счёт", "Акт"]}]
    assert told.words == "письмо клиенту «ждём бриф» с вложениями: Бриф.docx, Счёт …"


def test_everybody_who_is_told_is_told_once() -> None:
    told = resolved(Notify(deal_id=7, to=("head", "manager", HEAD), text="Клиент ждёт", urgent=True))
    assert [effect.body["user_id"] for effect in told] == [user(HEAD), user(MANAGER)]
    assert {effect.body["text"] for effect in told} == {"Клиент ждёт"}
    assert all(effect.body["urgent"] for effect in told)
    assert told[0].body["url"] == "https://agency.amocrm.ru/leads/detail/7"
    assert told[0].words == f"уведомление «Клиент ждёт» — {HEAD}"


def test_a_violation_names_the_person_and_the_clause() -> None:
    (effect,) = resolved(RecordViolation(deal_id=7, person="manager", clause="M7", penalty=5000, why="поздно"))
    assert dict(effect.body) == {
        "user_id": user(MANAGER), "clause": "M7", "penalty": 5000, "why": "поздно", "at": int(NOON.timestamp()),
        "deal_name": "Ромашка",
    }  # fmt: skip
    assert effect.words == f"нарушение пункта M7 — {MANAGER}, штраф 5000"


def test_nobody_is_told_in_the_place_of_an_unknown_person() -> None:
    with pytest.raises(UnknownName):
        resolved(Notify(deal_id=7, to=("Пётр Неизвестный",), text="Клиент ждёт"))
