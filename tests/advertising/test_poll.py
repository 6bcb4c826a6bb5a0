"""Statistics by API, from stand-ins with faults: each day once whatever happens, and what can't be read is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, NOON, agency, clock, record, rule_engine

from amo_bridge.advertising.poll import AdPoll, ad_polls
from amo_bridge.config.advertising import VkAdsSection, YandexDirectSection
from amo_bridge.config.loader import load_text
from amo_bridge.crm.account import Field
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelDown, ChannelError, ConfigError
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.standins.audiences import VkAdsStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.yandex_direct import YandexDirectStandIn
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import ad_statistics, events

FIELD = Field(990, "Название рекламной кампании", None, "text", (), "leads")
MORNING = NOON.replace(hour=4)
"""Seven in Moscow, of a Monday."""


class Office:
    def __init__(self, store: Store, stand_ins: StandIns, service: str, tmp_path: Any) -> None:
        self.store, self.stand_ins, self.service = AccountStore(store, ACCOUNT), stand_ins, service
        self.direct = stand_ins["yandex_direct"]
        self.vk = stand_ins["vkads"]
        assert isinstance(self.direct, YandexDirectStandIn)
        assert isinstance(self.vk, VkAdsStandIn)
        self.hands, self.told = clock(MORNING), list[str]()
        self.folder = tmp_path
        self.secret = self.direct.token
        self.job = self.restarted()
        known = replace(record(BRIEF, 7), fields={FIELD.id: ("Ромашка",)})
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(known, NOON)], NOON)

    def engine(self) -> RuleEngine:
        engine = rule_engine()
        account = replace(agency(), all_fields=(*agency().all_fields, FIELD))
        ads = AdsSection.model_validate({"ask": [self.service], "currency": "KZT"})
        channels = replace(
            engine.config.channels,
            yandex_direct=YandexDirectSection(api=f"{self.stand_ins.url}/yandex_direct"),
            vkads=VkAdsSection(api=f"{self.stand_ins.url}/vkads", client_id=self.vk.client_id),
        )
        bridge = engine.config.bridge.model_copy(update={"data": str(self.folder)})
        config = replace(engine.config, ads=ads, channels=channels, bridge=bridge, path=self.folder / "config.toml")
        return replace(engine, account=account, config=config)

    def restarted(self) -> AdPoll:
        """As after a kill."""
        environment = {
            "AMO_BRIDGE_YANDEX_DIRECT_TOKEN": self.secret,
            "AMO_BRIDGE_VKADS_SECRET": self.vk.client_secret,
            "AMO_BRIDGE_SECRET_KEY": "0" * 64,
        }
        tell = lambda text, about: self.told.append(text)  # noqa: E731
        (job,) = ad_polls(self.engine().config, environment, self.store, self.engine, self.hands, tell, lambda: None)
        return job

    def show(self, day: str, clicks: int = 10, campaign: str = "Ромашка") -> None:
        if self.service == "yandex":
            self.direct.show(campaign, day, shows=1000, clicks=clicks, cost="1234.50", leads="--")
        else:
            self.vk.show(campaign, day, shows=1000, clicks=clicks, spent="1234.50", leads=3)

    def passes(self, **time: float) -> None:
        self.hands.advance(timedelta(**time))
        self.stand_ins.timeline.advance(timedelta(**time).total_seconds())

    def run(self, minutes: int = 10) -> int:
        """Rounds of so many minutes; how many rows came. Errors are what a thread waits out."""
        taken = 0
        for _ in range(minutes):
            with suppress(ChannelError):
                taken += self.job.send()
            self.passes(minutes=1)
        return taken

    def kept(self) -> list[tuple[str, int, int, int | None, str]]:
        with self.store.read() as connection:
            found = connection.execute(select(ad_statistics).order_by(ad_statistics.c.day)).all()
            return [(one.day, one.clicks, one.cost, one.leads, one.currency) for one in found]

    def looked_at(self) -> int:
        with self.store.read() as connection:
            return len(connection.execute(select(events.c.id)).all())

    def asked(self, path: str) -> int:
        stand_in = self.direct if self.service == "yandex" else self.vk
        return sum(call.path.endswith(path) for call in stand_in.requests)


@pytest.fixture(params=["yandex", "vk"])
def office(request: pytest.FixtureRequest, store: Store, tmp_path: Any) -> Iterator[Office]:
    stand_ins = StandIns(["yandex_direct", "vkads"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins, request.param, tmp_path)


LEADS = {"yandex": None, "vk": 3}
"""Yandex tells «--» where no goal is counted."""


def test_yesterday_is_read_once_and_its_deal_looked_at(office: Office) -> None:
    office.show("2026-11-22")
    office.show("2026-11-22", campaign="Чужая")
    office.show("2026-11-01")
    assert office.run() == 2
    leads = LEADS[office.service]
    assert office.kept() == [("2026-11-22", 10, 123450, leads, "KZT")] * 2
    before = office.asked(".json" if office.service == "vk" else "reports")
    assert (office.run(60), office.looked_at()) == (0, 1)
    assert office.asked(".json" if office.service == "vk" else "reports") == before, "nobody is asked until tomorrow"


def test_the_next_morning_has_the_new_day_and_what_was_counted_late(office: Office) -> None:
    office.show("2026-11-22")
    office.run()
    if office.service == "yandex":
        office.direct.rows.clear()
    office.show("2026-11-22", clicks=12)
    office.show("2026-11-23", clicks=20)
    office.passes(hours=17)
    assert office.run(30) == 0, "it is half past one at night"
    office.passes(hours=6)
    assert office.run() == 2
    assert [(day, clicks) for day, clicks, *_ in office.kept()] == [("2026-11-22", 12), ("2026-11-23", 20)]


def test_days_that_the_bridge_was_down_are_read(office: Office) -> None:
    office.run()
    for day in range(24, 29):
        office.show(f"2026-11-{day}")
    office.passes(days=6)
    office.job = office.restarted()
    assert office.run() == 5


@pytest.mark.parametrize("kind", ["limited", "unauthorised", "broken", "lost_answer", "refuse_before"])
def test_whatever_happens_each_day_comes_once(office: Office, kind: str) -> None:
    office.show("2026-11-22")
    path = "*reports" if office.service == "yandex" else "*day.json"
    office.stand_ins.faults.add(kind, path=path, count=2)
    office.run(180)
    assert len(office.kept()) == 1
    assert office.looked_at() == 1
    assert office.job.is_put_off is False


def test_a_kill_between_reading_and_the_cursor_reads_the_same_again(office: Office) -> None:
    office.show("2026-11-22")
    office.run()
    with office.store.write() as connection:
        office.job._cursors.forget(connection, f"ads_until:{office.service}")
    office.job = office.restarted()
    assert office.run() == 1
    assert (len(office.kept()), office.looked_at()) == (1, 1)


@pytest.fixture
def direct(store: Store, tmp_path: Any) -> Iterator[Office]:
    stand_ins = StandIns(["yandex_direct", "vkads"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins, "yandex", tmp_path)


def test_a_report_is_waited_for_under_its_name_also_after_a_kill(direct: Office) -> None:
    direct.show("2026-11-22")
    direct.direct.making_seconds = 120
    assert direct.job.send() == 0
    direct.job = direct.restarted()
    assert direct.job.send() == 0
    direct.passes(seconds=119)
    assert direct.job.send() == 0, "asked no earlier than the service said"
    direct.passes(seconds=2)
    assert direct.job.send() == 1
    assert len(direct.direct.reports) == 1


def test_an_error_with_status_200_is_an_error_and_a_person_is_told(direct: Office) -> None:
    direct.direct.says_errors_with_200 = True
    direct.direct.token = "another"
    with pytest.raises(ChannelError, match="53 Ошибка авторизации; проверьте AMO_BRIDGE_YANDEX_DIRECT_TOKEN"):
        direct.job.send()
    assert "статистика рекламы не читается" in direct.told[0]
    assert direct.kept() == []


def test_an_expired_token_of_vk_is_renewed(store: Store, tmp_path: Any) -> None:
    stand_ins = StandIns(["yandex_direct", "vkads"], live=False)
    with serving(stand_ins):
        office = Office(store, stand_ins, "vk", tmp_path)
        office.show("2026-11-22")
        office.run()
        office.vk.expire_tokens()
        office.show("2026-11-23")
        office.passes(days=1)
        assert office.run() == 2


def test_a_number_that_is_none_is_told(direct: Office) -> None:
    direct.direct.making_seconds = 0
    direct.direct.show("Ромашка", "2026-11-22", shows=1, clicks=1, cost="дорого")
    with pytest.raises(ChannelError, match="цифры не читаются — 2026-11-22: показы 1, клики 1, расход дорого"):
        direct.job.send()


def test_a_table_without_its_columns_is_no_report(direct: Office) -> None:
    direct.direct.making_seconds = 0
    direct.direct.rows.clear()
    client = direct.job._service._direct  # type: ignore[attr-defined]
    with pytest.raises(ChannelDown, match="нет столбцов"):
        client._table("a\tb\n1\t2\n")


def test_check_says_that_it_lets_us_in(direct: Office) -> None:
    client = direct.job._service._direct  # type: ignore[attr-defined]
    assert client.check() == "Яндекс Директ пускает к отчётам"
    direct.direct.token = "another"
    with pytest.raises(ChannelError):
        client.check()


CONFIG = '[account]\nurl = "https://agency.amocrm.ru"\n[bridge]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[ads]\nask = ["yandex"]\n', "нужен раздел [yandex_direct]"),
        ('[ads]\nask = ["vk"]\n', "нужен раздел [vkads]"),
        ("[yandex_direct]\n", "нужен ещё раздел [ads]"),
    ],
)
def test_a_service_needs_its_section(tmp_path: Any, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_text(tmp_path / "config.toml", CONFIG + text, {})
    assert words in "; ".join(refused.value.problems)


def test_vk_may_be_there_for_statistics_alone(tmp_path: Any) -> None:
    config = load_text(tmp_path / "config.toml", f'{CONFIG}[ads]\nask = ["vk"]\n[vkads]\nclient_id = "x"\n', {})
    assert config.ads is not None
