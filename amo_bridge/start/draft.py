"""Draft of a first config: the regulation's blocks under the account's names, without what it lacks.

What a rule can do without is taken out of it and said above it; a rule that can't is switched off with the reason. Of
what is named here nothing is left that ``amo-bridge check`` would complain about.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel

from amo_bridge.config.account_check import LOSS_REASON_FIELD
from amo_bridge.config.account_fit import NameIssue, fit
from amo_bridge.config.blocks import values_of, with_block, written
from amo_bridge.config.diagnostics import block_of
from amo_bridge.config.files import with_new_names
from amo_bridge.config.loader import RULES, load_text
from amo_bridge.config.model import Config, FieldShape
from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.crm.account import Account
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.provision.requirements import CLOSED, Wanted, WantedField
from amo_bridge.rules.option_types import PersonName, SeriesName, names_in, taken
from amo_bridge.rules.registry import shipped
from amo_bridge.start.matching import Finding, Kind, Matching, Need, names_needed
from amo_bridge.start.regulations import Block, Lost, Regulation, Unit, take_out, unit_name
from amo_bridge.text.names import normalise, same_name

COUNTRIES: Mapping[str, tuple[str, ...]] = {
    "KZ": ("Asia/Almaty", "Asia/Aqtau", "Asia/Aqtobe", "Asia/Atyrau", "Asia/Oral", "Asia/Qostanay", "Asia/Qyzylorda"),
    "UA": ("Europe/Kyiv", "Europe/Kiev"),
}
PROVISION = "amo-bridge provision"
LACKED = "в аккаунте нет: "
"""How ``off_reason`` begins of a rule that can be on once that is there."""
COMMON = "Общее для правил"
"""The heading above sections that no part of the regulation owns."""
MOST_NAMED = 4
"""What is missing: the first few say why a rule is off; all of it stands in [provision]."""


@dataclass(frozen=True)
class Choice:
    """What a person has chosen. ``parts``: titles of the regulation's parts; None: all. ``public_url``: where amoCRM
    reaches the bridge, if that is known."""

    regulation: Regulation
    address: str
    parts: tuple[str, ...] | None = None
    public_url: str = ""
    is_dry: bool = True


@dataclass(frozen=True)
class LeftOff:
    """A rule, or a section, that is not on. ``why``: Russian."""

    unit: Unit
    clause: str
    says: str
    why: str

    @property
    def name(self) -> str:
        return unit_name(self.unit)


@dataclass(frozen=True)
class Trimmed:
    """A rule that is on without a part of it. ``without``: what the account has not (Russian)."""

    unit: Unit
    without: tuple[str, ...]

    @property
    def name(self) -> str:
        return unit_name(self.unit)


@dataclass
class Draft:
    """``text``: the config. ``rules``: how many are on. ``lacking``: what nobody has found in the account."""

    text: str
    config: Config
    rules: int
    off: list[LeftOff] = field(default_factory=list)
    trimmed: list[Trimmed] = field(default_factory=list)
    lacking: list[Need] = field(default_factory=list)


class Drafting:
    """``today``: for the head of the file. ``path``: where the config will stand. ``environment``: wins over it."""

    def __init__(self, choice: Choice, path: Path, today: date, environment: Mapping[str, str] | None = None) -> None:
        self.choice = choice
        self._path = path
        self._environment = environment or {}
        self.today = today
        self._blocks = _chosen(choice)
        self.asked = load_text(path, self._as_written(), self._environment)
        """The regulation as its authors wrote it, but for what was not chosen."""

    def _as_written(self) -> str:
        tree = self.choice.regulation.tree
        kept: dict[str, Any] = {name: tree[name] for name in ("roles", "provision") if name in tree}
        bridge = {key: tree.get("bridge", {})[key] for key in _BRIDGE_KEYS if key in tree.get("bridge", {})}
        head = {"account": {"url": self.choice.address}, "bridge": bridge, **kept}
        return "\n\n".join([tomlkit.dumps(head), *(one.text for one in self._blocks)])

    def wanted(self, matching: Matching) -> Wanted:
        """What the regulation asks of the account and has not found there, for a plan."""
        lacking = _lacking(matching)
        pipelines, leads, contacts = self._described(matching, lacking)
        fields = [
            WantedField(name, entity, shape, is_described=True)
            for entity, shapes in (("leads", leads), ("contacts", contacts))
            for name, shape in shapes.items()
        ]

        def named(kind: Kind) -> list[str]:
            return [need.name for need in lacking if need.kind == kind]

        reasons = [*named("reasons"), *(need.name for need in lacking if same_name(need.inside, LOSS_REASON_FIELD))]
        return Wanted(
            stages=pipelines, fields=fields, loss_reasons=list(dict.fromkeys(reasons)), task_types=named("types")
        )

    def draft(self, matching: Matching, account: Account) -> Draft:
        """The config. Raises ConfigError for one that would not be right all the same."""
        writing = _Writing(self, matching, account)
        while True:
            text = writing.text()
            try:
                config = load_text(self._path, text, self._environment)
            except ConfigError as error:
                # Answers that contradict each other: a password's field that is to be told as well.
                if not writing.comment_out(error.problems):
                    raise
                continue
            issues = [
                one
                for one in fit(config, account).issues
                # Scripts come with the files, fitted too.
                if one.is_to_mend and one.path != ("bridge", "scripts")
            ]
            if not issues:
                break
            if not any([writing.leave_off(_unit_of(issue, config), issue.words) for issue in issues]):
                # It stands in the head: a person has to see to it, and the check says so.
                break
        rules = sum(rule.enabled for rule in config.rules)
        return Draft(text, config, rules, writing.left_off(), writing.trimmed(), _lacking(matching))

    def roles_of(self, name: str) -> list[str]:
        """What a person of the regulation does there (Russian)."""
        about = self.choice.regulation.roles
        told = self.choice.regulation.tree.get("roles", {})
        return [
            about.get(role, role)
            for role, spec in told.items()
            if same_name(spec if isinstance(spec, str) else str(spec.get("otherwise", "")), name)
        ]

    def _described(
        self, matching: Matching, lacking: Sequence[Need]
    ) -> tuple[dict[str, list[str]], dict[str, FieldShape], dict[str, FieldShape]]:
        """Pipelines with their stages, fields of deals and of contacts that are lacking, by the account's names."""
        described = Wanted.by(self.asked)
        kinds: Mapping[str, Kind] = {"leads": "fields", "contacts": "contact_fields"}
        names = {(need.kind, normalise(need.name)) for need in lacking}
        fields = [one for one in described.fields if (kinds[one.entity], normalise(one.name)) in names]
        leads = {one.name: self._with_own_people(one, matching) for one in fields if one.entity == "leads"}
        for need in lacking:
            if need.kind == "choices":
                _add_choice(leads, need, matching)
        contacts = {one.name: one.shape for one in fields if one.entity == "contacts"}
        pipelines = dict.fromkeys(need.inside or need.name for need in lacking if need.kind in ("pipelines", "stages"))
        return _stages_of(pipelines, described, matching), leads, contacts

    def provision(self, matching: Matching) -> str:
        """The section ``[provision]`` for what is lacking; empty if nothing is."""
        pipelines, leads, contacts = self._described(matching, _lacking(matching))
        stages = [f"{_quoted(name)} = {_list(own)}" for name, own in pipelines.items()]
        parts = [
            ("[provision.pipelines]", stages),
            ("[provision.fields]", [_shape_line(name, shape) for name, shape in leads.items()]),
            ("[provision.contact_fields]", [_shape_line(name, shape) for name, shape in contacts.items()]),
        ]
        told = "\n\n".join("\n".join([header, *body]) for header, body in parts if body)
        return told and f"{told}\n"

    def _with_own_people(self, field: WantedField, matching: Matching) -> FieldShape:
        """The list of a field that holds a role's name is the account's own people, not the regulation's."""
        roles = self.choice.regulation.tree.get("roles", {}).values()
        named = {spec.get("field") for spec in roles if isinstance(spec, dict)}
        people = tuple(one.name for one in matching.account.users if one.is_active)
        if field.name in named and field.shape.choices and people:
            return FieldShape(type=field.shape.type, choices=people)
        return field.shape


