"""Rehearsals that pages ask for, as the store keeps them: asked, running, how far, and what came of it.

A page asks and reads, the leader begins and ends (engine/rehearsal_room.py), a process of its own plays and tells how
far it is (rehearsal/background.py): they meet only here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from amo_bridge.clock import Clock
from amo_bridge.errors import BridgeError
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import rehearsals

State = Literal["asked", "running", "done", "failed", "stopped"]
ACTIVE: tuple[State, ...] = ("asked", "running")
LONGEST = 90
"""Days; the command goes further."""
KEPT = 5


class NotRehearsed(BridgeError):
    """Another one is going on, or there is no such rehearsal; the text says so (Russian)."""


@dataclass(frozen=True)
class Rehearsal:
    """``number``: by which people name it. ``deal_id``: None for all deals. ``progress``: 0 to 1; ``doing``: what it is
    at (Russian). ``trouble``: why it failed (Russian)."""

    number: int
    state: State
    days: int
    deal_id: int | None
    asked_at: datetime
    asked_by: str
    ended_at: datetime | None
    progress: float
    doing: str
    trouble: str

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


class Rehearsals:
    """One account's. Everything raises StoreUnavailable when the store is."""

    def __init__(self, store: Store, account_key: int, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._clock = clock

    def ask(self, days: int, deal_id: int | None, who: str) -> int:
        """Its number. The oldest of many are forgotten. Raises NotRehearsed when one is going on."""
        row = {
            "account": self._key, "state": "asked", "days": days, "deal_id": deal_id, "asked_by": who[:120],
            "asked_at": self._clock.now().timestamp(), "progress": 0.0, "doing": "", "trouble": "",
        }  # fmt: skip
        try:
            with self._store.write() as connection:
                number = connection.execute(insert(rehearsals).values(row).returning(rehearsals.c.id)).scalar_one()
                mine = select(rehearsals.c.id).where(rehearsals.c.account == self._key)
                kept = connection.execute(mine.order_by(rehearsals.c.id.desc()).limit(KEPT)).scalars().all()
                old = (rehearsals.c.account == self._key, rehearsals.c.id.not_in(kept))
                connection.execute(rehearsals.delete().where(*old))
        except IntegrityError as error:
            raise NotRehearsed("репетиция уже идёт: дождитесь её или остановите") from error
        return int(number)

    def stop(self, number: int) -> None:
        """Nobody wants it any more. Raises NotRehearsed when it is over already."""
        if not self._become(number, ACTIVE, state="stopped", **self._ended()):
            raise NotRehearsed("эта репетиция уже кончилась")

    def all(self) -> list[Rehearsal]:
        """The newest first."""
        mine = self._select().order_by(rehearsals.c.id.desc())
        with self._store.read() as connection:
            return [_rehearsal(row) for row in connection.execute(mine)]

    def get(self, number: int) -> Rehearsal:
        """Raises NotRehearsed."""
        with self._store.read() as connection:
            row = connection.execute(self._select().where(rehearsals.c.id == number)).first()
        if row is None:
            raise NotRehearsed(f"репетиции № {number} нет: хранятся последние {KEPT}")
        return _rehearsal(row)

    def deeds(self, number: int) -> list[dict[str, Any]]:
        """What the rules would do, in the order of time: see rehearsal.calendar.Deed.to_json. Nothing of one that is
        not done."""
        mine = (rehearsals.c.account == self._key, rehearsals.c.id == number)
        with self._store.read() as connection:
            told = connection.execute(select(rehearsals.c.deeds).where(*mine)).scalar()
        found: list[dict[str, Any]] = json.loads(told) if told else []
        return found

    def waiting(self) -> Rehearsal | None:
        """The one that is to be begun."""
        with self._store.read() as connection:
            row = connection.execute(self._select().where(rehearsals.c.state == "asked")).first()
        return None if row is None else _rehearsal(row)

    def begin(self, number: int) -> bool:
        """False: it was stopped meanwhile."""
        return self._become(number, ("asked",), state="running")

    def tell(self, number: int, progress: float, doing: str) -> bool:
        """How far it is. False: nobody wants it any more."""
        return self._become(number, ("running",), progress=progress, doing=doing)

    def finish(self, number: int, deeds: Sequence[dict[str, Any]]) -> None:
        """It is done, unless somebody has stopped it."""
        told = json.dumps(list(deeds), ensure_ascii=False)
        self._become(number, ("running",), state="done", progress=1.0, deeds=told, **self._ended())

    def fail(self, number: int, trouble: str) -> bool:
        """It came to nothing. False: it had an end already."""
        return self._become(number, ("running",), state="failed", trouble=trouble, **self._ended())

    def fail_those_left(self, trouble: str) -> None:
        """Whoever played them is no more."""
        left = (rehearsals.c.account == self._key, rehearsals.c.state == "running")
        values = {"state": "failed", "trouble": trouble, **self._ended()}
        with self._store.write() as connection:
            connection.execute(update(rehearsals).where(*left).values(values))

    def _ended(self) -> dict[str, Any]:
        return {"ended_at": self._clock.now().timestamp()}

    def _become(self, number: int, states: Sequence[State], **values: Any) -> bool:
        mine = (rehearsals.c.account == self._key, rehearsals.c.id == number, rehearsals.c.state.in_(states))
        with self._store.write() as connection:
            return bool(connection.execute(update(rehearsals).where(*mine).values(values)).rowcount)

    def _select(self) -> Any:
        shown = [column for column in rehearsals.c if column.name not in ("account", "deeds")]
        return select(*shown).where(rehearsals.c.account == self._key)


def _rehearsal(row: Row[Any]) -> Rehearsal:
    return Rehearsal(
        number=row.id,
        state=row.state,
        days=row.days,
        deal_id=row.deal_id,
        asked_at=datetime.fromtimestamp(row.asked_at, UTC),
        asked_by=row.asked_by,
        ended_at=None if row.ended_at is None else datetime.fromtimestamp(row.ended_at, UTC),
        progress=row.progress,
        doing=row.doing,
        trouble=row.trouble,
    )
