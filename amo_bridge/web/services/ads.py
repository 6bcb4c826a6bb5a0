"""Campaigns for pages: figures against norms, responsible people, days that were checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal

from amo_bridge.advertising.exports import SERVICES, AdExport, Service, read_ad_export
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.ad_campaigns import (
    SHOWN_DAYS,
    Taken,
    deals_by_campaign,
    newest_whole_day,
    take_statistics,
)
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.ad_statistics import AdStatistics, Loading, folded
from amo_bridge.rules.ad_norms import AdsSection, Sum, Verdict, judged, planned_prices
from amo_bridge.rules.deal import AdDay
from amo_bridge.text.names import normalise
from amo_bridge.web.accounts import AccountView

RowState = Literal["over", "fine", "few", "none", "shared", "nobody"]
ORDER: Sequence[RowState] = ("over", "shared", "nobody", "none", "few", "fine")
"""How urgent a campaign is, the most urgent first."""


class NotNow(Exception):
    """Files can't be taken just now; the text (Russian) says why."""


@dataclass(frozen=True)
class CampaignRow:
    """One campaign. ``deals``: the open deals that name it. ``days``: figures of the last weeks, oldest first.
    ``verdicts``: of the newest whole day. ``is_checked``: yesterday has statistics, or somebody has looked. ``unread``:
    what of the deal's media plan can't be read (Russian)."""

    name: str
    deals: Sequence[DealRecord]
    days: Sequence[AdDay]
    verdicts: Sequence[Verdict]
    is_checked: bool
    is_pressed: bool
    unread: Sequence[str] = ()

    @property
    def key(self) -> str:
        return folded(self.name)

    @property
    def last_day(self) -> date | None:
        return max((row.day for row in self.days), default=None)

    @property
    def state(self) -> RowState:
        if len(self.deals) > 1:
            return "shared"
        if not self.deals:
            return "nobody"
        states = {verdict.state for verdict in self.verdicts}
        if not self.days:
            return "none"
        return "over" if "over" in states else "fine" if "fine" in states else "few"

    @property
    def by_day(self) -> list[tuple[date, str, Sum]]:
        """Each day and currency with all placements together, the newest first."""
        keys = sorted({(row.day, row.currency) for row in self.days}, reverse=True)
        return [
            (day, currency, Sum.of(row for row in self.days if (row.day, row.currency) == (day, currency)))
            for day, currency in keys
        ]


@dataclass(frozen=True)
class Overview:
    """``unnamed``: fields that the account does not have, in words (Russian); then deals are not known."""

    rows: Sequence[CampaignRow]
    loadings: Sequence[Loading]
    yesterday: date
    unnamed: str = ""


def overview(here: AccountView, section: AdsSection) -> Overview:
    """All campaigns that have figures or stand in an open deal. Raises NotMet, StoreUnavailable."""
    yesterday = today_of(here) - timedelta(days=1)
    since, known, problem = yesterday - timedelta(days=SHOWN_DAYS), here.crm_account, ""
    statistics = AdStatistics(here.account_store)
    owners: dict[str, list[DealRecord]] = {}
    with here.account_store.read() as connection:
        names = statistics.names(connection, since)
        if known is not None:
            try:
                owners = deals_by_campaign(connection, here.account_store, known, section)
            except UnknownName as error:
                problem = str(error)
        keys = {*names, *owners}
        days = statistics.days_of(connection, keys, since)
        checks = statistics.checks_of(connection, keys, yesterday)
        loadings = statistics.loadings(connection)
    rows = []
    for key in keys:
        deals, figures, pressed = owners.get(key, []), days.get(key, []), yesterday in checks.get(key, ())
        name = names.get(key) or _name_in(deals[0], known, section)
        day = newest_whole_day(figures, yesterday + timedelta(days=1))
        verdicts, unread = _verdicts(figures, day, section, deals, known) if day else ([], [])
        is_known = pressed or any(row.day == yesterday for row in figures)
        rows.append(CampaignRow(name, deals, figures, verdicts, is_known, pressed, unread))
    rows.sort(key=lambda row: (ORDER.index(row.state), normalise(row.name)))
    return Overview(rows, loadings, yesterday, problem)


def _name_in(deal: DealRecord, account: Account | None, section: AdsSection) -> str:
    texts = FieldReader(account).texts(deal) if account else {}
    return _text(texts, section.campaign_field)


def _verdicts(
    figures: Sequence[AdDay], day: date, section: AdsSection, deals: Sequence[DealRecord], account: Account | None
) -> tuple[list[Verdict], list[str]]:
    """And what of the deal's media plan and goal can't be read. None where nobody knows by which deal the norms are to
    be chosen."""
    if len(deals) != 1 or account is None:
        return [], []
    texts = FieldReader(account).texts(deals[0])
    traits, unchosen = section.traits(lambda name: _text(texts, name))
    plan, unread = planned_prices(section, lambda name: _text(texts, name))
    return judged(figures, day, section, traits, plan), [*unchosen, *unread]


def _text(texts: dict[str, str], name: str | None) -> str:
    return next((text for key, text in texts.items() if name and normalise(key) == normalise(name)), "")


def today_of(here: AccountView) -> date:
    """By amoCRM's clock, in the account's zone: rules count by it too."""
    return now_of(here).astimezone(here.zone).date()


def now_of(here: AccountView) -> datetime:
    """By amoCRM's clock, as far as it is known."""
    return here.upcoming.now() if here.is_known else here.clock.now()


def service_named(text: str) -> Service:
    """Raises LookupError."""
    for service in SERVICES:
        if service == text:
            return service
    raise LookupError(text)


def take_file(
    here: AccountView, section: AdsSection, name: str, content: bytes, service: Service, day: date | None
) -> tuple[AdExport, Taken]:
    """Read an export and keep its figures. Raises ExportError, NotNow, UnknownName, StoreUnavailable."""
    account = here.crm_account
    if account is None or not here.is_known:
        raise NotNow("мост ещё не знакомился с аккаунтом amoCRM: загрузите файл, когда он подключится")
    export = read_ad_export(name, content, service, section, today=today_of(here), day=day)
    taken = take_statistics(here.account_store, account, section, export.rows, source=name[:200], now=now_of(here))
    here.bridge.wake()
    return export, taken
