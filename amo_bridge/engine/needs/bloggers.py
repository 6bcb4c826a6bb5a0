"""The bloggers that a deal's service lines name, found among the account's contacts.

The index of contacts answers; only whom it does not know amoCRM is asked for: he may have been added a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from amo_bridge.crm.account import Field
from amo_bridge.crm.field_reader import FieldReader
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.needs.source import Ways
from amo_bridge.mirror.contacts import ContactIndex, IndexedContact
from amo_bridge.rules.deal import NamedBlogger
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.service_lines import Blogger, ServicesSection, read
from amo_bridge.text.names import normalise

# Namesakes that are looked through; nobody has more bloggers of one surname.
MOST = 50


@dataclass(frozen=True)
class DealBloggers:
    """A name fits whatever the order of its words. Where the config says how bloggers are classified, only they are
    found; a contact named by its number is taken at its word."""

    ways: Ways

    def read(self, deals: Sequence[DealRecord]) -> Mapping[int, Sequence[NamedBlogger]]:
        services = self.ways.services
        if services is None:
            return {}
        named = {deal.id: self._named(deal, services) for deal in deals}
        each = {blogger.mark: blogger for some in named.values() for blogger in some if not blogger.contact_id}
        found = {mark: self._contacts(blogger.name, services) for mark, blogger in each.items()}
        return {
            deal_id: [
                NamedBlogger(name=one.name, contact_ids=(one.contact_id,) if one.contact_id else found[one.mark])
                for one in some
            ]
            for deal_id, some in named.items()
        }

    def shown(self, found: Sequence[NamedBlogger], rule: Rule) -> tuple[NamedBlogger, ...]:
        return tuple(found)

    def _named(self, deal: DealRecord, services: ServicesSection) -> tuple[Blogger, ...]:
        field = self.ways.account.field(services.field)
        text = FieldReader(self.ways.account).texts(deal).get(field.name, "")
        return read(text, services.platforms).bloggers

    def _contacts(self, name: str, services: ServicesSection) -> tuple[int, ...]:
        kind = self.ways.account.field(services.classification, "contacts") if services.classification else None
        found = [*self._known(name, kind, services.blogger)] or [*self._asked(name, kind, services.blogger)]
        return tuple(sorted(found))

    def _known(self, name: str, kind: Field | None, value: str) -> list[int]:
        if self.ways.store is None:
            return []
        return [one.id for one in known_by_name(ContactIndex(self.ways.store, self.ways.key), name, kind, value)]

    def _asked(self, name: str, kind: Field | None, value: str) -> Iterator[int]:
        kept = (kind.id,) if kind else ()
        for record in self._search(name):
            one = IndexedContact.of(record, kept)
            if _words(one.name) == _words(name) and (kind is None or one.has(kind.id, value)):
                yield one.id

    def _search(self, name: str) -> Iterable[ContactRecord]:
        """amoCRM's own search, by the longest word: it finds the words of a name in their order only."""
        longest = max(_words(name), key=len)
        for row in self.ways.client.pages("/api/v4/contacts", {"query": longest}, "contacts"):
            yield ContactRecord.from_api(row)


def known_by_name(index: ContactIndex, name: str, kind: Field | None, value: str) -> list[IndexedContact]:
    """Whom the index knows by this very name, whatever the order of its words; with ``kind``, only those whose field
    has the value."""
    for word in _words(name):
        alike = index.by_surname(word, field_id=kind.id if kind else None, value=value, most=MOST)
        if fitting := [one for one in alike if _words(one.name) == _words(name)]:
            return fitting
    return []


def _words(name: str) -> list[str]:
    return sorted(normalise(name).split())