_BRIDGE_KEYS = ("opt_out_tag", "tell", "scripts", "secret_fields")


class _Writing:
    """One config on its way: what is off and why is found out step by step."""

    def __init__(self, drafting: Drafting, matching: Matching, account: Account) -> None:
        self._drafting = drafting
        self._choice = drafting.choice
        self._tree = drafting.choice.regulation.tree
        self._matching = matching
        self._account = account
        self._found = {one.need: one.found for one in matching.findings()}
        self._renamed = list(_new_names(matching))
        self._off: dict[Unit, str] = {}
        self._gone: set[Unit] = set()
        self._without: dict[Unit, list[str]] = {}
        self._units: dict[Unit, list[Block]] = {}
        for block in drafting._blocks:
            self._units.setdefault(block.unit, []).append(block)
        self._roles = self._role_lines()
        self._lost: dict[Unit, list[Lost]] = {}
        self._lose_names()
        self._lose_roles()
        self._texts = {unit: self._trimmed_text(unit) for unit in self._units}
        self._gone |= {unit for unit in self._off if len(unit) == 1}
        self._without_sections()

    def leave_off(self, unit: Unit, why: str) -> bool:
        """Whether it was on until now."""
        if unit not in self._units or unit in self._off:
            return False
        self._off[unit] = why
        self._without.pop(unit, None)
        if len(unit) == 1:
            self._gone.add(unit)
            self._without_sections()
        return True

    def comment_out(self, problems: Sequence[str]) -> bool:
        """Take the rules and sections out that can't be read so; whether there were any."""
        before = len(self._gone)
        for words in problems:
            path, why = block_of(words)
            unit = path if path in self._units else path[:1]
            self.leave_off(unit, why)
            self._gone |= {unit} & self._units.keys()
        return len(self._gone) > before

    def left_off(self) -> list[LeftOff]:
        return [LeftOff(unit, *self._clause_and_says(unit), why) for unit, why in self._off.items()]

    def trimmed(self) -> list[Trimmed]:
        return [Trimmed(unit, tuple(without)) for unit, without in self._without.items() if without]

    def text(self) -> str:
        """The whole config."""
        lines = [self._head()]
        parts = {one.title for one in self._choice.regulation.parts}
        part = ""
        for unit, blocks in self._units.items():
            heading = blocks[0].part if blocks[0].part in parts else COMMON
            if heading != part:
                part = heading
                lines.append(f"# --- {part} {'-' * max(3, 111 - len(part))}")
            lines.append(self._unit_text(unit))
        if not self._units:
            lines.append(EMPTY)
        if provision := self._drafting.provision(self._matching):
            title = "Чего аккаунту не хватает"
            lines += [f"# --- {title} {'-' * (111 - len(title))}", f"{ABOUT_LACKING}\n{provision}"]
        text = "\n\n".join(line.strip("\n") for line in lines) + "\n"
        return self._in_our_words(with_new_names(text, self._renamed))

    # --- units

    def _unit(self, path: KeyPath) -> Unit | None:
        names = tuple(str(step) for step in path)
        return next((names[:length] for length in (3, 1) if names[:length] in self._units), None)

    def _unit_text(self, unit: Unit) -> str:
        source = "\n\n".join(block.text for block in self._units[unit])
        if unit in self._gone or (unit in self._off and len(unit) == 1):
            source = with_new_names(source, self._renamed)
            then = " Появится — уберите «# » в начале строк." if len(unit) > 1 else ""
            told = [
                _comment(f"Выключено: {self._off[unit]}.{then}"),
                *(f"# {line}".rstrip() for line in source.split("\n")),
            ]
            return "\n".join(told)
        if unit in self._off:
            return self._switched_off(source, unit)
        text = self._texts[unit]
        if without := self._without.get(unit):
            return f"{_comment(f'В аккаунте нет: {_shortly(without)}. Работает без этого.')}\n{text}"
        return text

    def _switched_off(self, source: str, unit: Unit) -> str:
        section, handler, name = unit
        path = (section, handler, name)
        switches = {"enabled": False, "off_reason": self._off[unit]}
        return with_block(source, path, {**(values_of(source, path) or {}), **switches}).rstrip("\n")

    def _lose_names(self) -> None:
        lines: set[tuple[KeyPath, str]] = set()
        for path, name, need in names_needed(self._drafting.asked):
            found, unit = self._found.get(need), self._unit(path)
            if unit is None:
                continue
            if found is None:
                if need.kind == "stages" and self._found.get(Need("pipelines", need.inside)) is None:
                    # Said of the pipeline.
                    continue
                self._lost.setdefault(unit, []).append(Lost(path, self._matching.lack(need)))
            elif path[-1] == str(name):
                # Two names that are one in the account: a table can't say two things of it.
                line = (path[:-1], normalise(found))
                if line in lines:
                    words = f"второе имя для «{found}» (это {need.words})"
                    self._lost.setdefault(unit, []).append(Lost(path, words, is_unspeakable=True))
                lines.add(line)

    def _lose_roles(self) -> None:
        """A role that nobody has can't even be named."""
        asked = self._drafting.asked
        nobody = {role for role in self._tree.get("roles", {}) if role not in self._roles}
        places: list[tuple[Unit, BaseModel]] = [(rule.path, rule.options) for rule in asked.rules]
        if asked.webinar:
            places.append((("webinar",), asked.webinar))
        for unit, options in places:
            for path, name in names_in(options):
                for role in nobody:
                    if isinstance(name, PersonName) and same_name(role, name):
                        words = f"сотрудник на роль «{role}» ({self._about(role)})"
                        self._lost.setdefault(unit, []).append(Lost((*unit, *path), words, is_unspeakable=True))

    def _trimmed_text(self, unit: Unit) -> str:
        source = "\n\n".join(block.text for block in self._units[unit])
        if not (lost := self._lost.get(unit)):
            return source
        words = list(dict.fromkeys(one.words for one in lost))
        document = tomlkit.parse(source)
        if not take_out(document, [one.path for one in lost], unit):
            self._off.setdefault(unit, f"{LACKED}{_shortly(words)}")
            if any(one.is_unspeakable for one in lost):
                self._gone.add(unit)
            return source
        self._without[unit] = words
        return tomlkit.dumps(document).rstrip("\n")

    def _clause_and_says(self, unit: Unit) -> tuple[str, str]:
        table: Any = self._tree
        for step in unit:
            table = table.get(step, {})
        return str(table.get("clause", "")), self._in_our_words(str(table.get("says", "")))

    def _without_sections(self) -> None:
        """A rule that takes a section goes with it."""
        for rule in self._drafting.asked.rules:
            needs = {mark.name for _, mark in taken(rule.handler.options)}
            if any(isinstance(name, SeriesName) for _, name in names_in(rule.options)):
                needs.add("series")
            for name in sorted(needs):
                if (name,) in self._gone and rule.path not in self._gone:
                    self._off[rule.path] = f"раздел [{name}] выключен: {self._off[(name,)]}"
                    self._gone.add(rule.path)

    # --- head

    def _head(self) -> str:
        choice, tree = self._choice, self._tree
        bridge = tree.get("bridge", {})
        account = " ".join(self._account.name.split())
        lines = [HEAD.format(account=account, regulation=choice.regulation.title, day=self._drafting.today)]
        lines += ["[account]", ABOUT_TOKEN, f"url = {_quoted(choice.address)}", ""]
        lines += ["[bridge]", ABOUT_DRY, f"dry_run = {'true' if choice.is_dry else 'false'}", ABOUT_PUBLIC]
        lines.append(f"public_url = {_quoted(choice.public_url)}" if choice.public_url else NO_PUBLIC)
        lines += [ABOUT_TAG, f"opt_out_tag = {_quoted(str(bridge.get('opt_out_tag', 'без робота')))}"]
        if self._head_role in self._roles:
            lines += [ABOUT_TELL, f"tell = {_quoted(self._head_role)}"]
        secret = [one for one in bridge.get("secret_fields", ()) if self._found.get(Need("fields", one))]
        if secret:
            lines += [ABOUT_SECRET, f"secret_fields = {_list(secret)}"]
        lines += [ABOUT_SCRIPTS, f"scripts = {_quoted(self._scripts())}", "", "[calendar]"]
        lines += self._calendar()
        if self._roles:
            lines += ["", "[roles]", ABOUT_ROLES]
            for role, line in self._roles.items():
                lines += [f"# {self._about(role)[0].upper()}{self._about(role)[1:]}.", line]
        return "\n".join(lines)

    @property
    def _head_role(self) -> str:
        return str(self._tree.get("bridge", {}).get("tell", "head"))

    def _about(self, role: str) -> str:
        return self._choice.regulation.roles.get(role, role)

    def _scripts(self) -> str:
        shipped = "scripts" if self._choice.regulation.folders else ""
        return str(self._tree.get("bridge", {}).get("scripts", shipped))

    def _calendar(self) -> list[str]:
        zone = self._account.timezone
        country = next((name for name, zones in COUNTRIES.items() if zone in zones), "RU")
        hours = self._tree.get("calendar", {}).get("hours") or dict.fromkeys(
            ("mon", "tue", "wed", "thu", "fri"), "10:00-19:00"
        )
        about = f"# Чьи праздники считать: RU, KZ или UA. В аккаунте часовой пояс {zone}."
        return [about, f"country = {_quoted(country)}", ABOUT_HOURS, f"hours = {written(hours)}"]

    def _role_lines(self) -> dict[str, str]:
        lines = {}
        for role, spec in self._tree.get("roles", {}).items():
            named = {"otherwise": spec} if isinstance(spec, str) else dict(spec)
            known = {
                key: found
                for key, name in named.items()
                if (found := self._found.get(Need("users" if key == "otherwise" else "fields", name)))
            }
            if known:
                lines[role] = f"{role} = {written(known['otherwise'] if set(known) == {'otherwise'} else known)}"
        return lines

    def _in_our_words(self, text: str) -> str:
        """What rules say of themselves, with the account's names for stages, fields and pipelines."""
        renamed = {
            need.name: found.split(" / ", 1)[-1] if need.kind == "stages" else found
            for need, found in self._found.items()
            if found and need.kind in ("stages", "fields", "pipelines") and not same_name(need.name, found)
        }
        renamed = {old: new for old, new in renamed.items() if not new.isdecimal() and old not in CLOSED}
        if not renamed:
            return text
        pattern = re.compile("«(" + "|".join(map(re.escape, sorted(renamed, key=len, reverse=True))) + ")»")
        lines = []
        for line in text.split("\n"):
            if line.startswith(("#", "says =")) or "\n" not in text:
                line = pattern.sub(lambda found: f"«{_quoted(renamed[found[1]])[1:-1]}»", line)
            lines.append(line)
        return "\n".join(lines)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _chosen(choice: Choice) -> list[Block]:
    """The blocks of the chosen parts, and of the sections those that some chosen rule takes."""
    blocks = choice.regulation.blocks
    parts = {one.title for one in choice.regulation.parts}
    wanted = parts if choice.parts is None else set(choice.parts)
    rules = [one for one in blocks if one.is_rule and one.part in wanted]
    sections = {
        name: {mark.name for _, mark in taken(handler.options)}
        for section in RULES
        for name, handler in shipped(section).items()
    }
    needed = set[str]().union(*(sections[one.path[1]] for one in rules))
    if any("start_series" in one.text for one in rules):
        needed.add("series")

    def is_chosen(block: Block) -> bool:
        if block.is_rule:
            return block.part in wanted
        if any(block.path[0] in names for names in sections.values()):
            return block.path[0] in needed
        return block.part in wanted or block.part not in parts

    return [one for one in blocks if is_chosen(one)]


