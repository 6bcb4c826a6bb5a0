"""Diagnostics: every mistake of a config in Russian, with its line and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date, time
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from amo_bridge.config.toml_lines import KeyPath, line_of, places_of
from amo_bridge.errors import ConfigError, why_not
from amo_bridge.text.names import nearest

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_CUT_OFF = "файл кончается посреди значения: не закрыта скобка или кавычка"
_WORDS = (
    (r"Cannot (?:overwrite|mutate|declare|redefine).*|Duplicate inline table key.*", "такой ключ или раздел уже есть"),
    (r"Invalid value", 'значение не читается: текст пишется в кавычках, да и нет — true и false, список — ["…", "…"]'),
    (r"Unclosed array", "список не закрыт: не хватает ]"),
    (r"Unclosed inline table|Expected '}'.*", "таблица не закрыта: не хватает }"),
    (r"Unterminated string|Illegal character .*", "текст не закрыт: не хватает кавычки в конце строки"),
    (
        r"Unescaped .* in a string|Invalid hex value|Escaped character .*",
        "обратная черта в тексте пишется дважды: \\\\",
    ),
    (r"Expected '\]+' .*", "имя раздела не закрыто: не хватает ]"),
    (r"Expected '=' .*", "после ключа нужен знак ="),
    (r"Expected newline .*", "лишнее в конце строки: одно значение на строку; внутри текста кавычки — «ёлочки»"),
    (
        r"Invalid statement|Invalid initial character .*",
        'здесь должен быть ключ латиницей, [раздел] или # примечание; русский ключ пишется в кавычках: "ключ" = …',
    ),
    (r"Invalid date or datetime", "такой даты нет"),
    (r"Found invalid character .*", "недопустимый знак"),
)


def toml_problem(text: str, error: str) -> tuple[int | None, str]:
    """(line, words) for what tomllib said about the text. The line is None at the end of the file."""
    place = _AT.search(error)
    if place is not None and place[1] is None:
        return None, _CUT_OFF
    said = error[: place.start()] if place else error
    words = next((words for pattern, words in _WORDS if re.fullmatch(pattern, said, re.DOTALL)), "строка не читается")
    if place is None:
        return None, words
    line = int(place[1])
    if words == _WORDS[0][1]:
        return line, words + _seen_before(text, line)
    shown = text.splitlines()[line - 1].strip() if line <= len(text.splitlines()) else ""
    return line, words + (f" — {shown}" if shown else "")


def _seen_before(text: str, line: int) -> str:
    """«, в строке 5; …»: where the same key or table stands first, or else the nearest one that it would be part of."""
    places = places_of(text)
    here = [path for path, at in places if at == line]
    before = {path: at for path, at in reversed(places) if at < line}
    parts = [path[:length] for path in here for length in range(len(path), 0, -1)]
    first = next((before[part] for part in parts if part in before), None)
    return (f", в строке {first}" if first else "") + "; оставьте один"


# What is wrong with the config, in Russian: file, line, block, key, and what to do.

_SWITCH = "нужно true или false без кавычек"
_TEXT = "нужен текст в кавычках"
_WHOLE = "нужно целое число без кавычек"
_NUMBER = "нужно число без кавычек"
_LIST = 'нужен список в квадратных скобках: ["…", "…"]'
_TABLE = "нужна таблица { ключ = значение }"
_DAY = 'нужна дата: "2026-12-31"'
_TIME = 'нужно время: "10:00"'

TYPES: Mapping[str, str] = {
    "missing": "обязательный ключ не задан, допишите его",
    **dict.fromkeys(("bool_type", "bool_parsing"), _SWITCH),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode", "invalid_key"), _TEXT),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _NUMBER),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), _TABLE),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing", "datetime_type"), _DAY),
    **dict.fromkeys(("time_type", "time_parsing"), _TIME),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), 'нужен промежуток в кавычках: "24 h"'),
    "string_too_short": "текст не может быть пустым",
    "too_short": "список не может быть пустым",
    "too_long": "в списке слишком много значений",
    "string_too_long": "текст слишком длинный",
    "string_pattern_mismatch": "текст записан не так, как нужно",
}
WITH_LIMIT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "extra_forbidden": lambda ctx: "такого ключа нет",
    "greater_than": lambda ctx: f"должно быть больше {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"должно быть не меньше {ctx['ge']:g}",
    "less_than": lambda ctx: f"должно быть меньше {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"должно быть не больше {ctx['le']:g}",
    "literal_error": lambda ctx: "годится только " + " или ".join(f'"{one}"' for one in _allowed(ctx)),
    "value_error": lambda ctx: str(ctx["error"]),
    "assertion_error": lambda ctx: str(ctx["error"]) or "значение не подходит",
}
_TELLS_ITSELF = ("missing", "extra_forbidden", "value_error", "assertion_error", "string_too_short")
_PLACE = re.compile(r"[^:\n]*?, строка (\d+)(?=[: ])")
_BLOCK = re.compile(r"строка \d+ \[([\w.]+)\] (?:[\w.]+: )?(.+)")
_BARE = re.compile(r"[\w-]+")


def problem(where: str, line: int | None, key: str, words: str) -> str:
    """«config.toml, строка 42 [handlers.x.y] ключ: что не так»."""
    place = ", ".join(part for part in (where, f"строка {line}" if line else "") if part)
    return f"{place}{' ' + key if key else ''}: {words}"


def place_of(problem: str) -> tuple[str, int | None]:
    """Where a problem says it is, and the line: («config.toml, строка 42», 42); ("", None) if it names no line."""
    told = _PLACE.match(problem)
    return (told[0], int(told[1])) if told else ("", None)


def block_of(problem: str) -> tuple[tuple[str, ...], str]:
    """The block that a problem is of, and what is wrong there; empty if it names none, or no line."""
    told = _BLOCK.search(problem)
    return (tuple(told[1].split(".")), told[2]) if told else ((), "")


def place(block: Iterable[str | int], key: Iterable[str | int] = ()) -> str:
    """«[handlers.x.y] tasks[2].to»."""
    return f"[{dotted(block)}] {dotted(key)}".strip()


def dotted(steps: Iterable[str | int]) -> str:
    """tasks, 0, to → tasks[1].to (people count from one); a name with blanks stands in quotes, as in TOML."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step + 1}]"
        else:
            text += ("." if text else "") + (step if _BARE.fullmatch(step) else f'"{step}"')
    return text


