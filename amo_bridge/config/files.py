"""Config files on disk: a key or section changed with comments kept, saved atomically, backups."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from amo_bridge.config.account_fit import NameIssue
from amo_bridge.config.blocks import tree_of, values_of
from amo_bridge.config.loader import Readable, essentials, load, load_text, readable
from amo_bridge.config.model import Config
from amo_bridge.config.toml_lines import KeyPath, scanned, strings_of
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_types import (
    AccountName,
    ContactFieldName,
    CustomFieldName,
    FieldName,
    OptionName,
    PipelineName,
    StageName,
)
from amo_bridge.versioned_file import Backup, VersionedFile, Written

TEXT_PLACE = re.compile(r"\{[^{}]+\}")


def with_key(text: str, block: Sequence[str], key: str, value: bool | str) -> str:
    """The text with ``key`` of the block (handlers, the handler, the rule) set. Raises ConfigError."""
    wanted = tree_of(text)
    changed = _with_key(text, block, key, value)
    table = wanted
    for name in block:
        table = table[name]
    table[key] = value
    if not _is_tree(changed, wanted):
        raise ConfigError([f"блок [{'.'.join(block)}] записан необычно: измените его в файле"])
    return changed


def _with_key(text: str, block: Sequence[str], key: str, value: bool | str) -> str:
    table = values_of(text, block)
    if table is None:
        raise ConfigError([f"блока [{'.'.join(block)}] в файле нет"])
    if key not in table:
        return _with_line_after_first(text, block, _line(key, value))
    lines, span = text.split("\n"), _span_of(text, block)
    own = "\n".join(lines[slice(*span)]) if span else text
    document = _parsed(own)
    inner: Any = document
    for name in block:
        inner = inner[name]
    inner[key] = value
    changed = tomlkit.dumps(document)
    return changed if span is None else "\n".join([*lines[: span[0]], changed, *lines[span[1] :]])


Plain = str | int | float | bool
"""What a form gives a key of a section."""


def with_section(text: str, section: str, values: Mapping[str, Plain | None]) -> str:
    """The text with these keys of a section set, those that are None taken out; the section's other keys, comments and
    everything else are left as they are. A new section stands at the end. Raises ConfigError."""
    before = tree_of(text)
    told = {key: value for key, value in values.items() if value is not None}
    own = before.get(section, {})
    if not isinstance(own, dict):
        raise ConfigError([f"раздел [{section}] в файле записан необычно: измените его там"])
    wanted = {**{key: value for key, value in own.items() if key not in values}, **told}
    if section in before:
        changed = _with_keys(text, section, told, values)
    else:
        lines = [f"[{section}]", *(_line(key, value) for key, value in told.items())]
        changed = "\n".join([text.rstrip("\n"), "", *lines, ""])
    if not _is_tree(changed, {**before, section: wanted}):
        raise ConfigError([f"раздел [{section}] в файле записан необычно: измените его там"])
    return changed


def _with_keys(text: str, section: str, told: Mapping[str, Plain], values: Mapping[str, Plain | None]) -> str:
    lines, span = text.split("\n"), _span_of(text, [section])
    if span is None:
        raise ConfigError([f"раздел [{section}] записан не отдельным заголовком: измените его в файле"])
    # Its own lines alone: tomlkit takes half a second for the whole file.
    document = _parsed("\n".join(lines[slice(*span)]))
    table: Any = document[section]
    for key in [key for key in values if key in table]:
        if key not in told:
            del table[key]
        elif table[key].unwrap() != told[key]:
            table[key] = told[key]
    text = "\n".join([*lines[: span[0]], tomlkit.dumps(document), *lines[span[1] :]])
    # Each goes right below the header, so the first one comes last.
    for key, value in reversed([(key, value) for key, value in told.items() if key not in table]):
        text = _with_line_after_first(text, [section], _line(key, value))
    return text


def without_section(text: str, section: str) -> str:
    """The text without a section; comments above the next one stay. Raises ConfigError."""
    before = tree_of(text)
    if section not in before:
        return text
    lines = text.split("\n")
    begin, end = _span_of(text, [section]) or (len(lines), len(lines))
    while end > begin + 1 and end < len(lines) and lines[end - 1].lstrip()[:1] in {"", "#"}:
        end -= 1
    left = "\n".join(lines[:begin] + lines[end:])
    if text.endswith("\n") and left and not left.endswith("\n"):
        left += "\n"
    if not _is_tree(left, {name: value for name, value in before.items() if name != section}):
        raise ConfigError([f"раздел [{section}] в файле записан необычно: удалите его там"])
    return left


def _line(key: str, value: Plain) -> str:
    return f"{key} = {tomlkit.item(value).as_string()}"


def _is_tree(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError([f"файл не читается (строка {error.line}): сначала исправьте его"]) from error


def _span_of(text: str, block: Sequence[str]) -> tuple[int, int] | None:
    """Where a block's own lines begin, with its header, and where the next block's do; None without such a header."""
    headers = scanned(text).headers
    number = next((number for number, (path, _) in enumerate(headers) if path == tuple(block)), None)
    if number is None:
        return None
    end = headers[number + 1][1] - 1 if number + 1 < len(headers) else text.count("\n") + 1
    return headers[number][1] - 1, end


def _with_line_after_first(text: str, block: Sequence[str], line: str) -> str:
    """A new key stands right below ``enabled``, where people look for it; tomlkit would put it at the block's end,
    behind the comment that belongs to the next block."""
    lines, span = text.split("\n"), _span_of(text, block)
    if span is None:
        raise ConfigError([f"блок [{'.'.join(block)}] записан не отдельным заголовком: измените его в файле"])
    below = next((n for n in _lines_with(text, "enabled") if n in range(span[0] + 1, span[1])), span[0])
    return "\n".join([*lines[: below + 1], line, *lines[below + 1 :]])


def _lines_with(text: str, key: str) -> Iterator[int]:
    """Of keys of this name whose value ends on their own line."""
    for pair in scanned(text).pairs:
        if pair.path[-1] == key and "\n" not in text[pair.start : pair.end]:
            yield text.count("\n", 0, pair.start)


def with_new_names(text: str, issues: Iterable[NameIssue]) -> str:
    """The text with what was renamed in amoCRM under its new names, comments and everything else left as they are.

    What stands where this does not find it stays; the config still works by the name's id."""
    renamed = [one for one in issues if one.new_name]
    wanted = {(_plain_path(one.path), str(one.name)): one.new_name for one in renamed}
    wanted |= {place: new for one in renamed for place, new in _described(one.name, one.new_name)}
    pieces, at = [], 0
    for string in strings_of(text):
        raw = text[string.start : string.end]
        new = _renamed_string(raw, _plain_path(string.path), wanted)
        if new is not None:
            pieces += [text[at : string.start], new]
            at = string.end
    return "".join([*pieces, text[at:]])


