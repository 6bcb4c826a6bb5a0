"""Batched writes into amoCRM: one table of their kinds.

amoCRM takes arrays of up to 250 objects and answers with ids only (amoCRM docs, leads-api, tasks-api,
events-and-notes). ``request_id`` is echoed, so an answer finds its object whatever the order; answers to PATCH carry
the object's id. amoCRM has no idempotency keys: a write whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from amo_bridge.crm.client import BATCH_SIZE, CrmClient
from amo_bridge.crm.lost_writes import (
    Bodies,
    Body,
    FindLost,
    LostSearch,
    LostWrites,
    Row,
    Taken,
    Written,
    find_attached_files,
    find_calls,
    find_client_deals,
    find_links,
    find_new_contacts,
    find_new_deals,
    find_notes_of,
    find_patched,
    find_tasks,
    find_unlinked,
    find_unsorted,
    moment_of,
    written_unsorted,
)
from amo_bridge.crm.records import embedded, identifier
from amo_bridge.errors import Complaint, CrmError, CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain
from amo_bridge.lazy.dataclasses import dataclass

CrmKind = Literal[
    "create_task", "change_task", "patch_deal", "add_note", "create_deal", "create_contact", "patch_contact",
    "link_contact", "unlink_contact", "attach_files", "create_client_deal", "create_unsorted", "add_call",
]  # fmt: skip
"""Names of the kinds. They stand in the outbox: never rename one."""


def with_request_ids(bodies: Bodies) -> list[Body]:
    """The objects, each with our number for the answer to repeat."""
    return [{**body, "request_id": str(number)} for number, body in bodies.items()]


@dataclass(frozen=True, kw_only=True)
class WriteKind:
    """All that the bridge knows of a kind of write; a new kind is a row of ``WRITE_KINDS``.

    ``path`` may name keys of the body ({entity_id}) if ``batch_size`` is 1. ``collection``: the key under
    ``_embedded`` of the answer; None: the answer names no objects, and what was written is the body's ``entity_id``.
    ``read_answer``: an answer of another form. ``find_lost``: which of these writes are there. ``appends``: adds
    something to a deal, so that several for one deal may stand in one request. ``creates``: the entity that comes into
    being. ``wire_body``: what the request holds.
    """

    name: CrmKind
    method: Literal["POST", "PATCH", "PUT"]
    path: str
    collection: str | None
    find_lost: FindLost
    batch_size: int = BATCH_SIZE
    appends: bool = False
    creates: Literal["task", "note", "deal", "contact"] | None = None
    wire_body: Callable[[Bodies], list[Body]] = with_request_ids
    read_answer: Callable[[Bodies, Any], dict[int, Written]] | None = None


# --- sending ----------------------------------------------------------------------------------------------------------


def write(client: CrmClient, kind: str, bodies: Bodies) -> dict[int, Written]:
    """Send objects in one request; what amoCRM answered about each, in their order.

    Raises CrmError. An answer that does not name every object is CrmUncertain: nobody knows what was written.
    """
    row = WRITE_KINDS[kind]
    path = row.path.format_map(next(iter(bodies.values())))
    send = getattr(client, row.method.lower())
    answer = send(path, row.wire_body(bodies)) or {}
    if row.read_answer is None and row.collection is None:
        return {number: Written(int(body["entity_id"])) for number, body in bodies.items()}
    if row.read_answer is not None:
        written = row.read_answer(bodies, answer)
    else:
        written = _by_number(bodies, answer.get("_embedded", {}).get(row.collection, []))
    if set(written) != set(bodies):
        raise CrmUncertain("ответ amoCRM говорит не обо всех объектах запроса", method=row.method, path=path)
    return {number: written[number] for number in bodies}


def _by_number(bodies: Bodies, items: Sequence[Row]) -> dict[int, Written]:
    numbers = list(bodies)
    of_id = {body["id"]: number for number, body in bodies.items() if "id" in body}
    written = {}
    for item in items:
        echoed = str(item.get("request_id", ""))
        number = int(echoed) if echoed.isdigit() else None
        if number not in bodies:
            # Without ``request_id`` of ours amoCRM may answer with the object's place in the request.
            place = numbers[number] if number is not None and number < len(numbers) else None
            number = of_id.get(item.get("id"), place)
        if number is not None:
            written[number] = Written(int(item["id"]), moment_of(item.get("updated_at")))
    return written


@dataclass(frozen=True)
class BatchResult:
    """What came of the objects of one request, by our numbers.

    ``refused``: wrote nothing, never to be sent again; amoCRM's words. ``complaints``: which of their parts it refused,
    if it says so. ``later``: surely not written. ``doubt``: nobody knows. ``error``: why later or doubt.
    """

    written: Mapping[int, Written] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    complaints: Mapping[int, tuple[Complaint, ...]] = field(default_factory=dict)
    later: Sequence[int] = ()
    doubt: Sequence[int] = ()
    error: CrmError | None = None

    @property
    def settled(self) -> int:
        """How many objects need nothing more."""
        return len(self.written) + len(self.refused)


def write_batch(client: CrmClient, kind: str, bodies: Bodies) -> Iterator[BatchResult]:
    """Send objects in one request, in more if amoCRM refuses some: the others are sent again without them.

    Gives a result after each request, to be stored before the next one goes out. Raises CrmStopped after the last
    result when amoCRM wants nothing more from us.
    """
    waiting = [bodies] if bodies else []
    while waiting:
        batch = waiting.pop(0)
        try:
            written = write(client, kind, batch)
        except CrmForbidden as error:
            # A right that is missing for this kind of write: it will be missing again, and other writes go on.
            yield BatchResult(refused=dict.fromkeys(batch, str(error)))
        except CrmStopped as error:
            yield BatchResult(later=[number for unsent in (batch, *waiting) for number in unsent], error=error)
            raise
        except CrmUncertain as error:
            yield BatchResult(doubt=list(batch), error=error)
        except CrmTemporary as error:
            yield BatchResult(later=list(batch), error=error)
        except CrmRefused as error:
            refused, again = _sort_refused(batch, error)
            if refused:
                yield BatchResult(refused=refused, complaints=_bad_parts(list(batch), error))
            waiting[:0] = again
        else:
            yield BatchResult(written=written)


def _sort_refused(batch: Bodies, error: CrmRefused) -> tuple[dict[int, str], list[Bodies]]:
    """(refused objects, what to send again) of a refused request, which wrote nothing. When the answer names no bad
    objects, the batch is halved until they stand alone."""
    refused = _named_bad(list(batch), error)
    numbers = list(batch)
    if not refused and len(batch) > 1:
        middle = len(batch) // 2
        return {}, [{number: batch[number] for number in half} for half in (numbers[:middle], numbers[middle:])]
    refused = refused or dict.fromkeys(numbers, str(error))
    rest = {number: body for number, body in batch.items() if number not in refused}
    return refused, [rest] if rest else []


def _named_bad(numbers: Sequence[int], error: CrmRefused) -> dict[int, str]:
    """The objects that amoCRM named as bad, with its words: by our request_id or, in some of its answers, by their
    place in the request. Empty when it names none."""
    named = _numbers_of(numbers, error.bad_items)
    return {named[name]: words for name, words in error.bad_items.items() if name in named}


def _bad_parts(numbers: Sequence[int], error: CrmRefused) -> dict[int, tuple[Complaint, ...]]:
    named = _numbers_of(numbers, error.complaints)
    return {named[name]: parts for name, parts in error.complaints.items() if name in named}


def _numbers_of(numbers: Sequence[int], names: Iterable[str]) -> dict[str, int]:
    """amoCRM's name of an object in a request → our number of it."""
    by_request_id = {str(number): number for number in numbers}
    by_place = {str(place): number for place, number in enumerate(numbers)}
    return by_request_id if set(names) <= set(by_request_id) else by_place


