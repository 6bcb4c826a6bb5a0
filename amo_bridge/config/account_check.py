"""Look-ups of the config's names in the account: stages, fields, choices, people, reasons, task types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from amo_bridge.config.channels import VENDOR_SECTIONS
from amo_bridge.config.model import MANAGER, Config
from amo_bridge.crm.account import Account, Field
from amo_bridge.errors import AmbiguousName, UnknownName
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.rules.option_types import (
    AccountName,
    ContactDateFieldName,
    ContactFieldName,
    CustomFieldName,
    DateFieldName,
    DocumentName,
    EmployeeName,
    EnclosureName,
    FieldName,
    LossReasonName,
    NumberFieldName,
    OptionName,
    PersonName,
    PipelineName,
    SeriesName,
    StageName,
    TagName,
    TaskTypeName,
    TemplateName,
    Text,
    UserName,
    names_in,
)
from amo_bridge.text.names import nearest, normalise, same_name
from amo_bridge.text.templates import Templates, enclosed

LOSS_REASON_FIELD = "Причина отказа"
NUMBER_TYPES = ("numeric", "price", "monetary")
DATE_TYPES = ("date", "date_time", "birthday")


class Misfit(Exception):
    """The account knows the name, but not as what the config needs. The text is the problem (Russian)."""


class NotReady(Misfit):
    """It is there, but a part of what the rule does can't be done until somebody has finished it."""


class Inactive(Misfit):
    """The user is there, but can't be given anything."""


def account_names(config: Config) -> Iterator[tuple[tuple[Any, ...], AccountName]]:
    """Everything in the config that the account must know, with the path of the key where it stands."""
    yield from names_in(config.bridge, ("bridge",))
    yield from names_in(config.roles, ("roles",))
    yield from names_in(config.services, ("services",))
    yield from names_in(config.webinar, ("webinar",))
    yield from names_in(config.absences, ("absences",))
    yield from names_in(config.evening_list, ("evening_list",))
    yield from names_in(config.daily_report, ("daily_report",))
    yield from names_in(config.ads, ("ads",))
    yield from names_in(config.policies, ("policies",))
    yield from names_in(config.shift_start, ("shift_start",))
    yield from names_in(config.weekly_letter, ("weekly_letter",))
    for section in VENDOR_SECTIONS:
        yield from names_in(getattr(config.channels, section), (section,))
    yield from names_in(config.channels.dial, ("dial",))
    yield from names_in(config.channels.spend_sheet, ("spend_sheet",))
    yield from names_in(config.channels.people, ("people",))
    yield from names_in(config.channels.series.named, ("series",))
    yield from names_in(config.pay, ("pay",))
    for rule in config.rules:
        yield from names_in(rule.options, rule.path)


def look_up(name: AccountName, config: Config, account: Account) -> None:
    """Raises UnknownName or Misfit if the account does not know the name as what it is meant to be."""
    find = next(LOOK_UPS[kind] for kind in type(name).__mro__ if kind in LOOK_UPS)
    find(name, config, account)


def simple_names(name: AccountName) -> Iterator[AccountName]:
    """The name itself; of a text the fields that it has places for."""
    if isinstance(name, Text):
        yield from (FieldName(field) for field in name.field_names)
    else:
        yield name


def _field(name: str, config: Config, account: Account) -> None:
    if _built_in(name) is not None:
        return
    try:
        account.field(name)
    except AmbiguousName:
        raise
    except UnknownName as error:
        raise UnknownName("поля", name, nearest=error.nearest or nearest(name, BUILT_IN_FIELDS)) from error


def _custom_field(name: str, config: Config, account: Account) -> Field:
    try:
        return account.field(name)
    except UnknownName as error:
        if built_in := _built_in(name):
            raise Misfit(f"«{built_in}» — встроенное поле amoCRM, здесь годится только своё поле сделки") from error
        raise


def _number_field(name: str, config: Config, account: Account) -> None:
    if (field := _custom_field(name, config, account)).type not in NUMBER_TYPES:
        numbers = [one.name for one in account.fields() if one.type in NUMBER_TYPES]
        advice = f"; поля с числом: {', '.join(numbers)}" if numbers else ""
        raise Misfit(f"поле «{field.name}» — не число (его тип {field.type}){advice}")


def _date_field(name: str, config: Config, account: Account) -> None:
    _holds_dates(_custom_field(name, config, account), account.fields())


def _contact_date_field(name: str, config: Config, account: Account) -> None:
    _holds_dates(account.field(name, "contacts"), account.fields("contacts"))


def _holds_dates(field: Field, all_fields: Iterable[Field]) -> None:
    if field.type not in DATE_TYPES:
        dates = [one.name for one in all_fields if one.type in DATE_TYPES]
        advice = f"; поля с датой: {', '.join(dates)}" if dates else ""
        raise Misfit(f"поле «{field.name}» — не дата (его тип {field.type}){advice}")


