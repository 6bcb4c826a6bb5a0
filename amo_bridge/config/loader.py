"""Loader: TOML and the environment → Config with its rules; secrets by value or by file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from amo_bridge.config.advertising import (
    STATISTICS_SECTIONS,
    SpendSheetSection,
    check_ads,
    check_audiences,
    check_spend_sheet,
)
from amo_bridge.config.channels import (
    VENDOR_SECTIONS,
    ApprovalsSection,
    Channels,
    DialSection,
    StorageSection,
    check_mail,
    check_unsubscribing,
    people_in,
    series_in,
)
from amo_bridge.config.diagnostics import Problems, text_of
from amo_bridge.config.intake import IntakeSection, check_approvals
from amo_bridge.config.model import (
    MANAGER,
    Absence,
    Absences,
    AccountSection,
    BridgeSection,
    Config,
    DailyReportSection,
    EveningListSection,
    KpiSection,
    PoliciesSection,
    ProvisionSection,
    RoleByField,
    RoleSpec,
    ShiftStartSection,
    UpdatesSection,
    WeeklyLetterSection,
    overlaps,
)
from amo_bridge.config.pay import PaySection
from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.config.toml_recovery import Recovered, recover
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.duration import Duration
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.handler import Handler, Options, Rule
from amo_bridge.rules.option_types import PersonName, Text, UserName, names_in, taken
from amo_bridge.rules.registry import Section, Shipped, own
from amo_bridge.rules.service_lines import ServicesSection
from amo_bridge.text.names import nearest, same_name

DATABASE_PASSWORD = "AMO_BRIDGE_DATABASE_PASSWORD"


def secret(environment: Mapping[str, str], name: str) -> str:
    """A secret from the environment, or from the file that ``name``_FILE names; empty if there is neither. Raises
    ConfigError for a file that can't be read."""
    if value := environment.get(name, "").strip():
        return value
    if not (path := environment.get(f"{name}_FILE", "").strip()):
        return ""
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}_FILE: файл {path} не читается: {error}"]) from error


def with_password(database: str, environment: Mapping[str, str]) -> str:
    """The database's address with the password that stands apart from it (AMO_BRIDGE_DATABASE_PASSWORD or
    AMO_BRIDGE_DATABASE_PASSWORD_FILE), so that neither the config nor a container's description holds it. Raises
    ConfigError."""
    password = secret(environment, DATABASE_PASSWORD)
    if not password:
        return database
    if not database.startswith("postgresql"):
        raise ConfigError([f"{DATABASE_PASSWORD}: пароль есть, а базы PostgreSQL нет; задайте AMO_BRIDGE_DATABASE"])
    # Only here: a command that reads the config alone starts without the database's libraries.
    from sqlalchemy.engine import make_url

    return make_url(database).set(password=password).render_as_string(hide_password=False)


# The rules of a config: the blocks of ``[handlers.…]`` and ``[schedules.…]``, read by the options of their files.

RULES: tuple[Section, ...] = ("handlers", "schedules")
UNKNOWN: Mapping[Section, str] = {"handlers": "такого обработчика нет", "schedules": "такого расписания нет"}
A_RULE = 3
"""A rule's block has a name of three steps: handlers, the handler, the rule."""


class RuleSwitches(Options):
    """The keys that every rule's block has, whatever its handler. ``enabled`` is a must: silence is never "on"."""

    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""
    max_lateness: Duration = timedelta(hours=24)
    most_per_hour: Annotated[int, Field(ge=1)] = 10


