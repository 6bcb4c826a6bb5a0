"""Batched reads by id: deals, contacts, tasks, notes.

Filters on lists of deals and contacts are a paid option which, when it is off, is silently ignored (amoCRM docs,
filters-api; seen in the field). So every row that comes back is checked to be one that was asked for, and what the
filter did not bring is read another way: nothing that exists is ever missing from an answer here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from amo_bridge.crm.client import BATCH_SIZE, CrmClient, batches
from amo_bridge.crm.records import (
    ContactRecord,
    DealRecord,
    NoteRecord,
    TaskRecord,
    api_text,
    embedded,
    identifier,
    row_list,
)
from amo_bridge.logs import log

# An id takes some 30 characters of the address, and servers commonly take 8 KB of it.
IDS_IN_ADDRESS = 200
# So few are cheaper to read one by one than by pages of the list.
MAX_SINGLE_READS = 2
MAX_PAGES = 8

Row = Mapping[str, Any]
Kind = TypeVar("Kind")

# --- entities ---------------------------------------------------------------------------------------------------------


def deals_by_ids(client: CrmClient, ids: Iterable[int], filter_enabled: bool) -> dict[int, DealRecord]:
    """The deals that exist (and that the token's user may see), with contacts and loss reason. Raises CrmError."""
    more = {"with": "contacts,loss_reason"}
    return _records(_by_ids(client, "leads", ids, more, filter_enabled), DealRecord.from_api)


def contacts_by_ids(client: CrmClient, ids: Iterable[int], filter_enabled: bool) -> dict[int, ContactRecord]:
    """The contacts that exist, with their deals' ids. Raises CrmError."""
    return _records(_by_ids(client, "contacts", ids, {"with": "leads"}, filter_enabled), ContactRecord.from_api)


def companies_by_ids(client: CrmClient, ids: Iterable[int], filter_enabled: bool) -> dict[int, ContactRecord]:
    """The companies that exist, as contacts: they have the same parts but first and last name. Raises CrmError."""
    return _records(_by_ids(client, "companies", ids, {}, filter_enabled), ContactRecord.from_api)


def contact_lines(
    client: CrmClient, ids: Iterable[int], filter_enabled: bool
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """The contacts that exist: contact id → PHONE and EMAIL → the lines of that field, in the form in which amoCRM
    takes them back. A patch replaces a field as a whole, so what is to stay is sent along. Raises CrmError."""
    found = _by_ids(client, "contacts", ids, {}, filter_enabled)
    return {number: {code: _lines(row, code) for code in ("PHONE", "EMAIL")} for number, row in found.items()}


def tasks_by_ids(client: CrmClient, ids: Iterable[int]) -> dict[int, TaskRecord]:
    """The tasks that exist, open or not; filters of tasks are not a paid option. Raises CrmError."""
    return _records(_by_ids(client, "tasks", ids, {}, True), TaskRecord.from_api)


def tasks_of_deals(
    client: CrmClient, deal_ids: Iterable[int], *, are_completed: bool
) -> dict[int, tuple[TaskRecord, ...]]:
    """The open (or the finished) tasks on the cards of deals: deal id → its tasks, the most urgent first. Raises
    CrmError."""
    return _tasks_on(client, "leads", deal_ids, are_completed=are_completed)


def open_tasks_of_contacts(client: CrmClient, contact_ids: Iterable[int]) -> dict[int, tuple[TaskRecord, ...]]:
    """The open tasks on the cards of contacts, as ``tasks_of_deals``. Raises CrmError."""
    return _tasks_on(client, "contacts", contact_ids, are_completed=False)


def _tasks_on(
    client: CrmClient, kind: str, ids: Iterable[int], *, are_completed: bool
) -> dict[int, tuple[TaskRecord, ...]]:
    wanted = sorted(set(ids))
    tasks: dict[int, TaskRecord] = {}
    for chunk in batches(wanted, IDS_IN_ADDRESS):
        query = {"filter": {"entity_type": kind, "entity_id": chunk, "is_completed": are_completed}}
        tasks |= _records(_keyed(client.pages("/api/v4/tasks", query, "tasks")), TaskRecord.from_api)
    found: dict[int, list[TaskRecord]] = {card_id: [] for card_id in wanted}
    for task in sorted(tasks.values(), key=lambda task: (task.complete_till, task.id)):
        if task.entity_type == kind and task.entity_id in found and task.is_completed == are_completed:
            found[task.entity_id].append(task)
    return {card_id: tuple(own) for card_id, own in found.items()}


def notes_of(client: CrmClient, kind: str, ids: Iterable[int], types: Iterable[str]) -> list[NoteRecord]:
    """The notes of these types on the cards of a kind (leads, contacts, companies), oldest first. Raises CrmError."""
    wanted, kinds = set(ids), tuple(types)
    notes: dict[int, NoteRecord] = {}
    for chunk in batches(sorted(wanted), IDS_IN_ADDRESS):
        query = {"filter": {"entity_id": chunk, "note_type": kinds}}
        notes |= _records(_keyed(client.pages(f"/api/v4/{kind}/notes", query, "notes")), NoteRecord.from_api)
    found = [note for note in notes.values() if note.entity_id in wanted and note.note_type in kinds]
    return sorted(found, key=lambda note: (note.created_at, note.id))


def notes_by_ids(client: CrmClient, kind: str, ids: Iterable[int]) -> dict[int, NoteRecord]:
    """The notes that exist, of cards of a kind (leads, contacts, companies). Raises CrmError."""
    wanted = set(ids)
    notes: dict[int, NoteRecord] = {}
    for chunk in batches(sorted(wanted), IDS_IN_ADDRESS):
        rows = _keyed(client.pages(f"/api/v4/{kind}/notes", {"filter": {"id": chunk}}, "notes"))
        notes |= _records({number: row for number, row in rows.items() if number in wanted}, NoteRecord.from_api)
    return notes


def _by_ids(client: CrmClient, kind: str, ids: Iterable[int], more: Row, filter_enabled: bool) -> dict[int, Row]:
    missing = set(ids)
    found: dict[int, Row] = {}
    filter_works = filter_enabled and len(missing) > 1
    for chunk in batches(sorted(missing), IDS_IN_ADDRESS) if filter_works else ():
        rows, filter_works = _filtered(client, kind, chunk, more)
        found |= rows
        if not filter_works:
            log.warning("amoCRM ignored a filter", list=kind)
            break
    missing -= found.keys()
    if not filter_works and len(missing) > MAX_SINGLE_READS:
        found |= _among_newest(client, kind, missing, more)
        missing -= found.keys()
    for number in sorted(missing):
        row = client.get(f"/api/v4/{kind}/{number}", more)
        if row is not None:
            found[number] = row
    return found


def _filtered(client: CrmClient, kind: str, chunk: Sequence[int], more: Row) -> tuple[dict[int, Row], bool]:
    """The rows of a filtered list, and whether the filter worked: one row that was not asked for says no."""
    found: dict[int, Row] = {}
    for row in client.pages(f"/api/v4/{kind}", {"filter": {"id": chunk}, **more}, kind):
        number = identifier(row.get("id"))
        if number is None or number not in chunk:
            return found, False
        found[number] = row
    return found, True


def _among_newest(client: CrmClient, kind: str, wanted: set[int], more: Row) -> dict[int, Row]:
    """Rows from the top of the list, page by page as long as that brings some: most were changed just now."""
    found: dict[int, Row] = {}
    for number in range(1, MAX_PAGES + 1):
        page = {"order": {"updated_at": "desc"}, "page": number, "limit": BATCH_SIZE, **more}
        rows = embedded(client.get(f"/api/v4/{kind}", page) or {}, kind)
        new = {key: row for key, row in _keyed(rows).items() if key in wanted and key not in found}
        found |= new
        if not new or len(rows) < BATCH_SIZE or len(wanted) - len(found) <= MAX_SINGLE_READS:
            break
    return found


def _lines(row: Row, code: str) -> list[dict[str, Any]]:
    fields = (field for field in row_list(row.get("custom_fields_values")) if field.get("field_code") == code)
    return [_line(value) for field in fields for value in row_list(field.get("values"))]


def _line(value: Row) -> dict[str, Any]:
    kind = next((key for key in ("enum_code", "enum_id") if value.get(key) is not None), None)
    return {"value": api_text(value.get("value")), **({kind: value[kind]} if kind else {})}


def _keyed(rows: Iterable[Row]) -> dict[int, Row]:
    return {number: row for row in rows if (number := identifier(row.get("id"))) is not None}


def _records(rows: Mapping[int, Row], make: Callable[[Row], Kind]) -> dict[int, Kind]:
    return {number: make(row) for number, row in rows.items()}
