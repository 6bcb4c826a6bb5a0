"""Daily check of running campaigns: which of them nobody has looked at (M9)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.engine.ad_campaigns import campaign_name, deals_by_campaign
from amo_bridge.engine.alerts import notice_or_task
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.logs import log
from amo_bridge.mirror.ad_statistics import AdStatistics
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import deals, outbox

RULE = "ads.check"
CHECKED = "ads_checked"
"""Cursor: the last day on which campaigns were checked, as a number (``date.toordinal``)."""


class AdCheckJob:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store)

    def run(self) -> None:
        """Raises StoreUnavailable."""
        engine = self._rules.get()
        section, now = engine.config.ads, self._account_clock.now()
        if section is None or section.check_by is None or engine.config.bridge.dry_run:
            return
        today = engine.calendar.local(now).date()
        is_time = engine.calendar.is_working_day(today) and now >= engine.calendar.moment(today, section.check_by)
        if not is_time or self._cursors.read(CHECKED) == today.toordinal():
            return
        try:
            names = self._unchecked(engine, section, today - timedelta(days=1))
        except UnknownName as error:
            # The config's check tells of it; the day is looked at when the name is mended.
            log.warning("campaigns are not checked", error=str(error))
            return
        rows: list[Planned] = []
        if names:
            text = f"Реклама не проверена до {section.check_by:%H:%M}: {', '.join(f'«{name}»' for name in names)}"
            url = f"{engine.viewer.pages_url}/ads" if engine.viewer.pages_url else ""
            rows = notice_or_task(engine, RULE, today.isoformat(), section.check_to, text, "Реклама", url, now)
        with self._store.write() as connection:
            insert_new(connection, outbox, [row.row(self._store.account_id, self._clock.now()) for row in rows])
            self._cursors.write(connection, CHECKED, today.toordinal())

    def _unchecked(self, engine: RuleEngine, section: AdsSection, day: date) -> list[str]:
        """Campaigns that ran on that day, of which there are no statistics and that nobody has looked at. Raises
        UnknownName."""
        stages = [engine.account.stage(name) for name in section.check_stages]
        wanted = {(stage.pipeline_id, stage.status_id) for stage in stages}
        reader, statistics = FieldReader(engine.account), AdStatistics(self._store)
        with self._store.read() as connection:
            owners = deals_by_campaign(connection, self._store, engine.account, section)
            days = statistics.days_of(connection, owners, day)
            checks = statistics.checks_of(connection, owners, day)
            numbers = sorted({deal.id for own in owners.values() for deal in own})
            since: dict[int, date] = {}
            for some in chunks(numbers):
                mine = (self._store.owns(deals), deals.c.deal_id.in_(some))
                for row in connection.execute(select(deals.c.deal_id, deals.c.stage_since).where(*mine)):
                    since[row.deal_id] = engine.calendar.local(datetime.fromtimestamp(row.stage_since, UTC)).date()
        found = []
        for key, own in owners.items():
            running = [
                deal
                for deal in own
                if (not wanted or (deal.pipeline_id, deal.status_id) in wanted) and since[deal.id] <= day
            ]
            is_known = day in checks.get(key, ()) or any(one.day == day for one in days.get(key, ()))
            if running and not is_known:
                found.append(campaign_name(reader, section, running[0]))
        return sorted(found)
