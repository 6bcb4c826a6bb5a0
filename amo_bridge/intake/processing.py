"""Enquiries at work: parsed, their people found, handed to the rules, and what became of them.

::

    vendor's request ─► enquiry «new» ─► whose is it? ─► EnquiryReceived in the event queue ─► «sent»
                                                            rules ─► outbox ─► «done», «asked», «skipped», «refused»

One enquiry of a person at a time makes a deal: the others wait until it is there and become notes on it. Only the
account's leader does this, so two requests that two machines took in within a second meet here, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from sqlalchemy import or_, select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.event_queue import add_events, due_enquiries
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.events import EnquiryOnDeal, EnquiryReceived, Event
from amo_bridge.intake.enquiries import EnquiryRepository, StoredEnquiry, addresses_of, title_of
from amo_bridge.intake.fetching import Fetching
from amo_bridge.intake.ingest import Ingest
from amo_bridge.intake.model import Enquiry, PbxCall, enquiry_of_call
from amo_bridge.intake.pbx_calls import CallNotes, uniq_of
from amo_bridge.intake.people import KnownPerson, PeopleFinder, Person, by_person
from amo_bridge.intake.results import EnquiryResults
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import deals, import_rows, imports

BATCH_SIZE = 500
TURN = "enquiries_turn"
# What came longer ago counts as having come now: no enquiry is too late for its rule.
LATE = timedelta(hours=12)
# A person whose webinar import is under way is looked at again.
IMPORT_PAUSE_SECONDS = 5.0
MOST_EARLIER = 5
MOST_TEXTS = 20


@dataclass(frozen=True)
class _Part:
    """Enquiries of one person and source that become one event."""

    rows: tuple[StoredEnquiry, ...]
    enquiries: tuple[Enquiry, ...]
    call: PbxCall | None


class EnquiryProcessor:
    """``account_clock``: amoCRM's own time. ``environment``: where the vendors' secrets are. ``tell``: see Fetching."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        contacts: ContactRefresher,
        rules: CurrentRules,
        environment: Mapping[str, str],
        clock: Clock,
        account_clock: Clock,
        tell: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._account_clock = account_clock
        engine = rules.get()
        self._home = engine.config.calendar.country
        self._repository = EnquiryRepository(store, clock, self._home)
        self._ingest = Ingest(store, engine.config, environment, clock)
        self._fetching = Fetching(self._repository, engine.config, environment, tell)
        filter_enabled = engine.account.is_api_filter_enabled
        self._finder = PeopleFinder(
            store, client, contacts, self._repository, account_clock, filter_enabled=filter_enabled
        )
        self._results = EnquiryResults(store, self._repository)
        self._calls = CallNotes(store, self._repository, self._finder, self._fetching, rules, clock, account_clock)
        self._cursors = Cursors(store)

    def run(self) -> int:
        """One round; how many rows were moved on. Raises CrmError, StoreUnavailable, LeadLost."""
        if not self._has_work():
            return 0  # nearly every round: one statement instead of one for each step
        moved = self._ingest.run()
        moved += self._results.settle()
        moved += self._judge()
        return moved + self._calls.run()

    def _has_work(self) -> bool:
        """Is a request to read, or an enquiry or call due?"""
        with self._store.read() as connection:
            due = due_enquiries(self._store, self._clock.now().timestamp())
            return bool(connection.execute(select(or_(*due))).scalar_one())

    # --- whose is it ---

    def _judge(self) -> int:
        rows = self._repository.open("new", BATCH_SIZE)
        moved = self._calls.set_aside(rows)
        moved |= self._fetching.complete([row for row in rows if row.id not in moved])
        rows = [row for row in rows if row.id not in moved]
        people = by_person(rows, self._home)
        people = self._not_under_way(people)
        if not people:
            return len(moved)
        return len(moved) + self._hand_on(self._finder.find_or_put_off(people))

    def _not_under_way(self, people: Sequence[Person]) -> list[Person]:
        """Without those for whom a deal is being made just now."""
        busy = self._results.addresses_under_way(self._home)
        free = [person for person in people if not busy & {*person.addresses}]
        if free and (imported := self._imported_now()):
            waiting = [person for person in free if imported & {*person.addresses}]
            self._repository.put_off([row.id for person in waiting for row in person.rows], IMPORT_PAUSE_SECONDS)
            free = [person for person in free if person not in waiting]
        return free

    def _imported_now(self) -> set[str]:
        """Phones and mails of people whose contacts a running webinar import is creating."""
        query = (
            select(import_rows.c.person)
            .join_from(import_rows, imports, imports.c.id == import_rows.c.import_id)
            .where(self._store.owns(import_rows), imports.c.state == "running", import_rows.c.step == "person")
            .where(import_rows.c.state.in_(("ready", "sending", "doubt")))
        )
        with self._store.read() as connection:
            people = [json.loads(person) for person in connection.execute(query).scalars()]
        return {address for person in people for name in ("mails", "phones") for address in person.get(name) or ()}

    # --- handing on ---

    def _hand_on(self, people: Iterable[KnownPerson]) -> int:
        found: list[tuple[_Part, EnquiryReceived]] = []
        turn, place = int(self._cursors.read(TURN) or 0), 0
        load: tuple[tuple[int, int], ...] | None = None
        for known in people:
            parts = _parts(known)
            if known.doubt:
                # One question to a person, whatever the number of enquiries.
                rows = tuple(chain.from_iterable(part.rows for part in parts))
                enquiries = tuple(chain.from_iterable(part.enquiries for part in parts))
                parts = [_Part(rows, enquiries, parts[0].call)]
            elif known.open_deal is None:
                # The others become notes on the deal that the first one makes.
                parts = parts[:1]
            for part in parts:
                if not known.doubt and known.open_deal is None:
                    load = self._load() if load is None else load
                    found.append((part, self._event(known, part, turn, place, load)))
                    turn, place = turn + 1, place + 1
                else:
                    found.append((part, self._event(known, part, turn, 0, ())))
        if not found:
            return 0
        with self._store.write() as connection:
            add_events(connection, self._store.account_id, list(_news(found)), self._clock.now().timestamp())
            self._cursors.write(connection, TURN, float(turn))
            for part, event in found:
                self._repository.mark(
                    connection,
                    [row.id for row in part.rows],
                    state="sent",
                    standing=event.standing,
                    event_key=event.dedup_key,
                    contact_id=event.contact_id,
                    deal_id=event.deal_id if event.standing == "open" else None,
                    error="",
                )
        return sum(len(part.rows) for part, _ in found)

    def _event(
        self, known: KnownPerson, part: _Part, turn: int, place: int, load: tuple[tuple[int, int], ...]
    ) -> EnquiryReceived:
        first, deal = part.rows[0], known.open_deal
        url = self._rules.get().config.account.url
        standing = "doubt" if known.doubt else "open" if deal else "closed" if known.contact_id else "new"
        closed = [one for one in known.deals if deal is None or one.id != deal.id][:MOST_EARLIER]
        return EnquiryReceived(
            at=self._moment(first),
            enquiry_id=first.id,
            attempt=first.attempts,
            deal_id=deal.id if deal and not known.doubt else -first.id,
            standing=standing,  # type: ignore[arg-type]
            source=first.source,
            title=title_of(first.source),
            name=next((one.name for one in part.enquiries if one.name), "") or "",
            phones=known.person.phones,
            mails=known.person.mails,
            texts=tuple(_words(one) for one in part.enquiries)[:MOST_TEXTS],
            utm=tuple(sorted(part.enquiries[0].utm.items())),
            roistat_visit=next((one.roistat_visit for one in part.enquiries if one.roistat_visit), "") or "",
            page=next((one.page for one in part.enquiries if one.page), "") or "",
            profile=next((one.profile for one in part.enquiries if one.profile), ""),
            link_param=next((one.link_param for one in part.enquiries if one.link_param), "") or "",
            call_key=uniq_of(first) if part.call else "",
            call="" if part.call is None else "talk" if part.call.talked else "missed",
            contact_id=known.contact_id,
            earlier=tuple((one.id, one.name, deal_url(url, one.id)) for one in closed),
            knew=known.knew,
            doubt=known.doubt,
            candidates=tuple(f"{url}/contacts/detail/{number}" for number in known.candidates),
            turn=turn,
            load=load,
            place=place,
        )

    def _moment(self, row: StoredEnquiry) -> datetime:
        """When it came, by amoCRM's clock."""
        now = self._clock.now()
        received = datetime.fromtimestamp(row.received_at or now.timestamp(), UTC)
        at = min(received, now) + (self._account_clock.now() - now)
        return (self._account_clock.now() if now - received > LATE else at).replace(microsecond=0)

    def _load(self) -> tuple[tuple[int, int], ...]:
        """User → open deals, by the mirror; empty where no rule wants to know."""
        rules = self._rules.get().dispatcher.enabled
        if not any(getattr(rule.options, "share", "") == "load" for rule in rules):
            return ()
        query = select(deals.c.record).where(self._store.owns(deals), deals.c.status_id.not_in((WON, LOST)))
        counts: dict[int, int] = {}
        with self._store.read() as connection:
            for record in connection.execute(query).scalars():
                user_id = int(json.loads(record).get("responsible_user_id") or 0)
                counts[user_id] = counts.get(user_id, 0) + 1
        return tuple(sorted(counts.items()))


