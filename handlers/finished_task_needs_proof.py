"""A task is finished and the card has no proof of it → it is set again, and what is missing is said in a note.

``call``: a talk of that length, recorded if so asked; ``file``: a file of that name; ``pictures``: any picture. One of
them is enough, if it came after the task was set: a recording of last month proves nothing. Without it the completion
and its answer count for no other rule: what was answered in the task that is set again counts.
Does nothing if the proof is there, the task is set again already, it is another task, the deal is on another stage, or
whoever finished it may (``may``).
Covers M10 (a recording or a screenshot of the client's figures), M12 (the recording of «Продление»).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import TaskAnswered, TaskFinished
from amo_bridge.rules import (
    ActionsSpec,
    AddNote,
    AttachedFile,
    CreateTask,
    DataNeed,
    Deal,
    Due,
    Options,
    PersonName,
    Skip,
    StageName,
    WantedCall,
    WantedFile,
    Withheld,
    any_begins_with,
    handler,
    is_picture,
)

AGAIN = "again@"
Done = TaskFinished | TaskAnswered


class FinishedTaskNeedsProof(Options):
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    stages: tuple[StageName, ...] = ()
    may: tuple[PersonName, ...] = ()
    call: WantedCall | None = None
    file: WantedFile | None = None
    pictures: bool = False
    due_again: Due = Due.parse("1 working day")
    without_proof: ActionsSpec | None = None

    @model_validator(mode="after")
    def some_proof(self) -> Self:
        if not self.call and not self.file and not self.pictures:
            raise ValueError("не сказано, чем подтвердить: нужно хотя бы одно из call, file, pictures")
        return self

    def needs(self) -> frozenset[DataNeed]:
        return super().needs() | ({"files"} if self.pictures else frozenset())

    def is_proven(self, deal: Deal, since: datetime | None) -> bool:
        if self.call and any(self.call.fits(one) for one in deal.calls if since is None or one.at >= since):
            return True
        files = deal.files if self.file or self.pictures else ()
        # Files that stand in a field or in the card's own list have no time: they are taken for new.
        return any(self._is_proof(one, deal) for one in files if not (since and one.at) or one.at >= since)

    def _is_proof(self, file: AttachedFile, deal: Deal) -> bool:
        if self.pictures and (is_picture(file.name) or is_picture(file.other_name)):
            return True
        return self.file is not None and self.file.fits(file, deal)

    def in_words(self, deal: Deal) -> str:
        proofs = [
            self.call.in_words if self.call else "",
            f"файл «{self.file.wanted(deal)}»" if self.file else "",
            "снимок экрана" if self.pictures else "",
        ]
        return "; или ".join(filter(None, proofs))


@handler(
    on=(TaskFinished, TaskAnswered),
    options=FinishedTaskNeedsProof,
    gate=True,
    needs={"own_tasks", "finished_tasks"},
)
def finished_task_needs_proof(event: Done, deal: Deal, options: FinishedTaskNeedsProof) -> Skip | Withheld:
    if not any_begins_with(event.texts, options.tasks):
        return Skip(f"задача «{event.text}» подтверждения не требует")
    if isinstance(event, TaskFinished) and event.by_bridge:
        return Skip("задачу закрыл мост, подтверждать нечего")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» подтверждения не нужно")
    if set(options.may) & set(event.user_is):
        return Skip("этому человеку можно и так")
    if any(task.slot.rpartition("|")[2] == f"{event.task_id}" for task in deal.own_tasks):
        return Withheld("задача уже поставлена снова")
    since = _set_at(event, deal)
    if options.is_proven(deal, since):
        return Skip("подтверждение есть")
    unproven = f"нет подтверждения — {options.in_words(deal)}"
    if isinstance(event, TaskAnswered):
        return Withheld(unproven)
    told = options.without_proof.for_deal(deal, slot=f"{event.task_id}.told") if options.without_proof else []
    again = _again(event, deal, options, since).followed_by(_why(event, deal, options))
    return Withheld(unproven, (again, *told))


def _set_at(event: Done, deal: Deal) -> datetime | None:
    """When the task was first set: what was set again goes on from the first one, which the mark remembers."""
    own = next((task for task in deal.own_tasks if task.id == event.task_id), None)
    if own and own.slot.startswith(AGAIN):
        return datetime.fromisoformat(own.slot.removeprefix(AGAIN).partition("|")[0])
    return next((task.created_at for task in deal.finished_tasks if task.id == event.task_id), None)


def _again(event: TaskFinished, deal: Deal, options: FinishedTaskNeedsProof, since: datetime | None) -> CreateTask:
    began = since or event.at
    return CreateTask(
        deal_id=deal.id,
        text=event.set_as or event.text,
        to=event.responsible_user_id or "manager",
        due=options.due_again,
        task_type=event.task_type,
        slot=f"{AGAIN}{began.isoformat()}|{event.task_id}" if began else f"{event.task_id}",
    )


def _why(event: TaskFinished, deal: Deal, options: FinishedTaskNeedsProof) -> AddNote:
    text = f"Задача «{event.text}» поставлена снова: в сделке должно появиться подтверждение — {options.in_words(deal)}"
    return AddNote(deal_id=deal.id, text=text)