class RuleLoader:
    """``base``: the folder that the config stands in. ``own_folders``: the agency's own, as the config writes them.
    ``shared``: the sections that rules may take, None for one that is wrong. ``there``: the sections that there are."""

    def __init__(
        self,
        base: Path,
        own_folders: Mapping[Section, str],
        shared: Mapping[str, BaseModel | None],
        there: Container[str],
        problems: Problems,
    ) -> None:
        self._base = base
        self._own_folders = own_folders
        self._shared = shared
        self._there = there
        self._problems = problems
        self._known = {section: Shipped(section) for section in RULES}

    def rules(self, tables: Mapping[Section, Mapping[str, Any]]) -> tuple[Rule, ...]:
        """All rules that could be read; what could not is told."""
        return tuple(rule for section in RULES for rule in self._of(section, tables[section], self._own(section)))

    def _own(self, section: Section) -> dict[str, Handler] | None:
        """The agency's own; None if the folder can't be used, which is told.

        A name is taken in both sections at once: the journal and the outbox tell rules apart by it."""
        folder = self._own_folders.get(section)
        if folder is None:
            return {}
        try:
            return own(section, self._base / folder, taken={name for known in self._known.values() for name in known})
        except ConfigError as error:
            for words in error.problems:
                self._problems.add(("bridge", f"own_{section}"), words)
            return None

    def _of(self, section: Section, table: Mapping[str, Any], own: Mapping[str, Handler] | None) -> Iterator[Rule]:
        shipped, names = self._known[section], [*self._known[section], *(own or ())]
        for name, blocks in table.items():
            if name not in names:
                # It may stand in the folder that could not be read; a typo in a shipped one's name is still seen.
                if own is not None or nearest(name, names):
                    self._problems.unknown((section, name), UNKNOWN[section], name, names, block=2)
            elif not isinstance(blocks, dict) or not all(isinstance(block, dict) for block in blocks.values()):
                words = f"у правила должно быть своё имя, например [{section}.{name}.my_rule]"
                self._problems.add((section, name), words, block=2)
            else:
                for block, keys in blocks.items():
                    yield from self._rule((own or {}).get(name) or shipped[name], block, dict(keys))

    def _rule(self, handler: Handler, block: str, keys: dict[str, Any]) -> Iterator[Rule]:
        path = (handler.section, handler.name, block)
        common = {key: keys.pop(key) for key in list(keys) if key in RuleSwitches.model_fields}
        switches = options = None
        try:
            switches = RuleSwitches.model_validate(common)
        except ValidationError as errors:
            self._problems.invalid(errors, path, RuleSwitches, block=A_RULE)
        shared = self._from_sections(handler, keys, path)
        try:
            options = handler.options.model_validate(keys | shared)
        except ValidationError as errors:
            self._problems.invalid(
                errors, path, handler.options,
                block=A_RULE, more_keys=RuleSwitches.model_fields, told_keys=dict(taken(handler.options)),
            )  # fmt: skip
        if switches is not None and options is not None:
            yield Rule(handler=handler, block=block, options=options, **switches.model_dump())

    def _from_sections(self, handler: Handler, keys: Iterable[str], path: KeyPath) -> dict[str, BaseModel]:
        """What the rule takes from sections of the config. A section that is wrong is told already."""
        found = {}
        for option, where in taken(handler.options):
            if option in keys:
                self._problems.add((*path, option), f"это задаётся один раз, в разделе [{where.name}]", block=A_RULE)
            if where.name not in self._there:
                self._problems.add(path, f"правилу нужен раздел [{where.name}], а его нет", block=A_RULE)
            if section := self._shared[where.name]:
                found[option] = section
        return found


# Secret fields are asked for and never told: no rule puts one into a text or takes it along into another deal.

CARRIED = ("carry_fields", "carry_as")
WHY = "названо в [bridge] secret_fields: можно проверять, заполнено ли оно, а подставить и перенести значение нельзя"


def check_secrets(secret: Iterable[str], rules: Iterable[Rule], problems: Problems) -> None:
    """A problem for every place where a rule would tell a secret field's value."""
    secret = tuple(secret)
    for rule in rules if secret else ():
        for path, name in _carried_names(rule):
            if any(same_name(name, hidden) for hidden in secret):
                problems.add((*rule.path, *path), f"поле «{name}» {WHY}", block=len(rule.path))


def _carried_names(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for path, name in names_in(rule.options):
        if isinstance(name, Text):
            yield from ((path, field) for field in name.field_names)
        elif path[0] in CARRIED:
            yield path, name


# TOML file → Config, strictly, with every mistake found at once.

SECTIONS = (
    *("account", "bridge", "calendar", "roles", "absences", "services", "provision", "webinar"),
    *(
        "evening_list",
        *VENDOR_SECTIONS,
        "dial",
        "approvals",
        "spend_sheet",
        "people",
        "series",
        "intake",
        "kpi",
        "daily_report",
    ),
    *("ads", "policies", "shift_start", "weekly_letter", "pay", "updates", *RULES),
)
OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "account": {"url": "AMO_BRIDGE_ACCOUNT_URL"},
    "bridge": {"public_url": "AMO_BRIDGE_PUBLIC_URL", "data": "AMO_BRIDGE_DATA", "database": "AMO_BRIDGE_DATABASE"},
}
"""Section → key → the environment variable that wins over the file."""
S = TypeVar("S", bound=BaseModel)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file. Raises ConfigError with all problems; names of the account are checked elsewhere
    (``amo_bridge.config.account_check``), because that needs the account."""
    return load_text(path, text_of(path), environment)


def load_text(path: Path, text: str, environment: Mapping[str, str] = os.environ) -> Config:
    """The same for a text that is to become the file's. Raises ConfigError."""
    found = readable(path, text, environment)
    if found.problems or found.config is None:
        raise ConfigError(found.problems)
    return found.config


