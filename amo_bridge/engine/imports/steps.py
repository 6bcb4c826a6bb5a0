"""What follows what in a row: its first step, and where it goes after one.

::

    contact ─► deal | patch          a known contact, completed, then his deal
    person ──► deal                  a new one
    off ─────► undo                  an undo: first the contact, then the deal
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.engine import Connection

from amo_bridge.engine.imports.records import Kept
from amo_bridge.storage.tables import import_rows
from amo_bridge.webinars.plan import Row, What

FIRST_STEP: Mapping[What, str] = {"create_person": "person", "create_deal": "deal", "update_deal": "patch"}
ADD, TAKE_OFF, UNDO = "contact", "off", "undo"
NOT_BEGUN = "не начато: отмена"
_CREATES = ("create_person", "create_deal")


def first_step(row: Row) -> str:
    """Of somebody for whom something is to be done."""
    return ADD if row.adds else FIRST_STEP[row.what]


def after_adding(row: Kept) -> dict[str, Any]:
    """To the row's own first step."""
    return {"step": FIRST_STEP[row.row.what], "state": "ready"}


def after_taking_off(row: Kept, note: str) -> dict[str, Any]:
    """To the deal, if the import has made or changed it."""
    if row.deal_id is not None and (row.row.what in _CREATES or row.before is not None):
        return {"step": UNDO, "state": "ready"}
    return {"state": "kept" if note else "undone"}


def first_of_undo(row: Kept) -> str:
    return TAKE_OFF if row.contact_was is not None else UNDO


def _has_touched_deal() -> ColumnElement[bool]:
    return or_(import_rows.c.what.in_(_CREATES), import_rows.c.before.is_not(None))


def wrote() -> ColumnElement[bool]:
    """Of a row that is done: was anything written into amoCRM for it, or was all so already?"""
    return or_(_has_touched_deal(), import_rows.c.contact_was.is_not(None))


def begin_undo(connection: Connection, account: int, number: int) -> bool:
    """Set out to be undone all that is written by now, and nothing else is begun; was there any? Done again before an
    undo ends: a request may have been on its way when it began."""
    rows = import_rows.c
    mine = (rows.account == account, rows.import_id == number, rows.step.not_in((TAKE_OFF, UNDO)))
    settled = rows.state.in_(("ready", "done", "skipped", "failed"))
    lost_patch = and_(rows.step.in_((ADD, "patch")), rows.state == "doubt")
    touched = _has_touched_deal() & rows.deal_id.is_not(None)

    def change(which: ColumnElement[bool], **values: Any) -> int:
        return connection.execute(update(import_rows).where(*mine, which).values(**values)).rowcount

    return any([
        change(rows.contact_was.is_not(None) & (settled | lost_patch), step=TAKE_OFF, state="ready", due_at=0.0),
        change(touched & ((rows.state == "done") | lost_patch), step=UNDO, state="ready", due_at=0.0),
        change((rows.state == "ready") | lost_patch, state="skipped", note=NOT_BEGUN),
        change((rows.state == "done") & ~wrote(), state="intact"),
    ])  # fmt: skip
