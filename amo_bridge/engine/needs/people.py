"""The deal's contacts with their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amo_bridge.crm.field_reader import FieldReader
from amo_bridge.crm.reads import contacts_by_ids
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.mirror.contacts import IndexedContact
from amo_bridge.rules.deal import Contact
from amo_bridge.rules.handler import Rule


@dataclass(frozen=True)
class DealContacts:
    """Read afresh; contacts that the token's user may not see are left out."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[Contact]]:
        account = self.ways.account
        ids = {number for deal in deals for number in deal.contact_ids}
        records = contacts_by_ids(self.ways.client, ids, filter_enabled=account.is_api_filter_enabled)
        reader = FieldReader(account, "contacts")
        return {
            deal.id: [
                _view(records[number], reader, is_main=number == deal.main_contact_id)
                for number in deal.contact_ids
                if number in records
            ]
            for deal in deals
        }

    def shown(self, found: Sequence[Contact], rule: Rule) -> tuple[Contact, ...]:
        return tuple(found)


def _view(record: ContactRecord, reader: FieldReader, *, is_main: bool) -> Contact:
    comparable = IndexedContact.of(record)
    return Contact(
        id=record.id,
        name=record.name,
        first_name=record.first_name,
        last_name=record.last_name,
        is_main=is_main,
        phones=comparable.phones,
        mails=comparable.mails,
        responsible_user_id=record.responsible_user_id,
        company_id=record.company_id,
        deal_ids=record.deal_ids,
        tags=record.tags,
        fields=reader.values(record),
    )