def _lacking(matching: Matching) -> list[Need]:
    """What the account has not; a choice of a field that is not there goes with its field."""
    found = {one.need: one for one in matching.findings()}
    return [need for need, one in found.items() if one.found is None and not _with_its_holder(need, found)]


def _with_its_holder(need: Need, found: Mapping[Need, Finding]) -> bool:
    holder = found.get(Need("fields", need.inside)) if need.kind == "choices" else None
    return holder is not None and holder.found is None


def _new_names(matching: Matching) -> Iterator[NameIssue]:
    """For ``with_new_names``: every place whose name the account spells otherwise. A stage that is not there yet
    will be one of the pipeline that is."""
    found = {one.need: one.found for one in matching.findings()}
    for path, name, need in names_needed(matching.config):
        if need.kind == "pipelines" and "/" in str(name):
            continue
        new = found[need]
        if new is None and need.kind == "stages" and (pipeline := found.get(Need("pipelines", need.inside))):
            new = f"{pipeline} / {need.name}"
        if new is not None and new != str(name):
            yield NameIssue(path, "", name, "renamed", "", "", new)


def _unit_of(issue: NameIssue, config: Config) -> Unit:
    rule = next((one for one in config.rules if one.name == issue.rule), None)
    return rule.path if rule else (str(issue.path[0]),)


