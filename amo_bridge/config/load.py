"""TOML file → Config, strictly, with every mistake found at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from amo_bridge.config.absences import Absence, Absences, overlaps
from amo_bridge.config.channels import Channels, MailSection, TelegramSection, check_unsubscribing, people_in
from amo_bridge.config.environment import with_password
from amo_bridge.config.evening import EveningListSection
from amo_bridge.config.lines import KeyPath
from amo_bridge.config.load_rules import RULES, RuleLoader
from amo_bridge.config.model import MANAGER, AccountSection, BridgeSection, Config, RoleByField, RoleSpec
from amo_bridge.config.names import PersonName, UserName, names_in
from amo_bridge.config.problems import Problems
from amo_bridge.config.read import read, text_of
from amo_bridge.config.secrets import check_secrets
from amo_bridge.config.series import series_in
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.errors import ConfigError
from amo_bridge.provision.options import ProvisionSection
from amo_bridge.rule_folders import Section
from amo_bridge.rules import Rule
from amo_bridge.service_lines import ServicesSection
from amo_bridge.text.names import same_name
from amo_bridge.webinars.options import WebinarSection

SECTIONS = (
    *("account", "bridge", "calendar", "roles", "absences", "services", "provision", "webinar"),
    *("evening_list", "mail", "telegram", "people", "series", *RULES),
)
OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "account": {"url": "AMO_BRIDGE_ACCOUNT_URL"},
    "bridge": {"public_url": "AMO_BRIDGE_PUBLIC_URL", "data": "AMO_BRIDGE_DATA", "database": "AMO_BRIDGE_DATABASE"},
}
"""Section → key → the environment variable that wins over the file."""
S = TypeVar("S", bound=BaseModel)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file. Raises ConfigError with all problems; names of the account are checked elsewhere
    (``amo_bridge.config.against_account``), because that needs the account."""
    return load_text(path, text_of(path), environment)


def load_text(path: Path, text: str, environment: Mapping[str, str] = os.environ) -> Config:
    """The same for a text that is to become the file's. Raises ConfigError."""
    tree, lines = read(path, text)
    return _Loader(path, tree, Problems(path, lines), environment).config(lines)


class _Loader:
    def __init__(self, path: Path, tree: dict[str, Any], problems: Problems, environment: Mapping[str, str]) -> None:
        self.path = path
        self.tree = tree
        self.problems = problems
        self.environment = environment

    def config(self, lines: Mapping[tuple[str | int, ...], int]) -> Config:
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
        shared = {"services": services, "series": channels.series}
        rules = RuleLoader(self.path.parent, self._own_folders(), shared, self.tree, self.problems).rules(
            {section: self._table(section) for section in RULES}
        )
        sections: dict[KeyPath, BaseModel | None] = {
            ("bridge",): bridge,
            ("services",): services,
            ("webinar",): webinar,
        }
        self._known_people(sections, rules, declared)
        check_secrets(bridge.secret_fields if bridge else (), rules, self.problems)
        if self.problems.found or account is None or bridge is None or calendar is None:
            raise ConfigError(self.problems.found)
        more = (absences, services, provision, webinar, channels, evening)
        return Config(self.path, account, bridge, calendar, roles, rules, lines, *more)

    def _channels(self, bridge: BridgeSection | None) -> Channels:
        mail = self._section("mail", MailSection) if "mail" in self.tree else None
        telegram = self._section("telegram", TelegramSection) if "telegram" in self.tree else None
        people = people_in(self._table("people"), self.problems)
        series = series_in(self._table("series"), self.problems)
        if mail and bridge:
            check_unsubscribing(bridge.public_url, self.problems)
        return Channels(mail, telegram, people, series)

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
        known = (MANAGER, *declared)
        blocks = [(rule.path, rule.options) for rule in rules]
        for block, options in [*sections.items(), *blocks]:
            for path, name in names_in(options):
                if _is_meant_as_role(name) and not any(same_name(name, role) for role in known):
                    words = f"роли «{name}» нет в [roles]"
                    self.problems.unknown((*block, *path), words, name, known, block=len(block))


def _is_meant_as_role(name: str) -> bool:
    return isinstance(name, PersonName) and name.islower() and not set(name) & set(" @")