def in_russian(error: ErrorDetails, known_keys: Iterable[str]) -> str:
    """One pydantic error in Russian, with the nearest right word when there is one."""
    kind, ctx, given = error["type"], error.get("ctx", {}), error["input"]
    words = TYPES.get(kind) or (WITH_LIMIT[kind](ctx) if kind in WITH_LIMIT else "значение не подходит")
    if kind == "extra_forbidden":
        return words + advice(str(error["loc"][-1]), known_keys)
    if kind not in _TELLS_ITSELF and isinstance(given, str | bool | int | float | date | time):
        words += f", а стоит {_as_written(given)}"
    if kind == "literal_error" and (close := nearest(str(given), _allowed(ctx))):
        words += f"; может быть, «{close}»?"
    return words


def advice(wrong: str, known: Iterable[str]) -> str:
    """«; может быть, «…»?», or else everything there is."""
    known = list(known)
    if close := nearest(wrong, known):
        return f"; может быть, «{close}»?"
    return f"; есть: {', '.join(known)}" if known else ""


def _allowed(ctx: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(ctx.get("expected", "")))


def _as_written(given: str | float | date | time) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    return f"«{given}»" if isinstance(given, str) else str(given)


# All mistakes of one config file, gathered as they are met: each with its place in the file, in Russian.


