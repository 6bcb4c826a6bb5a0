"""Steps of an import: complete contacts, create contacts and deals, update open deals, undo.

Each step does one request's worth of rows, judged by a fresh read: since the preview a manager may have taken, moved or
closed a deal. A row in doubt is looked for in amoCRM before anything is sent again; a lost patch is simply judged anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, Account
from amo_bridge.crm.client import BATCH_SIZE, CrmClient
from amo_bridge.crm.lost_writes import LostWrite, Written
from amo_bridge.crm.reads import contact_lines, deals_by_ids
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.crm.writes import find_lost
from amo_bridge.errors import CrmTemporary, UnknownName
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.matching import MAIL, PHONE, Found, addresses_in, code_of, ids_of, match
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import import_rows
from amo_bridge.webinars.imports.delivery import (
    AfterWrite,
    Bodies,
    Done,
    OnRefused,
    OnWritten,
    PayloadBuilder,
    RowDelivery,
    undo_record,
    work_line,
)
from amo_bridge.webinars.imports.drafts import DraftService
from amo_bridge.webinars.imports.model import (
    ADD,
    TAKE_OFF,
    Import,
    ImportRow,
    after_adding,
    after_taking_off,
    first_of_undo,
    with_note,
)
from amo_bridge.webinars.imports.repository import ImportRepository
from amo_bridge.webinars.plan import Known, Row, changed_since, of_open_deal, without_rivals

DEAL_GONE = "сделки больше нет в работе"


# --- open deals -------------------------------------------------------------------------------------------------------


class UpdateStep:
    """Open deals of people who came again: figures updated, moved where the regulation moves them (W3)."""

    def __init__(
        self,
        repository: ImportRepository,
        delivery: RowDelivery,
        after_write: AfterWrite,
        client: CrmClient,
        drafts: DraftService,
        payloads: PayloadBuilder,
    ) -> None:
        self._repository = repository
        self._delivery = delivery
        self._after_write = after_write
        self._client = client
        self._drafts = drafts
        self._payloads = payloads

    def look(self, job: Import) -> bool:
        """Return rows in doubt to ``ready``: a patch says what is to be, so a lost one is judged anew."""
        return self._repository.again(job.id, "patch")

    def step(self, job: Import) -> bool:
        """One request's worth of rows; False: none is due."""
        rows = self._repository.due(job.id, "patch", "ready", BATCH_SIZE)
        if not rows:
            return False
        wanted = [row.deal_id for row in rows if row.deal_id]
        fresh = deals_by_ids(self._client, wanted, filter_enabled=self._drafts.is_filter_enabled)
        others = self._repository.done_besides(job.id, wanted)
        bodies: dict[int, dict[str, Any]] = {}
        changes: dict[int, dict[str, Any]] = {}
        blocked: dict[int, UnknownName] = {}
        for row in rows:
            try:
                body, reason, theirs = self._wanted(row, fresh.get(row.deal_id or 0), others)
            except UnknownName as error:
                blocked[row.id] = error
                continue
            if len(body) > 1:
                bodies[row.id] = body
                change: dict[str, Any] = {"note": with_note(row.note, theirs)} if theirs else {}
                if row.before is None:
                    before = undo_record(fresh[body["id"]], body)
                    change["before"] = json.dumps(before, ensure_ascii=False)
                if change:
                    changes[row.id] = change
            else:
                note = with_note(row.note, reason, theirs)
                changes[row.id] = {"state": "skipped" if reason or theirs else "done", "note": note}
        with self._repository.writing() as connection:
            self._repository.mark_each(connection, changes)
        self._delivery.send("patch_deal", bodies, self._settled(job, rows, bodies))
        self._delivery.put_off(blocked, is_rest_done=not bodies and not changes)
        return True

    def _wanted(
        self, row: ImportRow, record: DealRecord | None, others: Mapping[int, Sequence[Row]]
    ) -> tuple[dict[str, Any], str, str]:
        """(patch, the reason why nothing is to be done, what people have changed since the plan)."""
        deal = self._drafts.view(record) if record else None
        if record is None or deal is None or deal.stage.is_won or deal.stage.is_lost:
            return {}, DEAL_GONE, ""
        known = Known(loader=self._drafts.loader, opt_out_tag=self._drafts.opt_out_tag)
        plan = of_open_deal(row.row, deal, known, self._drafts.options)
        if plan.what == "nothing":
            return {}, plan.why, ""
        theirs = changed_since(row.row, deal, others.get(deal.id, ()), self._drafts.options)
        words = "; ".join(f"поле «{name}» изменили после предпросмотра, оно осталось как есть" for name in theirs)
        return self._payloads.patch(plan, record, without=theirs), "", words

    def _settled(self, job: Import, rows: Sequence[ImportRow], bodies: Bodies) -> OnWritten:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            self._repository.mark(connection, list(written), state="done")
            done = [Done(by_id[row_id], bodies[row_id], deal) for row_id, deal in written.items()]
            self._after_write.changed(connection, job, done)

        return settled


