"""Delivery of import rows: amoCRM's objects for them, their writing, what follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.crm.account import Account, LossReason
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.writes import BatchResult, write_batch
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.name_resolver import NameResolver
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.sender import Remainder, in_russian, remainder
from amo_bridge.engine.timers import Timetable
from amo_bridge.engine.write_results import WriteResults
from amo_bridge.errors import CrmTemporary, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.retry import delay
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import import_rows
from amo_bridge.webinars.imports.model import Import, ImportRow
from amo_bridge.webinars.imports.repository import ImportRepository
from amo_bridge.webinars.plan import Row

# --- objects ----------------------------------------------------------------------------------------------------------


class PayloadBuilder:
    """A row of the plan → amoCRM's object: a contact, a deal, a patch of a deal.

    ``loader``: the user responsible for what is created. Raises UnknownName for a name that the account has lost."""

    def __init__(
        self, account: Account, names: NameResolver, options: WebinarSection, loader: int, clock: Clock
    ) -> None:
        self._clock = clock
        self.user_id = account.current_user_id
        self._account = account
        self._names = names
        self._options = options
        self._loader = loader

    def contact(self, row: Row) -> dict[str, Any]:
        """A new contact. Its name is whatever the person typed, kept as text."""
        person = row.person
        values = [
            {"field_id": self._account.field(code, "contacts").id, "values": [work_line(text) for text in addresses]}
            for code, addresses in (("PHONE", person.phones), ("EMAIL", person.mails))
            if addresses
        ]
        name = person.name or (person.mails or person.phones)[0]
        return {"name": name, "responsible_user_id": self._loader, "custom_fields_values": values}

    def deal(self, row: Row, contact_id: int) -> dict[str, Any]:
        """A new deal of a contact's."""
        assert row.to_stage is not None
        stage = self._account.stage(row.to_stage)
        return {
            "name": self.name(row),
            "pipeline_id": stage.pipeline_id,
            "status_id": stage.status_id,
            "responsible_user_id": self._loader,
            "custom_fields_values": [field for field in self._values(row) if field["values"]],
            "_embedded": {
                "tags": [{"name": tag} for tag in self.tags(row)],
                "contacts": [{"id": contact_id, "is_main": True}],
            },
        }

    def patch(self, row: Row, record: DealRecord, without: Collection[str] = ()) -> dict[str, Any]:
        """What has to change on a deal as it is now; only the id when nothing has. ``without``: fields to be left."""
        body: dict[str, Any] = {"id": record.id}
        values = [field for field in self._values(row, without) if not _has_value(record, field)]
        if values:
            body["custom_fields_values"] = values
        if new := [tag for tag in self.tags(row) if tag not in record.tags]:
            body["tags_to_add"] = [{"name": tag} for tag in new]
        # A manager who is switched off keeps nobody: the client goes to whoever works for him now.
        owner = self._names.works_now(record.responsible_user_id, self._clock.now(), is_there=True)
        if owner != record.responsible_user_id:
            body["responsible_user_id"] = owner
        if row.to_stage is not None:
            stage = self._account.stage(row.to_stage)
            if stage.key != (record.pipeline_id, record.status_id):
                body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        return body

    def name(self, row: Row) -> str:
        """«почта, имя», or as the config says."""
        person = row.person
        facts = {
            "почта": person.mails[0] if person.mails else "",
            "имя": person.name,
            "телефон": person.phones[0] if person.phones else "",
            "дата": f"{person.held_on:%d.%m.%Y}",
        }
        return self._options.name_of_deal(facts) or (person.mails or person.phones)[0]

    def tags(self, row: Row) -> tuple[str, ...]:
        """The buttons, and what the config adds."""
        return tuple(dict.fromkeys((*row.figures.tags, *self._options.tags)))

    def _values(self, row: Row, without: Collection[str] = ()) -> list[dict[str, Any]]:
        values = row.figures.values(self._options)
        return [self._names.field_value(name, value) for name, value in values.items() if name not in without]


def work_line(address: str) -> dict[str, str]:
    """A line of a phone or e-mail field."""
    return {"value": address, "enum_code": "WORK"}


def _has_value(record: DealRecord, field: Mapping[str, Any]) -> bool:
    """Does the deal have this value already? Numbers are texts in amoCRM."""
    current = [str(value) for value in record.fields.get(field["field_id"], ())]
    return current == [str(value["value"]) for value in field["values"] or ()]


# --- delivery ---------------------------------------------------------------------------------------------------------

Bodies = dict[int, dict[str, Any]]
"""Row's id → amoCRM's object for it."""
MOST_REDUCTIONS = 3
OnWritten = Callable[[Connection, Mapping[int, Written]], None]
"""What follows from rows that were written, within the transaction that says so."""
OnRefused = Callable[[Connection, Mapping[int, str]], None]
"""What follows from rows that amoCRM refused for good: row's id → its words."""


