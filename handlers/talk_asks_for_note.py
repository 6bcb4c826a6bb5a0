"""They talked → a task for whoever talked: write down the gist by the end of the day; a note closes it.

A talk is an answered call of at least ``talk_seconds``. Does nothing if a note was written after the call already, the
task is still open, the deal is on another stage than ``stages``, or the note was not a person's.
Covers W11.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import CallLogged, NoteAdded
from amo_bridge.rules import (
    Action,
    Deal,
    FinishTask,
    Options,
    Skip,
    StageName,
    TaskSpec,
    handler,
    is_talk,
    is_unclear,
    says_nothing,
)


class TalkAsksForNote(Options):
    stages: tuple[StageName, ...] = ()
    task: TaskSpec
    letters: Annotated[int, Field(ge=1)] = 10
    talk_seconds: Annotated[int, Field(ge=1)] = 30


@handler(
    on=(CallLogged, NoteAdded), options=TalkAsksForNote, needs={"own_tasks", "notes", "calls"}, tasks_until="never"
)
def talk_asks_for_note(event: CallLogged | NoteAdded, deal: Deal, options: TalkAsksForNote) -> Skip | list[Action]:
    if isinstance(event, NoteAdded):
        if why := says_nothing(event, options.letters):
            return Skip(why)
        done: list[Action] = [
            FinishTask(deal_id=deal.id, task_id=task.id, result="Суть записана") for task in deal.own_open_tasks()
        ]
        return done or Skip("после разговора записывать уже нечего")
    if not is_talk(event, options.talk_seconds):
        return Skip("длина звонка не читается, итога нет" if is_unclear(event) else "не поговорили")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» записывать суть не обязательно")
    if deal.own_open_tasks():
        return Skip("задача записать суть ещё открыта")
    call = deal.call_of(event)
    if not is_talk(call, options.talk_seconds):
        return Skip("не поговорили")
    if any(call.at is not None and note.at >= call.at and note.user_id for note in deal.notes):
        return Skip("суть уже записана")
    return options.task.unmet(deal) or [options.task.for_deal(deal, slot="gist")]