# --- known contacts ---------------------------------------------------------------------------------------------------

Lines = Mapping[str, Sequence[Mapping[str, Any]]]
"""PHONE and EMAIL → the lines of the field."""
FIELD_WORDS: Mapping[str, str] = {PHONE: "телефон", MAIL: "почту"}


class CompleteStep:
    """Known contacts get the mails and phones that the file has and they lack; an undo takes them off again.

    amoCRM replaces a field as a whole, so what people have there is sent along. Only what the import itself added is
    ever taken off, and only as long as it stands there as it was written.
    """

    def __init__(
        self,
        index: ContactIndex,
        client: CrmClient,
        repository: ImportRepository,
        delivery: RowDelivery,
        after_write: AfterWrite,
        account: Account,
    ) -> None:
        self._index = index
        self._client = client
        self._repository = repository
        self._delivery = delivery
        self._after_write = after_write
        self._account = account

    def look(self, job: Import) -> bool:
        """Return rows in doubt to ``ready``: a patch says what is to be, so a lost one is judged anew."""
        return self._repository.again(job.id, ADD if job.state == "running" else TAKE_OFF)

    def step(self, job: Import) -> bool:
        """One request's worth of contacts."""
        step = ADD if job.state == "running" else TAKE_OFF
        rows = _each_contact_once(self._repository.due(job.id, step, "ready", BATCH_SIZE))
        if not rows:
            return False
        wanted = [row.contact_id for row in rows if row.contact_id]
        fresh = contact_lines(self._client, wanted, self._account.is_api_filter_enabled)
        bodies: dict[int, dict[str, Any]] = {}
        notes: dict[int, str] = {}
        was: dict[int, dict[str, Any]] = {}
        with self._repository.writing() as connection:
            for row in rows:
                lines = fresh.get(row.contact_id or 0)
                fields = _added(row, lines, was, notes) if step == ADD else _taken_off(row, lines, notes)
                if fields:
                    bodies[row.id] = {"id": row.contact_id, "custom_fields_values": self._values(fields)}
            self._repository.mark_each(connection, was)
            self._go_on(connection, [row for row in rows if row.id not in bodies], step, notes)
        self._delivery.send(
            "patch_contact", bodies, self._settled(rows, step, bodies, notes), self._failed(rows, step)
        )  # fmt: skip
        return True

    def _values(self, fields: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
        return [
            {"field_id": self._account.field(code, "contacts").id, "values": list(lines) or None}
            for code, lines in fields.items()
        ]

    def _go_on(
        self, connection: Connection, rows: Iterable[ImportRow], step: str, notes: Mapping[int, str], **more: Any
    ) -> None:
        changes = {}
        for row in rows:
            note = notes.get(row.id, "")
            after = after_adding(row) if step == ADD else after_taking_off(row, note)
            changes[row.id] = {"note": note, "due_at": 0.0, **after, **more}
        self._repository.mark_each(connection, changes)

    def _settled(self, rows: Sequence[ImportRow], step: str, bodies: Bodies, notes: Mapping[int, str]) -> OnWritten:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            self._go_on(connection, [by_id[row_id] for row_id in written], step, notes)
            self._index_contacts(connection, {contact.id: bodies[row_id] for row_id, contact in written.items()})

        return settled

    def _failed(self, rows: Sequence[ImportRow], step: str) -> OnRefused:
        """The deal is worth more than the address: without it the row goes on."""
        by_id = {row.id: row for row in rows}

        def failed(connection: Connection, reasons: Mapping[int, str]) -> None:
            words = {
                row_id: f"контакт не дополнен: {reason}"
                if step == ADD
                else f"{_not_taken_off(by_id[row_id].contact_was or {})}: {reason}"
                for row_id, reason in reasons.items()
            }
            more = {"contact_was": None} if step == ADD else {}
            self._go_on(connection, [by_id[row_id] for row_id in reasons], step, words, **more)

        return failed

    def _index_contacts(self, connection: Connection, bodies: Bodies) -> None:
        """So that the next file finds the contacts before amoCRM's webhook arrives. The webhook is processed all the
        same: within the same second somebody may have changed the card again."""
        codes = {self._account.field(code, "contacts").id: code for code in FIELD_WORDS}
        renewed = []
        for contact in self._index.get(bodies).values():
            lines = {
                codes[field["field_id"]]: field["values"] or () for field in bodies[contact.id]["custom_fields_values"]
            }
            known = {
                name: tuple(sorted(addresses_in(code, (line["value"] for line in lines[code]))))
                for name, code in (("phones", PHONE), ("mails", MAIL))
                if code in lines
            }
            renewed.append(replace(contact, **known))  # type: ignore[arg-type]
        self._index.put(connection, renewed, self._after_write.now())


def _added(
    row: ImportRow, lines: Lines | None, was: dict[int, dict[str, Any]], notes: dict[int, str]
) -> dict[str, list[Mapping[str, Any]]]:
    """The fields with what is missing in them; in ``was`` what they were, to be kept before anything is sent; in
    ``notes`` those from which people have taken something since the plan: they are left as they are."""
    if lines is None:
        return {}
    had, there, missing = _by_field(row.row.had), dict[str, set[str]](), dict[str, list[str]]()
    for code, added in _by_field(row.row.adds).items():
        there[code] = addresses_in(code, (line["value"] for line in lines[code]))
        if lacking := [text for text in added if text not in there[code]]:
            missing[code] = lacking
    if theirs := [code for code in missing if not there[code].issuperset(had.get(code, ()))]:
        words = " и ".join(FIELD_WORDS[code] for code in theirs)
        notes[row.id] = f"контакт не дополнен: {words} изменили после предпросмотра"
        missing = {code: added for code, added in missing.items() if code not in theirs}
    if missing:
        before = {code: {"was": lines[code], "added": added} for code, added in missing.items()}
        was[row.id] = {"contact_was": json.dumps(before, ensure_ascii=False)}
    return {code: [*lines[code], *map(work_line, added)] for code, added in missing.items()}


def _taken_off(row: ImportRow, lines: Lines | None, notes: dict[int, str]) -> dict[str, list[Mapping[str, Any]]]:
    """The fields without what the import added; in ``notes`` what a person has made something else of."""
    if lines is None:
        return {}
    fields: dict[str, list[Mapping[str, Any]]] = {}
    changed = {}
    for code, before in (row.contact_was or {}).items():
        added = [work_line(address) for address in before["added"]]
        others = [line for line in lines[code] if line not in added]
        if len(others) < len(lines[code]):
            fields[code] = others
        elif any(line not in before["was"] for line in others):
            changed[code] = before
    if changed:
        notes[row.id] = f"{_not_taken_off(changed)}: изменили после загрузки"
    return fields


def _each_contact_once(rows: Iterable[ImportRow]) -> list[ImportRow]:
    """Two people matched with one contact must not be two patches of one request: each would undo the other."""
    return list({row.contact_id: row for row in reversed(list(rows))}.values())[::-1]


def _by_field(addresses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address in addresses:
        found.setdefault(code_of(address), []).append(address)
    return found


def _not_taken_off(was: Mapping[str, Any]) -> str:
    words = (f"{FIELD_WORDS[code]} {', '.join(before['added'])}" for code, before in was.items())
    return f"не убрали из контакта {' и '.join(words)}"


# --- new contacts and deals -------------------------------------------------------------------------------------------

KINDS = {"person": "create_contact", "deal": "create_deal"}


class CreateStep:
    """New contacts, then deals for new and known ones."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        repository: ImportRepository,
        delivery: RowDelivery,
        after_write: AfterWrite,
        payloads: PayloadBuilder,
    ) -> None:
        self._store = store
        self._client = client
        self._repository = repository
        self._delivery = delivery
        self._after_write = after_write
        self._payloads = payloads
        self._index = ContactIndex(store)

    def step(self, job: Import) -> bool:
        """One request: contacts first, because their deals need them."""
        return self._send(job, "person") or self._send(job, "deal")

    def look(self, job: Import) -> bool:
        """Rows that may have been written: those that are in amoCRM are done, the others are to be sent again."""
        return any([self._look(job, "person"), self._look(job, "deal")])

    def _send(self, job: Import, step: str) -> bool:
        rows = self._repository.due(job.id, step, "ready", BATCH_SIZE)
        if step == "person" and (known := self._known_since(job, rows)):
            with self._store.write() as connection:
                self._repository.mark_each(connection, known)
            rows = [row for row in rows if row.id not in known]
            if not rows:
                return True
        bodies, blocked = self._bodies(step, rows)
        moved = bool(self._delivery.send(KINDS[step], bodies, self._settled(job, step, rows, bodies)))
        self._delivery.put_off(blocked, is_rest_done=not bodies)
        return moved

    def _known_since(self, job: Import, rows: Sequence[ImportRow]) -> dict[int, dict[str, Any]]:
        """Rows whose people have become contacts since the plan, by an enquiry say: they get the deal alone.

        Not those whom a person has taken for new ones. A contact is one person of a webinar, as in the plan: whoever
        shares a phone with another of the same file is not the contact that the import has made for that one.
        """
        undecided = [row for row in rows if not row.said.as_new]
        people = [row.row.person for row in undecided]
        by_mail = self._index.by_mails(mail for person in people for mail in person.mails)
        by_phone = self._index.by_phones(phone for person in people for phone in person.phones)
        if not by_mail and not by_phone:
            return {}
        others = self._repository.contacts(job.id)
        found = Found(ids_of(by_mail, others), ids_of(by_phone, others))
        matches = without_rivals({person.key: match(person, found) for person in people}, people)
        after = {"step": "deal", "state": "ready", "due_at": 0.0, "note": "контакт появился после предпросмотра"}
        known = {row.id: matches[row.row.person.key].contact_id for row in undecided}
        return {row_id: {"contact_id": contact, **after} for row_id, contact in known.items() if contact}

    def _look(self, job: Import, step: str) -> bool:
        rows = self._repository.due(job.id, step, "doubt", BATCH_SIZE)
        bodies, blocked = self._bodies(step, rows)
        bodies |= {row.id: dict(row.sent) for row in rows if row.sent}
        self._delivery.put_off(blocked, is_rest_done=not bodies)
        rows = [row for row in rows if row.id in bodies]
        if not rows:
            return False
        since = job.started_at or 0.0
        lost = {row_id: LostWrite(body, since, self._payloads.user_id) for row_id, body in bodies.items()}
        try:
            found, ambiguous = find_lost(
                self._client, KINDS[step], lost, lambda entity_ids: self._taken(step, entity_ids)
            )
        except CrmTemporary:
            self._delivery.postpone_search(rows)
            raise
        log.info("looked for lost answers", kind=KINDS[step], found=len(found), missing=len(rows) - len(found))
        # Of an import that is being taken back nothing more is made.
        state = "ready" if job.state == "running" else "skipped"
        with self._store.write() as connection:
            self._settled(job, step, rows, bodies)(connection, found)
            for row_id, ids in ambiguous.items():
                note = (
                    f"ответ потерян; похожее есть, но люди его изменили (номера {', '.join(map(str, ids))}): проверьте"
                )
                self._repository.mark(connection, [row_id], state="failed", note=note)
            missing = [row.id for row in rows if row.id not in found and row.id not in ambiguous]
            self._repository.mark(connection, missing, state=state, due_at=0.0)
        return True

    def _bodies(self, step: str, rows: Sequence[ImportRow]) -> tuple[dict[int, dict[str, Any]], dict[int, UnknownName]]:
        """(amoCRM's objects, rows that name something that the account has lost)."""
        bodies: dict[int, dict[str, Any]] = {}
        blocked: dict[int, UnknownName] = {}
        for row in rows:
            try:
                if step == "person":
                    bodies[row.id] = self._payloads.contact(row.row)
                elif row.contact_id is not None:
                    bodies[row.id] = self._payloads.deal(row.row, row.contact_id)
            except UnknownName as error:
                blocked[row.id] = error
        return bodies, blocked

    def _settled(self, job: Import, step: str, rows: Sequence[ImportRow], bodies: Bodies) -> OnWritten:
        by_id = {row.id: row for row in rows}

        def people(connection: Connection, written: Mapping[int, Written]) -> None:
            after = {"step": "deal", "state": "ready"} if job.state == "running" else {"state": "skipped"}
            made = {"made_contact": 1, "due_at": 0.0, **after}
            told = {row_id: {"contact_id": contact.id, **made} for row_id, contact in written.items()}
            self._repository.mark_each(connection, told)
            indexed = [_indexed(by_id[row_id], contact.id) for row_id, contact in written.items()]
            self._index.put(connection, indexed, self._after_write.now())

        def deals(connection: Connection, written: Mapping[int, Written]) -> None:
            links, changes = [], {}
            for row_id, deal in written.items():
                row = by_id[row_id]
                undo = {"step": first_of_undo(row), "state": "ready"}
                after = {"state": "done"} if job.state == "running" else undo
                changes[row_id] = {"deal_id": deal.id, "due_at": 0.0, **after}
                links.append((row.contact_id or 0, deal.id))
            self._repository.mark_each(connection, changes)
            done = [Done(by_id[row_id], bodies[row_id], deal) for row_id, deal in written.items()]
            self._after_write.made(connection, job, done)
            self._index.link(connection, links, self._after_write.now())

        return people if step == "person" else deals

    def _taken(self, step: str, entity_ids: Iterable[int]) -> set[int]:
        """Which of these are known to belong to other rows."""
        column = import_rows.c.contact_id if step == "person" else import_rows.c.deal_id
        found: set[int] = set()
        with self._store.read() as connection:
            for chunk in chunks(sorted(set(entity_ids))):
                query = select(column).where(self._store.owns(import_rows), column.in_(chunk))
                found |= set(connection.execute(query).scalars())
        return found


def _indexed(row: ImportRow, contact_id: int) -> MirroredContact:
    """So that the next import knows the person before amoCRM's webhook arrives."""
    person = row.row.person
    return MirroredContact.of(
        ContactRecord(id=contact_id, name=person.name, phones=person.phones, emails=person.mails)
    )  # fmt: skip


# --- undo -------------------------------------------------------------------------------------------------------------

CONTACT_STAYS = "контакт остался: удалить его через API нельзя"


class UndoStep:
    """Takes an import back. amoCRM's API can't delete deals: created ones are closed, with a reason and a tag.

    What a person has changed since then stays, and the row's note says so.
    """

    def __init__(
        self,
        repository: ImportRepository,
        delivery: RowDelivery,
        after_write: AfterWrite,
        client: CrmClient,
        drafts: DraftService,
    ) -> None:
        self._repository = repository
        self._delivery = delivery
        self._after_write = after_write
        self._client = client
        self._account = drafts.account
        self._options = drafts.options
        self._loader = drafts.loader
        reason = drafts.options.undo_reason
        self._reason = self._account.loss_reason(reason) if reason else None

    def look(self, job: Import) -> bool:
        """Return rows in doubt to ``ready``: a patch says what is to be, so a lost one is judged anew."""
        return self._repository.again(job.id, "undo")

    def step(self, job: Import) -> bool:
        """One request's worth of rows."""
        rows = self._repository.due(job.id, "undo", "ready", BATCH_SIZE)
        if not rows:
            return False
        wanted = [row.deal_id for row in rows if row.deal_id]
        fresh = deals_by_ids(self._client, wanted, filter_enabled=self._account.is_api_filter_enabled)
        bodies: dict[int, dict[str, Any]] = {}
        notes: dict[int, str] = {}
        kept: dict[int, dict[str, Any]] = {}
        with self._repository.writing() as connection:
            for row in rows:
                body, note = self._back(row, fresh.get(row.deal_id or 0))
                if row.contact_was is not None:
                    # The step before has noted what could not be taken off the contact.
                    note = "; ".join(filter(None, (row.note, note)))
                notes[row.id] = note
                if len(body) > 1:
                    bodies[row.id] = body
                else:
                    kept[row.id] = {"state": "kept" if note else "undone", "note": note}
            self._repository.mark_each(connection, kept)
        self._delivery.send("patch_deal", bodies, self._settled(job, rows, bodies, notes))
        return True

    def _back(self, row: ImportRow, record: DealRecord | None) -> tuple[dict[str, Any], str]:
        """(patch, what can't be taken back)."""
        if record is None:
            return {}, "сделки больше нет в amoCRM"
        return self._close(row, record) if row.before is None else self._restore(row.before, record)

    def _close(self, row: ImportRow, record: DealRecord) -> tuple[dict[str, Any], str]:
        """A deal that the import created: closed, unless somebody has begun to work with it."""
        made_on = self._account.stage(row.row.to_stage or "")
        if record.status_id == LOST and self._options.undo_tag in record.tags:
            return {}, ""
        if (record.pipeline_id, record.status_id) != made_on.key:
            stage = self._account.stage_of(record.pipeline_id, record.status_id)
            return {}, f"сделку уже перевели на «{stage.name}»"
        if record.responsible_user_id != self._loader:
            name = next((user.name for user in self._account.users if user.id == record.responsible_user_id), "другой")
            return {}, f"сделку уже взял {name}"
        body: dict[str, Any] = {
            "id": record.id, "pipeline_id": record.pipeline_id, "status_id": LOST,
            "tags_to_add": [{"name": self._options.undo_tag}],
        }  # fmt: skip
        if self._reason:
            body["loss_reason_id"] = self._reason.id
        return body, CONTACT_STAYS if row.made_contact else ""

    def _restore(self, before: Mapping[str, Any], record: DealRecord) -> tuple[dict[str, Any], str]:
        """A deal that the import changed: each change that still stands is rolled back."""
        body: dict[str, Any] = {"id": record.id}
        changed = []
        fields = []
        for number, wrote in before["wrote"].items():
            current = [str(value) for value in record.fields.get(int(number), ())]
            old = before["fields"][number]
            if current == [str(value) for value in wrote]:
                fields.append({"field_id": int(number), "values": [{"value": value} for value in old] or None})
            elif current != [str(value) for value in old]:
                changed.append(f"поле «{self._field(int(number))}» изменили после загрузки")
        if fields:
            body["custom_fields_values"] = fields
        if tags := [tag for tag in before["tags"] if tag in record.tags]:
            body["tags_to_delete"] = [{"name": tag} for tag in tags]
        if before["moved"]:
            stage = [record.pipeline_id, record.status_id]
            if stage == before["moved"]:
                body |= {"pipeline_id": before["stage"][0], "status_id": before["stage"][1]}
            elif stage != before["stage"]:
                changed.append(f"сделку уже перевели на «{self._account.stage_of(*stage).name}»")
        return body, "; ".join(changed)

    def _field(self, number: int) -> str:
        return next((field.name for field in self._account.fields() if field.id == number), str(number))

    def _settled(
        self,
        job: Import,
        rows: Sequence[ImportRow],
        bodies: Bodies,
        notes: Mapping[int, str],
    ) -> OnWritten:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            self._repository.mark_each(
                connection, {row_id: {"state": "undone", "note": notes[row_id]} for row_id in written}
            )
            done = [Done(by_id[row_id], bodies[row_id], deal) for row_id, deal in written.items()]
            self._after_write.undone(connection, job, done, self._reason)

        return settled