def _described(old: AccountName, new: str) -> Iterator[tuple[tuple[tuple[str, ...], str], str]]:
    """Where ``[provision]`` describes what was renamed (path, name), and the new name there: else provision would want
    to make it anew."""
    match old:
        case StageName() if "/" in old and "/" in new:
            pipeline, stage = (part.strip() for part in old.split("/", 1))
            new_pipeline, new_stage = (part.strip() for part in new.split("/", 1))
            place = ("provision", "pipelines", pipeline)
            yield (place, stage), new_stage
            yield (place, pipeline), new_pipeline
        case PipelineName():
            yield (("provision", "pipelines", str(old)), str(old)), new
        case OptionName():
            for section in ("fields", "contact_fields"):
                yield (("provision", section, old.field), str(old)), new
                yield (("provision", section, old.field, "choices"), str(old)), new
        case FieldName() | CustomFieldName() | ContactFieldName():
            section = "contact_fields" if isinstance(old, ContactFieldName) else "fields"
            yield (("provision", section, str(old)), str(old)), new


def _renamed_string(raw: str, path: tuple[str, ...], wanted: Mapping[tuple[tuple[str, ...], str], str]) -> str | None:
    try:
        before = after = str(tomllib.loads(f"x = {raw}")["x"])
    except tomllib.TOMLDecodeError:
        return None
    for (place, old), new in wanted.items():
        if place != path:
            continue
        if after == old:
            after = new
        elif f"{{{old}}}" in after:
            after = after.replace(f"{{{old}}}", f"{{{new}}}")
        elif path[0] != "provision" and path[-1] != before and not TEXT_PLACE.search(after):
            # A due phrase: «field: Дата оплаты + 2 d».
            after = after.replace(old, new)
    return None if after == before else tomlkit.string(after, multiline="\n" in after).as_string()


