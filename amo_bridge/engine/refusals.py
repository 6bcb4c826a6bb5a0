"""Gates that refuse a move: several refusals are one, and nobody is fought endlessly.

A person who repeats a move that was put back may know why. After some put-backs within an hour the deal stays where he
wants it, and the head is told what is missing instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amo_bridge.actions import Action, CreateTask, Notify, Person, RollBack
from amo_bridge.crm.account_parts import LOST
from amo_bridge.crm.entities import DealRecord
from amo_bridge.deal import Deal
from amo_bridge.due import Due

DUE = Due.parse("end of day")
SLOT = "insists"


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
