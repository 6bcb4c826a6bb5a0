"""A call is missed → the deal moves to its stage and a task to call again is set; the last try closes the deal.

Tries are outgoing calls in vain since the last talk; a call that is noted several times is one. A client whose phone is
abroad has a stage and a task of his own (``foreign_stage``, ``foreign_task``): he is to be written to, so without
``foreign_task`` he gets none. The rule's task is closed when they talked, or by the last try. Does nothing if the
client called himself in vain, nobody can tell whether they talked, the deal is on another stage than ``stages``, or no
call counts as a try.
Covers W7 (the third missed call closes), W8 (missed abroad → «Недозвонились до клиента. Европа»).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import CallLogged
from amo_bridge.rules import (
    Action,
    Deal,
    FinishTask,
    LossReasonName,
    MoveDeal,
    Options,
    Skip,
    StageName,
    Task,
    TaskSpec,
    all_abroad,
    handler,
    is_talk,
    is_unclear,
)

AGAIN = "again"


class MissedCallMovesDeal(Options):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    to_stage: StageName
    task: TaskSpec
    most: Annotated[int, Field(ge=2, le=20)] = 3
    lost_stage: StageName
    lost_reason: LossReasonName
    foreign_stage: StageName | None = None
    foreign_reason: LossReasonName | None = None
    foreign_task: TaskSpec | None = None
    home: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "RU"
    talk_seconds: Annotated[int, Field(ge=1)] = 30


@handler(on=CallLogged, options=MissedCallMovesDeal, needs={"calls", "contacts", "own_tasks"}, tasks_until="stage left")
def missed_call_moves_deal(event: CallLogged, deal: Deal, options: MissedCallMovesDeal) -> Skip | list[Action]:
    if is_talk(event, options.talk_seconds):
        concerns = _waiting(deal) or (event.direction == "out" and deal.is_on(options.stages))
        if not concerns or is_talk(deal.call_of(event), options.talk_seconds):
            return _closed(deal, "Поговорили") or Skip("поговорили")
    if event.direction != "out":
        return Skip("клиент позвонил сам")
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» недозвоны не считаются")
    if is_unclear(event):
        return Skip("длина звонка не читается, итога нет: поговорили или нет, неизвестно")
    tries = _tries(deal, options)
    if not tries:
        return Skip("после последнего разговора недозвонов нет")
    is_abroad = options.foreign_stage is not None and all_abroad(_phones(deal), options.home)
    if tries >= options.most:
        reason = options.foreign_reason if is_abroad and options.foreign_reason else options.lost_reason
        closed = _closed(deal, f"Недозвонов: {tries}, сделка закрыта")
        return [MoveDeal(deal_id=deal.id, to=options.lost_stage, reason=reason).followed_by(*closed)]
    stage = options.foreign_stage if is_abroad and options.foreign_stage else options.to_stage
    moves: list[Action] = [] if deal.is_on([stage]) else [MoveDeal(deal_id=deal.id, to=stage)]
    task = options.foreign_task if is_abroad else options.task
    unmet = task.unmet(deal) if task else None
    again: list[Action] = [] if task is None or _waiting(deal) else [*task.wanted(deal, slot=AGAIN)]
    there = "сделка уже там, и задача открыта" if task else "сделка уже там"
    return [*again, *moves] or unmet or Skip(there)


def _waiting(deal: Deal) -> list[Task]:
    return deal.own_open_tasks(AGAIN)


def _closed(deal: Deal, why: str) -> list[Action]:
    """Nobody is to be called or written to any more."""
    return [FinishTask(deal_id=deal.id, task_id=task.id, result=why) for task in _waiting(deal)]


def _tries(deal: Deal, options: MissedCallMovesDeal) -> int:
    """Outgoing calls without a talk since they talked last."""
    count = 0
    for call in deal.calls:
        count = 0 if call.is_talk(options.talk_seconds) else count + call.is_missed(options.talk_seconds)
    return count


def _phones(deal: Deal) -> list[str]:
    return [phone for contact in deal.contacts if contact.is_main for phone in contact.phones]
