"""Gates: merged refusals, roll-back limits, tasks that explain a refusal.

A person who repeats a move that was rolled back may know why: after some roll-backs within an hour the deal stays where
it was put, and the person in ``[bridge] tell`` is told what is missing instead. A refusal is explained by a task; once
the deal is through (or closed) the gate closes the tasks that it set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import and_, func, select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import UNDONE
from amo_bridge.events import StageEntered
from amo_bridge.rules.actions import Action, CreateTask, FinishTask, Notify, Person, RollBack
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import made, outbox, tasks

DUE = Due.parse("end of day")
SLOT = "insists"
EXPLAINS = "rollback"
ROLLBACK_WINDOW = timedelta(hours=1)


class Explanation(NamedTuple):
    """An open task by which a rule explained a refusal; ``slot``: of which stage; ``user_id``: to whom."""

    task_id: int
    rule: str
    slot: str
    text: str = ""
    user_id: int = 0


def merge_refusals(refusals: Sequence[RollBack], before: DealRecord | None) -> RollBack:
    """One roll-back, the first, with everything that is missing.

    A lost deal gets back its loss reason, which amoCRM forgot when the deal was opened. ``before``: as it was then.
    """
    first = refusals[0]
    missing = tuple(dict.fromkeys(lack for refusal in refusals for lack in refusal.missing))
    was_lost = before is not None and first.to == (before.pipeline_id, LOST)
    return replace(first, missing=missing, loss_reason_id=before.loss_reason_id if before and was_lost else None)


def is_explained(refusal: RollBack, stage: tuple[int, int], explanations: Iterable[Explanation]) -> bool:
    """Does an open task tell the mover the same about this stage?"""
    return any(
        explanation.slot == slot_of(stage)
        and explanation.text.endswith(refusal.explanation)
        and (not isinstance(refusal.tell, int) or refusal.tell == explanation.user_id)
        for explanation in explanations
    )


def escalate(refusal: RollBack, deal: Deal, rollbacks: int, to: Person) -> list[Action]:
    """A task and a notice for this person, in place of one more roll-back."""
    text = (
        f"Сделку за час возвращали {rollbacks} раза, а её снова переводят на «{deal.stage.name}». "
        f"Она оставлена там, хотя для {refusal.because} нужно: {refusal.needs}"
    )
    if rollbacks > 4:
        text = text.replace("раза", "раз", 1)
    return [
        CreateTask(deal_id=deal.id, text=text, to=to, due=DUE, slot=SLOT),
        Notify(deal_id=deal.id, to=(str(to),), text=text),
    ]


def slot_of(stage: tuple[int, int]) -> str:
    """The slot of a task that explains why the deal may not come onto this stage."""
    return f"{EXPLAINS}:{stage[0]}.{stage[1]}"


def explanations_to_close(
    explanations: Iterable[Explanation], rule: str, event: StageEntered, deal: Deal
) -> list[Action]:
    """What closes the explanations of a rule that let the deal through: those about this stage, or all if the deal is
    closed."""
    if event.stage != deal.stage.key:
        return []
    is_closed = deal.stage.is_won or deal.stage.is_lost
    result = f"Сделка перешла на этап «{deal.stage.name}»"
    return [
        FinishTask(deal_id=deal.id, task_id=explanation.task_id, result=result)
        for explanation in explanations
        if explanation.rule == rule and (is_closed or explanation.slot == slot_of(event.stage))
    ]


class RollbackHistory:
    """How often the deals of a round were rolled back lately, and which explanations are still open.

    Each is read when it is asked for first, for all of them at once: nothing of it changes while they are judged.
    """

    def __init__(self, store: AccountStore, clock: Clock, deal_ids: Iterable[int]) -> None:
        self._store = store
        self._clock = clock
        self._deal_ids = sorted(set(deal_ids))

    def counter(self, deal_id: int, stage: tuple[int, int]) -> Callable[[], int]:
        """A function that counts the roll-backs of a deal from this stage within the last hour."""
        return lambda: sum(before == list(stage) for before in self._refused.get(deal_id, ()))

    def explanations(self, deal_id: int) -> Callable[[], Sequence[Explanation]]:
        """A function that gives the open tasks that explain roll-backs of the deal."""
        return lambda: self._open.get(deal_id, ())

    @cached_property
    def _open(self) -> Mapping[int, Sequence[Explanation]]:
        """Raises StoreUnavailable."""
        is_same_task = and_(tasks.c.account == made.c.account, tasks.c.task_id == made.c.entity_id)
        query = (
            select(
                made.c.deal_id,
                made.c.entity_id,
                made.c.rule,
                made.c.slot,
                func.coalesce(made.c.text, tasks.c.text),
                tasks.c.responsible_user_id,
            )
            .join_from(made, tasks, is_same_task)
            .where(self._store.owns(made), made.c.kind == "create_task")
            .where(made.c.slot.startswith(EXPLAINS), tasks.c.is_completed.is_(False))
            .order_by(made.c.entity_id)
        )
        found: dict[int, list[Explanation]] = {}
        with self._store.read() as connection:
            for chunk in chunks(self._deal_ids):
                for deal_id, *explanation in connection.execute(query.where(made.c.deal_id.in_(chunk))):
                    found.setdefault(deal_id, []).append(Explanation(*explanation))
        return found

    @cached_property
    def _refused(self) -> Mapping[int, Sequence[list[int]]]:
        """Deal → the stages from which it was rolled back within the last hour. Raises StoreUnavailable."""
        since = (self._clock.now() - ROLLBACK_WINDOW).timestamp()
        patches = select(outbox.c.deal_id, outbox.c.payload).where(
            self._store.owns(outbox),
            outbox.c.kind == "patch_deal",
            outbox.c.created_at > since,
        )
        found: dict[int, list[list[int]]] = {}
        with self._store.read() as connection:
            for chunk in chunks(self._deal_ids):
                for deal_id, text in connection.execute(patches.where(outbox.c.deal_id.in_(chunk))):
                    payload = json.loads(text)
                    # What a person takes back is no refusal.
                    if payload["rolls_back"] and not payload.get(UNDONE):
                        found.setdefault(deal_id, []).append(payload["expects"])
        return found
