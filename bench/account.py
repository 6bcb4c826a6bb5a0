"""Account and bridge store as they are now; what of the account differs from the model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from amo_bridge.storage.accounts import RECONCILED_AT
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import cursors, deals, events, in_open_state, inbox, outbox
from bench.expected import ROUTED, ComparedTask, ExpectedTask
from bench.people import Life, People
from bench.processes import Sandbox

Row = Mapping[str, Any]

OLD_STAGE_NAME, NEW_STAGE_NAME = "Отложенные", "Отложенные до весны"
"""Of the stage that is renamed in the middle of a run."""
# How the note begins that tells of the new deal.
ROUTED_NOW = "Сделка потеряна"


@dataclass
class Snapshot:
    """The account at one moment: deals by id, their tasks and notes in the order in which they were made."""

    deals: Mapping[int, Row]
    tasks: Mapping[int, Sequence[Row]]
    notes: Mapping[int, Sequence[Row]]

    @classmethod
    def of(cls, sandbox: Sandbox, *, notes: bool = True) -> Snapshot:
        leads: dict[int, Row] = {int(row["id"]): row for row in _rows(sandbox, "leads")}
        return cls(leads, _by_card(sandbox, "tasks"), _by_card(sandbox, "notes") if notes else {})


def _rows(sandbox: Sandbox, kind: str) -> list[Any]:
    return list(sandbox.table(kind))


def _by_card(sandbox: Sandbox, kind: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(_rows(sandbox, kind), key=lambda row: int(row["id"])):
        if row.get("entity_type") == "leads":
            found[row["entity_id"]].append(row)
    return found


class StoreView:
    """The bridge's own store, read from outside."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def busy_deals(self) -> set[int]:
        """Deals with effects that are not settled."""
        with self._store.read() as connection:
            query = select(outbox.c.deal_id).where(in_open_state(outbox)).distinct()
            return set(connection.execute(query).scalars())

    def stages(self) -> dict[int, tuple[int, int]]:
        """The stages as the mirror knows them."""
        with self._store.read() as connection:
            rows = connection.execute(select(deals.c.deal_id, deals.c.pipeline_id, deals.c.status_id))
            return {row.deal_id: (row.pipeline_id, row.status_id) for row in rows}

    def open_work(self) -> dict[str, int]:
        queries = {
            "inbox": select(func.count()).select_from(inbox).where(inbox.c.state == "new"),
            "events": select(func.count()).select_from(events).where(events.c.state == "open"),
            "outbox": select(func.count()).select_from(outbox).where(in_open_state(outbox)),
            "failed": select(func.count()).select_from(outbox).where(outbox.c.state == "failed"),
            "failed events": select(func.count()).select_from(events).where(events.c.state == "failed"),
        }
        with self._store.read() as connection:
            counts = {name: connection.execute(query).scalar_one() for name, query in queries.items()}
        return {name: count for name, count in counts.items() if count}

    def reconciled_at(self) -> float | None:
        """When the last reconciliation was over (Unix seconds)."""
        with self._store.read() as connection:
            query = select(func.max(cursors.c.value)).where(cursors.c.name == RECONCILED_AT)
            return connection.execute(query).scalar_one()

    def deals(self) -> int:
        """How many the mirror holds."""
        with self._store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(deals)).scalar_one())