def _stages_of(wanted: Iterable[str], described: Wanted, matching: Matching) -> dict[str, list[str]]:
    """Two pipelines of the regulation may be one of the account, and two of its stages too."""
    found: dict[str, list[str]] = {}
    for name in wanted:
        stages = next((stages for known, stages in described.stages.items() if same_name(known, name)), [])
        called = matching.name_of(Need("pipelines", name)) or name
        for stage in stages:
            there = matching.name_of(Need("stages", stage, name))
            known_as = there.split("/", 1)[-1].strip() if there else stage
            if not any(same_name(known_as, one) for one in (*CLOSED, *found.get(called, ()))):
                found.setdefault(called, []).append(known_as)
    return found


def _add_choice(shapes: dict[str, FieldShape], need: Need, matching: Matching) -> None:
    """A choice that a list of the account lacks."""
    called = matching.name_of(Need("fields", need.inside))
    if called is None or any(normalise(need.inside) == normalise(name) for name in shapes):
        return
    known = shapes.get(called)
    shapes[called] = FieldShape(type="select", choices=(*(known.choices if known else ()), need.name))


def _shape_line(name: str, shape: FieldShape) -> str:
    if not shape.choices:
        return f"{_quoted(name)} = {_quoted(shape.type)}"
    if shape.type == "select":
        return f"{_quoted(name)} = {_list(shape.choices)}"
    return f"{_quoted(name)} = {{ type = {_quoted(shape.type)}, choices = {_list(shape.choices)} }}"


