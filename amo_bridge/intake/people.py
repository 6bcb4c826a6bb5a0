"""People behind enquiries: one person's enquiries together, his contact and deals in amoCRM.

The index of contacts is asked first. Before anything is created amoCRM is: what changed in its contacts since the last
look, one request for all, or a search for each address as long as the index is not filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.errors import CrmError, CrmForbidden, CrmRefused
from amo_bridge.intake.enquiries import EnquiryRepository, StoredEnquiry, addresses_of
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.matching import Found, Match, match
from amo_bridge.storage.accounts import RECONCILED_UNTIL, Cursors
from amo_bridge.storage.database import AccountStore

CONTACTS_SEEN_AT = "enquiries_contacts"
# amoCRM's list of changes may lag behind.
OVERLAP = timedelta(minutes=2)
# A person with more deals than that has them for other reasons than enquiries.
MOST_DEALS = 50
MOST_PAGES = 40
# amoCRM refused to be read: once more, later.
REFUSED_PAUSE_SECONDS = 60.0
# So many people refused and none found: it is not about a person.
MOST_REFUSED = 3


@dataclass(frozen=True)
class Person:
    """Enquiries of one person, oldest first, and by what the person is known."""

    rows: tuple[StoredEnquiry, ...]
    phones: tuple[str, ...]
    mails: tuple[str, ...]
    profiles: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return (*self.phones, *self.mails, *self.profiles)


@dataclass(frozen=True)
class KnownPerson:
    """A person and what amoCRM knows. ``deals``: the newest first; ``open_deal``: the newest that is open."""

    person: Person
    contact_id: int | None = None
    doubt: str = ""
    candidates: tuple[int, ...] = ()
    deals: tuple[DealRecord, ...] = ()
    knew: int | None = None

    @property
    def open_deal(self) -> DealRecord | None:
        return next((deal for deal in self.deals if _is_open(deal)), None)


def by_person(rows: Iterable[StoredEnquiry], home: str) -> list[Person]:
    """The enquiries, grouped by shared phones, mails and profiles; in the order of each first one."""
    groups: list[tuple[list[StoredEnquiry], set[str]]] = []
    for row in rows:
        own = set(addresses_of(row.body, home))
        joined = [group for group in groups if own & group[1]]
        groups = [group for group in groups if group not in joined]
        members = [member for group in joined for member in group[0]]
        groups.append(([*members, row], own.union(*(group[1] for group in joined))))
    people = [_person(sorted(members, key=lambda row: row.id), home) for members, _ in groups]
    return sorted(people, key=lambda person: person.rows[0].id)


def _person(rows: Sequence[StoredEnquiry], home: str) -> Person:
    addresses = tuple(dict.fromkeys(address for row in rows for address in addresses_of(row.body, home)))
    phones = tuple(one for one in addresses if one.startswith("+") and one[1:].isdigit())
    mails = tuple(one for one in addresses if "@" in one and "/" not in one and one not in phones)
    profiles = tuple(one for one in addresses if one not in phones and one not in mails)
    return Person(tuple(rows), phones, mails, profiles)


class PeopleFinder:
    """Finds people of enquiries in the index, the mirror and amoCRM. ``account_clock``: amoCRM's own time."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        contacts: ContactRefresher,
        repository: EnquiryRepository,
        account_clock: Clock,
        *,
        filter_enabled: bool,
    ) -> None:
        self._store = store
        self._client = client
        self._contacts = contacts
        self._repository = repository
        self._account_clock = account_clock
        self._filter_enabled = filter_enabled
        self._mirror = Mirror(store)
        self._cursors = Cursors(store)

    def find_or_put_off(self, people: Sequence[Person]) -> list[KnownPerson]:
        """Those whom amoCRM tells of; the enquiries of the others say why and wait.

        Raises CrmError that may pass or that stops everything, StoreUnavailable.
        """
        try:
            return self.find(people)
        except CrmForbidden as error:
            # Contacts that we may not see must not keep the bridge from everything else.
            self._put_off(people, error)
            return []
        except CrmRefused as error:
            if len(people) == 1:
                self._put_off(people, error)
                return []
        return self._find_one_by_one(people)

    def _find_one_by_one(self, people: Sequence[Person]) -> list[KnownPerson]:
        found: list[KnownPerson] = []
        refused = 0
        for number, person in enumerate(people):
            try:
                found += self.find([person])
            except (CrmForbidden, CrmRefused) as error:
                refused += 1
                is_everybody = isinstance(error, CrmForbidden) or (refused >= MOST_REFUSED and not found)
                self._put_off(people[number:] if is_everybody else [person], error)
                if is_everybody:
                    break
        return found

    def _put_off(self, people: Iterable[Person], error: CrmError) -> None:
        numbers = [row.id for person in people for row in person.rows]
        log.error("people of enquiries can't be found", enquiries=numbers, error=str(error))
        words = f"amoCRM не даёт прочитать контакты: {error}"
        self._repository.put_off(numbers, REFUSED_PAUSE_SECONDS, error=words)

    def find(self, people: Sequence[Person]) -> list[KnownPerson]:
        """In their order. Raises CrmError, StoreUnavailable."""
        gone: set[int] = set()
        while True:
            found, missing = self._looked_up(people, gone)
            if not missing - gone:
                return found
            # Deleted or merged, and nobody has told: who else it may be is looked for without them.
            gone |= missing
            with self._store.write() as connection:
                self._contacts.index.forget(connection, missing)

    def _looked_up(self, people: Sequence[Person], gone: Set[int]) -> tuple[list[KnownPerson], set[int]]:
        """The people, and of their contacts those that amoCRM has no more."""
        matches = self._matches(people)
        if any(self._is_unknown(one) for one in matches):
            self._freshen([person for person, one in zip(people, matches, strict=True) if self._is_unknown(one)])
            matches = self._matches(people)
        remembered = self._repository.earlier_deals(address for person in people for address in person.addresses)
        of_deals = self._main_contacts(deal_id for deal_id, _ in remembered.values())
        remembered = {
            address: (deal_id, next((one for one in (contact, of_deals.get(deal_id)) if one and one not in gone), None))
            for address, (deal_id, contact) in remembered.items()
        }
        found = [
            self._remembered(person, remembered) if self._is_unknown(one) else _of_match(person, one)
            for person, one in zip(people, matches, strict=True)
        ]
        return self._with_deals(found, remembered, gone)

    def _main_contacts(self, deal_ids: Iterable[int]) -> Mapping[int, int | None]:
        """Deal → its main contact, as the mirror knows it."""
        return {number: copy.record.main_contact_id for number, copy in self._mirror.get(set(deal_ids)).items()}

    def _matches(self, people: Sequence[Person]) -> list[Match]:
        index = self._contacts.index
        by_mail = index.by_mails(mail for person in people for mail in person.mails)
        by_phone = index.by_phones(phone for person in people for phone in person.phones)
        found = Found(
            {mail: [one.id for one in owners] for mail, owners in by_mail.items()},
            {phone: [one.id for one in owners] for phone, owners in by_phone.items()},
        )
        return [match(person, found) for person in people]

    @staticmethod
    def _is_unknown(one: Match) -> bool:
        return one.contact_id is None and not one.doubt

    def _freshen(self, unknown: Sequence[Person]) -> None:
        """Have the index know what amoCRM knows now."""
        if not self._contacts.index.is_filled:
            self._search(unknown)
            return
        now = self._account_clock.now()
        since = max(self._cursors.read(name) or 0.0 for name in (CONTACTS_SEEN_AT, RECONCILED_UNTIL))
        passed: int | None = 0
        for _ in range(MOST_PAGES):
            passed = self._contacts.read_changed(datetime.fromtimestamp(since, UTC) - OVERLAP, passed or 0)
            if passed is None:
                break
        else:
            # More have changed than is read at once: who is wanted may be among the rest.
            self._search(unknown)
            return
        with self._store.write() as connection:
            self._cursors.write(connection, CONTACTS_SEEN_AT, now.timestamp())

    def _search(self, unknown: Iterable[Person]) -> None:
        """amoCRM's search finds parts of numbers and whatever was typed; the index compares them properly."""
        for person in unknown:
            for address in (*person.phones, *person.mails):
                words = address[-10:] if address in person.phones else address
                page = self._client.page("/api/v4/contacts", {"query": words, "with": "leads"}, "contacts", 0, 50)
                self._contacts.keep([ContactRecord.from_api(row) for row in page.rows])

    def _remembered(self, person: Person, remembered: Mapping[str, tuple[int, int | None]]) -> KnownPerson:
        """Somebody whom no list of amoCRM shows: earlier enquiries know the deal."""
        contacts = (remembered[one][1] for one in person.addresses if one in remembered)
        return KnownPerson(person, next(filter(None, contacts), None))

    def _with_deals(
        self, people: Sequence[KnownPerson], remembered: Mapping[str, tuple[int, int | None]], gone: Set[int]
    ) -> tuple[list[KnownPerson], set[int]]:
        contacts = self._contacts.index.get(one.contact_id for one in people if one.contact_id)
        wanted: dict[int, set[int]] = {}
        for number, one in enumerate(people):
            known = contacts.get(one.contact_id or 0)
            own = set(known.deal_ids[-MOST_DEALS:]) if known else set()
            own |= {remembered[address][0] for address in one.person.addresses if address in remembered}
            wanted[number] = set() if one.doubt else own
        mirrored = self._mirror.get({deal_id for own in wanted.values() for deal_id in own})
        is_fresh = {number for number, one in enumerate(people) if any(row.attempts for row in one.person.rows)}
        unsure = [
            number
            for number, one in enumerate(people)
            if number in is_fresh or not any(_is_open(mirrored[i].record) for i in wanted[number] if i in mirrored)
        ]
        # Before a second deal is made, amoCRM is asked: somebody may have made one a moment ago.
        asked = {contact_id for number in unsure if (contact_id := people[number].contact_id)}
        read = self._deals_of(asked)
        for number in unsure:
            wanted[number] |= set(read.get(people[number].contact_id or 0, ()))
        ids = {deal_id for number in unsure for deal_id in wanted[number]}
        fresh = deals_by_ids(self._client, sorted(ids), filter_enabled=self._filter_enabled) if ids else {}
        found = []
        for number, one in enumerate(people):
            records = {i: copy.record for i, copy in mirrored.items() if i in wanted[number]}
            if number in unsure:
                records = {i: fresh[i] for i in wanted[number] if i in fresh}
            deals = tuple(sorted(records.values(), key=lambda record: -record.id))
            known = contacts.get(one.contact_id or 0)
            knew = (deals[0].responsible_user_id if deals else known.responsible_user_id if known else 0) or None
            # Somebody without a phone or a mail is known by his deals alone.
            of_deals = (deal.main_contact_id for deal in deals if deal.main_contact_id not in gone)
            contact_id = one.contact_id or next(filter(None, of_deals), None)
            found.append(KnownPerson(one.person, contact_id, one.doubt, one.candidates, deals, knew))
        return found, asked - read.keys()

    def _deals_of(self, contact_ids: Set[int]) -> Mapping[int, Sequence[int]]:
        """Contact → the deals that amoCRM says are the contact's; without the contacts that it has no more."""
        if not contact_ids:
            return {}
        records = contacts_by_ids(self._client, contact_ids, self._filter_enabled)
        self._contacts.keep(list(records.values()))
        return {one.id: one.deal_ids[-MOST_DEALS:] for one in records.values()}


def _of_match(person: Person, one: Match) -> KnownPerson:
    return KnownPerson(person, one.contact_id, one.doubt, one.candidates)


def _is_open(record: DealRecord) -> bool:
    return record.status_id not in (WON, LOST) and not record.is_deleted
