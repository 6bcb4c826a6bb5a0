"""What is wrong with the config, in Russian: file, line, block, key, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Any

from pydantic_core import ErrorDetails

from amo_bridge.text.names import nearest

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
_BARE = re.compile(r"[\w-]+")


def problem(where: str, line: int | None, key: str, words: str) -> str:
    """«config.toml, строка 42 [handlers.x.y] ключ: что не так»."""
    place = ", ".join(part for part in (where, f"строка {line}" if line else "") if part)
    return f"{place}{' ' + key if key else ''}: {words}"


def place_told(problem: str) -> tuple[str, int | None]:
    """Where a problem says it is, and the line: («config.toml, строка 42», 42); ("", None) if it names no line."""
    told = _PLACE.match(problem)
    return (told[0], int(told[1])) if told else ("", None)


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