class Problems:
    """``lines``: where the keys stand. ``from_environment``: keys that a variable has overridden → its name.
    ``is_broken``: does a path stand in a table of which not all could be read? Nothing more is said of that.
    ``places``: what was found → the path of its key, and the words alone."""

    def __init__(
        self, path: Path, lines: Mapping[KeyPath, int], is_broken: Callable[[KeyPath], bool] = lambda path: False
    ) -> None:
        self._is_broken = is_broken
        self.found: list[str] = []
        self.places: dict[str, tuple[KeyPath, str]] = {}
        self.from_environment: dict[KeyPath, str] = {}
        self._file = path.name
        self._lines = lines

    def add(self, path: KeyPath, words: str, *, block: int = 1) -> None:
        """``block``: how many steps of the path are the name of the block, the rest being the key."""
        if self._is_broken(path):
            return
        if variable := self.from_environment.get(path):
            self.found.append(problem(f"переменная окружения {variable}", None, "", words))
            return
        told = problem(self._file, line_of(self._lines, path), place(path[:block], path[block:]), words)
        self.found.append(told)
        self.places.setdefault(told, (path, words))

    def unknown(self, path: KeyPath, words: str, wrong: str, known: Iterable[str], *, block: int = 1) -> None:
        """A word that is not among the known ones, with the nearest of them."""
        self.add(path, words + advice(wrong, known), block=block)

    def invalid(
        self,
        errors: ValidationError,
        path: KeyPath,
        model: type[BaseModel],
        *,
        block: int = 1,
        more_keys: Iterable[str] = (),
        told_keys: Container[str] = (),
    ) -> None:
        """Everything pydantic found wrong in a table that stands at ``path`` and should have been ``model``, except
        what is wrong with ``told_keys``."""
        told = set()
        found = [error for error in errors.errors() if not error["loc"] or error["loc"][0] not in told_keys]
        for error in found:
            if error["type"] == "too_short" and any(_is_inside(other["loc"], error["loc"]) for other in found):
                # A list whose elements are all wrong counts as empty too; the elements are told.
                continue
            steps, known = _steps_and_keys(model, error["loc"])
            at_top = len(steps) < 2
            words = in_russian(error, [*known, *(more_keys if at_top else ())])
            if (steps, words) not in told:
                told.add((steps, words))
                self.add((*path, *steps), words, block=block)


def _is_inside(loc: KeyPath, outer: KeyPath) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _steps_and_keys(model: type[BaseModel], loc: KeyPath) -> tuple[KeyPath, list[str]]:
    """The steps as the config has them, without pydantic's own marks, and the keys that could stand at the last one."""
    annotation: Any = model
    steps: list[str | int] = []
    known: list[str] = []
    for step in loc:
        branches = _branches(annotation)
        if step == "[key]":
            continue
        if len(branches) > 1:
            # pydantic names the branch of a union that it tried.
            annotation = next((one for one in branches if getattr(one, "__name__", "") == step), None)
            continue
        steps.append(step)
        known = _keys(branches[0])
        annotation = _inside(branches[0], step)
    return tuple(steps), known


def _branches(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [one for one in get_args(annotation) if one is not type(None)]
    return [annotation]


def _keys(annotation: Any) -> list[str]:
    if not _is_model(annotation):
        return []
    return [field.alias or name for name, field in annotation.model_fields.items()]


def _inside(annotation: Any, step: str | int) -> Any:
    if _is_model(annotation):
        fields = annotation.model_fields
        return next((field.annotation for name, field in fields.items() if step in (name, field.alias)), None)
    return next((one for one in reversed(get_args(annotation)) if one is not Ellipsis), None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


# The config file → its tree and its lines. Whatever keeps it from being read is a ConfigError that says what to do.


def text_of(path: Path) -> str:
    """What is in the file, its lines ended by a line feed alone. Raises ConfigError that says what to do."""
    line = None
    try:
        source = path.read_bytes()
        # Windows' Notepad puts a mark at the beginning that TOML does not know, and ends lines its own way.
        return source.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        words = f"файла {path} нет; начните с копии config.example.toml"
    except IsADirectoryError:
        words = f"{path} — папка, а нужен файл настройки"
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        words = "файл не в UTF-8; сохраните его в этой кодировке"
    except OSError as error:
        words = f"файл {path} не читается: {why_not(error)}"
    raise ConfigError([problem(path.name, line, "", words)])
