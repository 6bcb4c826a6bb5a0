"""Import and its rows as objects, and the steps from one state of a row to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy import Row as DbRow
from sqlalchemy.engine import Connection

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.tables import import_rows
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.plan import Override, Row, Standing, What

State = Literal["draft", "running", "paused", "done", "undoing", "undone", "dropped"]
STATE_WORDS: Mapping[State, str] = {
    "draft": "черновик", "running": "идёт", "paused": "на паузе", "done": "загружено",
    "undoing": "отменяется", "undone": "отменено", "dropped": "удалено",
}  # fmt: skip
ROW_WORDS: Mapping[str, str] = {
    "planned": "ещё не начато", "ready": "в очереди", "sending": "отправляется", "doubt": "проверяется",
    "done": "сделано", "skipped": "не нужно", "failed": "не вышло", "undone": "отменено", "kept": "не отменено",
    "intact": "возвращать нечего",
}  # fmt: skip
WAITS = "ждёт решения"
WAITING: tuple[Standing, ...] = ("doubtful", "no_minutes")
"""People about whom somebody must decide: who it is, or how long he watched."""
LEFT_OUT: tuple[Standing, ...] = (*WAITING, "no_client", "banned", "skipped")
# Begun, and not taken back.
BEGUN: tuple[State, ...] = ("running", "paused", "done")

_PEOPLE = TypeAdapter(Attendee)
_ROWS = TypeAdapter(Row)
_SAID = TypeAdapter(Override)


@dataclass(frozen=True, kw_only=True)
class Import:
    """One webinar's upload. Times are Unix seconds. ``files``: name, digest, source and remarks of each;
    ``doubts``: what looks odd about them (Russian)."""

    id: int
    state: State
    held_on: date
    title: str
    files: tuple[Mapping[str, Any], ...]
    made_at: float
    made_by: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    trouble: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportRow:
    """A row of an import. ``step``: what is to be done next; ``state``: how far that is; ``before``: the deal as it was
    (for the undo); ``contact_was``: his contact's phones and mails as they were, and what was added to them; ``sent``:
    amoCRM's object as it went out last, if amoCRM refused parts of it; ``note``: what could not be done, in words."""

    id: int
    number: int
    row: Row
    said: Override
    step: str
    state: str
    attempts: int = 0
    contact_id: int | None = None
    deal_id: int | None = None
    made_contact: bool = False
    before: Mapping[str, Any] | None = None
    contact_was: Mapping[str, Any] | None = None
    sent: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def waits(self) -> bool:
        """Nobody could say who this is, or how long he watched: until a person does, nothing is done."""
        return self.row.standing in WAITING

    @property
    def is_left_out(self) -> bool:
        """The import has run, and nothing was done about this person: somebody may still decide otherwise."""
        return self.state == "skipped" and not self.step and self.row.standing in LEFT_OUT

    @property
    def became(self) -> str:
        """What came of it, in words."""
        return WAITS if self.waits and self.state == "skipped" else ROW_WORDS[self.state]


@dataclass(frozen=True)
class Counts:
    """How many rows are so."""

    state: Mapping[str, int] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    interest: Mapping[str, int] = field(default_factory=dict)
    what: Mapping[str, int] = field(default_factory=dict)

    @property
    def all(self) -> int:
        return sum(self.state.values())

    @property
    def waiting(self) -> int:
        """People about whom somebody must decide."""
        return sum(self.standing.get(standing, 0) for standing in WAITING)

    @property
    def settled(self) -> int:
        """Rows about which nothing is left to do."""
        return sum(count for state, count in self.state.items() if state in SETTLED)


SETTLED = ("done", "skipped", "failed", "undone", "kept", "intact")


def person_json(person: Attendee) -> str:
    """A person, for keeping."""
    return _PEOPLE.dump_json(person).decode()


def override_json(said: Override) -> str:
    """What a person decided, for keeping."""
    return _SAID.dump_json(said, exclude_defaults=True).decode()


def override_of(kept: str) -> Override:
    """The decision that ``override_json`` told of. Raises ValueError for one that is none."""
    return _SAID.validate_json(kept)


def planned_json(row: Row) -> str:
    """A plan's row without its person, who is kept beside it."""
    return json.dumps(_ROWS.dump_python(row, mode="json", exclude={"person"}), ensure_ascii=False)


def import_of(row: DbRow[Any]) -> Import:
    """The import of a row of the store."""
    return Import(
        id=row.id,
        state=row.state,
        held_on=date.fromisoformat(row.held_on),
        title=row.title,
        files=tuple(json.loads(row.files)),
        made_at=row.made_at,
        made_by=row.made_by,
        started_at=row.started_at,
        finished_at=row.finished_at,
        trouble=row.trouble,
        doubts=tuple(json.loads(row.doubts)),
    )


_NOTHING_SAID = Override()


def import_row(row: DbRow[Any]) -> ImportRow:
    """The person's row of a row of the store."""
    # Read as one text: pages read hundreds at once.
    planned = f'{{"person":{row.person},{row.planned.lstrip().removeprefix("{")}'
    return ImportRow(
        id=row.id,
        number=row.number,
        row=_ROWS.validate_json(planned),
        said=_NOTHING_SAID if row.said == "{}" else override_of(row.said),
        step=row.step,
        state=row.state,
        attempts=row.attempts,
        contact_id=row.contact_id,
        deal_id=row.deal_id,
        made_contact=bool(row.made_contact),
        before=json.loads(row.before) if row.before else None,
        contact_was=json.loads(row.contact_was) if row.contact_was else None,
        sent=json.loads(row.sent) if row.sent else None,
        note=row.note,
    )


# What follows what in a row: its first step, and where it goes after one.
#
# ::
#
#     contact ─► deal | patch          a known contact, completed, then his deal
#     person ──► deal                  a new one
#     off ─────► undo                  an undo: first the contact, then the deal

FIRST_STEP: Mapping[What, str] = {"create_person": "person", "create_deal": "deal", "update_deal": "patch"}
ADD, TAKE_OFF, UNDO = "contact", "off", "undo"
NOT_BEGUN = "не начато: отмена"
_CREATES = ("create_person", "create_deal")


def first_step(row: Row) -> str:
    """Of somebody for whom something is to be done."""
    return ADD if row.adds else FIRST_STEP[row.what]


def after_adding(row: ImportRow) -> dict[str, Any]:
    """To the row's own first step."""
    return {"step": FIRST_STEP[row.row.what], "state": "ready"}


def after_taking_off(row: ImportRow, note: str) -> dict[str, Any]:
    """To the deal, if the import has made or changed it."""
    if row.deal_id is not None and (row.row.what in _CREATES or row.before is not None):
        return {"step": UNDO, "state": "ready"}
    return {"state": "kept" if note else "undone"}


def with_note(note: str, *more: str) -> str:
    """The note with more, each once."""
    return "; ".join(dict.fromkeys(filter(None, (note, *more))))


def first_of_undo(row: ImportRow) -> str:
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
