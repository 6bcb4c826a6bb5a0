"""What is wrong with a file that is not TOML, in Russian, with the line and the word that was there."""

from __future__ import annotations

import re

from amo_bridge.config.lines import places_of

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
