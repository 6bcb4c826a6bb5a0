"""Advertising campaigns of deals: whose one is, its statistics for rules, events of new statistics.

A deal names its campaign in a field (``[ads] campaign_field``); names are compared as text/names.py does. Only open
deals have a running campaign. A name that stands in two of them is nobody's: that is told, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.event_queue import add_events
from amo_bridge.errors import UnknownName
from amo_bridge.events import CampaignLoaded
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.ad_statistics import AdStatistics, CampaignDay, digest, folded, together
from amo_bridge.mirror.deals import open_deals_with
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay, Campaign
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, notify

SHOWN_DAYS = 35
"""How far back rules and pages see statistics."""


def campaign_name(reader: FieldReader, section: AdsSection, deal: DealRecord) -> str:
    """What stands in the deal's field; empty if nothing does."""
    wanted = folded(section.campaign_field)
    return next((text for name, text in reader.texts(deal).items() if folded(name) == wanted), "").strip()


def campaign_fields(account: Account, section: AdsSection | None) -> list[int]:
    """The field in which deals name their campaign, if the account has it: deals are asked for by it."""
    if section is None:
        return []
    try:
        return [account.field(section.campaign_field).id]
    except UnknownName:
        return []


def deals_by_campaign(
    connection: Connection, store: AccountStore, account: Account, section: AdsSection
) -> dict[str, list[DealRecord]]:
    """Folded name of a campaign → the open deals that name it. Raises UnknownName for a field that is not there."""
    field = account.field(section.campaign_field)
    reader = FieldReader(account)
    found: dict[str, list[DealRecord]] = {}
    for _deal_id, text in open_deals_with(connection, store, field.id):
        record = DealRecord.from_json(json.loads(text))
        if not record.is_deleted and (name := campaign_name(reader, section, record)):
            found.setdefault(folded(name), []).append(record)
    return found


@dataclass(frozen=True)
class DealCampaign:
    """The campaign of a deal; nothing where the deal names none or the config has no ``[ads]``. From the store."""

    context: SourceContext

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Campaign]]:
        context, section = self.context, self.context.ads
        if section is None or context.store is None:
            return {}
        reader = FieldReader(context.account)
        named = {deal.id: name for deal in deals if (name := campaign_name(reader, section, deal))}
        if not named:
            return {}
        statistics, names = AdStatistics(context.store), {folded(name) for name in named.values()}
        with context.store.read() as connection:
            since = _since(connection, statistics, names)
            days = statistics.days_of(connection, names, since)
            checks = statistics.checks_of(connection, names, since)
            rivals = deals_by_campaign(connection, context.store, context.account, section)
        return {
            deal_id: [
                Campaign(
                    name=name,
                    days=days.get(folded(name), ()),
                    checked=checks.get(folded(name), frozenset()),
                    other_deals=tuple(one.id for one in rivals.get(folded(name), ()) if one.id != deal_id),
                )
            ]
            for deal_id, name in named.items()
        }

    def for_rule(self, found: Sequence[Campaign], rule: Rule) -> tuple[Campaign, ...]:
        return tuple(found)


def _since(connection: Connection, statistics: AdStatistics, names: Iterable[str]) -> date:
    """The last weeks of what there is, whatever the day: a source has no clock."""
    newest = statistics.newest(connection, names)
    return (newest or date.min + timedelta(days=SHOWN_DAYS)) - timedelta(days=SHOWN_DAYS)


@dataclass(frozen=True)
class Taken:
    """What became of statistics that came in. ``known``: rows that were replaced; ``campaigns``: named in them;
    ``ours``: of these, the campaign of one deal; ``shared``: of several deals."""

    rows: int
    known: int
    campaigns: int
    ours: int
    shared: tuple[str, ...]


def take_statistics(
    store: AccountStore,
    account: Account,
    section: AdsSection,
    rows: Iterable[CampaignDay],
    *,
    source: str,
    now: datetime,
) -> Taken:
    """Keep the rows and have rules look at the deals whose campaigns they are, both or neither.

    Raises UnknownName for a field that the account does not have, StoreUnavailable.
    """
    kept = together(rows)
    by_name: dict[str, list[CampaignDay]] = {}
    for row in kept:
        by_name.setdefault(row.folded, []).append(row)
    today = now.astimezone(ZoneInfo(account.timezone)).date()
    with store.write() as connection:
        known = AdStatistics(store).keep(connection, kept, source, now)
        owners = deals_by_campaign(connection, store, account, section)
        ours = {name: owners[name][0] for name in by_name if len(owners.get(name, ())) == 1}
        events = [
            CampaignLoaded(
                at=now,
                deal_id=deal.id,
                campaign=by_name[name][0].campaign,
                day=day.isoformat(),
                loaded_on=today.isoformat(),
                figures=digest(one.figures for one in by_name[name] if one.figures.day == day),
            )
            for name, deal in ours.items()
            if (day := newest_whole_day((one.figures for one in by_name[name]), today)) is not None
        ]
        if events:
            add_events(connection, store.account_id, events, now.timestamp())
            notify(connection, store.account_id)
    shared = tuple(sorted(by_name[name][0].campaign for name in by_name if len(owners.get(name, ())) > 1))
    return Taken(len(kept), known, len(by_name), len(ours), shared)


def newest_whole_day(figures: Iterable[AdDay], today: date) -> date | None:
    """The newest day that is over; None if there is none."""
    return max((one.day for one in figures if one.day < today), default=None)
