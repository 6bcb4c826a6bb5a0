"""Statistics come in: kept once, whose campaign it is, which deals rules look at; in both stores."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, LOST, NOON, agency, record

from amo_bridge.crm.account import Account, Field
from amo_bridge.engine.ad_campaigns import DealCampaign, Taken, take_statistics
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.errors import UnknownName
from amo_bridge.mirror.ad_statistics import AdStatistics, CampaignDay
from amo_bridge.mirror.deals import Mirror, MirroredDeal, follow_fields
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay, Campaign
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import ad_statistics, events

FIELD = Field(990, "Название рекламной кампании", None, "text", (), "leads")
SECTION = AdsSection()
YESTERDAY = date(2026, 11, 22)


@pytest.fixture
def account() -> Account:
    known = agency()
    return replace(known, all_fields=(*known.all_fields, FIELD))


@pytest.fixture(params=["followed", "not followed"])
def own(store: Store, request: pytest.FixtureRequest) -> AccountStore:
    """Deals are found by a kept list, or, before the worker has begun it, by their records: the same ones."""
    found = AccountStore(store, ACCOUNT)
    if request.param == "followed":
        follow_fields(found, [FIELD.id])
    return found


def know(own: AccountStore, deal_id: int, campaign: str = "Ромашка", on: str = BRIEF, **more: Any) -> None:
    made = replace(record(on, deal_id, **more), fields={FIELD.id: (campaign,)} if campaign else {})
    with own.write() as connection:
        Mirror(own).put(connection, [MirroredDeal(made, NOON)], NOON)


def row(campaign: str = "Ромашка", day: date = YESTERDAY, **more: Any) -> CampaignDay:
    return CampaignDay(
        campaign, AdDay(**({"day": day, "shows": 1000, "clicks": 50, "cost": 10_000, "service": "vk"} | more))
    )


def take(own: AccountStore, account: Account, *rows: CampaignDay, source: str = "f.csv") -> Taken:
    return take_statistics(own, account, SECTION, rows, source=source, now=NOON)


def kept(own: AccountStore) -> list[tuple[str, str, int]]:
    with own.read() as connection:
        found = connection.execute(select(ad_statistics).order_by(ad_statistics.c.day, ad_statistics.c.id))
        return [(one.day, one.placement, one.cost) for one in found]


def queued(own: AccountStore) -> list[tuple[int, str]]:
    with own.read() as connection:
        found = connection.execute(select(events.c.deal_id, events.c.body).order_by(events.c.id)).all()
        return [(one.deal_id, json.loads(one.body)["day"]) for one in found]


def campaign_of(own: AccountStore, account: Account, deal_id: int) -> list[Campaign]:
    deal = Mirror(own).record(deal_id)
    assert deal is not None
    return list(DealCampaign(SourceContext(None, account, own, ads=SECTION)).read([deal]).get(deal_id, ()))  # type: ignore[arg-type]


def test_a_deal_is_known_by_the_name_in_whatever_spelling(own: AccountStore, account: Account) -> None:
    know(own, 7, "«Ромашка»  Осень")
    know(own, 8, "")
    taken = take(own, account, row("ромашка осень"), row("Лютик"))
    assert (taken.rows, taken.campaigns, taken.ours, taken.shared) == (2, 2, 1, ())
    assert queued(own) == [(7, "2026-11-22")]
    (campaign,) = campaign_of(own, account, 7)
    assert [one.cost for one in campaign.days] == [10_000]
    assert campaign_of(own, account, 8) == []


def test_the_same_file_twice_changes_nothing(own: AccountStore, account: Account) -> None:
    know(own, 7)
    take(own, account, row())
    again = take(own, account, row())
    assert (again.known, kept(own), queued(own)) == (1, [("2026-11-22", "", 10_000)], [(7, "2026-11-22")])


def test_other_figures_of_a_day_replace_all_that_was_there_and_are_looked_at(
    own: AccountStore, account: Account
) -> None:
    know(own, 7)
    take(own, account, row())
    take(own, account, row(placement="Stories", cost=1), row(placement="Лента", cost=2))
    assert kept(own) == [("2026-11-22", "Stories", 1), ("2026-11-22", "Лента", 2)]
    assert queued(own) == [(7, "2026-11-22")] * 2


def test_rows_of_one_day_are_summed_and_services_stay_apart(own: AccountStore, account: Account) -> None:
    take(own, account, row(leads=1), row(leads=2), row(service="yandex"))
    assert sorted(cost for _, _, cost in kept(own)) == [10_000, 20_000]


def test_two_deals_with_one_name_are_told_and_none_is_looked_at(own: AccountStore, account: Account) -> None:
    know(own, 7)
    know(own, 8)
    assert take(own, account, row()).shared == ("Ромашка",)
    assert queued(own) == []
    assert campaign_of(own, account, 7)[0].other_deals == (8,)


def test_a_closed_deal_and_a_deleted_one_have_no_campaign(own: AccountStore, account: Account) -> None:
    know(own, 7)
    know(own, 8, on=LOST)
    know(own, 9, is_deleted=True)
    assert take(own, account, row()).ours == 1


def test_of_many_days_the_newest_whole_one_is_looked_at(own: AccountStore, account: Account) -> None:
    know(own, 7)
    today = YESTERDAY + timedelta(days=1)
    take(own, account, *(row(day=today - timedelta(days=back)) for back in range(5)))
    assert queued(own) == [(7, "2026-11-22")]


def test_today_alone_is_kept_and_not_looked_at(own: AccountStore, account: Account) -> None:
    know(own, 7)
    take(own, account, row(day=YESTERDAY + timedelta(days=1)))
    assert (len(kept(own)), queued(own)) == (1, [])


def test_a_field_that_the_account_lacks_keeps_nothing(own: AccountStore) -> None:
    with pytest.raises(UnknownName):
        take(own, agency(), row())
    assert kept(own) == []


def test_who_has_looked_is_kept_once(own: AccountStore, account: Account) -> None:
    know(own, 7)
    take(own, account, row(day=YESTERDAY - timedelta(days=1)))
    statistics = AdStatistics(own)
    assert [statistics.check("РОМАШКА", YESTERDAY, "Анна", NOON) for _ in range(2)] == [True, False]
    (campaign,) = campaign_of(own, account, 7)
    assert (campaign.is_known(YESTERDAY), campaign.is_known(YESTERDAY + timedelta(days=1))) == (True, False)


def test_where_the_newest_figures_came_from(own: AccountStore, account: Account) -> None:
    take(own, account, row(), source="a.csv")
    take(own, account, row(service="yandex", day=YESTERDAY - timedelta(days=3)), source="API")
    with own.read() as connection:
        told = [(one.service, one.last, one.source) for one in AdStatistics(own).loadings(connection)]
    assert told == [("vk", YESTERDAY, "a.csv"), ("yandex", YESTERDAY - timedelta(days=3), "API")]
