"""Leads of VK Ads' forms beside the webhook, never repeated: by the API, by an uploaded CSV.

A lead goes the way of its webhook, under the same key: whichever comes first is taken, the other changes nothing. The
export has no numbers of leads, so one that came before is known by its time and its person.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.channels.vendors import vk_ads_api
from amo_bridge.channels.vk_ads import MOSCOW, TITLE, VkAdsApi
from amo_bridge.clock import Clock
from amo_bridge.config.intake import LeadFormsSection
from amo_bridge.config.model import Config
from amo_bridge.errors import BridgeError, ChannelDown, ChannelError, ChannelRefused
from amo_bridge.intake.enquiries import EnquiryRepository, addresses_of
from amo_bridge.intake.model import Enquiry, NoEnquiry, digest
from amo_bridge.intake.reception import LARGEST_WITH_FILES, VENDORS, outcomes_of, settings_of
from amo_bridge.intake.repository import request_row, short_key
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.intake.social import VK_ADS, is_same_lead, lead_moment
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.retry import Backoff
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import enquiries, intake_requests

# VK's own example of limits allows 200 reads an hour (integrations.md 4.2), and audiences want some of them.
PERIOD_SECONDS = 120.0
# A round begins a little before where the last one ended; every hour so much earlier, for what the list showed late.
OVERLAP, LATE, LATE_EVERY = timedelta(minutes=10), timedelta(days=1), timedelta(hours=1)
# Of a long time the list is read in parts, and what is read stays read.
PART = timedelta(days=7)
# Names of cursors, stored: until when the list is read, since when leads are the bridge's business, the last look at
# what came late.
READ_UNTIL, READ_FROM, LATE_READ_AT = "leads_until:vkads", "leads_from:vkads", "leads_late:vkads"
WAYS_LEFT = "остаются вебхук (amo-bridge intake connect vkads) и выгрузка CSV"


class LeadPoll:
    """See channels/sender.Sending. ``tell(text, about)`` tells a person, at most once a day about one thing; ``came``
    hears that there is something to work on."""

    name = VK_ADS

    def __init__(
        self,
        api: VkAdsApi,
        section: LeadFormsSection,
        settings: VendorSettings,
        store: AccountStore,
        clock: Clock,
        tell: Callable[[str, str], None],
        came: Callable[[], None] = lambda: None,
    ) -> None:
        self._api = api
        self._section = section
        self._settings = settings
        self._store = store
        self._clock = clock
        self._tell = tell
        self._came = came
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=6)

    @property
    def is_put_off(self) -> bool:
        """After an error, until the list was read again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: the list is read again."""

    def send(self) -> int:
        """A round, if its time has come; how many leads are new. Raises ChannelError, LeadLost, StoreUnavailable."""
        now = self._clock.now()
        if self._backoff.lasts:
            return 0
        try:
            taken = self._read(now)
        except ChannelError as error:
            self._backoff.fail(error)
            if isinstance(error, ChannelDown | ChannelRefused):
                self._tell(f"{TITLE}: лиды не читаются, мост спросит снова сам; {WAYS_LEFT}. {error}", "leads:vkads")
            raise
        self._backoff.rest(PERIOD_SECONDS)
        if taken:
            log.info("leads read", vendor=VK_ADS, leads=taken)
            self._came()
        return taken

    def _read(self, now: datetime) -> int:
        read_until = self._moment(READ_UNTIL)
        if read_until is None:
            day = self._section.since
            read_until = now if day is None else datetime.combine(day, time(), MOSCOW)
            self._write(**{READ_FROM: read_until, READ_UNTIL: read_until})
        late_at = self._moment(LATE_READ_AT)
        looks_far = late_at is None or now - late_at >= LATE_EVERY
        begin = max(read_until - (LATE if looks_far else OVERLAP), self._moment(READ_FROM) or read_until)
        taken = 0
        while begin < now:
            end = min(begin + PART, now)
            taken += self._read_part(begin, end if end < now else None)
            self._write(**{READ_UNTIL: max(end, read_until)})
            begin = end
        if looks_far:
            self._write(**{LATE_READ_AT: now})
        return taken

    def _read_part(self, begin: datetime, end: datetime | None) -> int:
        passed = taken = 0
        while True:
            page = self._api.leads(begin, end, self._section.forms, passed=passed)
            taken += self._keep(page.leads)
            passed += len(page.leads)
            if not page.leads or passed >= page.total:
                return taken

    def _keep(self, leads: Sequence[Mapping[str, Any]]) -> int:
        """The newest stand first; they are kept in the order in which they came."""
        rows = [row for lead in reversed(leads) if (row := self._row(lead)) is not None]
        if not rows:
            return 0
        with self._store.write() as connection:
            new = sum(bool(insert_new(connection, intake_requests, [row])) for row in rows)
            if new:
                notify(connection, self._store.account_id)
        return new

    def _row(self, lead: Mapping[str, Any]) -> dict[str, Any] | None:
        """None for what is no lead of these forms."""
        now = self._clock.now()
        body = json.dumps({"items": [lead]}, ensure_ascii=False).encode()
        at = lead_moment(str(lead.get("created_at", ""))) or now
        headers = {"Content-Type": "application/json"}
        request = VendorRequest("(GET)", body, headers=headers, received_at=min(at, now).timestamp())
        outcomes, why = outcomes_of(VENDORS[VK_ADS].parse, request, self._settings)
        if outcomes is not None and all(isinstance(one, NoEnquiry) for one in outcomes):
            return None
        return request_row(
            self._store.account_id,
            vendor=VK_ADS,
            key=outcomes[0].key if outcomes else f"body:{digest(body.decode())}",
            request=request,
            headers=headers,
            state="new" if outcomes is not None else "broken",
            why=why,
        )

    def _moment(self, cursor: str) -> datetime | None:
        at = self._cursors.read(cursor)
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def _write(self, **moments: datetime) -> None:
        with self._store.write() as connection:
            for name, moment in moments.items():
                self._cursors.write(connection, name, moment.timestamp())


def lead_poll(
    config: Config,
    environment: Mapping[str, str],
    store: AccountStore,
    clock: Clock,
    tell: Callable[[str, str], None],
    came: Callable[[], None],
) -> LeadPoll | None:
    """None where the config takes no leads of VK Ads, or has no access to its API. Raises ConfigError."""
    section = config.intake.vkads if config.intake else None
    if section is None or config.channels.vkads is None:
        return None
    settings = settings_of(config, VK_ADS, environment)
    return LeadPoll(vk_ads_api(config, environment), section, settings, store, clock, tell, came)


class NotAnExport(BridgeError):
    """The file is no export of leads; the text (Russian) says why."""


def is_known_lead(connection: Connection, repository: EnquiryRepository, lead: Enquiry, home: str) -> bool:
    """Is it in the store, under its key or under another one?"""
    rows = repository.of_addresses(connection, VK_ADS, addresses_of(lead, home))
    return any(isinstance(row.body, Enquiry) and is_same_lead(lead, row.body) for row in rows)


@dataclass(frozen=True)
class ExportCount:
    """``leads``: in the file; ``new``: of them not in the store yet. ``is_repeat``: the file was uploaded before."""

    leads: int
    new: int
    is_repeat: bool = False

    @property
    def words(self) -> str:
        """For people (Russian)."""
        known = self.leads - self.new
        told = f"лидов в файле {self.leads}, новых {self.new}, уже известны {known}"
        return f"{told}; этот файл уже загружали" if self.is_repeat else told


class LeadExports:
    """Of one account. ``settings``: what the parser may know of it. Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore, settings: VendorSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._repository = EnquiryRepository(store, clock, settings.home)

    def count(self, body: bytes) -> ExportCount:
        """Look at a file; nothing is taken. Raises NotAnExport."""
        with self._store.read() as connection:
            return self._counted(connection, self._leads(self._request(body)))

    def take(self, body: bytes) -> ExportCount:
        """Hand a file on: what is new in it becomes enquiries. Raises NotAnExport."""
        request = self._request(body)
        leads = self._leads(request)
        row = request_row(
            self._store.account_id,
            vendor=VK_ADS,
            key=f"csv:{digest(body.decode('latin-1'))}",
            request=request,
            headers=dict(request.headers),
            state="new",
            why="",
        )
        with self._store.write() as connection:
            counted = self._counted(connection, leads)
            if not insert_new(connection, intake_requests, [row]):
                return ExportCount(counted.leads, 0, is_repeat=True)
            notify(connection, self._store.account_id)
        return counted

    def _request(self, body: bytes) -> VendorRequest:
        if len(body) > LARGEST_WITH_FILES:
            raise NotAnExport(f"файл больше {LARGEST_WITH_FILES // 2**20} МБ: выгрузите лиды за меньший срок")
        now = self._clock.now().timestamp()
        return VendorRequest("(CSV)", body, headers={"Content-Type": "text/csv"}, received_at=now)

    def _leads(self, request: VendorRequest) -> Sequence[Enquiry]:
        outcomes, why = outcomes_of(VENDORS[VK_ADS].parse, request, self._settings)
        if outcomes is None:
            raise NotAnExport(f"это не выгрузка лидов VK Рекламы: {why}")
        leads = [one for one in outcomes if isinstance(one, Enquiry)]
        if not leads:
            raise NotAnExport(f"лидов в файле нет: {why}")
        return leads

    def _counted(self, connection: Connection, leads: Sequence[Enquiry]) -> ExportCount:
        new = {
            lead.key
            for lead in leads
            if not self._has_key(connection, lead)
            and not is_known_lead(connection, self._repository, lead, self._settings.home)
        }
        return ExportCount(len(leads), len(new))

    def _has_key(self, connection: Connection, lead: Enquiry) -> bool:
        same = (enquiries.c.source == VK_ADS, enquiries.c.key == short_key(lead.key))
        return connection.execute(select(enquiries.c.id).where(self._store.owns(enquiries), *same)).first() is not None
