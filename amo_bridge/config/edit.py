"""The config's text changed by a program: one key of one block, comments and everything else left as they are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import Table

from amo_bridge.errors import ConfigError


def with_key(text: str, block: Sequence[str], key: str, value: bool | str) -> str:
    """The text with ``key`` of the block (handlers, the handler, the rule) set. Raises ConfigError."""
    document = _parsed(text)
    table = document
    for name in block:
        found = table.get(name)
        if not isinstance(found, Table | dict):
            raise ConfigError([f"блока [{'.'.join(block)}] в файле нет"])
        table = found  # type: ignore[assignment]
    if key in table:
        table[key] = value
        return tomlkit.dumps(document)
    return _with_line_after_first(text, block, f"{key} = {tomlkit.item(value).as_string()}")


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError([f"файл не читается (строка {error.line}): сначала исправьте его"]) from error


def _with_line_after_first(text: str, block: Sequence[str], line: str) -> str:
    """A new key stands right below ``enabled``, where people look for it; tomlkit would put it at the block's end,
    behind the comment that belongs to the next block."""
    lines = text.split("\n")
    header = next((n for n, one in enumerate(lines) if _is_header(one, block)), None)
    if header is None:
        raise ConfigError([f"блок [{'.'.join(block)}] записан не отдельным заголовком: измените его в файле"])
    below = next((n for n in range(header + 1, len(lines)) if lines[n].lstrip().startswith("enabled")), header)
    return "\n".join([*lines[: below + 1], line, *lines[below + 1 :]])


def _is_header(line: str, block: Sequence[str]) -> bool:
    bare = line.partition("#")[0].strip()
    if not (bare.startswith("[") and bare.endswith("]")):
        return False
    return [part.strip().strip("\"'") for part in bare[1:-1].split(".")] == list(block)


def difference(old: str, new: str) -> list[str]:
    """What changes, as lines that begin with «+», «-» or a space; «…» between places that are far apart."""
    told: list[str] = []
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2):
        if line.startswith(("---", "+++")):
            continue
        if line.startswith("@@"):
            told += ["…"] if told else []
        else:
            told.append(line)
    return told
