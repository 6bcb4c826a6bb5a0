"""Settings by form: sections of the config, drafts, mistakes, saving; the year drawn.

The controls come from the sections' models, the words above the keys from the shipped example.
"""

from __future__ import annotations

import calendar
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import BaseModel, Field

from amo_bridge.config.account_fit import fit
from amo_bridge.config.blocks import BlockPath, block_of, typed_toml, values_of, with_block, without_block
from amo_bridge.config.channels import ApprovalsSection, DialSection, PersonSection
from amo_bridge.config.loader import Readable
from amo_bridge.config.model import (
    Absence,
    AccountSection,
    BridgeSection,
    Config,
    DailyReportSection,
    EveningListSection,
    KpiSection,
    PoliciesSection,
    RoleByField,
    ShiftStartSection,
    UpdatesSection,
    WeeklyLetterSection,
)
from amo_bridge.config.rule_blocks import section_hints
from amo_bridge.dates.calendar import CalendarOptions, public_days
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_controls import Control, controls_of
from amo_bridge.rules.option_types import Strict, UserName
from amo_bridge.runtime.config_reload import SETTLED_KEYS, FileState
from amo_bridge.versioned_file import Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.block_drafts import BlockDraft, CheckedBlock, Merge, Places, check_block, is_russian
from amo_bridge.web.services.config import Unfit
from amo_bridge.web.services.option_forms import HERE, Habits, Path, place_mistakes, tree_of_values


class _Absences(Strict):
    absences: dict[UserName, tuple[Absence, ...]] = Field(default_factory=dict)


class _Roles(Strict):
    roles: dict[str, UserName | RoleByField] = Field(default_factory=dict)


