"""A deal is lost for a reason that needs explaining, without a note → it is put back, and the mover is told.

A note is a person's text note of at least ``letters`` letters, written within ``since`` before the loss. Does nothing
if there is one, the reason is another, the mover may pass, or the deal has moved on already.
Covers W10 (some reasons need a note of what was said).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import (
    Deal,
    Due,
    Duration,
    Lack,
    LossReasonName,
    Note,
    Options,
    PersonName,
    PipelineName,
    RollBack,
    Skip,
    handler,
    same_name,
    says_something,
)


class LossNeedsNote(Options):
    pipelines: tuple[PipelineName, ...] = ()
    reasons: Annotated[tuple[LossReasonName, ...], Field(min_length=1)]
    letters: Annotated[int, Field(ge=1)] = 10
    since: Duration = timedelta(days=30)
    may_pass: tuple[PersonName, ...] = ()
    due: Due = Due.parse("end of day")


@handler(on=StageEntered, options=LossNeedsNote, needs={"notes"}, gate=True, sends={"notices"})
def loss_needs_note(event: StageEntered, deal: Deal, options: LossNeedsNote) -> Skip | RollBack:
    if event.stage != deal.stage.key or not deal.stage.is_lost:
        return Skip("сделка не потеряна")
    if options.pipelines and not any(same_name(deal.stage.pipeline, name) for name in options.pipelines):
        return Skip(f"в воронке «{deal.stage.pipeline}» примечание не обязательно")
    if not any(same_name(deal.loss_reason or "", reason) for reason in options.reasons):
        return Skip(f"для причины «{deal.loss_reason or 'нет'}» примечание не обязательно")
    if event.user_id is None:
        return Skip("закрыл не человек")
    if set(options.may_pass) & set(event.user_is):
        return Skip("этому человеку можно и так")
    if any(_explains(note, event, options) for note in deal.notes):
        return Skip("примечание есть")
    return RollBack(
        deal_id=deal.id,
        to=event.from_stage,
        because=f"отказа по причине «{deal.loss_reason}»",
        missing=(Lack("напишите примечание: что сказал клиент"),),
        tell=event.user_id,
        due=options.due,
    )


def _explains(note: Note, event: StageEntered, options: LossNeedsNote) -> bool:
    """Is it long enough to say something, and about this loss?"""
    is_recent = event.at is None or event.at - note.at <= options.since
    return is_recent and says_something(note, options.letters)