class RowDelivery:
    """Writes rows into amoCRM so that each is surely there once, or surely not, as the outbox does with effects.

    A row is ``sending`` in the store before the request leaves. Then it is written, refused, put off (surely not
    written), or in ``doubt`` (nobody knows: looked for before it is sent again). ``settle``: seconds until the look.
    """

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        repository: ImportRepository,
        clock: Clock,
        settle: float,
        rule_engine: Callable[[], RuleEngine],
    ) -> None:
        self._rule_engine = rule_engine
        self._store = store
        self._client = client
        self._repository = repository
        self._clock = clock
        self._settle = settle

    def recover(self) -> None:
        """What was being sent when the bridge stopped may be in amoCRM."""
        self._try_later(import_rows.c.state == "sending", "doubt", self._settle)

    def send(self, kind: str, bodies: Bodies, on_written: OnWritten, on_refused: OnRefused | None = None) -> int:
        """One request, more only if amoCRM refuses some of it; how many rows were settled. Of an object of which it
        names the parts that it does not take, the rest is written, and the row's note says without what: ``bodies``
        then hold what was sent. Without ``on_refused`` a refused row has failed until somebody repeats it. Raises
        CrmStopped."""
        settled, waiting = 0, dict(bodies)
        for reductions in range(MOST_REDUCTIONS + 1):
            if not waiting:
                break
            # A reduced object whose answer gets lost is looked for as it went out.
            sent = {row_id: json.dumps(body, ensure_ascii=False) for row_id, body in waiting.items() if reductions}
            with self._store.write() as connection:
                self._repository.mark_each(
                    connection, {row_id: {"state": "sending", "sent": sent.get(row_id)} for row_id in waiting}
                )
            reduced: dict[int, Remainder] = {}
            for result in write_batch(self._client, kind, waiting):
                parts = self._remainders(kind, waiting, result) if reductions < MOST_REDUCTIONS else {}
                reduced |= parts
                self._apply(kind, waiting, result, parts, on_written, on_refused or self._fail)
                settled += result.settled - len(parts)
            waiting = {row_id: dict(rest.body) for row_id, rest in reduced.items()}
            bodies.update(waiting)
        return settled

    def _remainders(self, kind: str, bodies: Bodies, result: BatchResult) -> dict[int, Remainder]:
        """What can be written all the same of objects of which amoCRM refused some parts."""
        rule_engine = self._rule_engine()
        today = rule_engine.calendar.local(self._clock.now()).date()

        def instead(user_id: int) -> int:
            return rule_engine.people.works_now(user_id, today, is_gone=True)

        found = {
            row_id: remainder(kind, bodies[row_id], 0, complaints, rule_engine.account, instead)
            for row_id, complaints in result.complaints.items()
            if row_id in result.refused and complaints
        }
        return {row_id: rest for row_id, rest in found.items() if rest is not None}

    def _apply(
        self,
        kind: str,
        bodies: Bodies,
        result: BatchResult,
        reduced: Mapping[int, Remainder],
        on_written: OnWritten,
        on_refused: OnRefused,
    ) -> None:
        if result.written:
            with self._store.write() as connection:
                on_written(connection, result.written)
        if result.refused:
            account = self._rule_engine().account
            reasons = {}
            for row_id, reason in result.refused.items():
                log.error("refused", import_row=row_id, error=reason, in_part=row_id in reduced)
                told = in_russian(result.complaints.get(row_id, ()), bodies[row_id], account)
                reasons[row_id] = f"{told}. {reason}" if told else reason
            notes = {row_id: {"note": f"записано {rest.words}: {reasons[row_id]}"} for row_id, rest in reduced.items()}
            with self._store.write() as connection:
                self._repository.mark_each(connection, notes)
                on_refused(connection, {row_id: told for row_id, told in reasons.items() if row_id not in reduced})
        if result.later:
            asked_for = result.error.retry_after if isinstance(result.error, CrmTemporary) else None
            self._try_later(import_rows.c.id.in_(result.later), "ready", asked_for or delay(1))
        if result.doubt:
            log.warning("answer lost", kind=kind, rows=len(result.doubt), error=str(result.error))
            self._try_later(import_rows.c.id.in_(result.doubt), "doubt", self._settle)

    def put_off(self, blocked: Mapping[int, UnknownName], *, is_rest_done: bool) -> None:
        """Rows that name what the account has lost wait, so that the others go first. Raises the first of their errors
        when there are no others: then the import waits for somebody."""
        if not blocked:
            return
        due_at = self._clock.now().timestamp() + delay(1)
        with self._store.write() as connection:
            self._repository.mark(connection, list(blocked), due_at=due_at)
        log.warning("rows wait for a name", rows=len(blocked), error=str(next(iter(blocked.values()))))
        if is_rest_done:
            raise next(iter(blocked.values()))

    def postpone_search(self, rows: Sequence[ImportRow]) -> None:
        """Rows in doubt that can't be looked for just now."""
        tries = max(row.attempts for row in rows) + 1
        with self._store.write() as connection:
            due_at = self._clock.now().timestamp() + delay(tries)
            self._repository.mark(connection, [row.id for row in rows], due_at=due_at, attempts=tries)

    def _fail(self, connection: Connection, reasons: Mapping[int, str]) -> None:
        self._repository.mark_each(
            connection, {row_id: {"state": "failed", "note": reason} for row_id, reason in reasons.items()}
        )

    def _try_later(self, which: ColumnElement[bool], state: str, seconds: float) -> None:
        due_at = self._clock.now().timestamp() + seconds
        change = update(import_rows).where(self._store.owns(import_rows), which)
        with self._store.write() as connection:
            connection.execute(change.values(attempts=import_rows.c.attempts + 1, state=state, due_at=due_at))


