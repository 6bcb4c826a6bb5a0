"""amoCRM's list of events, read back and told in our own events: what happened while nobody was listening.

The list is sorted newest first and lags behind writes by seconds (amoCRM docs, events-and-notes). It tells much by ids
alone: the notes and tasks it names are read as well (``event_notes``, ``event_tasks``), but for those whose events are
known already.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.event_notes import CALLS, LETTERS, NOTES, SMS, note_id_of, notes_told
from amo_bridge.crm.event_tasks import DONE, TASKS, tasks_told
from amo_bridge.crm.records import embedded
from amo_bridge.crm.values import ENTITY_TYPES, identifier, integer
from amo_bridge.events import ClientDeleted, ClientUpdated, DealAdded, DealDeleted, DealMoved, Event, MessageReceived

Row = Mapping[str, Any]
Known = Callable[[Sequence[int]], set[int]]
"""Which of these notes are known already."""

# More than this falls back to 50 (amoCRM docs, events-and-notes).
PAGE = 100
DEALS = ("lead_status_changed", "lead_added", "lead_deleted")
CLIENTS = ("contact_deleted", "entity_merged")
CHATS = {"incoming_chat_message": "in", "outgoing_chat_message": "out"}
KINDS = (*DEALS, *CLIENTS, *CHATS, *NOTES, *TASKS)
TOUCHES = ("lead_status_changed", *CHATS, *CALLS, *LETTERS, *SMS, DONE)


def newest_at(client: CrmClient) -> datetime | None:
    """When the account's newest event happened; None in an account where nothing ever did."""
    rows = embedded(client.get("/api/v4/events", {"limit": 1}) or {}, "events")
    return _at(rows[0]) if rows else None


@dataclass(frozen=True)
class Look:
    """What one page of the list told, oldest first. ``rows``: when each of its rows happened, by the row's id.
    ``ends_at``: so many rows are passed now; None: nothing of that time is left."""

    events: list[Event]
    rows: Mapping[str, datetime]
    ends_at: int | None


def look_since(
    client: CrmClient,
    since: datetime,
    *,
    passed: int = 0,
    known_notes: Known = lambda ids: set(),
    seen: Container[str] = (),
) -> Look:
    """What happened since a moment (amoCRM's clock): a page after the first ``passed`` rows, the newest of which are
    the first. Raises CrmError.

    Looks overlap, because the list lags: rows that were ``seen`` cost nothing again. Events of notes that are known
    already may be left out; all others are told again, by keys that make them known.
    """
    start = int(since.timestamp())
    params = {"filter": {"created_at": {"from": start}, "type": ",".join(KINDS)}}
    page = client.page("/api/v4/events", params, "events", passed, PAGE)
    # The filter by time is believed only as far as it holds: older rows end the reading.
    rows: list[Row] = list(takewhile(lambda row: (integer(row.get("created_at")) or 0) >= start, page.rows))
    new = [row for row in rows if str(row.get("id")) not in seen]
    return Look(
        events=_told(client, new, known_notes),
        rows={str(row.get("id")): _at(row) for row in rows},
        ends_at=page.ends_at if len(rows) == len(page.rows) else None,
    )


def touches_before(client: CrmClient, since: datetime, until: datetime) -> tuple[list[Event], datetime | None]:
    """Some of what happened between two moments and may be a touch, the newest of it, oldest first; and until when to
    ask for the rest (None: that was all). Raises CrmError."""
    span = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    params = {"filter": {"created_at": span, "type": ",".join(TOUCHES)}, "limit": PAGE}
    rows = embedded(client.get("/api/v4/events", params) or {}, "events")
    mine = [row for row in rows if since <= _at(row) <= until]
    if len(rows) < PAGE or not mine:
        return _told(client, mine), None
    # A second that holds more than a page can't be read whole.
    return _told(client, mine), min(_at(mine[-1]), until - timedelta(seconds=1))


def _told(client: CrmClient, newest_first: list[Row], known_notes: Known = lambda ids: set()) -> list[Event]:
    rows = newest_first[::-1]
    notes = notes_told(client, rows, known_notes)
    tasks = tasks_told(client, rows)
    found = [
        _own_event(row) or notes.get(note_id_of(row) or 0) or tasks.get(number) for number, row in enumerate(rows)
    ]  # fmt: skip
    return [event for event in found if event is not None]


def _own_event(row: Row) -> Event | None:
    """The event of a row that tells enough by itself."""
    kind, entity_id = row.get("type"), identifier(row.get("entity_id"))
    if entity_id is None:
        return None
    if kind in CHATS:
        return _message(row, entity_id)
    if row.get("entity_type") == "contact" and kind in CLIENTS:
        gone_or_changed = ClientDeleted if kind == "contact_deleted" else ClientUpdated
        return gone_or_changed(kind="contact", client_id=entity_id, raw={"type": kind}, **_common(row))
    return _deal_event(row, entity_id) if row.get("entity_type") == "lead" else None


def _deal_event(row: Row, deal_id: int) -> Event | None:
    kind, common = row["type"], _common(row)
    if kind == "lead_added":
        return DealAdded(deal_id=deal_id, **common)
    if kind == "lead_deleted":
        return DealDeleted(deal_id=deal_id, **common)
    if kind == "lead_status_changed":
        (pipeline, status), (old_pipeline, old_status) = _stage(row, "value_after"), _stage(row, "value_before")
        return DealMoved(
            deal_id=deal_id,
            pipeline_id=pipeline,
            status_id=status,
            old_pipeline_id=old_pipeline,
            old_status_id=old_status,
            **common,
        )
    return None


def _message(row: Row, entity_id: int) -> Event | None:
    """Who said that something was said; the words are in hooks alone (amoCRM docs, chats)."""
    after = (value.get("message") for value in row.get("value_after") or [] if isinstance(value, Mapping))
    told: Row = next((message for message in after if isinstance(message, Mapping)), {})
    if not told.get("id"):
        return None
    kind = ENTITY_TYPES.get(str(row.get("entity_type")))
    return MessageReceived(
        message_id=str(told["id"]),
        direction=CHATS[row["type"]],
        talk_id=identifier(told.get("talk_id")),
        origin=told.get("origin") or None,
        contact_id=entity_id if kind == "contact" else None,
        entity_type=kind,
        entity_id=entity_id,
        **_common(row),
    )


def _common(row: Row) -> dict[str, Any]:
    return {"at": _at(row), "user_id": integer(row.get("created_by")), "caught_up": True}


def _stage(row: Row, side: str) -> tuple[int | None, int | None]:
    for value in row.get(side) or []:
        if isinstance(value, Mapping) and isinstance(status := value.get("lead_status"), Mapping):
            return identifier(status.get("pipeline_id")), identifier(status.get("id"))
    return None, None


def _at(row: Row) -> datetime:
    return datetime.fromtimestamp(integer(row.get("created_at")) or 0, UTC)