def _quoted(text: str) -> str:
    return tomlkit.string(text).as_string()


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, names))}]"


def _comment(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False))


def _shortly(words: Sequence[str]) -> str:
    """A long list's beginning, and how many more there are."""
    told = ", ".join(words[:MOST_NAMED])
    return f"{told} и ещё {len(words) - MOST_NAMED}" if len(words) > MOST_NAMED else told


HEAD = """\
# Настройка amo-bridge. Аккаунт: {account}. Регламент: {regulation}. Начата {day:%d.%m.%Y} (amo-bridge init).
#
# Меняйте её здесь или на страницах моста. Проверить: amo-bridge check; посмотреть, что будет: amo-bridge rehearse
#
# Как читать: [handlers.…] и [schedules.…] — по правилу на блок. enabled — включено ли оно, clause — пункт регламента,
# says — что оно делает, словами. Этап пишется «Воронка / Этап». Все ключи правил — docs/rules.md, docs/schedules.md;
# все разделы — config.example.toml.
"""
ABOUT_TOKEN = "# Токена в файле нет и быть не должно: он хранится отдельно (docs/start.md)."
ABOUT_DRY = """\
# true — мост всё решает и записывает в журнал, но в amoCRM ничего не меняет. Поработали так день, и «amo-bridge why»
# говорит то, что надо, — поставьте false: работающий мост примет это сам."""
ABOUT_PUBLIC = "# Адрес моста из интернета (https), для вебхуков. Без него мост узнаёт о переменах раз в пять минут."
NO_PUBLIC = '# public_url = "https://bridge.example.ru"'
ABOUT_TAG = "# Тег на сделке, который выключает для неё все правила."
ABOUT_TELL = "# Кому задача, если мосту самому нужна помощь: правило зациклилось, amoCRM отключила вебхук."
ABOUT_SECRET = "# Поля с паролями: мост видит только, заполнены ли они; вместо значения везде «•••»."
ABOUT_SCRIPTS = "# Папка со скриптами звонков рядом с этим файлом (docs/scripts.md); пусто — их нет."
ABOUT_HOURS = (
    "# Рабочие часы: по ним считаются «рабочий час», «рабочий день», «конец рабочего дня». Дня нет — выходной."
)
ABOUT_ROLES = "# Кто есть кто: имя, как в amoCRM. manager есть всегда: это ответственный за сделку."
ABOUT_LACKING = f"""\
# Это названо в правилах, а в аккаунте не нашлось. Команда {PROVISION} создаст это и предложит включить правила,
# выключенные из-за этого (off_reason). Не нужно — удалите раздел."""
EMPTY = """\
# Правил пока нет. Добавить: страница «Правила», готовый блок из config.example.toml или своё (docs/add-a-rule.md).
# Например, задача на новой сделке, этап — из вашей воронки:
#
# [handlers.stage_creates_tasks.new_client]
# enabled = true
# says = "Новая сделка → менеджеру задача связаться"
# stages = ["Воронка / Этап"]
# tasks = [{ text = "Связаться", to = "manager", due = "1 working hour" }]"""
