"""Keeping the contacts' index: who was told of is read afresh, and what nobody told of is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Self

from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.account_fit import contact_fields
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contacts_by_ids
from amo_bridge.crm.records import ContactRecord
from amo_bridge.errors import CrmForbidden
from amo_bridge.events import ClientDeleted, ClientReported, Event
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact, Renewed
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.addresses import HOME

PAGE = 250


class ContactRefresher:
    """``kept_fields``: ids of the fields that are kept; ``home``: the country of phones typed without one.
    ``renewed`` is told, within the transaction, of contacts whose kept fields or deals have changed."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        clock: Clock,
        *,
        filter_enabled: bool = False,
        kept_fields: Sequence[int] = (),
        home: str = HOME,
    ) -> None:
        self.index = ContactIndex(store, home)
        self.renewed: Callable[[Connection, Sequence[Renewed]], None] = lambda connection, contacts: None
        self._store = store
        self._client = client
        self._clock = clock
        self._filter_enabled = filter_enabled
        self.kept_fields = tuple(kept_fields)
        self._home = home

    @classmethod
    def of(cls, store: AccountStore, client: CrmClient, clock: Clock, config: Config, account: Account) -> Self:
        """Kept are the fields that the config speaks of; numbers without a country are the calendar's country's."""
        return cls(
            store,
            client,
            clock,
            filter_enabled=account.is_api_filter_enabled,
            kept_fields=contact_fields(config, account),
            home=config.calendar.country or HOME,
        )

    def refresh_reported(self, told: Iterable[Event]) -> None:
        """Read the contacts that hooks spoke of, unless the index knows as much. Raises CrmError."""
        heard = [
            event
            for event in told
            if isinstance(event, ClientReported) and event.kind == "contact" and not isinstance(event, ClientDeleted)
        ]
        known = self.index.get(event.client_id for event in heard)
        news = {
            event.client_id
            for event in heard
            if event.client_id not in known or not known[event.client_id].covers(event, self.kept_fields, self._home)
        }
        if news:
            self._read(news)
        if merged := {event.client_id for event in heard if event.raw.get("type") == "entity_merged"}:
            # amoCRM names only who is left: whoever shared a phone or a mail with him may be gone.
            self._read(self._twins(merged))

    def read_unknown(self, contact_ids: Iterable[int]) -> None:
        """Read those whom the index does not know. Raises CrmError."""
        wanted = set(contact_ids)
        self._read(wanted - self.index.get(wanted).keys())

    def catch_up(self, since: datetime, passed: int = 0) -> int | None:
        """As ``read_changed``; contacts that we may not see count as read. Raises CrmError."""
        try:
            return self.read_changed(since, passed)
        except CrmForbidden as error:
            # A token without a right to contacts must not keep the bridge from everything else.
            log.error("contacts can't be read", error=str(error))
            return None

    def read_changed(self, since: datetime, passed: int = 0) -> int | None:
        """Find who changed since then (amoCRM's clock), newest first: a page after the first ``passed`` rows. Returns
        how many are passed now, None when there are no more. Raises CrmError."""
        params = {"order": {"updated_at": "desc"}, "with": "leads"}
        page = self._client.page("/api/v4/contacts", params, "contacts", passed, PAGE)
        records = [ContactRecord.from_api(row) for row in page.rows]
        changed = list(takewhile(lambda record: record.updated_at >= since, records))
        self.keep(changed)
        return page.ends_at if len(changed) == len(records) else None

    def keep(self, records: Sequence[ContactRecord]) -> None:
        """Put what was read into the index."""
        if records:
            with self._store.write() as connection:
                self.put(connection, records)

    def put(self, connection: Connection, records: Sequence[ContactRecord]) -> None:
        """As ``keep``, within a transaction."""
        told = [MirroredContact.of(record, self.kept_fields, self._home) for record in records]
        if changed := self.index.put(connection, told, self._clock.now()):
            self.renewed(connection, changed)

    def _twins(self, contact_ids: Iterable[int]) -> set[int]:
        known = self.index.get(contact_ids).values()
        by_phone = self.index.by_phones(phone for one in known for phone in one.phones)
        by_mail = self.index.by_mails(mail for one in known for mail in one.mails)
        found = {one.id for owners in (*by_phone.values(), *by_mail.values()) for one in owners}
        return found - {one.id for one in known}

    def _read(self, contact_ids: set[int]) -> None:
        if not contact_ids:
            return
        try:
            found = contacts_by_ids(self._client, contact_ids, self._filter_enabled)
        except CrmForbidden as error:
            log.error("contacts can't be read", error=str(error))
            return
        self.keep(list(found.values()))
        if gone := contact_ids - found.keys():
            with self._store.write() as connection:
                self.index.forget(connection, gone)