@dataclass(frozen=True)
class Readable:
    """``config``: what of a text could be read; None if not even which account it is for. ``unread``: names of roles
    and series that are written, but wrong. ``places``: a problem → the path of its key, and its words alone."""

    config: Config | None
    problems: tuple[str, ...]
    unread: tuple[str, ...] = ()
    places: Mapping[str, tuple[KeyPath, str]] = field(default_factory=dict)

    def without_unread(self, misfits: Iterable[str]) -> list[str]:
        """What the account does not know, but for roles and series that are wrong themselves, which is told already;
        with the other problems."""
        known = [one for one in misfits if not any(f"«{name}»" in one for name in self.unread)]
        return list(dict.fromkeys((*self.problems, *known)))


def readable(path: Path, text: str, environment: Mapping[str, str] = os.environ) -> Readable:
    """All that is wrong with a text, and the rest of it, so that its names can be compared in the same pass."""
    source = recover(path, text)
    if source.is_refused:
        return Readable(None, source.problems)
    loader = _Loader(path, source, environment)
    config = loader.parts(source.lines)
    unread = set(source.lost) | {str(table[1]) for table in source.broken if table[0] == "series" and len(table) > 1}
    if config is not None:
        written = {name: source.tree.get(name) for name in ("roles", "series")}
        known = {*config.roles, *config.channels.series.named}
        unread |= {name for table in written.values() if isinstance(table, dict) for name in table.keys() - known}
    problems = (*source.problems, *loader.problems.found)
    return Readable(config, problems, tuple(sorted(unread)), loader.problems.places)


