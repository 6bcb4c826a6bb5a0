"""Regulations that one may begin with: the shipped examples, taken apart into blocks, and trimmed.

There is no second copy of a rule: what ``init`` writes is what the example says, under the account's own names. What
one can do without is taken out where the account lacks it, never a condition or a list's last item.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any

import tomlkit

from amo_bridge.config.loader import RULES
from amo_bridge.config.rule_blocks import shipped_file
from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.lazy.dataclasses import dataclass

HEADER = re.compile(r"^\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$")
PART = re.compile(r"^# -{3,} (.+?) -{3,}$")
SOURCE = re.compile(r"\s*\(docs/[^)]*\)")
# «# letters = 10», «# agency."БИК" = …»: a key that may be written, shown with its explanation above it.
OFFERED = re.compile(r"^# ?(?:[a-z_]+(?:\.[\w\"]+)*|\"[^\"]+\") ?= ")
SELF_EVIDENT = ("enabled", "clause", "says", "off_reason")
ABOUT_PROVISION = "provision"
# Written anew for each account, or a vendor's: nothing that a regulation asks for.
NOT_TAKEN = ("account", "bridge", "calendar", "roles", "absences", "intake", ABOUT_PROVISION)


@dataclass(frozen=True)
class Block:
    """A table of the file with the comments above it. ``part``: the heading that it stands under."""

    path: tuple[str, ...]
    text: str
    part: str

    @property
    def is_rule(self) -> bool:
        return self.path[0] in RULES

    @property
    def unit(self) -> tuple[str, ...]:
        """What is on or off as a whole: a rule, or a section with its tables."""
        return self.path if self.is_rule else self.path[:1]


@dataclass(frozen=True)
class Part:
    """A heading of the example and how many rules it has."""

    title: str
    rules: int


@dataclass(frozen=True)
class Regulation:
    """``file``: the example. ``folders``: what it names beside itself, as (where it is shipped, its name beside the
    config)."""

    name: str
    title: str
    says: str
    file: str = ""
    folders: tuple[tuple[str, str], ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        return shipped_file(self.file).read_text("utf-8") if self.file else ""

    @cached_property
    def tree(self) -> dict[str, Any]:
        """What the example says, as TOML."""
        return tomllib.loads(self.text)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Rules that the example has switched on, and sections that only a regulation fills, in the file's order."""
        return tuple(one for one in _blocks(self.text) if one.path[0] not in NOT_TAKEN and self._is_on(one))

    @property
    def parts(self) -> list[Part]:
        """What may be taken or left. A heading without rules is none."""
        counts: dict[str, int] = {}
        for block in self.blocks:
            if block.is_rule:
                counts[block.part] = counts.get(block.part, 0) + 1
        return [Part(title, rules) for title, rules in counts.items()]

    def _is_on(self, block: Block) -> bool:
        if not block.is_rule:
            return True
        section, handler, name = block.path
        return bool(self.tree[section][handler][name].get("enabled"))


def _blocks(text: str) -> Iterator[Block]:
    part = ""
    above: list[str] = []
    path: tuple[str, ...] = ()
    body: list[str] = []
    for line in text.split("\n"):
        if found := PART.match(line):
            yield from _block(path, body, part)
            path, body, above = (), [], []
            part = SOURCE.sub("", found[1]).strip()
        elif found := HEADER.match(line):
            yield from _block(path, body, part)
            path, body, above = _keys(found[1]), [*above, line], []
        elif not line.strip():
            # Comments that a blank line parts from the table below them speak of something else.
            body += [*above, ""]
            above = []
        elif line.startswith("#"):
            above.append(line)
        else:
            body += [*above, line]
            above = []
    yield from _block(path, body, part)


def _keys(header: str) -> tuple[str, ...]:
    tree = tomllib.loads(f"[{header}]")
    keys = []
    while tree:
        (key, tree) = next(iter(tree.items()))
        keys.append(key)
    return tuple(keys)


def _block(path: tuple[str, ...], lines: list[str], part: str) -> Iterator[Block]:
    if path:
        yield Block(path, _tidy(lines), part)


def _tidy(lines: list[str]) -> str:
    """Without paragraphs of comments alone, without keys that are only offered, without what every rule's head says."""
    kept: list[str] = []
    comments: list[str] = []
    for line in lines:
        if line.startswith("#") and OFFERED.match(line):
            comments = []
        elif line.startswith("#"):
            comments.append(line)
        elif not line.strip():
            comments = []
        elif line.split("=")[0].strip() in SELF_EVIDENT:
            kept, comments = [*kept, line], []
        else:
            kept, comments = [*kept, *comments, line], []
    return "\n".join(kept)


