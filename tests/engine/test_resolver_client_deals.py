"""A deal for somebody who wants something: whose it becomes, and what amoCRM is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from support.fakes import NEW, NOON, agency, record, user

from amo_bridge.config.model import Absence
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.rules.actions import Action, AddNote, CreateClientDeal, CreateTask, Rota
from amo_bridge.rules.option_types import UserName

ANNA, IVAN = "Мария Кузнецова", "Иван Петров"


def away(name: str) -> Mapping[UserName, tuple[Absence, ...]]:
    day = {"from": date(2026, 11, 20), "to": date(2026, 11, 30), "deputy": "Елена Орлова"}
    return {UserName(name): (Absence.model_validate(day),)}


def resolved(action: Action, absences: Mapping[UserName, tuple[Absence, ...]] | None = None) -> Effect:
    people = People(agency(), {}, absences or {})
    resolver = Resolver(agency(), people, CalendarOptions().calendar("Europe/Moscow"))
    to_come = record(deal_id=-5)
    (effect,) = resolver.effects(action, Viewer(agency(), "https://agency.amocrm.ru").deal(to_come), to_come, NOON)
    return effect


def new(**changed: Any) -> CreateClientDeal:
    facts: dict[str, Any] = {
        "deal_id": -5, "name": "Анна, сайт", "to": NEW, "responsible": Rota((IVAN, ANNA)), "contact_name": "Анна",
        "phones": ("+79161234567",), "mails": ("anna@example.ru",),
    }  # fmt: skip
    return CreateClientDeal(**(facts | changed))


@pytest.mark.parametrize(
    ("rota", "absent", "gets"),
    [
        pytest.param(Rota((IVAN, ANNA), turn=0), None, IVAN, id="первый"),
        pytest.param(Rota((IVAN, ANNA), turn=1), None, ANNA, id="второй"),
        pytest.param(Rota((IVAN, ANNA), turn=2), None, IVAN, id="снова первый"),
        pytest.param(Rota((IVAN, ANNA), turn=0), IVAN, ANNA, id="первого нет"),
        pytest.param(Rota((IVAN,), turn=0), IVAN, "Елена Орлова", id="никого нет: заместитель"),
    ],
)
def test_they_take_turns_and_whoever_is_away_is_passed_over(rota: Rota, absent: str | None, gets: str) -> None:
    effect = resolved(new(responsible=rota), away(absent) if absent else None)
    assert effect.body["responsible_user_id"] == user(gets)


@pytest.mark.parametrize(("place", "gets"), [(0, ANNA), (1, ANNA), (2, IVAN), (3, ANNA)])
def test_whoever_has_fewest_deals_gets_the_next_one(place: int, gets: str) -> None:
    load = ((user(IVAN), 5), (user(ANNA), 3))
    effect = resolved(new(responsible=Rota((IVAN, ANNA), "load", load=load, place=place)))
    assert effect.body["responsible_user_id"] == user(gets)


def test_a_stranger_is_one_request_with_the_deal() -> None:
    effect = resolved(new(tags=("сайт",)))
    (contact,) = effect.body["_embedded"]["contacts"]
    phone = agency().field("PHONE", "contacts").id
    assert (effect.kind, effect.once, effect.deal_id) == ("create_client_deal", True, -5)
    assert (contact["name"], contact["responsible_user_id"]) == ("Анна", effect.body["responsible_user_id"])
    assert contact["custom_fields_values"][0] == {
        "field_id": phone,
        "values": [{"value": "+79161234567", "enum_code": "WORK"}],
    }
    assert effect.body["_embedded"]["tags"] == [{"name": "сайт"}]


def test_a_known_contact_gets_the_deal_alone() -> None:
    effect = resolved(new(contact_id=70))
    assert (effect.kind, effect.body["_embedded"]["contacts"]) == ("create_deal", [{"id": 70}])


def test_the_unsorted_gets_the_form_with_a_name_of_ours() -> None:
    effect = resolved(new(form="Тильда", page="https://agency.example"))
    assert (effect.kind, effect.body["source_uid"], effect.body["form_name"]) == (
        "create_unsorted",
        "amo-bridge-5",
        "Тильда",
    )
    assert "status_id" not in effect.body


def test_what_follows_is_put_on_the_deal_when_it_is_there() -> None:
    task = CreateTask(deal_id=-5, text="Ответить: {new.url}", to=IVAN, due=Due.parse("1 hour"))
    effect = resolved(new().followed_by(AddNote(deal_id=-5, text="Сколько стоит?"), task))
    assert [follow.body["entity_id"] for follow in effect.then] == ["{new.id}", "{new.id}"]


def test_a_question_lies_on_nobodys_card() -> None:
    task = CreateTask(deal_id=-5, text="Чьё?", to=IVAN, due=Due.parse("1 hour"), on="nowhere")
    assert "entity_id" not in resolved(task).body