# --- after a write ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A row, what was sent for it, and the deal that it became."""

    row: ImportRow
    body: Mapping[str, Any]
    written: Written


class AfterWrite:
    """Applies what was written to the mirror, the events and the deal's journal.

    An imported deal has entered its stage all the same: rules about that stage act (a task for the manager, say), with
    nobody as the mover. What an import changes on a deal is no event. ``timetable``: the steps of the deals follow it.
    """

    def __init__(
        self, store: AccountStore, clock: Clock, account_clock: Clock, timetable: Callable[[], Timetable]
    ) -> None:
        self._timetable = timetable
        self._clock = clock
        self._account_clock = account_clock
        self._write_results = WriteResults(store, clock)
        self._journal = Journal(store)
        self._mirror = Mirror(store)

    def now(self) -> datetime:
        """The time of amoCRM's clock."""
        return self._account_clock.now()

    def made(self, connection: Connection, job: Import, done: Sequence[Done]) -> None:
        """Deals were created."""
        effects = [(self._as_effect("create_deal", one), one.written) for one in done]
        self._write_results.apply(connection, effects)
        why = {one.written.id: f"создана: {one.row.row.why}; {one.row.row.sorted.why}" for one in done}
        self._note(connection, job, why)

    def changed(self, connection: Connection, job: Import, done: Sequence[Done]) -> None:
        """Deals were patched."""
        self._patched(connection, [(self._as_effect("patch_deal", one), one.written) for one in done])
        why = {one.written.id: f"изменена: {one.row.row.why}; {one.row.row.sorted.why}" for one in done}
        self._note(connection, job, why)

    def undone(self, connection: Connection, job: Import, done: Sequence[Done], reason: LossReason | None) -> None:
        """Deals were rolled back, as if nothing had happened to them, or closed for ``reason``: no event."""
        self._patched(connection, [(self._as_effect("patch_deal", one, rolls_back=True), one.written) for one in done])
        if reason:
            closed = partial(replace, loss_reason=reason.name, loss_reason_id=reason.id)
            is_closed = [one.written.id for one in done if one.body.get("loss_reason_id") == reason.id]
            self._mirror.amend_all(connection, [(deal_id, closed) for deal_id in is_closed])
        self._note(connection, job, {one.written.id: "загрузка отменена" for one in done})

    def _patched(self, connection: Connection, done: Sequence[tuple[Sendable, Written]]) -> None:
        self._write_results.apply(connection, done)
        self._write_results.update_timers(connection, self._timetable(), [effect for effect, _ in done])

    def _as_effect(self, kind: str, done: Done, *, rolls_back: bool = False) -> Sendable:
        """The write as the outbox would have sent it."""
        now = self._account_clock.now().timestamp()
        payload = {"body": dict(done.body), "rolls_back": rolls_back, "not_before": now}
        return Sendable(done.row.id, "", done.written.id, kind, payload, attempts=0, created_at=now)

    def _note(self, connection: Connection, job: Import, reasons: Mapping[int, str]) -> None:
        what = f"загрузка вебинара № {job.id} ({job.held_on:%d.%m.%Y})"
        self._journal.note(connection, self._clock.now(), what, reasons)


def undo_record(record: DealRecord, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch is about to change, as it was; and what it writes, to see later if that still stands. Stored."""
    fields = {str(field["field_id"]): field for field in body.get("custom_fields_values") or ()}
    return {
        "fields": {number: list(record.fields.get(int(number), ())) for number in fields},
        "wrote": {number: [value["value"] for value in field["values"] or ()] for number, field in fields.items()},
        "stage": [record.pipeline_id, record.status_id],
        "moved": [body["pipeline_id"], body["status_id"]] if "status_id" in body else None,
        "tags": [tag["name"] for tag in body.get("tags_to_add") or ()],
    }
