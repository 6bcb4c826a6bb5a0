"""The rules of a config: the blocks of ``[handlers.…]`` and ``[schedules.…]``, read by the options of their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from amo_bridge.config.lines import KeyPath
from amo_bridge.config.problems import Problems
from amo_bridge.config.sections import taken
from amo_bridge.dates.duration import Duration
from amo_bridge.errors import ConfigError
from amo_bridge.rule_folders import Section, own, shipped
from amo_bridge.rules import Handler, Options, Rule
from amo_bridge.text.names import nearest

RULES: tuple[Section, ...] = ("handlers", "schedules")
UNKNOWN: Mapping[Section, str] = {"handlers": "такого обработчика нет", "schedules": "такого расписания нет"}
A_RULE = 3
"""A rule's block has a name of three steps: handlers, the handler, the rule."""


class RuleSwitches(Options):
    """The keys that every rule's block has, whatever its handler. ``enabled`` is a must: silence is never "on"."""

    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""
    max_lateness: Duration = timedelta(hours=24)
    most_per_hour: Annotated[int, Field(ge=1)] = 10


class RuleLoader:
    """``base``: the folder that the config stands in. ``own_folders``: the agency's own, as the config writes them.
    ``shared``: the sections that rules may take, None for one that is wrong. ``tree``: the whole config."""

    def __init__(
        self,
        base: Path,
        own_folders: Mapping[Section, str],
        shared: Mapping[str, BaseModel | None],
        tree: Mapping[str, Any],
        problems: Problems,
    ) -> None:
        self._base = base
        self._own_folders = own_folders
        self._shared = shared
        self._tree = tree
        self._problems = problems
        self._known = {section: shipped(section) for section in RULES}

    def rules(self, tables: Mapping[Section, Mapping[str, Any]]) -> tuple[Rule, ...]:
        """All rules that could be read; what could not is told."""
        return tuple(rule for section in RULES for rule in self._of(section, tables[section], self._own(section)))

    def _own(self, section: Section) -> dict[str, Handler] | None:
        """The agency's own; None if the folder can't be used, which is told.

        A name is taken in both sections at once: the journal and the outbox tell rules apart by it."""
        folder = self._own_folders.get(section)
        if folder is None:
            return {}
        try:
            return own(section, self._base / folder, taken={name for known in self._known.values() for name in known})
        except ConfigError as error:
            for words in error.problems:
                self._problems.add(("bridge", f"own_{section}"), words)
            return None

    def _of(self, section: Section, table: Mapping[str, Any], own: Mapping[str, Handler] | None) -> Iterator[Rule]:
        known = {**self._known[section], **(own or {})}
        for name, blocks in table.items():
            if name not in known:
                # It may stand in the folder that could not be read; a typo in a shipped one's name is still seen.
                if own is not None or nearest(name, known):
                    self._problems.unknown((section, name), UNKNOWN[section], name, known, block=2)
            elif not isinstance(blocks, dict) or not all(isinstance(block, dict) for block in blocks.values()):
                words = f"у правила должно быть своё имя, например [{section}.{name}.my_rule]"
                self._problems.add((section, name), words, block=2)
            else:
                for block, keys in blocks.items():
                    yield from self._rule(known[name], block, dict(keys))

    def _rule(self, handler: Handler, block: str, keys: dict[str, Any]) -> Iterator[Rule]:
        path = (handler.section, handler.name, block)
        common = {key: keys.pop(key) for key in list(keys) if key in RuleSwitches.model_fields}
        switches = options = None
        try:
            switches = RuleSwitches.model_validate(common)
        except ValidationError as errors:
            self._problems.invalid(errors, path, RuleSwitches, block=A_RULE)
        shared = self._from_sections(handler, keys, path)
        try:
            options = handler.options.model_validate(keys | shared)
        except ValidationError as errors:
            self._problems.invalid(
                errors, path, handler.options,
                block=A_RULE, more_keys=RuleSwitches.model_fields, told_keys=dict(taken(handler.options)),
            )  # fmt: skip
        if switches is not None and options is not None:
            yield Rule(handler=handler, block=block, options=options, **switches.model_dump())

    def _from_sections(self, handler: Handler, keys: Iterable[str], path: KeyPath) -> dict[str, BaseModel]:
        """What the rule takes from sections of the config. A section that is wrong is told already."""
        found = {}
        for option, where in taken(handler.options):
            if option in keys:
                self._problems.add((*path, option), f"это задаётся один раз, в разделе [{where.name}]", block=A_RULE)
            if where.name not in self._tree:
                self._problems.add(path, f"правилу нужен раздел [{where.name}], а его нет", block=A_RULE)
            if section := self._shared[where.name]:
                found[option] = section
        return found
