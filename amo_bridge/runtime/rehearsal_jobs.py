"""Rehearsals asked for by pages: kept in the store, run by the leader in a process of their own.

A page asks and reads, the leader begins and ends (runtime/rehearsal_jobs.py), a process of its own plays and tells how
far it is (rehearsal/background.py): they meet only here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import OURS
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

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def ask(self, days: int, deal_id: int | None, who: str) -> int:
        """Its number. The oldest of many are forgotten. Raises NotRehearsed when one is going on."""
        row = {
            "account": self._store.account_id, "state": "asked", "days": days, "deal_id": deal_id,
            "asked_by": who[:120], "asked_at": self._clock.now().timestamp(),
            "progress": 0.0, "doing": "", "trouble": "",
        }  # fmt: skip
        try:
            with self._store.write() as connection:
                number = connection.execute(insert(rehearsals).values(row).returning(rehearsals.c.id)).scalar_one()
                mine = select(rehearsals.c.id).where(self._store.owns(rehearsals))
                kept = connection.execute(mine.order_by(rehearsals.c.id.desc()).limit(KEPT)).scalars().all()
                old = (self._store.owns(rehearsals), rehearsals.c.id.not_in(kept))
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

    def actions(self, number: int) -> list[dict[str, Any]]:
        """What the rules would do, in the order of time: see rehearsal.calendar.Deed.to_json. Nothing of one that is
        not done."""
        mine = (self._store.owns(rehearsals), rehearsals.c.id == number)
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
        left = (self._store.owns(rehearsals), rehearsals.c.state == "running")
        values = {"state": "failed", "trouble": trouble, **self._ended()}
        with self._store.write() as connection:
            connection.execute(update(rehearsals).where(*left).values(values))

    def _ended(self) -> dict[str, Any]:
        return {"ended_at": self._clock.now().timestamp()}

    def _become(self, number: int, states: Sequence[State], **values: Any) -> bool:
        mine = (self._store.owns(rehearsals), rehearsals.c.id == number, rehearsals.c.state.in_(states))
        with self._store.write() as connection:
            return bool(connection.execute(update(rehearsals).where(*mine).values(values)).rowcount)

    def _select(self) -> Any:
        shown = [column for column in rehearsals.c if column.name not in ("account", "deeds")]
        return select(*shown).where(self._store.owns(rehearsals))


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


# The leader's side of rehearsals that pages ask for: one at a time, each in a process of its own.
#
# A rehearsal reads the whole account and computes for minutes: beside the thread that answers amoCRM's hooks that would
# cost hooks. The process is of low priority, has a limit of memory and of time, and ends when the bridge does.

PLAYER = "amo_bridge.rehearsal.background"
MOST_SECONDS = 20 * 60
TOO_LONG = (
    f"не уложилась в {MOST_SECONDS // 60} минут: возьмите меньше дней или одну сделку, "
    "а весь аккаунт репетируйте командой amo-bridge rehearse"
)
BROKEN_OFF = "прервана: мост перезапустили или изменили настройку; начните заново"
DIED = "сорвалась: процесс репетиции умер (причина — в его журнале); возьмите меньше дней или одну сделку"
# Of several accounts in this process one rehearses, the others wait.
_room = threading.Lock()


class RehearsalRunner:
    """``look`` is the leader's job: begin what is asked for, end what is over. ``leave`` when the leading ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._playing: _Playing | None = None

    def enter(self, book: Rehearsals, config: Config) -> None:
        """A term of leading begins: what another one was playing is lost. Raises StoreUnavailable."""
        self._book, self._config = book, config
        book.fail_those_left(BROKEN_OFF)

    def look(self) -> None:
        """Raises StoreUnavailable; the next look goes on."""
        if self._playing is not None:
            self._see_to(self._playing)
        elif (asked := self._book.waiting()) is not None and _room.acquire(blocking=False):
            self._playing = _Playing(asked.number, self._config, self._environment)
            if self._book.begin(asked.number):
                self._playing.start()
            else:
                self._end()

    def leave(self) -> None:
        """Whatever is played is broken off; the next term says so."""
        if self._playing is not None:
            self._end()

    def _see_to(self, playing: _Playing) -> None:
        state: State = self._book.get(playing.number).state
        if playing.is_over:
            self._book.fail(playing.number, DIED)
        elif playing.seconds > MOST_SECONDS:
            self._book.fail(playing.number, TOO_LONG)
        elif state == "running":
            return
        self._end()

    def _end(self) -> None:
        playing, self._playing = self._playing, None
        try:
            if playing is not None:
                playing.end()
        finally:
            _room.release()


class _Playing:
    """The process that plays one rehearsal. It watches its stdin: when that is closed, it ends."""

    def __init__(self, number: int, config: Config, environment: Mapping[str, str]) -> None:
        self.number = number
        self._config = config
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began_at = monotonic()

    def start(self) -> None:
        """The account and the store are those of this bridge, whatever the config's file says by now."""
        config = self._config
        # Of several accounts in this process each has an environment of its own: another one's token is not its token.
        machine = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        told = {
            **machine, **self._environment, "AMO_BRIDGE_ACCOUNT_URL": config.account.url,
            "AMO_BRIDGE_DATA": str(config.data_folder), "AMO_BRIDGE_DATABASE": config.bridge.database,
        }  # fmt: skip
        command = [sys.executable, "-m", PLAYER, str(config.path), str(self.number)]
        self._process = subprocess.Popen(command, env=told, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        log.info("rehearsal begins", number=self.number)

    @property
    def is_over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def seconds(self) -> float:
        return monotonic() - self._began_at

    def end(self) -> None:
        """It has ended, or is made to."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        log.info("rehearsal ended", number=self.number)
