"""Office life beside the acts: fresh cards edited, a stage renamed, a manager gone, the store put back from a copy.

Each changes the account and the model alike, so that what must come of it is known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import metadata
from bench.account import NEW_STAGE_NAME, Row, Snapshot, links_of
from bench.expected import HEAD, POSTPONED, ExpectedTask
from bench.people import Life, People, working
from bench.processes import CHAOS_RULES, Sandbox, run_command

WHO_LEAVES = "Мария Кузнецова"
# How long after it was made a card counts as fresh: until a write whose answer was lost has been looked for.
FRESH_SECONDS = 15
NEW_DUE = timedelta(days=3)


@dataclass
class Meddler:
    """Somebody who edits what the bridge has just written, before it has looked for a lost answer. ``edits``: how
    many there were of each kind."""

    sandbox: Sandbox
    people: People
    rng: random.Random
    edits: dict[str, int] = field(default_factory=dict)
    _edited: set[int] = field(default_factory=set)

    def edit(self, lives: Sequence[Life], snapshot: Snapshot, gone: set[str]) -> None:
        """Perhaps edit a fresh task or a fresh new deal of one of these lives."""
        now = self.people.now().timestamp()
        for life in lives:
            for task in self._fresh(snapshot.tasks.get(life.deal, ()), now):
                known = [one for one in life.expected.tasks if _is_same(one, task)]
                if len(known) == 1 and known[0].due is None and not known[0].explains:
                    self._edit_task(life, task, known[0], gone)
                    return
            routed = (row for row in snapshot.deals.values() if life.deal in links_of(row, self.people))
            for deal in self._fresh([row for row in routed if row["id"] > life.deal], now):
                self._edit_deal(deal, gone)
                return

    def _fresh(self, rows: Sequence[Row], now: float) -> list[Row]:
        """Nobody but the bridge makes tasks and deals there."""
        return [
            row
            for row in rows
            if now - row["created_at"] <= FRESH_SECONDS
            and row["id"] not in self._edited
            and not row.get("is_completed")
        ]

    def _edit_task(self, life: Life, task: Row, known: ExpectedTask, gone: set[str]) -> None:
        edit = self.rng.choice(("date", "person", "text", "all"))
        changed: dict[str, Any] = {}
        if edit in ("date", "all"):
            changed["complete_till"] = int((self.people.now() + NEW_DUE).timestamp())
        if edit in ("person", "all"):
            known.who = self.rng.choice([name for name in (*working(gone), HEAD) if name != known.who])
            changed["responsible_user_id"] = self.people.users[known.who]
        if edit in ("text", "all"):
            known.text = changed["text"] = f"{known.text} (срочно)"
        self._edited.add(task["id"])
        self.people.change_task(HEAD, task["id"], **changed)
        life.history.append(f"правка свежей задачи {task['id']}: {edit}")
        self._count(f"task: {edit}")

    def _edit_deal(self, deal: Row, gone: set[str]) -> None:
        edit = self.rng.choice(("name", "person"))
        body: dict[str, Any] = {"name": f"{deal['name']} (возврат)"}
        if edit == "person":
            body = {"responsible_user_id": self.people.users[self.rng.choice(working(gone))]}
        self._edited.add(deal["id"])
        self.people.change(HEAD, deal["id"], body)
        self._count(f"deal: {edit}")

    def _count(self, edit: str) -> None:
        self.edits[edit] = self.edits.get(edit, 0) + 1


def _is_same(known: ExpectedTask, task: Row) -> bool:
    return not known.is_completed and known.text == task["text"]


def rename_stage(people: People) -> None:
    pipeline, status = people.stages[POSTPONED]
    people.rename_stage(HEAD, pipeline, status, NEW_STAGE_NAME)


def switch_off(sandbox: Sandbox, people: People, gone: set[str]) -> None:
    """A manager leaves: the account takes nothing for her any more."""
    users = people.users
    sandbox.control("POST", "ui/deactivate_user", {"user_id": users[HEAD], "target_id": users[WHO_LEAVES]})
    gone.add(WHO_LEAVES)


class StoreCopy:
    """A copy of the bridge's store: SQLite by the bridge's own commands, PostgreSQL row by row."""

    def __init__(self, store: Store, folder: Path, environment: Mapping[str, str]) -> None:
        self.store = store
        self._file = folder / "copy.tar"
        self._log = folder / "copy.log"
        self._environment = environment
        self._is_postgres = bool(environment["AMO_BRIDGE_DATABASE"])
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def take(self) -> None:
        """While the bridge works."""
        if not self._is_postgres:
            self._run("backup", str(self._file))
            return
        with self.store.read() as connection:
            for table in metadata.sorted_tables:
                self._rows[table.name] = [dict(row) for row in connection.execute(select(table)).mappings()]

    def put_back(self) -> None:
        """While no bridge works."""
        if not self._is_postgres:
            self._run("restore", str(self._file), "--force")
            return
        with self.store.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            for table in metadata.sorted_tables:
                if rows := self._rows[table.name]:
                    connection.execute(insert(table), rows)
        self._run("restore", "--mark")

    def _run(self, *arguments: str) -> None:
        run_command([*arguments, "--config", str(CHAOS_RULES)], self._log, self._environment)
