"""Lists that a rule's form offers: the account's names, due phrases and what they come to now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from flask_babel import get_locale
from flask_babel import gettext as _
from holidays.registry import COUNTRIES
from pydantic import BaseModel

from amo_bridge.config.account_check import DATE_TYPES
from amo_bridge.config.channels import VENDOR_SECTIONS, DialSection
from amo_bridge.config.intake import IntakeSection
from amo_bridge.config.loader import SECTIONS, RuleSwitches
from amo_bridge.config.model import (
    MANAGER,
    AccountSection,
    BridgeSection,
    Config,
    DailyReportSection,
    KpiSection,
    PoliciesSection,
    ProvisionSection,
    WeeklyLetterSection,
)
from amo_bridge.config.pay import PaySection
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.crm.account import Account
from amo_bridge.dates.calendar import CalendarOptions, parse_timezone
from amo_bridge.dates.due import Due, FieldNotFilled
from amo_bridge.dates.duration import parse
from amo_bridge.dates.offset import Offset
from amo_bridge.dates.recurrence import Recurrence
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.rules.option_controls import COUNTRY, Control, ControlKind
from amo_bridge.rules.option_types import (
    ContactDateFieldName,
    ContactFieldName,
    CustomFieldName,
    DateFieldName,
    DocumentName,
    EnclosureName,
    FieldName,
    LossReasonName,
    OptionName,
    PersonName,
    PipelineName,
    SeriesName,
    StageName,
    TagName,
    TaskTypeName,
    TemplateName,
    UserName,
)
from amo_bridge.rules.service_lines import ServicesSection
from amo_bridge.text.names import normalise
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services.rule_drafts import kinds_of
from amo_bridge.web.template_filters import moment

PHRASES: Mapping[ControlKind, tuple[str, ...]] = {
    "due": (
        *("сегодня", "конец дня", "1 рабочий час", "2 часа", "завтра 12:00", "следующий рабочий день", "2 рабочих дня"),
        *("3 дня", "1 неделя", "поле: Дата дедлайна", "до 11:00 следующего рабочего дня, если после 20:00"),
    ),
    "offset": ("- 5 d", "- 1 d 10:00", "+ 1 d", "+ 2 рабочих дня"),
    "recurrence": ("рабочий день 18:30", "пн 10:00", "среда, пятница 16:00", "1 число 10:00", "последнее число 16:00"),
    "duration": ("24 часа", "3 дня", "90 мин"),
    "zone": tuple(sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))),
}
"""Kinds of controls that any text may be typed into → what is offered; each is told what it comes to."""


@dataclass(frozen=True)
class Lists:
    """``names``: of what («этап») → the account's names of it; ``options``: a field's normalised name → its choices.
    Without the account both are what the config already speaks of. ``labels``: a role → who that is."""

    names: Mapping[str, tuple[str, ...]]
    options: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str]

    def of(self, kind: str, phrase: ControlKind = "text") -> tuple[str, ...]:
        return PHRASES.get(phrase) or self.names.get(kind, ())

    def named_in(self, controls: Iterable[Control]) -> list[str]:
        """Of what these controls choose from by lists, in an order that stays."""
        wanted = {inner.names for one in controls for inner in one.walk()}
        return sorted(name for name in self.names if name in wanted)

    def label(self, kind: str, name: str) -> str:
        """Who or what that is, where the name alone does not say it."""
        return self.labels.get(name, "") if kind in (PersonName.kind, COUNTRY) else ""

    def options_of(self, field: str) -> tuple[str, ...]:
        """The choices of a field; of all fields while nobody has said of which."""
        if field:
            return self.options.get(normalise(field), ())
        return tuple(dict.fromkeys(one for choices in self.options.values() for one in choices))


def lists_of(here: AccountView) -> Lists:
    config, account = here.config, here.crm_account
    spoken: dict[str, dict[str, None]] = {}
    options: dict[str, dict[str, None]] = {}
    for rule in config.rules:
        for _path, name in rule.account_names:
            spoken.setdefault(name.kind, {})[str(name)] = None
            if isinstance(name, OptionName):
                options.setdefault(normalise(name.field), {})[str(name)] = None
    folder = config.letters_folder
    ours = {
        TagName.kind: spoken.get(TagName.kind, ()),
        TemplateName.kind: _files(folder, ".txt"),
        DocumentName.kind: _files(folder, ".docx"),
        EnclosureName.kind: _files(folder, "", but=(".txt", ".html", ".docx")),
        SeriesName.kind: config.channels.series.named,
    }
    countries = _countries()
    names = {kind: tuple(found) for kind, found in {**spoken, **ours, COUNTRY: countries}.items()}
    if account is None:
        names[PersonName.kind] = tuple(dict.fromkeys((MANAGER, *config.roles, *spoken.get(PersonName.kind, ()))))
        return Lists(names, {field: tuple(found) for field, found in options.items()}, _labels(config))
    names |= _names(account, (MANAGER, *config.roles))
    choices = {
        normalise(one.name): tuple(choice.value for choice in one.enums) for one in account.fields() if one.enums
    }
    return Lists(names, choices, _labels(config))


def _countries() -> dict[str, str]:
    """The countries whose holidays are known → what people call them."""
    known = (get_locale() or Locale("ru")).territories
    found = {names[1]: known.get(names[1], names[1]) for names in COUNTRIES.values()}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def phrases_in(controls: Iterable[Control]) -> list[ControlKind]:
    """The kinds of phrases that these controls take."""
    wanted = {inner.kind for one in controls for inner in one.walk()}
    return [kind for kind in PHRASES if kind in wanted]


def _labels(config: Config) -> dict[str, str]:
    told = {**_countries(), MANAGER: str(_("ответственный за сделку"))}
    for role, spec in config.roles.items():
        if isinstance(spec, UserName):
            told[role] = str(spec)
        else:
            told[role] = str(_("кто в поле «%(field)s»", field=spec.field or spec.linked))
    return told


def _names(account: Account, roles: Iterable[str]) -> dict[str, tuple[str, ...]]:
    archived = {pipeline.id for pipeline in account.pipelines if pipeline.is_archived}
    people = [user.name for user in account.users if user.is_active]
    deal, contact = account.fields(), account.fields("contacts")
    return {
        StageName.kind: tuple(
            stage.title for stage in account.stages if stage.pipeline_id not in archived and stage.kind != "unsorted"
        ),
        PipelineName.kind: tuple(one.name for one in account.pipelines if not one.is_archived),
        FieldName.kind: (*(one.name for one in deal), *BUILT_IN_FIELDS),
        CustomFieldName.kind: tuple(one.name for one in deal),
        DateFieldName.kind: tuple(one.name for one in deal if one.type in DATE_TYPES),
        ContactFieldName.kind: tuple(one.name for one in contact),
        ContactDateFieldName.kind: tuple(one.name for one in contact if one.type in DATE_TYPES),
        LossReasonName.kind: tuple(one.name for one in account.loss_reasons),
        TaskTypeName.kind: tuple(one.name for one in account.task_types),
        UserName.kind: tuple(people),
        PersonName.kind: (*roles, *people),
    }


def _files(folder: Path | None, ending: str, but: tuple[str, ...] = ()) -> list[str]:
    """The files of the letters' folder by the names that rules call them by."""
    if folder is None or not folder.is_dir():
        return []
    found = [path.relative_to(folder) for path in sorted(folder.rglob(f"*{ending}")) if path.is_file()]
    named = [path.with_suffix("").as_posix() if ending else path.as_posix() for path in found if path.suffix not in but]
    return [name for name in named if not name.startswith(("_", "."))]


