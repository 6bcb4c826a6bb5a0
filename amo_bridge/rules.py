"""A handler is a file in ``handlers/``; a rule is a handler plus a named block of the config.

The folder is scanned (``rule_folders.py``), nothing is registered by hand. The name of the file is the name of the
function, of the config's block and of the test file, and it reads as a sentence. A schedule (``schedule.py``) is a
handler that the clock calls.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from amo_bridge.actions import Decision
from amo_bridge.card import Need
from amo_bridge.config.strict import Strict
from amo_bridge.deal import Deal
from amo_bridge.events import DealObserved, Event, StepDue

Judge = Callable[[Any, Deal, Any], Decision]
J = TypeVar("J", bound=Judge)

MARK = "__amo_bridge_handler__"


class Options(Strict):
    """What a rule's block in the config may say. An unknown key is an error, so a typo never switches anything off."""


@dataclass(frozen=True)
class Handler:
    """The code of one kind of rule.

    ``on``: the events it listens to. ``gate``: it may refuse a move; gates are judged first, and when one rolls the
    deal back the other rules about that move stay silent. ``needs``: what it looks at beside the deal's fields
    (see Deal).
    ``section``: where its blocks stand in the config, and its file among the folders.
    """

    section: ClassVar[str] = "handlers"

    name: str
    on: tuple[type[Event], ...]
    options: type[Options]
    judge: Judge
    gate: bool
    needs: frozenset[Need]
    summary: str
    covers: str

    @property
    def is_about_deals(self) -> bool:
        """Does it listen to what is observed on deals (stages, fields, people)?"""
        return any(issubclass(kind, DealObserved) for kind in self.on)


@dataclass(frozen=True)
class Rule:
    """A handler plus its named block: «[handlers.file_moves_deal.offer]».

    ``max_lateness``: what happened longer ago is not acted on any more. ``most_per_hour``: how often it may act on one
    deal within an hour before it is taken for a loop.
    """

    handler: Handler
    block: str
    options: Options
    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""
    max_lateness: timedelta = timedelta(hours=24)
    most_per_hour: int = 10

    @property
    def name(self) -> str:
        return f"{self.handler.name}.{self.block}"

    @property
    def called(self) -> str:
        """As people are told of it: by the clause, and by the name that the config has for it."""
        return f"{self.clause} ({self.name})" if self.clause else self.name

    @property
    def path(self) -> tuple[str, str, str]:
        """Its block in the config: handlers, file_moves_deal, offer."""
        return (self.handler.section, self.handler.name, self.block)

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses it serves, one by one: «A20–A23» are four, «A64, A65» two."""
        return tuple(clause for part in re.split(r"[,;]\s*", self.clause) if part for clause in _spelled_out(part))

    @property
    def words(self) -> str:
        return self.says or self.handler.summary

    def hears(self, event: Event) -> bool:
        """Does the rule listen to this event? A step that fell due is heard by the rule that planned it alone."""
        if isinstance(event, StepDue) and event.rule != self.name:
            return False
        return isinstance(event, self.handler.on)


def _spelled_out(clauses: str) -> list[str]:
    span = re.fullmatch(r"([A-Z])(\d+)\s*[-–—]\s*\1(\d+)", clauses.strip())
    if span is None:
        return [clauses.strip()]
    return [f"{span[1]}{number}" for number in range(int(span[2]), int(span[3]) + 1)]


def handler(
    *,
    on: type[Event] | tuple[type[Event], ...],
    options: type[Options],
    gate: bool = False,
    needs: Iterable[Need] = (),
) -> Callable[[J], J]:
    """Mark the function that judges: ``(event, deal, options) → action(s) | Skip``.

    It must be pure: no clock, no environment, no network, no other handler. That is what makes dry run, rehearsal and
    table tests possible.
    """

    def mark(judge: J) -> J:
        made = Handler(
            on=on if isinstance(on, tuple) else (on,),
            options=options,
            gate=gate,
            needs=frozenset(needs),
            **said_by_its_file(judge),
        )
        setattr(judge, MARK, made)
        return judge

    return mark


def said_by_its_file(judge: Judge) -> dict[str, Any]:
    """What the file of the function that judges says of it: name, summary, clauses."""
    module = inspect.getmodule(judge)
    doc = inspect.cleandoc((module.__doc__ if module else "") or "")
    return {
        "name": judge.__name__,
        "judge": judge,
        "summary": doc.partition("\n")[0],
        "covers": next((line for line in doc.splitlines() if line.startswith("Covers ")), ""),
    }
