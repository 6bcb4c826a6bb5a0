"""The config file → its tree and its lines. Whatever keeps it from being read is a ConfigError that says what to do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from amo_bridge.config.lines import KeyPath, lines_of
from amo_bridge.config.toml_words import toml_problem
from amo_bridge.config.wording import problem
from amo_bridge.errors import ConfigError, why_not


def read(path: Path, text: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """(tree, lines) of the text, which is ``path``'s or is to be. Raises ConfigError with the one problem there is."""
    try:
        return tomllib.loads(text), lines_of(text)
    except tomllib.TOMLDecodeError as error:
        line, words = toml_problem(text, str(error))
        raise ConfigError([problem(path.name, line, "", f"это не TOML: {words}")]) from error


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