def comes_to(here: AccountView, kind: str, phrase: str) -> str:
    """«сейчас это было бы: пт 4 декабря 12:00», or why the phrase is not understood; empty for an empty one."""
    if not phrase.strip():
        return ""
    now = here.clock.now()
    if kind == "zone":
        return _clock_in(phrase, now)
    calendar = here.config.calendar.calendar(here.zone.key)
    try:
        if kind == "due":
            return str(_("Сейчас это было бы: %(when)s", when=moment(Due.parse(phrase).resolve(now, calendar, {}))))
        if kind == "recurrence":
            slots = [slot.moment for slot in Recurrence.parse(phrase).around(now, calendar) if slot.moment > now]
            return str(_("Ближайший раз: %(when)s", when=moment(slots[0]))) if slots else ""
        if kind == "duration":
            parse(phrase)
            return ""
        if kind == "offset":
            day = calendar.local(now).date()
            return str(_("Если дата — сегодня: %(when)s", when=moment(Offset.parse(phrase).from_(day, calendar))))
    except FieldNotFilled as error:
        return str(_("Считается от поля «%(field)s» каждой сделки", field=error.field))
    except ValueError as error:
        return str(error)
    return ""


def _clock_in(zone: str, now: datetime) -> str:
    try:
        known = parse_timezone(zone)
    except ValueError as error:
        return str(error)
    return str(_("Там сейчас: %(when)s", when=f"{now.astimezone(ZoneInfo(known)):%d.%m.%Y %H:%M}"))


# What the config's editor completes.

_MODELS: Mapping[str, type[BaseModel]] = {
    "account": AccountSection, "bridge": BridgeSection, "calendar": CalendarOptions, "daily_report": DailyReportSection,
    "kpi": KpiSection, "pay": PaySection, "policies": PoliciesSection, "provision": ProvisionSection,
    "services": ServicesSection, "webinar": WebinarSection, "weekly_letter": WeeklyLetterSection,
    "intake": IntakeSection, "dial": DialSection, "ads": AdsSection, **VENDOR_SECTIONS,
}  # fmt: skip


def completions_of(here: AccountView) -> dict[str, dict[str, list[str]]]:
    """``keys``: block («bridge», «handlers.stage_creates_tasks») → its keys; ``blocks``: what may stand in a header;
    ``names``: of what («этап») → the account's names of it."""
    lists, kinds = lists_of(here), kinds_of(here).by_name.values()
    keys = {name: _keys_of(model) for name, model in _MODELS.items()}
    for one in kinds:
        keys[f"{one.handler.section}.{one.name}"] = [*_keys_of(RuleSwitches), *_keys_of(one.handler.options)]
    names = {kind: list(dict.fromkeys(found)) for kind, found in lists.names.items() if found}
    names["вариант"] = list(lists.options_of(""))
    return {"keys": keys, "blocks": {"": sorted({*SECTIONS, *keys})}, "names": names}


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [(field.alias or name).rstrip("_") for name, field in model.model_fields.items()]
