"""Polling of Pipedrive's deals, activities and users; at once when its webhook reports a change (S8).

How far each list was read is a cursor in the store, moved with each page that is kept: a bridge that dies goes on where
it was. A thing that is read again replaces itself. Lists do not tell of what was deleted or merged: what counts for the
last days is asked for by its number now and then, and at once when a webhook says that it is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import func, select

from amo_bridge.channels.pipedrive import KINDS, TITLE, Kind, Page, Pipedrive, moment_of, pages
from amo_bridge.channels.vendors import PIPEDRIVE
from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.errors import ChannelBusy, ChannelError
from amo_bridge.logs import log
from amo_bridge.reports.pipedrive import ACTIVITY, DEAL, LOST, READ_AT, PipedriveItem, PipedriveLog, PipedriveUser
from amo_bridge.retry import Backoff
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import intake_requests

PERIOD_SECONDS = 300.0
SOONEST_SECONDS = 30.0
"""However often webhooks come: each round costs several requests."""
SOURCE = "pipedrive"
FIRST_DAYS = timedelta(days=35)
# Times there have whole seconds, and a list may show a change late.
OVERLAP = timedelta(minutes=2)
ITEM_OF: Mapping[Kind, str] = {"activities": ACTIVITY, "deals": DEAL}
LOOKED_AT = "pipedrive_looked_at"
"""Cursor: when it was looked last for what is gone."""
LOOK_SECONDS = 6 * 3600.0
LOOKED_BACK = timedelta(days=14)
READ_UNTIL: Mapping[Kind, str] = {"activities": "pipedrive_activities", "deals": "pipedrive_deals"}
"""Names of cursors, stored: the time of the last change that was read."""


class PipedrivePoll:
    """See channels/sender.Sending. ``tell(text, about)`` tells a person, at most once a day about one thing."""

    name = SOURCE

    def __init__(
        self,
        pipedrive: Pipedrive,
        section: PipedriveSection,
        store: AccountStore,
        clock: Clock,
        tell: Callable[[str, str], None],
    ) -> None:
        self._pipedrive = pipedrive
        self._section = section
        self._store = store
        self._clock = clock
        self._tell = tell
        self._log = PipedriveLog(store)
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=6)

    @property
    def is_put_off(self) -> bool:
        """After an error, until everything was read again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: the lists are read on."""

    def send(self) -> int:
        """A round, if its time has come or a webhook came; how many things were read. Raises ChannelError, LeadLost,
        StoreUnavailable."""
        now = self._clock.now()
        if self._backoff.lasts and (self._backoff.failures or not self._is_called()):
            return 0
        try:
            read = self._read(now)
        except ChannelError as error:
            self._backoff.fail(error)
            if not isinstance(error, ChannelBusy):
                self._tell(f"{TITLE}: не читается, мост спросит снова сам. {error}", "pipedrive")
            raise
        self._backoff.rest(PERIOD_SECONDS)
        return read

    def _is_called(self) -> bool:
        """Has its webhook come since everything was read last, and that not just now?"""
        last = self._cursors.read(READ_AT) or 0.0
        if self._clock.now().timestamp() < last + SOONEST_SECONDS:
            return False
        mine = (self._store.owns(intake_requests), intake_requests.c.vendor == SOURCE)
        with self._store.read() as connection:
            newest = connection.execute(select(func.max(intake_requests.c.received_at)).where(*mine)).scalar()
        return newest is not None and newest > last

    def _read(self, now: datetime) -> int:
        gone = self._deleted_by_webhook()
        users = [_user(one) for one in self._pipedrive.users()]
        with self._store.write() as connection:
            self._log.keep_users(connection, [one for one in users if one is not None])
        read = sum(self._read_list(kind, now) for kind in KINDS)
        self._find_gone(gone, now)
        with self._store.write() as connection:
            self._cursors.write(connection, READ_AT, now.timestamp())
        return read

    def _deleted_by_webhook(self) -> dict[Kind, set[int]]:
        """What webhooks since the last round call deleted or merged: a hint, no proof."""
        since = self._cursors.read(READ_AT) or 0.0
        mine = (self._store.owns(intake_requests), intake_requests.c.vendor == SOURCE)
        found: dict[Kind, set[int]] = {kind: set() for kind in KINDS}
        with self._store.read() as connection:
            new = intake_requests.c.received_at >= since - OVERLAP.total_seconds()
            bodies = connection.execute(select(intake_requests.c.body).where(*mine, new)).scalars().all()
        for body in bodies:
            kind, number = _gone_in(body)
            if kind is not None:
                found[kind].add(number)
        return found

    def _find_gone(self, reported: Mapping[Kind, set[int]], now: datetime) -> None:
        """What of the last days is not there any more counts no longer."""
        last = self._cursors.read(LOOKED_AT)
        is_time = last is None or not 0 <= now.timestamp() - last < LOOK_SECONDS
        for kind in KINDS:
            asked = set(reported[kind])
            if is_time:
                asked |= set(self._log.counted(ITEM_OF[kind], now - LOOKED_BACK))
            gone = asked - self._pipedrive.present(kind, sorted(asked)) if asked else set()
            if gone:
                log.info("gone in Pipedrive", kind=kind, count=len(gone))
                with self._store.write() as connection:
                    self._log.forget(connection, ITEM_OF[kind], gone)
        if is_time:
            with self._store.write() as connection:
                self._cursors.write(connection, LOOKED_AT, now.timestamp())

    def _read_list(self, kind: Kind, now: datetime) -> int:
        until, read = self._until(kind, now), 0
        for page in pages(self._pipedrive, kind, until - OVERLAP):
            read += self._keep(kind, page, until)
        return read

    def _until(self, kind: Kind, now: datetime) -> datetime:
        at = self._cursors.read(READ_UNTIL[kind])
        if at is not None:
            return datetime.fromtimestamp(at, UTC)
        day = self._section.since
        return now - FIRST_DAYS if day is None else datetime.combine(day, time(), UTC)

    def _keep(self, kind: Kind, page: Page, until: datetime) -> int:
        """A page and how far it reaches, both or neither."""
        items = [_activity(one) if kind == "activities" else _deal(one) for one in page.items]
        known = [one for one in items if one is not None]
        changed = [at for one in page.items if (at := moment_of(one.get("update_time")))]
        with self._store.write() as connection:
            self._log.keep(connection, known)
            if changed:
                before = self._cursors.read(READ_UNTIL[kind]) or until.timestamp()
                self._cursors.write(connection, READ_UNTIL[kind], max(before, max(changed).timestamp()))
        return len(known)


def _user(row: Mapping[str, Any]) -> PipedriveUser | None:
    number = _number(row.get("id"))
    return PipedriveUser(number, str(row.get("name") or number), str(row.get("email") or "")) if number else None


def _activity(row: Mapping[str, Any]) -> PipedriveItem | None:
    number, owner = _number(row.get("id")), _number(row.get("owner_id"))
    if not number:
        return None
    at = moment_of(row.get("marked_as_done_time")) if row.get("done") else None
    return PipedriveItem(ACTIVITY, number, owner, at, kind=str(row.get("type") or ""), client=_client(row))


def _deal(row: Mapping[str, Any]) -> PipedriveItem | None:
    number, owner = _number(row.get("id")), _number(row.get("owner_id"))
    if not number:
        return None
    status = row.get("status")
    at = moment_of(row.get(f"{status}_time")) if status in ("won", "lost") else None
    kind, reason = (LOST, str(row.get("lost_reason") or "")) if status == "lost" else ("", "")
    try:
        cost = round(Decimal(str(row.get("value") or 0)) * 100)
    except InvalidOperation:
        cost = 0
    currency = str(row.get("currency") or "")
    return PipedriveItem(DEAL, number, owner, at, kind, f"deal {number}", cost, currency, reason)


def _gone_in(body: bytes) -> tuple[Kind | None, int]:
    """What a webhook v2 says is deleted or merged."""
    try:
        told = json.loads(body)
    except ValueError:
        return None, 0
    meta = told.get("meta") if isinstance(told, dict) else None
    if not isinstance(meta, dict) or meta.get("action") not in ("delete", "merge"):
        return None, 0
    kinds: Mapping[str, Kind] = {"deal": "deals", "activity": "activities"}
    number = _number(meta.get("entity_id"))
    return (kinds.get(str(meta.get("entity"))), number) if number else (None, 0)


def _client(row: Mapping[str, Any]) -> str:
    person, deal = _number(row.get("person_id")), _number(row.get("deal_id"))
    return f"person {person}" if person else f"deal {deal}" if deal else ""


def _number(value: Any) -> int:
    """0 for what is none."""
    if isinstance(value, bool):
        return 0
    return value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else 0


def pipedrive_poll(
    config: Config, environment: Mapping[str, str], store: AccountStore, clock: Clock, tell: Callable[[str, str], None]
) -> PipedrivePoll | None:
    """None where the config has no ``[pipedrive]``. Raises ConfigError."""
    section = config.channels.pipedrive
    if section is None:
        return None
    return PipedrivePoll(PIPEDRIVE.client_of(config, environment), section, store, clock, tell)