def find_lost(client: CrmClient, kind: str, lost: LostWrites, taken: Taken) -> LostSearch:
    """Those of the lost writes that are in amoCRM. Raises CrmError if it can't be read."""
    return WRITE_KINDS[kind].find_lost(client, lost, taken)


# --- the table --------------------------------------------------------------------------------------------------------


def _rows_of_links(bodies: Bodies) -> list[Body]:
    """``entity_id`` (the deal), ``to_entity_id``, ``to_entity_type``; this request takes no ``request_id``."""
    return list(bodies.values())


def _rows_of_files(bodies: Bodies) -> list[Body]:
    """Of a body ``entity_id`` (the deal) and ``file_uuids``: the files, since the deal stands in the address."""
    return [{"file_uuid": uuid} for body in bodies.values() for uuid in body["file_uuids"]]


def _written_client_deals(bodies: Bodies, answer: Any) -> dict[int, Written]:
    """A bare array, each with ``request_id`` in a list and the contact's id (amoCRM docs, leads-api)."""
    written = {}
    for place, row in enumerate(answer if isinstance(answer, list) else ()):
        echoed = [str(one) for one in row.get("request_id") or ()]
        number = next((int(one) for one in echoed if one.isdigit() and int(one) in bodies), None)
        if number is None and place < len(bodies):
            number = list(bodies)[place]
        if number is not None and (deal_id := identifier(row.get("id"))):
            written[number] = Written(deal_id, None, identifier(row.get("contact_id")))
    return written