def _plain_path(path: KeyPath) -> tuple[str, ...]:
    """Without numbers of elements: a lone one needs no list. Options spell ``is`` as ``is_``."""
    return tuple(step.rstrip("_") for step in path if isinstance(step, str))


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


# A folder of configs: each its own account. One that can't be read stops nobody but itself.

# What belongs to one account and can't be meant for all of them.
OF_ONE = ("AMO_BRIDGE_TOKEN", "AMO_BRIDGE_TOKEN_FILE", "AMO_BRIDGE_ACCOUNT_URL", "AMO_BRIDGE_HOOK_SECRET")


@dataclass(frozen=True)
class AccountConfig:
    """One file. ``config`` is None when it can't be used; ``problems`` (Russian) say why. ``essentials``: what can be
    read of it all the same."""

    name: str
    environment: Mapping[str, str]
    config: Config | None
    problems: tuple[str, ...] = ()
    essentials: Config | None = None


def load_folder(folder: Path, environment: Mapping[str, str]) -> list[AccountConfig]:
    """All ``*.toml`` of a folder, by name. Raises ConfigError when there is none."""
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise ConfigError([f"в папке {folder} нет ни одного файла *.toml"])
    found: list[AccountConfig] = []
    taken: dict[str, str] = {}
    for path in paths:
        one = _load(path, environment_of(environment, path.stem))
        if (
            one.config is not None
            and (other := taken.setdefault(one.config.account.url.lower(), path.name)) != path.name
        ):
            words = f"{path.name}: [account] url: этот же аккаунт уже в файле {other}"
            one = AccountConfig(one.name, one.environment, None, (words,))
        found.append(one)
    return found


def environment_of(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """The environment as one account sees it: the token of ``acme.toml`` is AMO_BRIDGE_TOKEN with ``__ACME`` behind it.

    What is not of one account alone (the key, the database, an integration's keys) holds for all that have none of
    their own.
    """
    suffix = "__" + re.sub(r"\W+", "_", name).upper()
    common = {key: value for key, value in environment.items() if key not in OF_ONE}
    own = {key.removesuffix(suffix): value for key, value in environment.items() if key.endswith(suffix)}
    return {**common, **own}


def _load(path: Path, environment: Mapping[str, str]) -> AccountConfig:
    try:
        return AccountConfig(path.stem, environment, load(path, environment))
    except ConfigError as error:
        return AccountConfig(path.stem, environment, None, tuple(error.problems), essentials(path, environment))


# The config's file: its versions are kept in a folder of the data folder.

FOLDER = "config-backups"


class ConfigFile:
    """``data_folder``: where the versions before are kept."""

    def __init__(self, path: Path, data_folder: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._file = VersionedFile(path, data_folder / FOLDER)
        self._environment = environment

    def read(self) -> Written:
        """The file as it is. Raises ConfigError."""
        return self._file.read()

    def checked(self, text: str) -> Config:
        """The config that the text would be. Raises ConfigError with all its problems."""
        return load_text(self._path, text, self._environment)

    def readable(self, text: str) -> Readable:
        """What of the text can be read, and all that is wrong with the rest."""
        return readable(self._path, text, self._environment)

    def save(self, text: str, mark: str) -> None:
        """Put the text in place of the version of this mark. Raises ConfigError, also when that is no longer there."""
        self.checked(text)
        self._file.save(text, mark)

    def backups(self) -> list[Backup]:
        """Newest first."""
        return self._file.backups()

    def backup(self, name: str) -> str:
        """The text of a version before. Raises ConfigError."""
        return self._file.backup(name)