def load_without_rules(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Which account a config is for and where its data is, and nothing else: all that a command needs which reads the
    store. Rules and channels are not looked at. Raises ConfigError, as ``load``."""
    text = text_of(path)
    try:
        tree = tomllib.loads(text)
        if not tree.keys() <= set(SECTIONS):
            raise ValueError("a section is unknown, and may be one of these two")
        tables = {name: tree.get(name, {}) | _overrides(name, environment) for name in OVERRIDES}
        account, bridge = (
            AccountSection.model_validate(tables["account"]),
            BridgeSection.model_validate(tables["bridge"]),
        )
    except (ValueError, TypeError):
        # Told of with everything else that is wrong in the file.
        return load_text(path, text, environment)
    database = with_password(bridge.database, environment)
    return Config(path, account, bridge.model_copy(update={"database": database}), CalendarOptions(), {}, (), {})


def _overrides(section: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The keys of a section that the environment says."""
    return {key: environment[name] for key, name in OVERRIDES[section].items() if environment.get(name)}


def essentials(path: Path, environment: Mapping[str, str] = os.environ) -> Config | None:
    """Of a file that can't be used: which account it is for and where its data is, without any rule; None if not even
    that can be read. With it hooks are taken in and the pages show what is wrong."""
    try:
        text = text_of(path)
    except ConfigError:
        return None
    found = {name: _readable(text, name) | _overrides(name, environment) for name in OVERRIDES}
    account, bridge = (
        _without_mistakes(AccountSection, found["account"]),
        _without_mistakes(BridgeSection, found["bridge"]),
    )
    if account is None or bridge is None:
        return None
    try:
        bridge = bridge.model_copy(update={"database": with_password(bridge.database, environment), "tell": None})
    except ConfigError:
        return None
    return Config(path, account, bridge, CalendarOptions(), {}, (), {})


def _readable(text: str, section: str) -> dict[str, Any]:
    """The keys of a section, line by line where the file is not TOML."""
    try:
        table = tomllib.loads(text).get(section)
        return dict(table) if isinstance(table, dict) else {}
    except tomllib.TOMLDecodeError:
        pass
    found: dict[str, Any] = {}
    is_here = False
    for line in text.split("\n"):
        if line.lstrip().startswith("["):
            is_here = line.partition("#")[0].strip() == f"[{section}]"
        elif is_here:
            try:
                found |= tomllib.loads(line)
            except tomllib.TOMLDecodeError:
                continue
    return found


def _without_mistakes(model: type[S], table: dict[str, Any]) -> S | None:
    """The section without the keys that are wrong; None if it can't do without one of them."""
    try:
        return model.model_validate(table)
    except ValidationError as errors:
        wrong = {error["loc"][0] for error in errors.errors() if error["loc"]}
    try:
        return model.model_validate({key: value for key, value in table.items() if key not in wrong})
    except ValidationError:
        return None


class _Loader:
    def __init__(self, path: Path, source: Recovered, environment: Mapping[str, str]) -> None:
        self.path = path
        self.source = source
        self.tree = source.tree
        self.problems = Problems(path, source.lines, source.is_broken)
        self.environment = environment

    def parts(self, lines: Mapping[KeyPath, int]) -> Config | None:
        """What could be read; what could not is among ``problems``. None without [account] or [bridge]."""
        for name in self.tree:
            if name not in SECTIONS:
                self.problems.unknown((name,), "такого раздела нет", name, SECTIONS)
        account = self._section("account", AccountSection)
        bridge = self._with_password(self._section("bridge", BridgeSection))
        calendar = self._section("calendar", CalendarOptions)
        declared = self._table("roles")
        roles = self._roles(declared)
        absences = self._absences(self._table("absences"))
        services = self._section("services", ServicesSection) if "services" in self.tree else None
        provision = self._section("provision", ProvisionSection) if "provision" in self.tree else None
        webinar = self._section("webinar", WebinarSection) if "webinar" in self.tree else None
        channels = self._channels(bridge)
        evening = self._section("evening_list", EveningListSection) if "evening_list" in self.tree else None
        pay = self._section("pay", PaySection) if "pay" in self.tree else None
        intake = self._section("intake", IntakeSection) if "intake" in self.tree else None
        kpi = (self._section("kpi", KpiSection) if "kpi" in self.tree else None) or KpiSection()
        daily = self._section("daily_report", DailyReportSection) if "daily_report" in self.tree else None
        ads = self._section("ads", AdsSection) if "ads" in self.tree else None
        policies = self._section("policies", PoliciesSection) if "policies" in self.tree else None
        shift = self._section("shift_start", ShiftStartSection) if "shift_start" in self.tree else None
        if shift is not None and kpi.shift is None and not kpi.event_days:
            self.problems.add(("shift_start",), "неизвестно, когда начинается смена: впишите shift в [kpi]")
        weekly = self._section("weekly_letter", WeeklyLetterSection) if "weekly_letter" in self.tree else None
        updates = (self._section("updates", UpdatesSection) if "updates" in self.tree else None) or UpdatesSection()
        check_approvals(channels, intake, self.problems)
        shared = {"services": services, "series": channels.series, "ads": ads}
        there = {name for name in SECTIONS if name in self.tree or self.source.has_broken(name)}
        rules = RuleLoader(self.path.parent, self._own_folders(), shared, there, self.problems).rules(
            {section: self._table(section) for section in RULES}
        )
        sections: dict[KeyPath, BaseModel | None] = {
            ("bridge",): bridge,
            ("services",): services,
            ("webinar",): webinar,
            ("dial",): channels.dial,
            ("daily_report",): daily,
            ("policies",): policies,
            ("shift_start",): shift,
        }
        self._known_people(sections, rules, declared)
        check_secrets(bridge.secret_fields if bridge else (), rules, self.problems)
        account = account or _without_mistakes(AccountSection, self._table("account"))
        bridge = bridge or _without_mistakes(BridgeSection, self._table("bridge"))
        if account is None or bridge is None:
            return None
        calendar = calendar or CalendarOptions()
        more = (absences, services, provision, webinar, channels, evening, intake, kpi, daily, ads, policies, weekly)
        return Config(
            self.path, account, bridge, calendar, roles, rules, lines, *more,
            pay=pay, shift_start=shift, updates=updates,
        )  # fmt: skip

    def _channels(self, bridge: BridgeSection | None) -> Channels:
        vendors: dict[str, Any] = {
            name: self._section(name, model) for name, model in VENDOR_SECTIONS.items() if name in self.tree
        }
        # Of this one there is always one: without it documents are kept on this server.
        vendors["storage"] = vendors.get("storage") or StorageSection()
        dial = (self._section("dial", DialSection) if "dial" in self.tree else None) or DialSection()
        people = people_in(self._table("people"), self.problems)
        series = series_in(self._table("series"), self.problems)
        intake = self.tree.get("intake")
        ads = self.tree.get("ads")
        asked = ads.get("ask", ()) if isinstance(ads, dict) else ()
        services = [one for one in asked if one in STATISTICS_SECTIONS] if isinstance(asked, list) else []
        check_ads(vendors, services, self.problems, is_on=ads is not None)
        takes_leads = (isinstance(intake, dict) and "vkads" in intake) or "vk" in services
        check_audiences(vendors, self.problems, takes_leads=takes_leads)
        check_mail(vendors, self.problems)
        if vendors.get("mail") and bridge:
            check_unsubscribing(bridge.public_url, self.problems)
        approvals = self._section("approvals", ApprovalsSection) if "approvals" in self.tree else None
        spend = self._section("spend_sheet", SpendSheetSection) if "spend_sheet" in self.tree else None
        check_spend_sheet(vendors, spend, self.problems)
        return Channels(
            **vendors, dial=dial, people=people, series=series, approvals=approvals, spend_sheet=spend
        )  # fmt: skip

    def _table(self, name: str) -> dict[str, Any]:
        table = self.tree.get(name, {})
        if isinstance(table, dict):
            return dict(table)
        told = (
            "раздел пишется один раз, в одинарных скобках" if isinstance(table, list) else "это раздел, а не значение"
        )
        self.problems.add((name,), f"{told}: [{name}]")
        return {}

    def _section(self, name: str, model: type[S]) -> S | None:
        table = self._table(name)
        for key, variable in OVERRIDES.get(name, {}).items():
            if value := self.environment.get(variable):
                table[key] = value
                self.problems.from_environment[name, key] = variable
        try:
            return model.model_validate(table)
        except ValidationError as errors:
            self.problems.invalid(errors, (name,), model)
            return None

    def _with_password(self, bridge: BridgeSection | None) -> BridgeSection | None:
        if bridge is None:
            return None
        try:
            return bridge.model_copy(update={"database": with_password(bridge.database, self.environment)})
        except ConfigError as error:
            self.problems.found += error.problems
            return None

    def _roles(self, table: Mapping[str, Any]) -> dict[str, RoleSpec]:
        roles: dict[str, RoleSpec] = {}
        for name, spec in table.items():
            path = ("roles", name)
            if same_name(name, MANAGER):
                self.problems.add(path, "эта роль есть всегда: ответственный за сделку; уберите строку")
            elif isinstance(spec, str) and spec.strip():
                roles[name] = UserName(spec.strip())
            elif isinstance(spec, dict):
                try:
                    roles[name] = RoleByField.model_validate(spec)
                except ValidationError as errors:
                    self.problems.invalid(errors, path, RoleByField)
            else:
                words = 'нужно имя пользователя или { field = "поле сделки", otherwise = "имя" }'
                self.problems.add(path, words)
        return roles

    def _absences(self, table: Mapping[str, Any]) -> Absences:
        absences: dict[UserName, tuple[Absence, ...]] = {}
        for name, times in table.items():
            path = ("absences", name)
            if not isinstance(times, list):
                self.problems.add(path, 'нужен список: [{ from = "2026-12-01", to = "2026-12-14", deputy = "имя" }]')
                continue
            told = [self._absence(one, (*path, number)) for number, one in enumerate(times)]
            absences[UserName(name.strip())] = away = tuple(one for one in told if one is not None)
            for a, b in overlaps(away):
                self.problems.add(path, f"отсутствия пересекаются: с {a.first} по {a.last} и с {b.first} по {b.last}")
        return absences

    def _absence(self, told: object, path: KeyPath) -> Absence | None:
        try:
            return Absence.model_validate(told)
        except ValidationError as errors:
            self.problems.invalid(errors, path, Absence)
            return None

    def _own_folders(self) -> dict[Section, str]:
        """The folders of the agency's own handlers and schedules, where the config names any."""
        table = self.tree.get("bridge")
        named = {section: table.get(f"own_{section}") for section in RULES} if isinstance(table, dict) else {}
        return {section: folder for section, folder in named.items() if isinstance(folder, str)}

    def _known_people(
        self, sections: Mapping[KeyPath, BaseModel | None], rules: Iterable[Rule], declared: Iterable[str]
    ) -> None:
        """A single word without a capital letter is meant as a role: say at once when there is no such role."""
        if self.source.has_broken("roles"):
            # The role may stand in the line that can't be read.
            return
        known = (MANAGER, *declared)
        blocks = [(rule.path, rule.options) for rule in rules]
        for block, options in [*sections.items(), *blocks]:
            for path, name in names_in(options):
                if _is_meant_as_role(name) and not any(same_name(name, role) for role in known):
                    words = f"роли «{name}» нет в [roles]"
                    self.problems.unknown((*block, *path), words, name, known, block=len(block))


def _is_meant_as_role(name: str) -> bool:
    return isinstance(name, PersonName) and name.islower() and not set(name) & set(" @")