def _unsorted_rows(bodies: Bodies) -> list[Body]:
    """Incoming leads of forms: the deal and its contact with what amoCRM wants to know of the form."""
    return [_unsorted_row(number, body) for number, body in bodies.items()]


def _unsorted_row(number: int, body: Body) -> Body:
    within = body["_embedded"]
    lead = {"name": body["name"], "_embedded": {"tags": within["tags"]}}
    if "custom_fields_values" in body:
        lead["custom_fields_values"] = body["custom_fields_values"]
    return {
        "request_id": str(number),
        "source_uid": body["source_uid"],
        "source_name": body["source_name"],
        "pipeline_id": body["pipeline_id"],
        "created_at": body["sent_at"],
        "metadata": {
            "form_id": body["source_uid"],
            "form_name": body["form_name"],
            "form_page": body["form_page"] or body["form_name"],
            "form_sent_at": body["sent_at"],
        },
        "_embedded": {"leads": [lead], "contacts": within["contacts"]},
    }


def _written_unsorted(bodies: Bodies, answer: Any) -> dict[int, Written]:
    written = {}
    for row in embedded(answer, "unsorted"):
        echoed = str(row.get("request_id", ""))
        if echoed.isdigit() and int(echoed) in bodies and (one := written_unsorted(row)):
            written[int(echoed)] = one
    return written


WRITE_KINDS: Mapping[str, WriteKind] = {
    kind.name: kind
    for kind in (
        WriteKind(
            name="create_task", method="POST", path="/api/v4/tasks", collection="tasks",
            find_lost=find_tasks, appends=True, creates="task",
        ),
        WriteKind(
            name="change_task", method="PATCH", path="/api/v4/tasks", collection="tasks",
            find_lost=find_patched("tasks"),
        ),
        WriteKind(
            name="patch_deal", method="PATCH", path="/api/v4/leads", collection="leads",
            find_lost=find_patched("leads"),
        ),
        WriteKind(
            name="add_note", method="POST", path="/api/v4/leads/notes", collection="notes",
            find_lost=find_notes_of("leads"), appends=True, creates="note",
        ),
        WriteKind(
            name="add_call", method="POST", path="/api/v4/leads/notes", collection="notes",
            find_lost=find_calls, appends=True, creates="note",
        ),
        WriteKind(
            name="create_deal", method="POST", path="/api/v4/leads", collection="leads",
            find_lost=find_new_deals, creates="deal",
        ),
        WriteKind(
            name="create_client_deal", method="POST", path="/api/v4/leads/complex", collection=None,
            find_lost=find_client_deals, creates="deal", batch_size=50, read_answer=_written_client_deals,
        ),
        WriteKind(
            name="create_unsorted", method="POST", path="/api/v4/leads/unsorted/forms", collection=None,
            find_lost=find_unsorted, creates="deal", batch_size=50, wire_body=_unsorted_rows,
            read_answer=_written_unsorted,
        ),
        WriteKind(
            name="create_contact", method="POST", path="/api/v4/contacts", collection="contacts",
            find_lost=find_new_contacts, creates="contact",
        ),
        WriteKind(
            name="patch_contact", method="PATCH", path="/api/v4/contacts", collection="contacts",
            find_lost=find_patched("contacts"),
        ),
        WriteKind(
            name="link_contact", method="POST", path="/api/v4/leads/link", collection=None,
            find_lost=find_links, wire_body=_rows_of_links, appends=True,
        ),
        WriteKind(
            name="unlink_contact", method="POST", path="/api/v4/leads/unlink", collection=None,
            find_lost=find_unlinked, wire_body=_rows_of_links, appends=True,
        ),
        WriteKind(
            name="attach_files", method="PUT", path="/api/v4/leads/{entity_id}/files", collection=None,
            find_lost=find_attached_files, wire_body=_rows_of_files, batch_size=1,
        ),
    )
}  # fmt: skip
