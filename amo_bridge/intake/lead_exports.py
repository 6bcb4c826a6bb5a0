"""The export of VK Ads' leads as CSV, uploaded by a person: what is new in it, and taking that.

It has no numbers of leads, so one that came by the webhook or by the list is known by its time and its person.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.errors import BridgeError
from amo_bridge.intake.enquiries import EnquiryRepository, addresses_of
from amo_bridge.intake.model import Enquiry, digest
from amo_bridge.intake.reception import LARGEST_WITH_FILES, VENDORS, outcomes_of
from amo_bridge.intake.repository import request_row, short_key
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.intake.social import VK_ADS, is_same_lead
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import enquiries, intake_requests


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
