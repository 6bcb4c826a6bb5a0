"""What is asked of the things on a deal's card: which of its tasks count, which call or file must be there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.card import AttachedFile, Call, Task
from amo_bridge.config.names import Text
from amo_bridge.deal import Deal
from amo_bridge.rules import Options
from amo_bridge.text.names import begins_with, is_named, starts_with

EXPLAINING = frozenset({"rollback", "loop", "insists"})
"""Slots of the tasks by which the bridge explains itself: they are read, they are no work."""


class WhichTasks(Options):
    """``only``: how their texts begin; without it all tasks count. ``not_counting``: how the texts of those begin that
    do not."""

    only: tuple[str, ...] = ()
    not_counting: tuple[str, ...] = ()

    def counts(self, text: str) -> bool:
        if any(begins_with(text, beginning) for beginning in self.not_counting):
            return False
        return not self.only or any(begins_with(text, beginning) for beginning in self.only)

    def counted(self, tasks: Iterable[Task]) -> list[Task]:
        """Those that count. What the bridge set to explain something never does."""
        return [task for task in tasks if self.counts(task.text) and not _explains(task)]


class WantedCall(Options):
    """``seconds``: how long the talk must be; ``recorded``: whether its recording must be there."""

    seconds: Annotated[int, Field(ge=0)] = 30
    recorded: bool = True

    def fits(self, call: Call) -> bool:
        """Is it such a call?"""
        return call.is_talk(self.seconds) and bool(call.link or not self.recorded)

    @property
    def in_words(self) -> str:
        """«звонок с записью, разговор от 30 секунд»."""
        return f"звонок{' с записью' if self.recorded else ''}, разговор от {self.seconds} секунд"


class WantedFile(Options):
    """``named``: the whole name of the file, without the extension; ``name_starts_with``: how it may begin as well."""

    named: Text | None = None
    name_starts_with: tuple[str, ...] = ()

    @model_validator(mode="after")
    def some_name(self) -> Self:
        if self.named is None and not self.name_starts_with:
            raise ValueError(
                "нужно хотя бы одно из: named (имя файла целиком) или name_starts_with (как оно начинается)"
            )
        return self

    def is_there(self, deal: Deal) -> bool:
        """Is such a file on the deal? amoCRM may know it by a transliterated name."""
        return any(self.fits(file, deal) for file in deal.files)

    def fits(self, file: AttachedFile, deal: Deal) -> bool:
        """Is it such a file?"""
        return any(self._is_name(name, deal) for name in (file.name, file.other_name) if name)

    def wanted(self, deal: Deal) -> str:
        """The file in words: its name, or the first of its possible beginnings and «…»."""
        return self.named.for_deal(deal) if self.named is not None else f"{self.name_starts_with[0]} …"

    def _is_name(self, name: str, deal: Deal) -> bool:
        if self.named is not None and is_named(name, self.named.for_deal(deal)):
            return True
        return any(starts_with(name, beginning) for beginning in self.name_starts_with)


def _explains(task: Task) -> bool:
    return bool(task.made_by) and task.slot.partition(":")[0] in EXPLAINING