HEAD = "руководитель: ему эскалации и согласования"
REGULATIONS = (
    Regulation(
        "agency",
        "Рекламное агентство",
        "три воронки: продажи, реализация, работа с потерянными",
        "config.example.toml",
        (("letters", "letters"), ("scripts", "scripts")),
        {
            "head": HEAD,
            "accountant": "бухгалтер: готовит документы",
            "pr": "PR-менеджер, если в сделке он не назван: составляет КП, ведёт проект",
            "seller": "кто продал, если это не записано в сделке",
        },
    ),
    Regulation(
        "smm",
        "SMM-агентство",
        "новый клиент за час, запуск за 72 часа, продления, зарплата",
        "examples/smm.toml",
        (("examples/smm", "smm"),),
        {
            "head": HEAD,
            "promotion": "специалист по продвижению",
            "accountant": "бухгалтер: счета на продление",
        },
    ),
    Regulation(
        "webinar",
        "Школа с вебинарами",
        "загрузка участников, звонки, недозвоны, причины отказа",
        "examples/webinar.toml",
        (),
        {"head": HEAD + "; на нём новые сделки, пока их никто не взял", "support": "техподдержка"},
    ),
    Regulation(
        "remote",
        "Удалённые продажи и отдел заботы",
        "оплата со скрином, передача в заботу, новая потребность",
        "examples/remote_sales.toml",
        (),
        {
            "head": HEAD,
            "care": "отдел заботы: ему сделки после оплаты",
            "chat": "общий чат: технический пользователь, от чьего имени он подключён",
            "seller": "кто продал, если связанной сделки нет",
        },
    ),
    Regulation(
        "clients",
        "Клиентский отдел агентства",
        "передача из продаж, медиапланы, счета, отчёты, касания",
        "examples/client_department.toml",
        (),
        {
            "head": HEAD,
            "production": "руководитель производства: медиапланы, отчёты, оптимизация",
            "seller": "кто продал, если это не записано в сделке",
        },
    ),
    Regulation("empty", "Пустой", "ни одного правила: добавите свои на странице «Правила» или в файле"),
)


def regulation(name: str) -> Regulation | None:
    """The regulation of that name."""
    return next((one for one in REGULATIONS if one.name == name), None)


Unit = tuple[str, ...]
"""The name of a rule's block, or of a section."""
LISTS = frozenset({
    "stages", "entering", "leaving", "from_stages", "goes_on", "fields", "or_fields", "carry_fields", "dates",
    "contact_dates", "reasons", "responsible", "pipelines", "people", "to", "tasks", "task", "steps", "per_line",
    "per_blogger",
})  # fmt: skip
"""Lists that are still what they were when one of several elements falls out: a stage that is not there, a step."""
LISTS_THAT_MAY_BE_EMPTY = frozenset(
    {"not_from", "may_pass", "may", "may_assign", "not_by", "closed", "unless_open_in", "secret_fields"}
)
KEYS = frozenset({"type", "link_field", "page_field", "visit_field", "counts_from", "links", "carry_as", "utm_fields"})
"""Keys that a rule can do without."""
TABLES = frozenset({"utm_fields", "source_values", "links", "carry_as", "tag_by_reason", "tags", "one_of", "or_linked"})
"""Tables whose lines stand each for itself."""
SECTION_KEYS: frozenset[tuple[str, str]] = frozenset({("services", "responsible"), ("webinar", "buttons_field")})


def unit_name(unit: Unit) -> str:
    """How people call it: «stage_creates_tasks.brief», «[services]»."""
    return ".".join(unit[1:]) if len(unit) > 1 else f"[{unit[0]}]"


@dataclass(frozen=True)
class Lost:
    """A place of the config that names what the account has not. ``words``: what that is (Russian).
    ``is_unspeakable``: a rule that names it can't even stand in the file switched off."""

    path: KeyPath
    words: str
    is_unspeakable: bool = False


def take_out(document: tomlkit.TOMLDocument, paths: Sequence[KeyPath], unit: Unit) -> bool:
    """Take out all that names these; False (and nothing taken) if the rule can't do without one of them."""
    cuts: list[KeyPath] = []
    for path in dict.fromkeys(paths):
        cut = _cut(document, path, unit)
        if cut is None:
            return False
        cuts.append(cut)
    # What goes with something around it need not be taken out of it.
    whole = {cut for cut in cuts if not any(cut[:length] in cuts for length in range(1, len(cut)))}
    for cut in whole:
        holder = _at(document, cut[:-1])
        siblings = sum(1 for one in whole if one[:-1] == cut[:-1])
        name = str(next(step for step in reversed(cut[:-1]) if isinstance(step, str)))
        if siblings >= len(holder) and cut[-1] not in KEYS and name not in LISTS_THAT_MAY_BE_EMPTY:
            return False
    # From behind: what is taken out of a list moves all that follows it.
    for cut in sorted(whole, key=_in_order, reverse=True):
        del _at(document, cut[:-1])[cut[-1]]
    return True


def _cut(document: tomlkit.TOMLDocument, path: KeyPath, unit: Unit) -> KeyPath | None:
    """The smallest thing around a name that its rule can do without, as the document's own path to it."""
    steps: list[str | int] = []
    place: Any = document
    for raw in path:
        step = raw.rstrip("_") if isinstance(raw, str) else raw
        if isinstance(step, int) and not isinstance(place, list):
            # One thing where a list would do.
            continue
        if isinstance(step, str) and (not isinstance(place, dict) or step not in place):
            # A key that the rule has without its being written, or a place in a text.
            break
        place = place[step]
        steps.append(step)
    for length in range(len(steps), len(unit), -1):
        step, before = steps[length - 1], steps[: length - 1]
        around = [name for name in before if isinstance(name, str)]
        if step == "when":
            # Without its condition a rule, or a step of it, would do more than it may.
            return None
        if isinstance(step, int):
            if around[-1] in LISTS | LISTS_THAT_MAY_BE_EMPTY or TABLES & set(around):
                return tuple(steps[:length])
        elif around[-1] in TABLES or step in KEYS or (unit[0], step) in SECTION_KEYS:
            return tuple(steps[:length])
    return None


def _in_order(cut: KeyPath) -> list[tuple[str, int]]:
    return [("", step) if isinstance(step, int) else (step, 0) for step in cut]


def _at(document: Any, path: KeyPath) -> Any:
    for step in path:
        document = document[step]
    return document
