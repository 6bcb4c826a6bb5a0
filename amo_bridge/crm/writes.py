"""Writing into amoCRM in batches: which request each kind of effect is, and how its answer is read.

amoCRM takes arrays of up to 250 objects and answers with ids only (amoCRM docs, leads-api, tasks-api,
events-and-notes). ``request_id`` is echoed, so an answer finds its object whatever the order; PATCH answers carry the
id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.link_writes import attach_files, link_contacts
from amo_bridge.errors import CrmRefused, CrmUncertain


@dataclass(frozen=True)
class Request:
    """One kind of write. ``name``: the key under ``_embedded``; ``most``: objects in one request."""

    method: Literal["post", "patch"]
    path: str
    name: str
    most: int = 250


REQUESTS: Mapping[str, Request] = {
    "create_task": Request("post", "/api/v4/tasks", "tasks"),
    "change_task": Request("patch", "/api/v4/tasks", "tasks"),
    "patch_deal": Request("patch", "/api/v4/leads", "leads"),
    "add_note": Request("post", "/api/v4/leads/notes", "notes"),
    "create_deal": Request("post", "/api/v4/leads", "leads"),
    "create_contact": Request("post", "/api/v4/contacts", "contacts"),
    "patch_contact": Request("patch", "/api/v4/contacts", "contacts"),
}
LINKING: Mapping[str, Callable[[CrmClient, Mapping[str, Mapping[str, Any]]], Mapping[str, int]]] = {
    "link_contact": link_contacts,
    "attach_files": attach_files,
}
"""Kinds whose requests and answers look otherwise; their objects have no ids of their own."""


def most_of(kind: str) -> int:
    """How many objects of this kind one request may hold."""
    if kind == "attach_files":
        return 1
    return REQUESTS[kind].most if kind in REQUESTS else 250


@dataclass(frozen=True)
class Written:
    """What amoCRM said of one object: its id, and when it changed (PATCH only)."""

    id: int
    updated_at: datetime | None = None


def write(client: CrmClient, kind: str, objects: Mapping[str, Mapping[str, Any]]) -> dict[str, Written]:
    """Send objects (our mark → body) in one request; our mark → what amoCRM said.

    Raises CrmError. An answer that does not speak of every object is CrmUncertain: nobody knows what was written.
    """
    if kind in LINKING:
        return {mark: Written(deal_id) for mark, deal_id in LINKING[kind](client, objects).items()}
    request = REQUESTS[kind]
    bodies = [{**body, "request_id": mark} for mark, body in objects.items()]
    send = client.post if request.method == "post" else client.patch
    answer = send(request.path, bodies) or {}
    items = answer.get("_embedded", {}).get(request.name, [])
    written = _by_mark(objects, items)
    if set(written) != set(objects):
        raise CrmUncertain(
            "ответ amoCRM говорит не обо всех объектах запроса", method=request.method, path=request.path
        )
    return written


def _by_mark(objects: Mapping[str, Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> dict[str, Written]:
    marks = list(objects)
    by_id = {body["id"]: mark for mark, body in objects.items() if "id" in body}
    found = {}
    for item in items:
        mark = str(item.get("request_id", ""))
        if mark not in objects:
            mark = by_id.get(item.get("id"), marks[int(mark)] if mark.isdigit() and int(mark) < len(marks) else "")
        if mark:
            at = item.get("updated_at")
            found[mark] = Written(int(item["id"]), datetime.fromtimestamp(at, UTC) if at else None)
    return found


def named_bad(marks: Sequence[str], error: CrmRefused) -> dict[str, str]:
    """Which objects of a refused request amoCRM named: mark → its words. It names them by our request_id or, in some of
    its answers, by their place in the request; empty when it names none."""
    by_place = {str(place): mark for place, mark in enumerate(marks)}
    known = {mark: mark for mark in marks} if set(error.bad_items) <= set(marks) else by_place
    return {known[mark]: words for mark, words in error.bad_items.items() if mark in known}
