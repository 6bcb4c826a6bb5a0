"""Who a role means for a deal: by a field, by the deal at the other end of a link, or else by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from support.fakes import agency, record, user

from amo_bridge.config.model import Absence, Absences, RoleByField
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.people import People
from amo_bridge.errors import UnknownName
from amo_bridge.rules.option_types import CustomFieldName, UserName

LINK = "Связанная сделка"
SALE = record(deal_id=30000001, responsible_user_id=user("Мария Кузнецова"))
SELLER: dict[str, Any] = {"field": CustomFieldName("Менеджер по продажам"), "linked": CustomFieldName(LINK)}


def known(deal_id: int) -> DealRecord | None:
    return SALE if deal_id == SALE.id else None


def seller(**fields: str) -> int:
    spec = RoleByField(**SELLER, otherwise=UserName("Елена Орлова"))
    deal = record(fields={name: (value,) for name, value in fields.items()})
    return People(agency(), {"seller": spec}, {}, known).user_id("seller", deal)


@pytest.mark.parametrize(
    "address",
    ["https://agency.amocrm.ru/leads/detail/30000001", "https://x.ru/leads/detail/30000001?tab_id=1"],
)
def test_the_seller_is_who_answers_for_the_linked_deal(address: str) -> None:
    assert seller(**{LINK: address}) == user("Мария Кузнецова")


def test_a_person_named_on_the_deal_wins() -> None:
    address = "https://agency.amocrm.ru/leads/detail/30000001"
    assert seller(**{"Менеджер по продажам": "Иван Петров", LINK: address}) == user("Иван Петров")


@pytest.mark.parametrize(
    "address", ["", "https://agency.amocrm.ru/leads/detail/300", "договорились", "/leads/detail/x"]
)
def test_a_link_that_leads_nowhere_leaves_the_one_for_all_others(address: str) -> None:
    assert seller(**({LINK: address} if address else {})) == user("Елена Орлова")


def test_nobody_at_all_is_told() -> None:
    people = People(agency(), {"seller": RoleByField(**SELLER)}, {}, known)
    with pytest.raises(UnknownName, match="роль «seller»: поле «Менеджер по продажам» и «Связанная сделка»"):
        people.user_id("seller", record())
    assert "seller" not in people.names_of(user("Иван Петров"), record())


# --- who works for him now --------------------------------------------------------------------------------------------

IVAN, MARIA, HEAD, OLGA = "Иван Петров", "Мария Кузнецова", "Елена Орлова", "Ольга Волкова"


def away(first: int, last: int, deputy: str) -> tuple[Absence, ...]:
    """A time away in December 2026."""
    return (Absence.model_validate({"from": date(2026, 12, first), "to": date(2026, 12, last), "deputy": deputy}),)


AWAY: Absences = {
    UserName(IVAN): away(1, 14, MARIA),
    UserName(MARIA): away(7, 9, OLGA),
    UserName(OLGA): away(8, 8, IVAN),
}


def staff(*off: str, absences: Absences = AWAY, tell: str | None = None, head: str = HEAD) -> People:
    """The agency with these people switched off."""
    users = tuple(replace(one, is_active=one.name not in off) for one in agency().users)
    return People(replace(agency(), users=users), {"head": UserName(head)}, absences, tell=tell)


@pytest.mark.parametrize(
    ("off", "who", "day", "instead"),
    [
        pytest.param((), IVAN, 20, IVAN, id="he is there"),
        pytest.param((), IVAN, 1, MARIA, id="away: his deputy"),
        pytest.param((), IVAN, 7, OLGA, id="the deputy is away too: hers"),
        pytest.param((), IVAN, 8, IVAN, id="all of them are away: it waits for him"),
        pytest.param((IVAN,), IVAN, 20, HEAD, id="switched off: the head"),
        pytest.param((IVAN,), IVAN, 2, MARIA, id="switched off, with a deputy of that day"),
        pytest.param((IVAN,), IVAN, 7, OLGA, id="switched off, the deputy is away: hers"),
        pytest.param((IVAN,), IVAN, 8, HEAD, id="switched off, all deputies away: the head"),
        pytest.param((MARIA,), IVAN, 2, HEAD, id="away, the deputy is switched off: the head"),
    ],
)
def test_who_works_for_him_now(off: tuple[str, ...], who: str, day: int, instead: str) -> None:
    assert staff(*off).works_now(user(who), date(2026, 12, day)) == user(instead)


def test_the_head_too_may_be_gone() -> None:
    day = date(2026, 12, 20)
    assert staff(HEAD, tell=MARIA).works_now(user(HEAD), day) == user(MARIA), "whom the bridge tells"
    with pytest.raises(UnknownName, match="отключён в amoCRM"):
        staff(HEAD).works_now(user(HEAD), day)
    with pytest.raises(UnknownName):
        staff(HEAD, tell=HEAD).works_now(user(HEAD), day)


def test_whoever_has_just_done_something_is_there_unless_he_is_switched_off() -> None:
    day = date(2026, 12, 2)
    assert staff().works_now(user(IVAN), day, is_there=True) == user(IVAN)
    assert staff(IVAN).works_now(user(IVAN), day, is_there=True) == user(MARIA)


def test_somebody_newer_than_the_account_as_known_is_himself_until_amocrm_refuses_him() -> None:
    assert staff().works_now(77, date(2026, 12, 20)) == 77
    assert staff().works_now(77, date(2026, 12, 20), is_gone=True) == user(HEAD)
