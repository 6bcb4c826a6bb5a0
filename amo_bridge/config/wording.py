"""What is wrong with the config, in Russian: file, line, block, key, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from amo_bridge.names import nearest

TYPES: Mapping[str, str] = {
    "missing": "обязательный ключ не задан",
    "bool_type": "нужно true или false без кавычек",
    "bool_parsing": "нужно true или false без кавычек",
    "string_type": "нужен текст в кавычках",
    "string_too_short": "текст не может быть пустым",
    "int_type": "нужно целое число",
    "int_parsing": "нужно целое число",
    "int_from_float": "нужно целое число",
    "float_type": "нужно число",
    "float_parsing": "нужно число",
    "tuple_type": 'нужен список в квадратных скобках: ["…", "…"]',
    "list_type": 'нужен список в квадратных скобках: ["…", "…"]',
    "dict_type": "нужна таблица { ключ = значение }",
    "model_type": "нужна таблица { ключ = значение }",
    "model_attributes_type": "нужна таблица { ключ = значение }",
    "too_short": "список не может быть пустым",
    "invalid_key": "ключ должен быть текстом",
}
WITH_LIMIT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "extra_forbidden": lambda ctx: "такого ключа нет",
    "greater_than": lambda ctx: f"должно быть больше {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"должно быть не меньше {ctx['ge']}",
    "less_than": lambda ctx: f"должно быть меньше {ctx['lt']}",
    "less_than_equal": lambda ctx: f"должно быть не больше {ctx['le']}",
    "literal_error": lambda ctx: f"годится только {str(ctx['expected']).replace(' or ', ' или ')}",
    "value_error": lambda ctx: str(ctx["error"]),
    "string_pattern_mismatch": lambda ctx: "нужен адрес, который начинается с https://",
}


def problem(where: str, line: int | None, key: str, words: str) -> str:
    """«config.toml, строка 42, [handlers.x.y] ключ: что не так»."""
    place = ", ".join(part for part in (where, f"строка {line}" if line else "") if part)
    return f"{place}{' ' + key if key else ''}: {words}"


def dotted(steps: tuple[Any, ...]) -> str:
    """tasks, 0, to → tasks[1].to (people count from one)."""
    text = ""
    for step in steps:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def in_russian(error: ErrorDetails, known_keys: Iterable[str]) -> str:
    """One pydantic error in Russian, with the nearest right key when an unknown one was used."""
    kind = error["type"]
    if kind in TYPES:
        words = TYPES[kind]
    elif kind in WITH_LIMIT:
        words = WITH_LIMIT[kind](error.get("ctx", {}))
    else:
        words = f"не подходит ({error['msg']})"
    if kind == "extra_forbidden" and (close := nearest(str(error["loc"][-1]), list(known_keys))):
        words += f"; может быть, «{close}»?"
    elif kind not in ("missing", "extra_forbidden", "value_error") and isinstance(error["input"], str | int | float):
        words += f", а стоит {error['input']!r}"
    return words
