"""Ingest: kept requests → enquiries, calls, records and delivery states, each once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.errors import ConfigError
from amo_bridge.intake.channel_reports import settles_dial, settles_letter, settles_sms, takes_press, takes_reply
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import (
    ButtonPress,
    DeliveryStatus,
    Enquiry,
    NoEnquiry,
    Outcome,
    Outcomes,
    PbxCall,
    StaffReply,
)
from amo_bridge.intake.reception import POLLED, VENDORS, outcomes_of, settings_of
from amo_bridge.intake.request import VendorRequest
from amo_bridge.intake.sites import SITE
from amo_bridge.intake.social import META, VK_ADS
from amo_bridge.intake.vk_leads import is_known_lead
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import intake_requests

# Requests of one transaction: those that come in meanwhile wait for theirs.
BATCH_SIZE = 100
LONGEST_WHY = 1000
_STATE_WORDS: Mapping[str, str] = {
    "queued": "в очереди", "sent": "отправлено", "delivered": "доставлено", "read": "прочитано",
    "clicked": "перешли по ссылке", "bounced": "адреса нет", "failed": "не доставлено", "spam": "сочтено спамом",
    "unsubscribed": "отписались",
}  # fmt: skip


class Ingest:
    """Reads the open requests of one account. ``environment``: where the vendors' secrets are."""

    def __init__(self, store: AccountStore, config: Config, environment: Mapping[str, str], clock: Clock) -> None:
        self._store = store
        self._config = config
        self._environment = environment
        self._clock = clock
        self._enquiries = EnquiryRepository(store, clock, config.calendar.country)

    def run(self) -> int:
        """The next requests, oldest first; how many there were. Raises StoreUnavailable."""
        query = (
            select(intake_requests)
            .where(self._store.owns(intake_requests), intake_requests.c.state == "new")
            .order_by(intake_requests.c.id)
            .limit(BATCH_SIZE)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return 0
        parsed = [(row, *self._parsed(row)) for row in rows]
        with self._store.write() as connection:
            for row, outcomes, why in parsed:
                self._keep(connection, row, outcomes, why)
        return len(rows)

    def _parsed(self, row: Row[Any]) -> tuple[Outcomes | None, str]:
        """What the request says, None if it can't be read, and why (Russian).

        Never raises but StoreUnavailable.
        """
        parse = POLLED.get(row.vendor) or (VENDORS[row.vendor].parse if row.vendor in VENDORS else None)
        if parse is None:
            return None, f"сервис «{row.vendor}» мосту неизвестен"
        try:
            settings = settings_of(self._config, row.vendor, self._environment, row.name)
        except ConfigError as error:
            return None, "; ".join(error.problems)
        headers = json.loads(row.headers)
        request = VendorRequest(row.method, row.body, row.query, headers, received_at=row.received_at)
        return outcomes_of(parse, request, settings)

    def _keep(self, connection: Connection, row: Row[Any], outcomes: Outcomes | None, why: str) -> None:
        if outcomes is None:
            log.warning("vendor's request can't be read", vendor=row.vendor, request=row.id, why=why)
            self._end(connection, row.id, "broken", why)
            return
        repeats = 0
        for outcome in outcomes:
            if isinstance(outcome, NoEnquiry):
                continue
            self._tell_channels(connection, outcome, row.received_at)
            if isinstance(outcome, ButtonPress | StaffReply):
                continue
            if outcome.source in (SITE, META):
                # Rules name the section of the config; what all forms and all of Meta are read by does not know it.
                outcome = replace(outcome, source=row.vendor)
            if row.name:
                # Two sections of [intake.mapped.…] may number their enquiries alike.
                outcome = replace(outcome, key=f"{row.name}:{outcome.key}")
            if isinstance(outcome, Enquiry) and outcome.source == VK_ADS:
                home = self._config.calendar.country
                if is_known_lead(connection, self._enquiries, outcome, home):
                    repeats += 1
                    continue
            is_status = isinstance(outcome, DeliveryStatus)
            repeats += not self._enquiries.add(
                connection,
                outcome,
                request_id=row.id,
                received_at=row.received_at,
                state="done" if is_status else "new",
                words=_status_words(outcome) if isinstance(outcome, DeliveryStatus) else "",
            )
        if repeats:
            why = "; ".join(filter(None, [why, "повтор: такое обращение уже есть"]))
        if not any(not isinstance(outcome, NoEnquiry) for outcome in outcomes):
            log.info("no enquiry", vendor=row.vendor, request=row.id, why=why)
        self._end(connection, row.id, "read", why)

    def _tell_channels(self, connection: Connection, outcome: Outcome, received_at: float) -> None:
        """What went out by a channel and has come to its end: a call of auto-dial, an SMS, a letter."""
        if isinstance(outcome, PbxCall):
            settles_dial(connection, self._store.account_id, outcome, received_at)
        elif isinstance(outcome, DeliveryStatus):
            settles_sms(connection, self._store, outcome, received_at)
            settles_letter(connection, self._store, outcome, self._clock)
        elif isinstance(outcome, ButtonPress):
            takes_press(connection, self._store, outcome, received_at)
        elif isinstance(outcome, StaffReply):
            takes_reply(connection, self._store, outcome, received_at)

    def _end(self, connection: Connection, number: int, state: str, why: str) -> None:
        change = update(intake_requests).where(self._store.owns(intake_requests), intake_requests.c.id == number)
        connection.execute(change.values(state=state, why=why[:LONGEST_WHY]))


def _status_words(status: DeliveryStatus) -> str:
    words: Sequence[str] = (_STATE_WORDS.get(status.state, status.state), status.reason)
    return ": ".join(filter(None, words))
