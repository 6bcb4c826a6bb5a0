"""Calls of telephony: note on the client's card, unless the vendor's widget writes it.

The bridge waits, looks whether a note about the call has come (the touches of the mirror), and writes one only if none
has. A client's own call is an enquiry besides (``processing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.effects import Effect, Kind
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.errors import ChannelError, ChannelRefused
from amo_bridge.events.calls import TALKED
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository, StoredEnquiry, title_of
from amo_bridge.intake.fetching import Fetching
from amo_bridge.intake.model import PbxCall, Recording, to_json, words_of_call
from amo_bridge.intake.people import PeopleFinder, by_person
from amo_bridge.intake.repository import short_key
from amo_bridge.intake.telephony import RECORD_WAIT_SECONDS
from amo_bridge.mirror.touches import UNKNOWN_LENGTH
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import enquiries, outbox, touches

RULE = "bridge.calls"
# The widgets of telephony write within seconds; amoCRM's webhook about their note comes a little later.
NOTED_WITHIN = timedelta(minutes=2)
WAIT_SECONDS = NOTED_WITHIN.total_seconds() + 10
# A call that began near another one may end so much later.
LONGEST_CALL = timedelta(hours=2)
BATCH_SIZE = 200
NOT_REACHED = 6
RECORD_PAUSE_SECONDS = 60.0
MOST_RECORD_ATTEMPTS = 60
MOST_LINK_ATTEMPTS = 5
FAULT_PAUSE_SECONDS = 300.0


class CallNotes:
    """``account_clock``: amoCRM's own time, by which notes and touches are dated."""

    def __init__(
        self,
        store: AccountStore,
        repository: EnquiryRepository,
        finder: PeopleFinder,
        fetching: Fetching,
        rules: CurrentRules,
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._store = store
        self._repository = repository
        self._finder = finder
        self._fetching = fetching
        self._faults: dict[str, ChannelError] = {}
        self._rules = rules
        self._clock = clock
        self._account_clock = account_clock

    def set_aside(self, rows: Sequence[StoredEnquiry]) -> set[int]:
        """Take what is no enquiry: our own calls, hidden numbers, records; what waits for amoCRM is taken too.

        Raises CrmError, StoreUnavailable.
        """
        hidden = [row for row in rows if isinstance(row.body, PbxCall) and row.body.phone is None]
        hidden = [row for row in hidden if row.body.enquiry is None]
        self._repository.write(
            [row.id for row in hidden], state="skipped", outcome="номер скрыт: чей звонок, неизвестно"
        )
        ours = [row for row in rows if isinstance(row.body, PbxCall) and row.body.direction == "out"]
        ours = [row for row in ours if row not in hidden]
        self._take_ours(ours)
        records = [row for row in rows if isinstance(row.body, Recording)]
        for row in records:
            self._take_record(row, row.body)
        return {row.id for row in (*hidden, *ours, *records)}

    def _take_ours(self, rows: Sequence[StoredEnquiry]) -> None:
        """Calls to clients: nothing is made of them but the note."""
        if not rows:
            return
        for known in self._finder.find_or_put_off(by_person(rows, self._rules.get().config.calendar.country)):
            numbers = [row.id for row in known.person.rows]
            if known.open_deal is None:
                words = known.doubt or "исходящий звонок: открытой сделки с этим номером нет"
                self._repository.write(numbers, state="skipped", outcome=words, error="")
                continue
            place = {"deal_id": known.open_deal.id, "contact_id": known.contact_id}
            for row in known.person.rows:
                waits = {"state": "waits", "standing": "open", "due_at": due_at(row), "error": ""}
                self._repository.write([row.id], **waits, **place)

    def _take_record(self, row: StoredEnquiry, record: Recording) -> None:
        call = self._call_of(row.source, record.call_key)
        if call is None or call.state == "sent":
            self._wait_for_call(row)
            return
        if call.body.record_url and record.url in (None, call.body.record_url):
            self._repository.write([row.id], state="done", outcome="запись уже названа у звонка", error="")
            return
        is_written = call.state not in ("new", "waits")
        if is_written and call.deal_id is None:
            self._repository.write([row.id], state="skipped", outcome="звонок записи ни на одной сделке не стоит")
            return
        url = record.url or self._link(row, record.record_id, row.received_at + record.wait)
        if not url:
            return
        if is_written:
            text = f"Запись звонка ({title_of(row.source)}): {url}"
            note = {"entity_id": call.deal_id, "note_type": "common", "params": {"text": text}}
            self._send(row, "add_note", call.deal_id or 0, note, "примечание с записью звонка")
            return
        with self._store.write() as connection:
            self._keep_link(connection, call, url)
            self._repository.mark(connection, [row.id], state="done", outcome="запись добавлена к звонку", error="")

    def _link(self, row: StoredEnquiry, number: str | None, ready_at: float) -> str | None:
        """The link to a record by its number; None: the row waits for it, or there is none and it is skipped.

        An exchange that could not be asked is not asked again in this round.
        """
        wait = ready_at - self._clock.now().timestamp()
        if wait > 0:
            self._repository.put_off([row.id], wait)
            return None
        try:
            if row.source in self._faults:
                raise self._faults[row.source]
            return self._fetching.record_of(row.source, number or "")
        except ChannelRefused as error:
            # The file may come later than the vendor promises.
            if row.attempts < MOST_LINK_ATTEMPTS and self._fetching.knows_records_of(row.source):
                self._repository.put_off([row.id], RECORD_PAUSE_SECONDS, attempts=row.attempts + 1, error=str(error))
            elif row.kind == "call":
                return ""
            else:
                self._repository.write([row.id], state="skipped", outcome=str(error), error="")
        except ChannelError as error:
            self._faults[row.source] = error
            self._repository.put_off([row.id], error.retry_after or FAULT_PAUSE_SECONDS, error=str(error))
        return None

    def _keep_link(self, connection: Connection, call: StoredEnquiry, url: str) -> None:
        body = json.dumps(to_json(replace(call.body, record_url=url)), ensure_ascii=False)
        self._repository.mark(connection, [call.id], body=body, error="")

    def _wait_for_call(self, row: StoredEnquiry) -> None:
        if row.attempts >= MOST_RECORD_ATTEMPTS:
            self._repository.write([row.id], state="skipped", outcome="звонка, к которому эта запись, АТС не прислала")
            return
        self._repository.put_off([row.id], RECORD_PAUSE_SECONDS, attempts=row.attempts + 1)

    def _call_of(self, source: str, key: str) -> StoredEnquiry | None:
        which = (enquiries.c.source == source, enquiries.c.key == short_key(key), enquiries.c.kind == "call")
        with self._store.read() as connection:
            number = connection.execute(select(enquiries.c.id).where(self._store.owns(enquiries), *which)).scalar()
        return self._repository.get(number) if number else None

    # --- notes ---

    def run(self) -> int:
        """Write the notes that have not come by themselves; how many calls were settled.

        Raises StoreUnavailable.
        """
        rows = self._repository.open("waits", BATCH_SIZE)
        for row in rows:
            if self._is_noted(row):
                words = "; ".join(filter(None, [row.outcome, "звонок записала телефония"]))
                self._repository.write([row.id], state="done", outcome=words)
            elif (call := self._with_record(row)) is not None:
                body, words = self._note(row, call), "; ".join(filter(None, [row.outcome, "звонок записан"]))
                self._send(row, "add_call", row.deal_id or 0, body, words)
        self._faults.clear()
        return len(rows)

    def _with_record(self, row: StoredEnquiry) -> PbxCall | None:
        """The call with the link to its record, where only the record's number was told; None: it waits for it."""
        call: PbxCall = row.body
        if call.record_url or not call.record_id or not self._fetching.knows_records_of(row.source):
            return call
        url = self._link(row, call.record_id, row.received_at + RECORD_WAIT_SECONDS)
        if not url:
            return None if url is None else call
        with self._store.write() as connection:
            self._keep_link(connection, row, url)
        return replace(call, record_url=url)

    def _is_noted(self, row: StoredEnquiry) -> bool:
        """Has a note about this call come, on the deal or on its contact?"""
        notes = self._notes_near(row)
        if any(note.uniq in (uniq_of(row), row.key[:80]) for note in notes if note.uniq):
            return True
        others = [other for other in self._calls_near(row) if other.id != row.id] if notes else []
        named = {name for other in others for name in (uniq_of(other), other.key[:80])}
        left = [note for note in notes if note.uniq not in named and _is_of_phone(note, row.body)]
        # A note is about one call: without the exchange's name of it about the likest that has no note of ours.
        ours = self._written(other.id for other in others)
        rivals = [other for other in others if _is_alike(other.body, row.body) and other.id not in ours]
        return any(all(self._unlikeness(note, row) <= self._unlikeness(note, one) for one in rivals) for note in left)

    def _notes_near(self, row: StoredEnquiry) -> Sequence[Row[Any]]:
        """Notes about calls on the same cards, dated by the call's beginning or by its end."""
        call, at = row.body, self._moment(row).timestamp()
        within = NOTED_WITHIN.total_seconds()
        cards = [and_(touches.c.entity_type == "deal", touches.c.entity_id == row.deal_id)]
        if row.contact_id:
            cards.append(and_(touches.c.entity_type == "contact", touches.c.entity_id == row.contact_id))
        query = (
            select(touches.c.at, touches.c.uniq, touches.c.phone, touches.c.seconds)
            .where(self._store.owns(touches), touches.c.kind == "call", touches.c.direction == call.direction)
            .where(touches.c.at.between(at - call.duration - within, at + within), or_(*cards))
            .where(touches.c.key.not_like("enquiry:%"))
        )
        with self._store.read() as connection:
            return list(connection.execute(query))

    def _calls_near(self, row: StoredEnquiry) -> list[StoredEnquiry]:
        """Calls that a note near this one may be about."""
        within = 2 * NOTED_WITHIN.total_seconds() + row.body.duration
        since, until = (datetime.fromtimestamp(row.received_at + side * within, UTC) for side in (-1, 1))
        wanted = EnquiryFilter(kind="call", since=since, until=until + LONGEST_CALL)
        return [one for one in self._repository.find(wanted, BATCH_SIZE) if isinstance(one.body, PbxCall)]

    def _written(self, numbers: Iterable[int]) -> set[int]:
        """Of which calls the bridge has written the note itself."""
        keys = {f"{RULE}|{number}": number for number in numbers}
        found: set[int] = set()
        with self._store.read() as connection:
            for chunk in chunks(list(keys)):
                ours = (self._store.owns(outbox), outbox.c.key.in_(chunk))
                found |= {keys[key] for key in connection.execute(select(outbox.c.key).where(*ours)).scalars()}
        return found

    def _unlikeness(self, note: Row[Any], row: StoredEnquiry) -> tuple[bool, float]:
        """Is it of another length; how many seconds lie between note and call.

        A note is dated by the call's beginning or by its end.
        """
        end, duration = self._moment(row).timestamp(), row.body.duration
        is_other_length = note.seconds not in (UNKNOWN_LENGTH, duration)
        return is_other_length, min(abs(note.at - end), abs(note.at - (end - duration)))

    def _note(self, row: StoredEnquiry, call: PbxCall) -> dict[str, Any]:
        params: dict[str, Any] = {
            "uniq": uniq_of(row),
            "duration": call.duration,
            "source": title_of(row.source),
            "phone": call.phone or "",
            "call_status": TALKED if call.talked else NOT_REACHED,
            "call_result": words_of_call(call),
        }
        if call.record_url:
            params["link"] = call.record_url
        kind = "call_in" if call.direction == "in" else "call_out"
        return {"entity_id": row.deal_id, "note_type": kind, "params": params}

    def _send(self, row: StoredEnquiry, kind: Kind, deal_id: int, body: dict[str, Any], words: str) -> None:
        """Into the outbox, once for each row; of a dry bridge nothing."""
        now = self._clock.now()
        if self._rules.get().config.bridge.dry_run:
            self._repository.write([row.id], state="dry", outcome=f"{words} (вхолостую)")
            return
        effect = Effect(kind, deal_id, body, words, not_before=self._moment(row).timestamp())
        with self._store.write() as connection:
            self._insert(connection, row, effect, now)
            self._repository.mark(connection, [row.id], state="done", outcome=words)

    def _insert(self, connection: Connection, row: StoredEnquiry, effect: Effect, now: datetime) -> None:
        planned = Planned(None, RULE, f"{RULE}|{row.id}", effect)
        insert_new(connection, outbox, [planned.row(self._store.account_id, now)])

    def _moment(self, row: StoredEnquiry) -> datetime:
        """When the call ended, by amoCRM's clock."""
        ahead = self._account_clock.now() - self._clock.now()
        return datetime.fromtimestamp(row.received_at, UTC) + ahead


def _is_of_phone(note: Row[Any], call: PbxCall) -> bool:
    """Not so only if both tell a phone and they differ: some widgets write an extension or nothing."""
    noted, own = ("".join(filter(str.isdigit, phone or ""))[-10:] for phone in (note.phone, call.phone))
    return noted == own or len(noted) < 10 or not own


def _is_alike(one: PbxCall, other: PbxCall) -> bool:
    return one.direction == other.direction and one.phone == other.phone


def uniq_of(row: StoredEnquiry) -> str:
    """The exchange's name of a call, as its note has it."""
    return f"{row.source}:{row.key}"[:80]


def due_at(row: StoredEnquiry) -> float:
    """When the note must have come, if the widget writes one."""
    return row.received_at + WAIT_SECONDS
