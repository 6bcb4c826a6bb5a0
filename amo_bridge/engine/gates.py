"""Gates that refuse a move: several refusals are one, and nobody is fought endlessly.

A person who repeats a move that was put back may know why. After some put-backs within an hour the deal stays where he
wants it, and the head is told what is missing instead.

A refusal is explained by a task. Once the deal is through (or closed) there is nothing left to explain, and the gate
closes the tasks that it set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import and_, select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.events import StageEntered
from amo_bridge.rules.actions import Action, CreateTask, FinishTask, Notify, Person, RollBack
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import made, outbox, tasks

DUE = Due.parse("end of day")
SLOT = "insists"
EXPLAINS = "rollback"


class Explanation(NamedTuple):
    """An open task by which a rule explained a refusal; ``slot`` tells of which stage (``slot_of``)."""

    task_id: int
    rule: str
    slot: str


def as_one(refusals: Sequence[RollBack], before: DealRecord | None) -> RollBack:
    """Everything that is missing in one roll-back, told by the first; a lost deal gets back its reason, which amoCRM
    forgot when the deal was opened."""
    first = refusals[0]
    missing = tuple(dict.fromkeys(lack for refusal in refusals for lack in refusal.missing))
    was_lost = before is not None and first.to == (before.pipeline_id, LOST)
    return replace(first, missing=missing, loss_reason_id=before.loss_reason_id if before and was_lost else None)


def told_instead(refusal: RollBack, deal: Deal, times: int, to: Person) -> list[Action]:
    """A task and a notice for the head, in place of one more put-back."""
    text = (
        f"Сделку за час возвращали {times} раза, а её снова переводят на «{deal.stage.name}». "
        f"Она оставлена там, хотя для {refusal.because} нужно: {refusal.needs}"
    )
    if times > 4:
        text = text.replace("раза", "раз", 1)
    return [
        CreateTask(deal_id=deal.id, text=text, to=to, due=DUE, slot=SLOT),
        Notify(deal_id=deal.id, to=(str(to),), text=text),
    ]


def slot_of(stage: tuple[int, int]) -> str:
    """The mark of a task that explains why the deal may not come onto this stage."""
    return f"{EXPLAINS}:{stage[0]}.{stage[1]}"


def settled(explanations: Iterable[Explanation], rule: str, event: StageEntered, deal: Deal) -> list[Action]:
    """The rule has let the deal through: what it explained is closed, if it was about this stage or the deal is."""
    if event.stage != deal.stage.key:
        return []
    is_closed = deal.stage.is_won or deal.stage.is_lost
    result = f"Сделка перешла на этап «{deal.stage.name}»"
    return [
        FinishTask(deal_id=deal.id, task_id=one.task_id, result=result)
        for one in explanations
        if one.rule == rule and (is_closed or one.slot == slot_of(event.stage))
    ]


# How often the bridge has put a deal back lately, and which of its explanations are still open.

WITHIN = timedelta(hours=1)


class RollbackHistory:
    def __init__(self, store: Store, account_id: int, clock: Clock) -> None:
        self._store = store
        self._key = account_id
        self._clock = clock

    def counter(self, deal_id: int, stage: tuple[int, int]) -> Callable[[], int]:
        """Counts the put-backs of a deal from this stage within the last hour, when it is called."""
        return lambda: self._count(deal_id, stage)

    def explanations(self, deal_id: int) -> Callable[[], Sequence[Explanation]]:
        """Looks for the open tasks that explain why the deal was put back, when it is called first."""
        return cache(lambda: self._open(deal_id))

    def _open(self, deal_id: int) -> Sequence[Explanation]:
        there = and_(tasks.c.account == made.c.account, tasks.c.task_id == made.c.entity_id)
        query = (
            select(made.c.entity_id, made.c.rule, made.c.slot)
            .join_from(made, tasks, there)
            .where(made.c.account == self._key, made.c.deal_id == deal_id, made.c.kind == "create_task")
            .where(made.c.slot.startswith(EXPLAINS), tasks.c.is_completed.is_(False))
            .order_by(made.c.entity_id)
        )
        with self._store.read() as connection:
            return [Explanation(*row) for row in connection.execute(query)]

    def _count(self, deal_id: int, stage: tuple[int, int]) -> int:
        since = (self._clock.now() - WITHIN).timestamp()
        patches = select(outbox.c.payload).where(
            outbox.c.account == self._key,
            outbox.c.deal_id == deal_id,
            outbox.c.kind == "patch_deal",
            outbox.c.created_at > since,
        )
        with self._store.read() as connection:
            payloads = [json.loads(text) for text in connection.execute(patches).scalars()]
        return sum(bool(payload["rolls_back"]) and payload["expects"] == list(stage) for payload in payloads)
