"""Who a role means for a deal: by a field, by the deal at the other end of a link, or else by name."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import agency, record, user

from amo_bridge.config.model import RoleByField
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
