"""Gates: which moves they look at, who may pass, and the words of a refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from amo_bridge.dates.due import Due
from amo_bridge.events import NoteAdded, StageEntered
from amo_bridge.rules.actions import Lack, RollBack, Skip
from amo_bridge.rules.deal import Call, DataNeed, Deal, Note, Task, stage_is_one_of
from amo_bridge.rules.handler import Options
from amo_bridge.rules.option_types import PersonName, StageName
from amo_bridge.rules.options import Condition, skip_unless
from amo_bridge.text.names import any_begins_with


class Gate(Options):
    """``entering``, ``leaving``: the stages. A deal that is lost may leave any stage. ``not_from``: whatever comes from
    these stages passes; ``moves_only``: so does a deal that was made on its stage. ``tell``: to whom it is explained
    when amoCRM does not say who moved the deal."""

    compared_stages: ClassVar[tuple[str, ...]] = ("not_from",)

    entering: tuple[StageName, ...] = ()
    leaving: tuple[StageName, ...] = ()
    not_from: tuple[StageName, ...] = ()
    moves_only: bool = False
    when: Condition | None = None
    may_pass: tuple[PersonName, ...] = ()
    tell: PersonName = PersonName("manager")
    due: Due = Due.parse("end of day")

    @model_validator(mode="after")
    def some_stage(self) -> Self:
        if not self.entering and not self.leaving:
            raise ValueError("нужны этапы: entering (на входе) или leaving (на выходе)")
        return self

    def lets_pass(self, event: StageEntered, deal: Deal) -> Skip | None:
        """Why the deal need not be looked at; None if it must be."""
        if event.stage != deal.stage.key:
            return Skip("сделка уже ушла с этого этапа")
        is_let_by = stage_is_one_of(event.from_stage_name, self.not_from) or (self.moves_only and event.is_new)
        if is_let_by or not self._looks_at(event, deal):
            return Skip(f"переход на «{deal.stage.title}» это правило не проверяет")
        if unmet := skip_unless(self.when, deal):
            return unmet
        if set(self.may_pass) & set(event.user_is):
            return Skip("этому человеку можно и так")
        return None

    def put_back(self, event: StageEntered, deal: Deal, missing: Iterable[Lack]) -> RollBack:
        return RollBack(
            deal_id=deal.id,
            to=event.from_stage,
            because=f"перехода на этап «{deal.stage.name}»",
            missing=tuple(missing),
            tell=event.user_id or self.tell,
            due=self.due,
        )

    def _looks_at(self, event: StageEntered, deal: Deal) -> bool:
        leaves = not deal.stage.is_lost and stage_is_one_of(event.from_stage_name, self.leaving)
        return leaves or deal.is_on(self.entering)


# What is asked of the things on a deal's card: which of its tasks count, which call or file must be there.

EXPLAINING = frozenset({"rollback", "loop", "insists"})
"""Slots of the tasks by which the bridge explains itself: they are read, they are no work."""


class WhichTasks(Options):
    """``only``: how their texts begin; without it all tasks count. ``not_counting``: how the texts of those begin that
    do not. A task that a rule set is also known by the text it was set with: renaming it changes nothing."""

    only: tuple[str, ...] = ()
    not_counting: tuple[str, ...] = ()

    def counts(self, text: str, set_as: str = "") -> bool:
        """``set_as``: the text that a rule set it with; nobody makes a task one that does not count by renaming it."""
        if any_begins_with((set_as or text,), self.not_counting):
            return False
        return not self.only or any_begins_with((text, set_as) if set_as else (text,), self.only)

    def counted(self, tasks: Iterable[Task]) -> list[Task]:
        """Those that count. What the bridge set to explain something never does."""
        return [task for task in tasks if self.counts(task.text, task.set_as) and not _explains(task)]


class AnybodysTasks(WhichTasks):
    """``set_by_rules``: only tasks that a rule set; a person's own task never counts, whatever it is called."""

    set_by_rules: bool = False

    def counted(self, tasks: Iterable[Task]) -> list[Task]:
        return [task for task in super().counted(tasks) if task.made_by or not self.set_by_rules]


class WantedCall(Options):
    """``seconds``: how long the talk must be, 0 for any call, answered or not; ``recorded``: whether its recording must
    be there."""

    seconds: Annotated[int, Field(ge=0)] = 30
    recorded: bool = True

    def needs(self) -> frozenset[DataNeed]:
        return super().needs() | {"calls"}

    def fits(self, call: Call) -> bool:
        """Is it such a call?"""
        return (not self.seconds or call.is_talk(self.seconds)) and bool(call.link or not self.recorded)

    @property
    def in_words(self) -> str:
        """«звонок с записью, разговор от 30 секунд»."""
        return f"звонок{' с записью' if self.recorded else ''}, разговор от {self.seconds} секунд"


def _explains(task: Task) -> bool:
    return bool(task.made_by) and task.slot.partition(":")[0] in EXPLAINING


# What people write on a card by hand: is a note theirs, and long enough to say something?
#
# Letters are counted without the blanks between them.

# amoCRM's note_type of what people write by hand.
TEXT_NOTE = 4


def is_by_a_person(told: NoteAdded) -> bool:
    """Is a note that was added a text that somebody has written by hand?"""
    return told.note_type in (None, TEXT_NOTE) and bool(told.user_id)


def command_words(told: NoteAdded, command: str) -> str | None:
    """What stands in a note behind the command that it begins with; None if it begins otherwise."""
    found = re.match(rf"\s*{re.escape(command)}(?![\w-])[\s:,]*", told.text, re.IGNORECASE)
    return told.text[found.end() :].strip() if found else None


def says_nothing(told: NoteAdded, letters: int) -> str:
    """Why a note that was added is not a person's word of at least so many letters; empty if it is."""
    if not is_by_a_person(told):
        return "это не примечание человека"
    if told.is_command:
        return "это команда мосту, а не примечание"
    return "" if _is_long(told.text, letters) else "примечание слишком короткое"


def says_something(note: Note, letters: int) -> bool:
    """Is a note on the card a person's, of at least so many letters?"""
    return bool(note.user_id) and not note.text.lstrip().startswith("/") and _is_long(note.text, letters)


def _is_long(text: str, letters: int) -> bool:
    return len("".join(text.split())) >= letters
