"""W1, W3: who is new, known, a manager's, in doubt; and what becomes of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from support import builders
from support.webinar_samples import ACTIVE, DAY, LONG, REPEAT, SHORT, attendee, options

from amo_bridge.crm.account import Stage, User
from amo_bridge.mirror.matching import Found
from amo_bridge.rules.deal import Deal
from amo_bridge.webinars.plan import Known, Override, Row, plan
from amo_bridge.webinars.sorting import Figures, KnownFigures

LOADER = User(id=1, name="Марина Котова", email="", is_active=True, is_admin=True)
NATALIA = User(id=2, name="Наталья Белова", email="", is_active=True, is_admin=False)
THINKS = "Вебинары / Думает (поговорили)"
KINDS = {"Успешно реализовано": (142, "won"), "Закрыто и не реализовано": (143, "lost")}


def stage(title: str) -> Stage:
    pipeline, _, name = title.partition(" / ")
    status, kind = KINDS.get(name, (1000 + sum(map(ord, name)), "open"))
    return Stage(pipeline_id=9, status_id=status, pipeline=pipeline, name=name, sort=1, kind=kind)  # type: ignore[arg-type]


def deal(on: str, owner: User = LOADER, **changed: Any) -> Deal:
    return replace(builders.deal(), **{"id": 70, "stage": stage(on), "responsible": owner, **changed})


def known(*deals: Deal, told: KnownFigures | None = None, **found: Any) -> Known:
    return Known(
        found=Found(**found) if found else Found(by_mail={"анна@example.ru": (5,)}),
        pipelines=("Вебинары",),
        deals={5: deals},
        told={"Анна": told} if told else {},
        loader=LOADER.id,
        opt_out_tag="без робота",
    )


def of_one(knowledge: Known, said: Override | None = None, **person: Any) -> Row:
    (row,) = plan([attendee(**person)], knowledge, options(), {"Анна": said} if said else None)
    return row


def test_a_stranger_becomes_a_contact_and_a_deal() -> None:
    row = of_one(Known(pipelines=("Вебинары",)), minutes=61)
    assert (row.standing, row.what, row.to_stage) == ("new", "create_person", LONG)


@pytest.mark.parametrize(
    ("on", "owner", "minutes", "standing", "what", "to"),
    [
        (THINKS, NATALIA, 90, "owned", "update_deal", None),
        (SHORT, NATALIA, 90, "owned", "update_deal", None),
        (REPEAT, NATALIA, 90, "owned", "update_deal", LONG),
        (REPEAT, LOADER, 5, "known", "update_deal", SHORT),
        (SHORT, LOADER, 90, "known", "update_deal", LONG),
        (ACTIVE, LOADER, 90, "known", "update_deal", None),
        (LONG, LOADER, 90, "known", "update_deal", None),
        ("Вебинары / Успешно реализовано", NATALIA, 90, "known", "create_deal", LONG),
        ("Вебинары / Закрыто и не реализовано", NATALIA, 90, "known", "create_deal", LONG),
        ("Другая воронка / Этап", NATALIA, 90, "known", "create_deal", LONG),
    ],
)
def test_an_open_deal_stays_with_its_manager(
    on: str, owner: User, minutes: float, standing: str, what: str, to: str | None
) -> None:
    row = of_one(known(deal(on, owner)), minutes=minutes)
    assert (row.standing, row.what, row.to_stage, row.contact_id) == (standing, what, to, 5)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"by_phone": {"+79161234567": (5, 6)}}, "телефон у нескольких контактов: 5, 6"),
        ({"by_mail": {"анна@example.ru": (5, 6)}}, "почта у нескольких контактов: 5, 6"),
        ({"by_mail": {"анна@example.ru": (5,)}, "by_phone": {"+79161234567": (6,)}}, "почта у контакта 5, телефон"),
    ],
)
def test_whoever_fits_two_contacts_is_left_to_a_person(found: dict[str, Any], why: str) -> None:
    row = of_one(known(**found), phones=("+79161234567",))
    assert (row.standing, row.what, row.candidates) == ("doubtful", "nothing", (5, 6))
    assert row.why.startswith(why)


def test_a_mail_tells_two_contacts_with_one_phone_apart() -> None:
    both = {"by_mail": {"анна@example.ru": (6,)}, "by_phone": {"+79161234567": (5, 6)}}
    assert of_one(known(**both), phones=("+79161234567",)).contact_id == 6


@pytest.mark.parametrize(
    ("found", "standing", "contact"),
    [
        ({"earlier": {"анна@example.ru": 5}}, "known", 5),
        ({"earlier": {"анна@example.ru": 5, "+79161234567": 6}}, "new", None),
        ({"earlier": {"анна@example.ru": 6}, "by_phone": {"+79161234567": (5,)}}, "known", 5),
        ({"decided": {"анна@example.ru": 6}, "by_phone": {"+79161234567": (5, 6)}}, "known", 6),
        ({"decided": {"анна@example.ru": 7}, "by_phone": {"+79161234567": (5, 6)}}, "doubtful", None),
        ({"decided": {"анна@example.ru": 6}, "by_phone": {"+79161234567": (5,)}}, "known", 5),
    ],
)
def test_earlier_imports_tell_who_he_is_where_the_contacts_do_not(
    found: dict[str, Any], standing: str, contact: int | None
) -> None:
    row = of_one(known(**found), phones=("+79161234567",))
    assert (row.standing, row.contact_id) == (standing, contact)


HAS_PHONE = {"by_phone": {"+79161234567": (5,)}}


@pytest.mark.parametrize(
    ("found", "has", "said", "adds"),
    [
        (HAS_PHONE, {5: {"+79161234567"}}, None, ("анна@example.ru",)),
        (HAS_PHONE, {5: {"+79161234567", "other@example.ru"}}, None, ("анна@example.ru",)),
        (HAS_PHONE, {5: {"+79161234567", "анна@example.ru"}}, None, ()),
        ({"by_mail": {"анна@example.ru": (5,)}}, {5: {"анна@example.ru"}}, None, ("+79161234567",)),
        ({"by_phone": {"+79161234567": (5, 6)}}, {5: {"+79161234567"}}, None, ()),
        ({"by_phone": {"+79161234567": (5, 6)}}, {5: {"+79161234567"}}, Override(contact_id=5), ("анна@example.ru",)),
        ({"by_phone": {"+79161234567": (6,)}}, {5: set()}, Override(contact_id=5), ("анна@example.ru",)),
        (HAS_PHONE, {5: {"+79161234567"}}, Override(skip=True), ()),
        (HAS_PHONE, {5: {"+79161234567"}}, Override(as_new=True), ()),
        (HAS_PHONE, {}, None, ()),
    ],
)
def test_what_a_known_contact_gets(
    found: dict[str, Any], has: dict[int, set[str]], said: Override | None, adds: tuple[str, ...]
) -> None:
    """What another contact has is not given to a second one; whoever is in doubt or banned gives nothing."""
    knowledge = replace(known(**found), has={contact: frozenset(own) for contact, own in has.items()})
    row = of_one(knowledge, said, phones=("+79161234567",))
    assert row.adds == adds
    assert ("добавить" in row.why) == bool(adds)
    banned = of_one(knowledge, None, phones=("+79161234567",), is_banned=True)
    assert banned.adds == ()


def test_a_known_contact_is_left_alone_where_the_config_says_so() -> None:
    knowledge = replace(known(**HAS_PHONE), has={5: frozenset({"+79161234567"})})
    (row,) = plan([attendee(phones=("+79161234567",))], knowledge, options(complete_contacts=False))
    assert row.adds == ()


def test_two_people_of_one_file_are_not_one_contact() -> None:
    found = Found(by_mail={"анна@example.ru": (5,)}, by_phone={"+79161234567": (5,)})
    pair = [attendee("Муж", mails=(), phones=("+79161234567",)), attendee()]
    rows = plan(pair, Known(found=found, pipelines=("Вебинары",)), options())
    assert [(row.standing, row.contact_id) for row in rows] == [("doubtful", None), ("known", 5)]


@pytest.mark.parametrize(
    ("person", "standing", "why"),
    [
        ({"mails": ()}, "unmatched", "нет ни почты, ни телефона"),
        ({"mails": (), "guest_word": "гость"}, "unmatched", "нет ни почты, ни телефона; вместо них «гость»"),
        ({"mails": (), "unreadable": ("0501234567",)}, "unmatched", "вместо телефона «0501234567»"),
        ({"is_banned": True}, "banned", "забанен"),
    ],
)
def test_who_is_only_reported(person: dict[str, Any], standing: str, why: str) -> None:
    row = of_one(Known(), **person)
    assert (row.standing, row.what) == (standing, "nothing")
    assert why in row.why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"tags": ("без робота",)}, "без робота"),
        ({"fields": {"Дата вебинара": date(2021, 9, 20)}}, "более позднего вебинара"),
    ],
)
def test_a_deal_that_is_left_alone(changed: dict[str, Any], why: str) -> None:
    row = of_one(known(deal(SHORT, **changed)), minutes=90)
    assert row.what == "nothing"
    assert why in row.why


def test_the_same_webinar_again_does_nothing_and_a_difference_is_offered() -> None:
    before = KnownFigures(3, 5, 70, Figures(DAY, 30.0))
    same = of_one(known(deal(SHORT), told=before), minutes=30)
    assert (same.standing, same.what) == ("loaded", "nothing")
    other = of_one(known(deal(SHORT), told=before), minutes=61)
    assert (other.standing, other.what, other.to_stage) == ("loaded", "update_deal", LONG)
    closed = of_one(known(deal("Вебинары / Закрыто и не реализовано"), told=before), minutes=61)
    assert closed.what == "nothing"


def test_what_differs_from_the_earlier_upload_is_told() -> None:
    before = KnownFigures(3, 5, 70, Figures(DAY, 30.0))
    row = of_one(known(deal(SHORT), told=before), minutes=61)
    assert row.why == (
        "загрузка № 3 была с другими данными (минут 30 → 61); никто не взял: перенести с «Был на вебинаре менее часа»"
    )


BOTH = {"by_phone": {"+79161234567": (5, 6)}}
DECIDED = KnownFigures(2, 5, 70, Figures(DAY, 30.0), by_hand=True)


def test_a_decision_is_remembered_for_the_same_webinar() -> None:
    row = of_one(known(deal(SHORT), told=DECIDED, **BOTH), phones=("+79161234567",))
    assert (row.standing, row.what, row.why) == ("loaded", "nothing", "уже загружен: загрузка № 2")
    assert row.candidates == (5, 6), "it may be decided anew"


@pytest.mark.parametrize(
    ("said", "what", "warns"),
    [
        (Override(contact_id=6), "create_deal", True),
        (Override(as_new=True), "create_person", True),
        (Override(contact_id=5), "update_deal", False),
        (Override(interest="active"), "update_deal", False),
        (Override(skip=True), "nothing", False),
    ],
)
def test_another_decision_about_somebody_who_is_there_warns(said: Override, what: str, warns: bool) -> None:
    row = of_one(known(deal(SHORT), told=DECIDED, **BOTH), said, phones=("+79161234567",))
    assert row.what == what
    words = "уже загружен (загрузка № 2, сделка 70): это будет вторая сделка"
    assert (words in row.remarks) == warns


@pytest.mark.parametrize(("by_hand", "standing"), [(True, "loaded"), (False, "banned")])
def test_whoever_was_let_in_by_hand_stays_so(by_hand: bool, standing: str) -> None:
    before = replace(DECIDED, by_hand=by_hand)
    assert of_one(known(deal(SHORT), told=before), is_banned=True).standing == standing


def test_another_file_that_knows_him_by_another_address_is_about_the_same_deal() -> None:
    before = KnownFigures(3, 5, 70, Figures(DAY, 30.0, ("Баннер",), (), ("отчёт",), ("отчёт",)))
    knowledge = replace(known(deal(ACTIVE), by_phone={"+79161234567": (5,)}), figures_by_contact={5: before})
    row = of_one(knowledge, phones=("+79161234567",), minutes=70, buttons_by=("таблица",), minutes_by=("таблица",))
    assert (row.standing, row.figures.tags, row.sorted.interest, row.to_stage) == (
        "loaded",
        ("Баннер",),
        "active",
        None,
    )


@pytest.mark.parametrize(
    ("said", "what", "to", "contact"),
    [
        (Override(skip=True), "nothing", None, None),
        (Override(as_new=True), "create_person", SHORT, None),
        (Override(contact_id=6), "create_deal", SHORT, 6),
        (Override(interest="active"), "update_deal", ACTIVE, 5),
    ],
)
def test_a_person_decides(said: Override, what: str, to: str | None, contact: int | None) -> None:
    row = of_one(known(deal(SHORT)), said)
    assert (row.what, row.to_stage, row.contact_id) == (what, to, contact)


def test_a_banned_person_is_let_in_by_hand() -> None:
    assert of_one(Known(), Override(as_new=True), is_banned=True).what == "create_person"


def test_who_has_bought_already_is_told_of() -> None:
    row = of_one(known(deal("Вебинары / Успешно реализовано")))
    assert "уже покупал: сделка 70" in row.remarks