class _People(Strict):
    people: dict[UserName, PersonSection] = Field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A form of settings. ``name``: in addresses; ``table``: the section of the config; ``keys``: those of it that the
    form is about, all if none are named. ``is_of_names``: the section's keys are names of people or roles.
    ``is_optional``: without the section in the file the bridge does nothing of it. ``restart``: keys that count only
    after a restart."""

    name: str
    table: str
    title: Any
    sentence: Any
    model: type[BaseModel]
    keys: tuple[str, ...] = ()
    is_of_names: bool = False
    is_optional: bool = False
    restart: tuple[str, ...] = ()

    @property
    def controls(self) -> tuple[Control, ...]:
        found = controls_of(self.model)
        kept = [one for one in found if not self.keys or one.key in self.keys]
        return tuple(_worded(one, self.table, is_russian=is_russian()) for one in kept)

    def keys_in(self, text: str) -> dict[str, Any]:
        """The keys of the form in a block that somebody has typed, with its header or without. Raises ConfigError."""
        try:
            tree = typed_toml(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f"блок не читается ({error})"]) from error
        if isinstance(inner := tree.get(self.table), dict) and len(tree) == 1:
            tree = inner
        return {self.table: tree} if self.is_of_names else tree

    def values_in(self, text: str) -> dict[str, Any] | None:
        """The keys of the form in the file; None if it has no such section. Raises ConfigError."""
        values = values_of(text, (self.table,))
        if values is None:
            return None
        if self.is_of_names:
            return {self.table: values}
        others = {key for one in SECTIONS if one.table == self.table and one is not self for key in one.keys}
        hidden = others | (NOT_BY_FORM if self.table == "bridge" else set())
        return {key: value for key, value in values.items() if key not in hidden}


NOT_BY_FORM = {"data", "database"}
"""Of ``[bridge]``: who changes them moves the store as well."""
RETENTION = ("keep_journal", "keep_hooks")
SECTIONS: tuple[Section, ...] = (
    Section(
        "calendar", "calendar", _l("Рабочее время"),
        _l("Часы работы, перерывы, часовой пояс, праздники страны, свои выходные и рабочие дни."), CalendarOptions,
    ),
    Section(
        "absences", "absences", _l("Отсутствия"),
        _l("Кого нет, с какого по какое число и кто за него: задачи этих дней получает заместитель."), _Absences,
        is_of_names=True,
    ),
    Section(
        "people", "people", _l("Люди и их каналы"),
        _l("Куда мост пишет каждому: Telegram, MAX, почта; тихие часы, номер АТС, имя входа на страницы."), _People,
        is_of_names=True,
    ),
    Section(
        "roles", "roles", _l("Роли"), _l("Кто есть кто в правилах: руководитель, бухгалтер, PR."), _Roles,
        is_of_names=True,
    ),
    Section(
        "bridge", "bridge", _l("Мост"),
        _l("Вхолостую или всерьёз, тег «без робота», кому говорить о бедах, поля с тайнами."), BridgeSection,
        keys=("dry_run", "opt_out_tag", "tell", "most_put_backs", "secret_fields", "scripts", "own_handlers",
              "own_schedules", "public_url"),
        restart=SETTLED_KEYS,
    ),
    Section(
        "retention", "bridge", _l("Сколько хранить"),
        _l("Сколько мост помнит журнал и вебхуки; прочее хранится, пока нужно."), BridgeSection, keys=RETENTION,
    ),
    Section(
        "account", "account", _l("Аккаунт amoCRM"), _l("Адрес аккаунта и сколько запросов в секунду можно тратить."),
        AccountSection, restart=("url", "requests_per_second"),
    ),
    Section(
        "kpi", "kpi", "KPI", _l("Кого считать, план дня, с какой длины звонок — разговор, начало смены."), KpiSection,
    ),
    Section(
        "daily_report", "daily_report", _l("Отчёт за день"),
        _l("Каждый подтверждает вечером свои цифры; кто не подтвердил — о том узнаёт руководитель."),
        DailyReportSection, is_optional=True,
    ),
    Section(
        "shift_start", "shift_start", _l("Начало смены"),
        _l("Перед сменой спросить, на месте ли; не начал — напомнить, потом сказать руководителю. Час — в KPI."),
        ShiftStartSection, is_optional=True,
    ),
    Section(
        "evening_list", "evening_list", _l("Вечерний список"),
        _l("В конце дня каждому — его просроченные и сегодняшние задачи."), EveningListSection, is_optional=True,
    ),
    Section(
        "weekly_letter", "weekly_letter", _l("Итоги недели"), _l("Раз в неделю — письмо с итогами прошлой."),
        WeeklyLetterSection, is_optional=True,
    ),
    Section(
        "policies", "policies", _l("Правила работы"), _l("Кто и за сколько дней знакомится с изменёнными правилами."),
        PoliciesSection, is_optional=True,
    ),
    Section(
        "dial", "dial", _l("Автодозвон"), _l("Когда и как часто АТС соединяет менеджера с клиентом."), DialSection,
    ),
    Section(
        "approvals", "approvals", _l("Согласование кнопкой"), _l("Какие задачи решают кнопкой в мессенджере."),
        ApprovalsSection, is_optional=True,
    ),
    Section(
        "updates", "updates", _l("Новые версии"),
        _l("Раз в день спрашивать, не вышла ли новая версия моста. Сам он не обновляется."), UpdatesSection,
    ),
)  # fmt: skip
IN_FILE = ("services", "provision", "webinar", "series", "intake", "ads", "pay", "audiences", "storage")
"""Sections that have no form yet: they are for the file."""

TITLES: Mapping[str, Any] = MappingProxyType(
    {
        "country": _l("Праздники страны"), "hours": _l("Рабочие часы"), "breaks": _l("Перерывы"),
        "days_off": _l("Свои выходные"), "working_days": _l("Свои рабочие дни"),
        "special_hours": _l("Дни с особыми часами"), "timezone": _l("Часовой пояс"),
        "absences": _l("Кого нет"), "from": _l("С какого дня"), "to": _l("По какой день"),
        "deputy": _l("Кто за него"), "people": _l("Люди"), "telegram": "Telegram", "max": "MAX", "mail": _l("Почта"),
        "quiet": _l("Тихие часы"), "order": _l("Что пробовать сначала"), "extension": _l("Номер АТС"),
        "pbx_employee": _l("Номер в Novofon 2.0"), "login": _l("Имя входа на страницы"), "roles": _l("Роли"),
        "field": _l("Поле с именем сотрудника"), "linked": _l("Поле с адресом другой сделки"),
        "otherwise": _l("Если поле пусто"), "dry_run": _l("Весь мост вхолостую"),
        "opt_out_tag": _l("Тег, который выключает правила"), "tell": _l("Кому говорить о бедах"),
        "most_put_backs": _l("Сколько раз за час возвращать сделку"), "secret_fields": _l("Поля сделки с тайнами"),
        "scripts": _l("Папка скриптов звонков"), "own_handlers": _l("Папка своих обработчиков"),
        "own_schedules": _l("Папка своих расписаний"), "public_url": _l("Адрес моста в интернете"),
        "keep_journal": _l("Журнал и сделанное"), "keep_hooks": _l("Вебхуки"), "url": _l("Адрес аккаунта"),
        "requests_per_second": _l("Запросов в секунду"), "plan": _l("План"), "contacts": _l("Новых клиентов"),
        "worked": _l("Обработано клиентов"), "talks": _l("Разговоров"), "letters": _l("Писем и сообщений"),
        "tasks": _l("Задач"), "sales": _l("Продаж"), "amount": _l("Сумма продаж"),
        "talk_seconds": _l("С какой длины звонок — разговор, секунд"), "shift": _l("Начало смены"),
        "event_days": _l("Дни мероприятий"), "at": _l("Во сколько"), "event_at": _l("Во сколько в дни мероприятий"),
        "ask_before": _l("Спросить за"), "remind_after": _l("Напомнить через"),
        "escalate_after": _l("Сказать руководителю через"),
        "escalate_to": _l("Кому сказать"), "violation": _l("Нарушение"), "clause": _l("Пункт"),
        "penalty": _l("Штраф"), "day": _l("День недели"), "folder": _l("Папка с текстами"),
        "days": _l("Рабочих дней на ознакомление"), "remind_days": _l("На какой день напомнить"),
        "enabled": _l("Включён"), "a_day": _l("Звонков по сделке в день"),
        "manager_retry": _l("Менеджер не взял: повторить через"), "client_retry": _l("Клиент не взял: повторить через"),
        "unanswered_note": _l("Примечание после стольких без ответа"), "client_hours": _l("Часы клиента"),
        "client_zone": _l("Поле с поясом клиента"), "countries": _l("Страны номеров"),
        "abroad_to": _l("Кому задача о других странах"), "says": _l("Что слышит менеджер"),
        "yes": _l("Кнопка «да»"), "no": _l("Кнопка «нет»"), "check": _l("Спрашивать раз в день"),
        "index": _l("Адрес указателя пакетов"),
    }
)  # fmt: skip
IN_SECTION: Mapping[tuple[str, str], Any] = {
    ("evening_list", "to"): _l("Кому"), ("daily_report", "tell"): _l("Кому показать подтверждённые"),
    ("approvals", "tasks"): _l("Начало текста задачи"), ("weekly_letter", "people"): _l("Кому"),
    ("dial", "opt_out_tag"): _l("Тег «не звонить»"), ("people", "value"): _l("Каналы"),
    ("absences", "value"): _l("Когда"),
}  # fmt: skip
"""Where a key means another thing than elsewhere."""
HABITS = Habits(lambda keys: True, lambda keys: 0.0)
"""All is shown, in the models' order."""


