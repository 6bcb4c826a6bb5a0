"""They talked → a task for whoever talked: write down the gist by the end of the day; a note closes it.

A talk is a call of at least ``talk_seconds``. Does nothing if a note was written after the call already, the task is
still open, the deal is on another stage than ``stages``, or the note was not a person's.
Covers W11.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import CallLogged, NoteAdded
from amo_bridge.rules import Action, Deal, FinishTask, Options, Skip, StageName, TaskSpec, handler, says_nothing


class TalkAsksForNote(Options):
    stages: tuple[StageName, ...] = ()
    task: TaskSpec
    letters: Annotated[int, Field(ge=1)] = 10
    talk_seconds: Annotated[int, Field(ge=1)] = 30


@handler(on=(CallLogged, NoteAdded), options=TalkAsksForNote, needs={"own_tasks", "notes"})
def talk_asks_for_note(event: CallLogged | NoteAdded, deal: Deal, options: TalkAsksForNote) -> Skip | list[Action]:
    waiting = deal.own_open_tasks()
    if isinstance(event, NoteAdded):
        if why := says_nothing(event, options.letters):
            return Skip(why)
        done: list[Action] = [FinishTask(deal_id=deal.id, task_id=task.id, result="Суть записана") for task in waiting]
        return done or Skip("после разговора записывать уже нечего")
    if event.seconds < options.talk_seconds:
        return Skip("не поговорили")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» записывать суть не обязательно")
    if waiting:
        return Skip("задача записать суть ещё открыта")
    if any(event.at is not None and note.at >= event.at and note.user_id for note in deal.notes):
        return Skip("суть уже записана")
    return [options.task.for_deal(deal, slot="gist")]