def _built_in(name: str) -> str | None:
    return next((built_in for built_in in BUILT_IN_FIELDS if same_name(name, built_in)), None)


def _user(name: str, config: Config, account: Account) -> None:
    user = account.user(name)
    if not user.is_active:
        raise Inactive(f"пользователь «{user.name}» отключён в amoCRM: ему ничего не поручить, назовите другого")


def _person(name: str, config: Config, account: Account) -> None:
    roles = (MANAGER, *config.roles)
    if any(same_name(name, role) for role in roles):
        return
    try:
        _user(name, config, account)
    except AmbiguousName:
        raise
    except UnknownName as error:
        raise UnknownName("роли или пользователя", name, nearest=error.nearest or nearest(name, roles)) from error


def _option(name: OptionName, config: Config, account: Account) -> None:
    """Of a field without choices any text may be meant; what is wrong with the field itself is told of the field."""
    if same_name(name.field, LOSS_REASON_FIELD):
        account.loss_reason(name)
    elif field := field_with_choices(name.field, account):
        account.option(field, name)


def field_with_choices(name: str, account: Account) -> Field | None:
    """The deal's field of this name, if it has choices."""
    try:
        field = account.field(name)
    except UnknownName:
        return None
    return field if field.enums else None


def _template(name: str, config: Config, account: Account) -> None:
    """Without ``[mail]`` no letter is sent, and it does not matter."""
    if config.letters_folder is None:
        return
    templates = Templates(config.letters_folder)
    if problems := templates.problems_of(name):
        raise Misfit("; ".join(problems))
    for field in templates.field_names_of(name):
        _field(field, config, account)
    if left := templates.placeholders_of(name):
        raise NotReady(f"шаблон письма «{name}» не дописан: {'; '.join(left)}; пока он такой, письмо не отправляется")


def _enclosure(name: str, config: Config, account: Account) -> None:
    """As ``_template``; told before anybody waits for a letter that can't go."""
    folder, mail = config.letters_folder, config.channels.mail
    if folder is None or mail is None:
        return
    try:
        size = enclosed(folder, name).stat().st_size
    except (OSError, ValueError) as error:
        raise Misfit(f"файла для писем «{name}» нет: он должен лежать в {folder} ({error})") from error
    if size > mail.attachments_mb << 20:
        words = f"файл для писем «{name}» больше {mail.attachments_mb} МБ (attachments_mb в [mail])"
        raise NotReady(f"{words}; пока он такой, письмо не отправляется")


def _document(name: str, config: Config, account: Account) -> None:
    """As ``_template``."""
    if config.letters_folder is None:
        return
    # Only here: what fills documents in is imported for a config that names some.
    from amo_bridge.text.documents import AGENCY, NEEDED, DocumentTemplates

    templates = DocumentTemplates(config.letters_folder)
    if problems := templates.problems_of(name):
        raise (NotReady if NEEDED in problems else Misfit)("; ".join(problems))
    asked = templates.field_names_of(name)
    told = config.channels.mail.agency if config.channels.mail else {}
    known = {normalise(key) for key, value in told.items() if value.strip()}
    if unknown := [one for one in dict.fromkeys(asked.pop(AGENCY, [])) if normalise(one) not in known]:
        words = f"документу «{name}» нужны реквизиты агентства: {', '.join(unknown)} (agency в [mail])"
        raise NotReady(f"{words}; пока их нет, письмо не отправляется")
    for of, fields in asked.items():
        for field in fields:
            if entity := {"клиент": "contacts", "компания": "companies"}.get(of):
                account.field(field, entity)
            elif not of:
                _field(field, config, account)
    if left := templates.placeholders_of(name):
        raise NotReady(
            f"шаблон документа «{name}» не дописан: {'; '.join(left)}; пока он такой, письмо не отправляется"
        )


def _series(name: str, config: Config, account: Account) -> None:
    if config.channels.series.of(name) is None:
        raise UnknownName("серии писем", name, nearest=nearest(name, config.channels.series.named))


LOOK_UPS: Mapping[type[AccountName], Callable[[Any, Config, Account], Any]] = {
    OptionName: _option,
    StageName: lambda name, config, account: account.stage(name),
    PipelineName: lambda name, config, account: account.pipeline(name),
    FieldName: _field,
    CustomFieldName: _custom_field,
    ContactFieldName: lambda name, config, account: account.field(name, "contacts"),
    ContactDateFieldName: _contact_date_field,
    DateFieldName: _date_field,
    NumberFieldName: _number_field,
    LossReasonName: lambda name, config, account: account.loss_reason(name),
    TemplateName: _template,
    EnclosureName: _enclosure,
    DocumentName: _document,
    SeriesName: _series,
    TaskTypeName: lambda name, config, account: account.task_type(name),
    TagName: lambda name, config, account: None,
    UserName: _user,
    EmployeeName: lambda name, config, account: account.user(name),
    PersonName: _person,
}