@cache
def section_at(name: str) -> Section | None:
    return next((one for one in SECTIONS if one.name == name), None)


def title_of(key: str, table: str = "") -> str:
    """What a form calls a key; a name of a person or a role stays as it is."""
    return str(IN_SECTION.get((table, key)) or TITLES.get(key) or key)


def _worded(control: Control, table: str, *, is_russian: bool) -> Control:
    hint = section_hints().get((table, control.key), "") if is_russian else ""
    return replace(
        control,
        title=title_of(control.key, table) if control.key not in ("", "key") else "",
        hint=control.hint or hint,
        parts=tuple(_worded(part, table, is_russian=is_russian) for part in control.parts),
    )


# --- a draft ----------------------------------------------------------------------------------------------------------


@dataclass
class SettingsDraft(BlockDraft):
    """A section of a form, before it is saved. ``before``: of a section of names all of it, under its own name."""

    section: Section

    @property
    def path(self) -> BlockPath:
        return (self.section.table,)

    @property
    def known_controls(self) -> tuple[Control, ...]:
        return self.section.controls

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.known_controls)

    @property
    def habits(self) -> Habits:
        return HABITS

    def values(self) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
        made = self.option_values()
        return made.values, made.mistakes

    def path_within(self, path: Path) -> Path | None:
        if path[0] != self.section.table:
            return None
        if self.section.is_of_names:
            return path
        is_ours = len(path) > 1 and (not self.section.keys or path[1] in {*self.section.keys, *self.before})
        return path[1:] if is_ours else None

    @property
    def _is_nested(self) -> bool:
        return self.section.table == "people"

    def _block(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        return dict(keys.get(self.section.table, {}) if self.section.is_of_names else keys)

    def toml(self) -> str:
        return block_of(self.path, self._block(self.values()[0]), self.order, is_nested=self._is_nested)

    @property
    def base(self) -> str:
        return "" if self.is_new else block_of(self.path, self._block(self.before), is_nested=self._is_nested)

    def text_in(self, text: str) -> str:
        wanted = self._block(self.with_kept(self.values()[0]))
        there = values_of(text, self.path)
        if there is None and not wanted and not self.section.is_optional:
            return text
        if not self.section.is_of_names:
            wanted = {**{key: one for key, one in (there or {}).items() if key not in self.before}, **wanted}
        return with_block(text, self.path, wanted, order=self.order, means=self._meaning, is_nested=self._is_nested)

    def _meaning(self, key: str, value: Any) -> Any:
        if not self.section.is_of_names:
            return self.meaning(key, value)
        return self.meaning(self.section.table, {key: value})

    def merged(self, base: Mapping[str, Any]) -> Merge[SettingsDraft]:
        """See merged_tree; of a section of names each name is merged by itself."""
        if self.section.is_of_names:
            return self._merged_by_name(base)
        tree, taken, at_odds = self.merged_tree(base)
        return Merge(replace(self, tree=tree), tuple(taken), tuple(at_odds))

    def _merged_by_name(self, base: Mapping[str, Any]) -> Merge[SettingsDraft]:
        table = self.section.table
        was, now, wanted = (self._block(one) for one in (base, self.before, self.values()[0]))
        rows = dict(self.tree.get(table, {}))
        taken: list[str] = []
        at_odds: list[str] = []
        for name in dict.fromkeys((*was, *now)):
            then, present = (self._entry(one, name) for one in (was, now))
            if present in (then, wanted.get(name)):
                continue
            if wanted.get(name) != then:
                at_odds.append(name)
                continue
            taken.append(name)
            rows = {step: row for step, row in rows.items() if step == HERE or row.get("key", {}).get(HERE) != name}
            if name in now:
                there = tree_of_values(self.known_controls, {table: {name: now[name]}})[table]
                rows |= {str(max((int(step) for step in rows if step.isdecimal()), default=-1) + 1): there["0"]}
        return Merge(replace(self, tree={**self.tree, table: rows}), tuple(taken), tuple(at_odds))

    def _entry(self, block: Mapping[str, Any], name: str) -> Any:
        """What the form would write for a name; None for one that is not there."""
        made = self._meaning(name, block[name]) if name in block else None
        return made.get(name) if isinstance(made, dict) else None


def draft_of(here: AccountView, section: Section) -> SettingsDraft:
    """The section as the file has it. Raises ConfigError."""
    before = section.values_in(here.file.read().text)
    draft = SettingsDraft({}, section, before=before or {}, is_new=before is None)
    draft.tree = tree_of_values(draft.controls, draft.before)
    return draft


def check(here: AccountView, draft: SettingsDraft, file: Written) -> CheckedBlock:
    """Find a draft's mistakes and what it changes in the file; nothing is written."""

    def names(found: Readable) -> tuple[Places, bool]:
        account = here.crm_account
        if account is None or found.config is None:
            return {}, False
        ours = [
            one
            for one in fit(found.config, account).issues
            if not one.rule and one.path[0] == draft.section.table and one.is_to_mend
        ]
        known = {one.key for one in here.fit.issues}
        # What was unknown before, such as a person who has left, does not keep anybody from changing another thing.
        return {one.line: (one.path, one.words) for one in ours}, any(one.key not in known for one in ours)

    checked = check_block(here, draft, file, [], names)
    checked.problems += [words for _path, words in place_mistakes(checked.nodes, checked.mistakes)]
    return checked


def save(here: AccountView, draft: SettingsDraft, mark: str) -> FileState:
    """Write the draft into the file as the config's own page does. Raises Unfit, ConfigError."""
    checked = check(here, draft, here.file.read())
    if not checked.is_fit:
        words = [f"{'.'.join(map(str, path))}: {words}" for path, words in checked.mistakes]
        raise Unfit([*checked.problems, *words])
    return config_service.save(here, checked.text, mark)


def text_without(here: AccountView, section: Section) -> str:
    """The file without an optional section: the bridge does nothing of it. Raises ConfigError, LookupError."""
    if not section.is_optional:
        raise LookupError(section.name)
    return without_block(here.file.read().text, (section.table,))


def restart_keys(here: AccountView, section: Section, config: Config | None) -> list[str]:
    """The titles of keys that count only after a restart; with a draft's ``config`` only of those that it changes."""
    told = [one.key for one in section.controls if one.key in section.restart]
    if told and config is not None:
        new, old = getattr(config, section.table), getattr(here.config, section.table)
        told = [key for key in told if getattr(new, key) != getattr(old, key)]
    return [title_of(key, section.table) for key in told]


# --- the year as a picture --------------------------------------------------------------------------------------------

DayKind = Literal["work", "rest", "holiday", "moved", "own rest", "own work", "own hours"]
KINDS: Mapping[DayKind, Any] = {
    "work": _l("рабочий"), "rest": _l("выходной недели"), "holiday": _l("праздник или перенос"),
    "moved": _l("рабочий по переносу"), "own rest": _l("свой выходной"), "own work": _l("свой рабочий"),
    "own hours": _l("особые часы"),
}  # fmt: skip
"""What a day may be, in words."""


@dataclass(frozen=True)
class YearDay:
    """``day``: 0 beside the month."""

    day: int
    kind: DayKind

    @property
    def words(self) -> str:
        return str(KINDS[self.kind])


@dataclass(frozen=True)
class YearMonth:
    first: date
    weeks: list[list[YearDay]]
    working_days: int


def year_of(options: CalendarOptions, year: int, zone: str) -> list[YearMonth]:
    """The twelve months with what each day is; whether it is worked is the calendar's own answer."""
    made = options.calendar(zone)
    off, working = public_days(options.country, year)

    def kind(day: date) -> DayKind:
        if day in options.special_hours:
            return "own hours"
        if day in options.days_off:
            return "own rest"
        if day in options.working_days:
            return "own work"
        if made.is_working_day(day):
            return "moved" if day in working else "work"
        return "holiday" if day in off else "rest"

    months = []
    for month in range(1, 13):
        weeks = [
            [YearDay(day, kind(date(year, month, day)) if day else "rest") for day in week]
            for week in calendar.monthcalendar(year, month)
        ]
        days = [one for week in weeks for one in week if one.day]
        count = sum(made.is_working_day(date(year, month, one.day)) for one in days)
        months.append(YearMonth(date(year, month, 1), weeks, count))
    return months


def unnamed_people(here: AccountView) -> list[str]:
    """The account's people whom ``[people]`` does not name: the bridge tells them by the mail that amoCRM knows."""
    account = here.crm_account
    named = {str(name).casefold() for name in here.config.channels.people}
    return [one.name for one in account.users if one.is_active and one.name.casefold() not in named] if account else []


def summary_of(here: AccountView, section: Section) -> str:
    """What stands there, in a few words, for the list of sections."""
    config = here.config
    match section.name:
        case "calendar":
            days = len(config.calendar.hours)
            return str(_("рабочих дней в неделе: %(n)s, пояс %(zone)s", n=days, zone=here.zone.key))
        case "absences":
            today = here.clock.now().astimezone(here.zone).date()
            away = [name for name, times in config.absences.items() if any(a.first <= today <= a.last for a in times)]
            return str(_("сегодня нет: %(who)s", who=", ".join(away))) if away else str(_("сегодня все на месте"))
        case "people":
            return str(_("названо: %(n)s, не названо: %(others)s", n=len(config.channels.people),
                         others=len(unnamed_people(here))))  # fmt: skip
        case "roles":
            return ", ".join(config.roles)
        case "retention":
            kept = (config.bridge.keep_journal.days, config.bridge.keep_hooks.days)
            return str(_("журнал %(journal)s дн., вебхуки %(hooks)s дн.", journal=kept[0], hooks=kept[1]))
        case "updates":
            return str(_("спрашивает раз в день") if config.updates.check else _("не спрашивает"))
        case "bridge":
            return str(_("вхолостую") if config.bridge.dry_run else _("всерьёз"))
    if section.is_optional:
        connected = config.channels.approvals if section.name == "approvals" else getattr(config, section.name)
        return str(_("выключено") if connected is None else _("включено"))
    return ""
