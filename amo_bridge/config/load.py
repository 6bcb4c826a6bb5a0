"""TOML file → Config, strictly, with every mistake found at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from amo_bridge.config.lines import line_of, lines_of
from amo_bridge.config.model import MANAGER, AccountSection, BridgeSection, Config, RoleSpec
from amo_bridge.config.names import PersonName, names_in
from amo_bridge.config.wording import dotted, in_russian, problem
from amo_bridge.errors import ConfigError
from amo_bridge.names import nearest, same_name
from amo_bridge.rules import Handler, Options, Rule, own_handlers, shipped_handlers
from amo_bridge.worktime import CalendarOptions

SECTIONS = ("account", "bridge", "calendar", "roles", "handlers")
ACCOUNT_URL = "AMO_BRIDGE_ACCOUNT_URL"
PUBLIC_URL = "AMO_BRIDGE_PUBLIC_URL"
DATA = "AMO_BRIDGE_DATA"
S = TypeVar("S", bound=BaseModel)
ROLES: TypeAdapter[dict[str, RoleSpec]] = TypeAdapter(dict[str, RoleSpec])


class RuleSwitches(Options):
    """The keys that every rule's block has, whatever its handler. ``enabled`` is a must: silence is never "on"."""

    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file. Raises ConfigError with all problems; names of the account are checked elsewhere
    (``amo_bridge.config.against_account``), because that needs the account."""
    return _Loader(path, environment).load()


class _Loader:
    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.environment = environment
        self.problems: list[str] = []
        self.lines: dict[tuple[str, ...], int] = {}

    def load(self) -> Config:
        tree = self._read()
        for name in tree:
            if name not in SECTIONS:
                self._unknown((name,), name, SECTIONS, f"раздела [{name}] нет")
        account = self._section("account", AccountSection, self._overridden(tree, "account", {"url": ACCOUNT_URL}))
        bridge = self._section(
            "bridge", BridgeSection, self._overridden(tree, "bridge", {"public_url": PUBLIC_URL, "data": DATA})
        )
        calendar = self._section("calendar", CalendarOptions, self._table(tree, "calendar"))
        roles = self._roles(self._table(tree, "roles"))
        rules = self._rules(self._table(tree, "handlers"), bridge)
        self._known_people(rules, roles)
        if self.problems or account is None or bridge is None or calendar is None:
            raise ConfigError(self.problems)
        return Config(self.path, account, bridge, calendar, roles, rules, self.lines)

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text("utf-8")
            self.lines = lines_of(text)
            return tomllib.loads(text)
        except FileNotFoundError:
            words = "файла нет; начните с копии config.example.toml"
        except UnicodeDecodeError:
            words = "файл не в UTF-8; сохраните его в этой кодировке"
        except OSError as error:
            words = f"файл не читается: {error.strerror}"
        except tomllib.TOMLDecodeError as error:
            words = f"это не TOML: {error}"
        raise ConfigError([problem(self.path.name, None, "", words)])

    def _table(self, tree: Mapping[str, Any], name: str) -> dict[str, Any]:
        table = tree.get(name, {})
        if isinstance(table, dict):
            return dict(table)
        self._add((name,), "", f"[{name}] должен быть разделом, а не значением")
        return {}

    def _overridden(self, tree: Mapping[str, Any], name: str, variables: Mapping[str, str]) -> dict[str, Any]:
        table = self._table(tree, name)
        for key, variable in variables.items():
            if value := self.environment.get(variable):
                table[key] = value
        return table

    def _section(self, name: str, model: type[S], table: Mapping[str, Any]) -> S | None:
        try:
            return model.model_validate(table)
        except ValidationError as errors:
            self._wrong(errors, (name,), model)
            return None

    def _roles(self, table: dict[str, Any]) -> dict[str, RoleSpec]:
        if MANAGER in table:
            self._add(("roles", MANAGER), MANAGER, "эта роль есть всегда: ответственный за сделку; уберите строку")
            table.pop(MANAGER)
        try:
            return ROLES.validate_python(table)
        except ValidationError as errors:
            for name in {str(error["loc"][0]) for error in errors.errors()}:
                words = 'нужно имя пользователя или { field = "поле сделки", otherwise = "имя" }'
                self._add(("roles", name), name, words)
            return {}

    def _rules(self, table: Mapping[str, Any], bridge: BridgeSection | None) -> tuple[Rule, ...]:
        handlers = shipped_handlers() | self._own(bridge)
        rules = []
        for name, blocks in table.items():
            if name not in handlers:
                self._unknown(("handlers", name), name, handlers, "такого обработчика нет")
            elif not isinstance(blocks, dict) or not all(isinstance(block, dict) for block in blocks.values()):
                self._add(("handlers", name), "", f"правилу нужно своё имя: [handlers.{name}.моё_правило]")
            else:
                rules += [self._rule(handlers[name], block, dict(keys)) for block, keys in blocks.items()]
        return tuple(rule for rule in rules if rule is not None)

    def _own(self, bridge: BridgeSection | None) -> dict[str, Handler]:
        if bridge is None or not bridge.own_handlers:
            return {}
        try:
            return own_handlers(self.path.parent / bridge.own_handlers)
        except (ValueError, ImportError, SyntaxError) as error:
            self._add(("bridge", "own_handlers"), "own_handlers", str(error))
            return {}

    def _rule(self, handler: Handler, block: str, keys: dict[str, Any]) -> Rule | None:
        path = ("handlers", handler.name, block)
        common = {key: keys.pop(key) for key in list(keys) if key in RuleSwitches.model_fields}
        switches = options = None
        try:
            switches = RuleSwitches.model_validate(common)
        except ValidationError as errors:
            self._wrong(errors, path, RuleSwitches)
        try:
            options = handler.options.model_validate(keys)
        except ValidationError as errors:
            self._wrong(errors, path, handler.options, more_keys=RuleSwitches.model_fields)
        if switches is None or options is None:
            return None
        return Rule(handler=handler, block=block, options=options, **switches.model_dump())

    def _known_people(self, rules: tuple[Rule, ...], roles: Mapping[str, RoleSpec]) -> None:
        """A word without a capital letter is meant as a role: say at once when there is no such role."""
        known = (MANAGER, *roles)
        for rule in rules:
            for path, name in names_in(rule.options):
                if isinstance(name, PersonName) and name.islower() and not any(same_name(name, role) for role in known):
                    full = ("handlers", rule.handler.name, rule.block, *path)
                    self._unknown(full, dotted(path), known, f"роли «{name}» нет в [roles]", wrong=name)

    def _wrong(
        self,
        errors: ValidationError,
        path: tuple[str, ...],
        model: type[BaseModel],
        more_keys: Mapping[str, Any] | None = None,
    ) -> None:
        for error in errors.errors():
            steps = tuple(step for step in error["loc"] if step != "[key]")
            known = [*_keys_at(model, steps[:-1]), *(more_keys or {})]
            self._add((*path, *steps), dotted(steps), in_russian(error, known), block=path)

    def _unknown(self, path: tuple[Any, ...], key: str, known: Any, words: str, *, wrong: str | None = None) -> None:
        close = nearest(wrong or key, list(known))
        advice = f"; может быть, «{close}»?" if close else f"; есть: {', '.join(known)}"
        self._add(path, key, words + advice)

    def _add(self, path: tuple[Any, ...], key: str, words: str, *, block: tuple[str, ...] | None = None) -> None:
        block = block or tuple(str(step) for step in path[: 3 if path[0] == "handlers" else 1])
        line = line_of(self.lines, path)
        self.problems.append(problem(self.path.name, line, f"[{'.'.join(block)}] {key}".strip(), words))


def _keys_at(model: type[BaseModel], steps: tuple[Any, ...]) -> list[str]:
    """The keys that a model nested in ``model`` at ``steps`` may have."""
    for step in steps:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(str(step)) or next(
            (field for field in model.model_fields.values() if field.alias == step), None
        )
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple, list, dict) or get_args(annotation):
        for inner in get_args(annotation):
            if found := _model_in(inner):
                return found
    return None