@dataclass
class Verdict:
    """What the account lacks, has twice, or has in another order. For a person who looks for the cause."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    effects: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.out_of_order)


def compare(lives: Iterable[Life], snapshot: Snapshot, people: People) -> Verdict:
    """Every deal against its model."""
    verdict = Verdict()
    routed: dict[int, list[Row]] = defaultdict(list)
    for row in snapshot.deals.values():
        if (row["pipeline_id"], row["status_id"]) == people.stages[ROUTED]:
            for source in links_of(row, people):
                routed[source].append(row)
    for life in lives:
        _compare_tasks(life, snapshot, people, verdict)
        _compare_stage(life, snapshot, people, verdict)
        _compare_routing(life, routed[life.deal], snapshot, people, verdict)
    return verdict


def is_answered(life: Life, snapshot: Snapshot, people: People, mirrored: Mapping[int, tuple[int, int]]) -> bool:
    """Does the account show all that the model of this deal promises, and does the bridge know its stage?"""
    verdict = compare([life], snapshot, people) if life.deal in snapshot.deals else Verdict(lost=["deal"])
    return verdict.is_good and mirrored.get(life.deal) == people.stages[life.expected.stage]


def _compared(task: Row, names: Mapping[int, str], expected: Sequence[ExpectedTask]) -> ComparedTask:
    """A task of the account as the model compares its own: the due time only where the model has one."""
    has_due = any(other.text == task["text"] and other.due is not None for other in expected)
    due = task["complete_till"] if has_due else None
    result = (task["result"] or {}).get("text") or ""
    # A stage that was renamed meanwhile: either name may stand in a text.
    text, result = (words.replace(NEW_STAGE_NAME, OLD_STAGE_NAME) for words in (task["text"], result))
    return ComparedTask(text, names[task["responsible_user_id"]], due, task["is_completed"], result)


def _compare_tasks(life: Life, snapshot: Snapshot, people: People, verdict: Verdict) -> None:
    names = {user: name for name, user in people.users.items()}
    found = [_compared(task, names, life.expected.tasks) for task in snapshot.tasks.get(life.deal, ())]
    wanted = [task.compared for task in life.expected.tasks]
    verdict.effects += len(wanted)
    texts_found, texts_wanted = Counter(task.text for task in found), Counter(task.text for task in wanted)
    verdict.lost += [f"{life.deal}: задача «{text}»" for text in (texts_wanted - texts_found).elements()]
    verdict.doubled += [f"{life.deal}: задача «{text}»" for text in (texts_found - texts_wanted).elements()]
    if texts_found != texts_wanted:
        return
    if [task.text for task in found] != [task.text for task in wanted]:
        verdict.out_of_order.append(f"{life.deal}: {[task.text for task in found]}")
        verdict.wrong += [f"{life.deal}: {task}" for task in (Counter(wanted) - Counter(found)).elements()]
    else:
        # Of two tasks with the same text the right one must be closed.
        pairs = zip(wanted, found, strict=True)
        verdict.wrong += [f"{life.deal}: {actual}, а не {expected}" for expected, actual in pairs if actual != expected]


def _compare_stage(life: Life, snapshot: Snapshot, people: People, verdict: Verdict) -> None:
    row = snapshot.deals[life.deal]
    if (row["pipeline_id"], row["status_id"]) != people.stages[life.expected.stage]:
        verdict.wrong.append(f"{life.deal}: этап {row['pipeline_id']}/{row['status_id']}, а не {life.expected.stage}")


def _compare_routing(life: Life, new: Sequence[Row], snapshot: Snapshot, people: People, verdict: Verdict) -> None:
    """The new deal of a lost one, made once; both with the other's address.

    One note on the lost one names it, and at most one more for each time that the deal was lost again (what follows at
    once is judged as one change).
    """
    wanted = int(life.expected.is_routed)
    verdict.effects += 4 * wanted
    texts = [note["params"]["text"] for note in snapshot.notes.get(life.deal, ()) if note["note_type"] == "common"]
    routed = [text for text in texts if text.startswith(ROUTED_NOW)]
    shown_again = len(texts) - len(routed)
    pairs = [("новая сделка", len(new))]
    if snapshot.notes or not wanted:
        pairs.append(("примечание", len(routed)))
    if shown_again > max(life.expected.losses - 1, 0):
        verdict.doubled.append(f"{life.deal}: примечание о прежней сделке × {shown_again}")
    for what, count in pairs:
        if count < wanted:
            verdict.lost.append(f"{life.deal}: {what}")
        elif count > wanted:
            verdict.doubled.append(f"{life.deal}: {what} × {count}")
    if len(new) == wanted == 1:
        there, back = _link(snapshot.deals[life.deal], people), _link(new[0], people)
        if not (there.endswith(f"/{new[0]['id']}") and back.endswith(f"/{life.deal}")):
            verdict.wrong.append(f"{life.deal}: ссылки «{there}» и «{back}»")


def links_of(row: Row, people: People) -> list[int]:
    """The deal whose address stands in the link field; people may rename a new deal, and can't take the link off."""
    number = _link(row, people).rpartition("/")[2]
    return [int(number)] if number.isdigit() else []


def _link(row: Row, people: People) -> str:
    for value in row.get("custom_fields_values") or []:
        if value["field_id"] == people.fields["Связанная сделка"]:
            return str(value["values"][0]["value"])
    return ""