def stranger(enquiry: Enquiry, call: PbxCall | None, at: datetime) -> EnquiryReceived:
    """The event that an enquiry of somebody unknown would be, for a look at what the rules would do."""
    known = addresses_of(enquiry)
    return EnquiryReceived(
        at=at,
        enquiry_id=1,
        deal_id=-1,
        standing="new",
        source=enquiry.source,
        title=title_of(enquiry.source),
        name=enquiry.name or "",
        phones=tuple(one for one in known if one.startswith("+")),
        mails=tuple(one for one in known if "@" in one),
        texts=(_words(enquiry),),
        utm=tuple(sorted(enquiry.utm.items())),
        roistat_visit=enquiry.roistat_visit or "",
        page=enquiry.page or "",
        profile=enquiry.profile or "",
        call="" if call is None else "talk" if call.talked else "missed",
    )


def _news(found: Iterable[tuple[_Part, EnquiryReceived]]) -> Iterable[Event]:
    for _, event in found:
        if event.standing == "open":
            # First what asks for little: a rule that acts has the deal's later events wait for another read.
            yield EnquiryOnDeal.of(event, event.deal_id, is_new=False)
        yield event


def _parts(known: KnownPerson) -> list[_Part]:
    """The person's enquiries of one source and with the same marks together; each call by itself."""
    parts: list[_Part] = []
    for row in known.person.rows:
        call = row.body if isinstance(row.body, PbxCall) else None
        enquiry = enquiry_of_call(call) if call else row.body
        if not isinstance(enquiry, Enquiry):
            continue
        last = parts[-1] if parts else None
        if last and call is None and last.call is None and _is_alike(last.enquiries[0], enquiry):
            parts[-1] = _Part((*last.rows, row), (*last.enquiries, enquiry), None)
        else:
            parts.append(_Part((row,), (enquiry,), call))
    return parts


def _is_alike(one: Enquiry, other: Enquiry) -> bool:
    return one.source == other.source and dict(one.utm) == dict(other.utm)


def _words(enquiry: Enquiry) -> str:
    """What the person said, with the files; the page and the marks are the rule's matter."""
    files = [f"Файл: {file}" for file in enquiry.files if str(file) not in enquiry.text]
    foreign = [f"Телефон: {phone}" for phone in enquiry.phones if not phone.startswith("+")]
    return "\n".join([*filter(None, [enquiry.text.strip()]), *foreign, *files])
