"""One check of all campaigns for the agency: told once a working day, and only of what nobody has looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, LOST, NOON, agency, clock, record, rule_engine

from amo_bridge.advertising.check import AdCheckJob
from amo_bridge.config.channels import Channels, PersonSection, TelegramSection
from amo_bridge.crm.account import Account, Field
from amo_bridge.engine.ad_campaigns import take_statistics
from amo_bridge.engine.people import People
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.mirror.ad_statistics import AdStatistics, CampaignDay
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

FIELD = Field(990, "Название рекламной кампании", None, "text", (), "leads")
HEAD = "Елена Орлова"
YESTERDAY = NOON.date() - timedelta(days=1)


def know(own: AccountStore, deal_id: int, campaign: str, on: str, stage_since: datetime) -> None:
    made = replace(record(on, deal_id), fields={FIELD.id: (campaign,)} if campaign else {})
    with own.write() as connection:
        Mirror(own).put(connection, [MirroredDeal(made, stage_since)], NOON)


def take(checks: Checks, *names: str) -> None:
    rows = [CampaignDay(name, AdDay(day=YESTERDAY, shows=1000, clicks=50, cost=10_000, service="vk")) for name in names]
    take_statistics(checks.own, checks.account, AdsSection(), rows, source="f.csv", now=NOON)


class Checks:
    """Monday, noon in Moscow is ``NOON``; the head is told by a notice. ``section``: what of ``[ads]`` is other."""

    def __init__(self, own: AccountStore, account: Account) -> None:
        self.own, self.account, self.clock = own, account, clock(NOON)
        self.section: dict[str, Any] = {"check_by": "12:00"}
        self.is_dry = False
        rules: Any = CurrentRules(self.engine())
        rules.get = self.engine
        self.job = AdCheckJob(own, rules, self.clock, self.clock)

    def engine(self) -> RuleEngine:
        engine = rule_engine()
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.is_dry})
        people = {UserName(HEAD): PersonSection(telegram=11)}
        channels = Channels(telegram=TelegramSection(), people=people)
        config = replace(engine.config, ads=AdsSection.model_validate(self.section), bridge=bridge, channels=channels)
        made = RuleEngine.of(config, self.account, self.clock)
        return replace(made, people=People(self.account, {"head": UserName(HEAD)}, {}))

    def at(self, moment: datetime) -> list[str]:
        """What the head was told so far."""
        self.clock.move_to(moment)
        self.job.run()
        with self.own.read() as connection:
            told = connection.execute(select(outbox.c.payload).order_by(outbox.c.id)).scalars()
            return [json.loads(one)["body"]["text"] for one in told]


@pytest.fixture
def checks(store: Store) -> Checks:
    own, known = AccountStore(store, ACCOUNT), agency()
    for number, name in enumerate(("Ромашка", "Лютик", "Пион", "", "Мак"), start=1):
        know(own, number, name, BRIEF if name != "Мак" else LOST, NOON - timedelta(days=3))
    know(own, 9, "Сегодняшняя", BRIEF, NOON)
    return Checks(own, replace(known, all_fields=(*known.all_fields, FIELD)))


def test_the_head_is_told_once_of_all_campaigns_that_nobody_has_looked_at(checks: Checks) -> None:
    take(checks, "Лютик")
    assert checks.at(NOON - timedelta(minutes=1)) == []
    wanted = ["Реклама не проверена до 12:00: «Пион», «Ромашка»"]
    for minutes in (0, 1, 300):
        assert checks.at(NOON + timedelta(minutes=minutes)) == wanted
    AdStatistics(checks.own).check("Пион", YESTERDAY + timedelta(days=1), "Анна", NOON)
    later = "Реклама не проверена до 12:00: «Лютик», «Ромашка», «Сегодняшняя»"
    assert checks.at(NOON + timedelta(days=1)) == [*wanted, later]


@pytest.mark.parametrize("spoil", ["all are checked", "day off", "dry run", "other stages", "not asked for"])
def test_nobody_is_told_of_nothing(checks: Checks, spoil: str) -> None:
    moment = NOON
    if spoil == "all are checked":
        take(checks, "Лютик", "Пион", "Ромашка")
    elif spoil == "day off":
        moment = NOON - timedelta(days=1)
    elif spoil == "dry run":
        checks.is_dry = True
    elif spoil == "other stages":
        checks.section["check_stages"] = ["Продажи / Утвержденный проект"]
    else:
        checks.section = {}
    assert checks.at(moment) == []


def test_a_field_that_is_gone_holds_the_check_up_until_it_is_mended(checks: Checks) -> None:
    checks.section["campaign_field"] = "Нет такого"
    assert checks.at(NOON) == []
    checks.section.pop("campaign_field")
    assert len(checks.at(NOON + timedelta(minutes=1))) == 1
