"""``/settings``, ``/copies``: sections of the config, secrets, copies, trials, for programs.

No secret and no copy goes out: what a program may do with one is to set it, to make one, to see that it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.retention import Retention
from amo_bridge.errors import BridgeError, ConfigError, StoreUnavailable, why_not
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.api.rule_forms import RuleMistake, RuleOption, has_null, option_shape
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account
from amo_bridge.web.services import channels as channel_service
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services import copies as copy_service
from amo_bridge.web.services import settings as service
from amo_bridge.web.services.config import CONFIG_BYTES, Unfit
from amo_bridge.web.services.settings import SECTIONS, Section, SettingsDraft


class SettingsSection(Shape):
    """``table``: the section of the config; ``keys``: those that the form is about, all if none are named. ``is_set``:
    the file has it. ``restart``: keys that count only after a restart."""

    name: str
    table: str
    title: str
    says: str
    keys: list[str]
    is_optional: bool
    is_set: bool
    restart: list[str]


class SettingsSections(Shape):
    """In the order of the page."""

    sections: list[SettingsSection]


class SettingsForm(SettingsSection):
    """``values``: as the file has them; ``options``: how each is filled in; ``mark``: of the file's version."""

    values: dict[str, Any]
    options: list[RuleOption]
    toml: str
    mark: str


class SettingsWanted(Shape):
    """``values``: all keys of the form, as TOML would have them; what is left out goes back to its default."""

    values: dict[str, Any]


class SettingsEdit(SettingsWanted):
    """``mark``: of the version of the file that it is an edit of."""

    mark: str


class SettingsReview(Shape):
    """What a draft would change, and what is wrong with it (Russian)."""

    is_fit: bool
    mistakes: list[RuleMistake]
    problems: list[str]
    toml: str
    difference: list[str]


class RetentionCounts(Shape):
    """Table of the store → how many of its rows would go today; 10,000 stands for as many and more."""

    rows: dict[str, int]


class SecretNamed(Shape):
    """``source``: outside (the environment), page (kept encrypted), file (the key, beside the store), none, unreadable.
    ``is_ours``: it can be set here. Its value is told to nobody."""

    variable: str
    what: str
    source: str
    is_ours: bool


class Secrets(Shape):
    """Every secret that the account's config may need."""

    secrets: list[SecretNamed]


class SecretWord(Shape):
    """Empty: what is kept is forgotten."""

    secret: str


class DataCopyShape(Shape):
    """``size``: in bytes. ``has_keys``: the key is in it. ``trouble``: why it can't be read (Russian)."""

    name: str
    size: int
    made_at: datetime | None
    has_keys: bool
    note: str
    trouble: str


class DataCopies(Shape):
    """Newest first. They are downloaded on the page alone, by an admin who says the password again."""

    copies: list[DataCopyShape]


class CopyWanted(Shape):
    """``note``: what it is made for."""

    note: str = ""


class TrialWanted(Shape):
    """``to``: an address, number of a chat or telephone; ``person``: whose telephone an exchange rings first."""

    to: str
    person: str = ""


class VendorOutcome(Shape):
    """``words``: what the vendor says (Russian). ``is_well``: it lets us in, or has taken the message."""

    is_well: bool
    words: str


@api.endpoint(
    Endpoint("settings_sections", "/settings", "GET", Role.ADMIN, _l("Разделы настройки, у которых есть форма"),
             SettingsSections)
)  # fmt: skip
def sections() -> SettingsSections:
    text = current_account().file.read().text
    return SettingsSections(sections=[SettingsSection(**_facts(one, text)) for one in SECTIONS])


@api.endpoint(
    Endpoint("settings_section", "/settings/sections/<name>", "GET", Role.ADMIN, _l("Форма раздела настройки"),
             SettingsForm)
)  # fmt: skip
def section(name: str) -> SettingsForm:
    return _form(_draft(name))


@api.endpoint(
    Endpoint(
        "settings_check", "/settings/sections/<name>/check", "POST", Role.ADMIN,
        _l("Что изменит раздел настройки и что в нём не так"), SettingsReview, takes=SettingsWanted,
        most_bytes=CONFIG_BYTES,
    )
)  # fmt: skip
def check(name: str, told: SettingsWanted) -> SettingsReview:
    here, draft = current_account(), _wanted(_draft(name), told)
    checked = service.check(here, draft, here.file.read())
    return SettingsReview(
        is_fit=checked.is_fit,
        mistakes=[RuleMistake(path=list(path), words=words) for path, words in checked.mistakes],
        problems=checked.problems,
        toml=draft.toml(),
        difference=checked.difference,
    )


@api.endpoint(
    Endpoint(
        "settings_save", "/settings/sections/<name>", "PUT", Role.ADMIN,
        _l("Записать раздел настройки; действует сразу, кроме того, что ждёт перезапуска"), SettingsForm,
        takes=SettingsEdit, most_bytes=CONFIG_BYTES,
    )
)  # fmt: skip
def save(name: str, told: SettingsEdit) -> SettingsForm:
    draft = _wanted(_draft(name), told)
    _refusing(lambda: service.save(current_account(), draft, told.mark))
    return _form(_draft(name))


@api.endpoint(
    Endpoint(
        "settings_remove", "/settings/sections/<name>", "DELETE", Role.ADMIN,
        _l("Убрать раздел, без которого мост этого не делает; действует сразу"), SettingsForm,
        query={"mark": _l("отметка версии файла, из которой удаляется")},
    )
)  # fmt: skip
def remove(name: str) -> SettingsForm:
    here, found = current_account(), _section(name)
    if not found.is_optional:
        abort(refusal(409, _("без этого раздела мост не работает иначе: у него есть значения по умолчанию")))
    _refusing(lambda: config_service.save(here, service.text_without(here, found), request.args.get("mark", "")))
    return _form(_draft(name))


@api.endpoint(
    Endpoint("settings_retention", "/settings/retention", "GET", Role.ADMIN,
             _l("Сколько строк удалилось бы сегодня"), RetentionCounts)
)  # fmt: skip
def retention() -> RetentionCounts:
    here = current_account()
    rows = Retention(here.account_store, here.clock, here.config.bridge).count() if here.is_known else {}
    return RetentionCounts(rows=rows)


@api.endpoint(
    Endpoint("settings_secrets", "/settings/secrets", "GET", Role.ADMIN, _l("Какие секреты заданы и откуда"), Secrets)
)
def secrets() -> Secrets:
    return _secrets()


@api.endpoint(
    Endpoint("settings_secret", "/settings/secrets/<variable>", "PUT", Role.ADMIN,
             _l("Вписать секрет канала или забыть его; наружу он не выходит"), Secrets, takes=SecretWord)
)  # fmt: skip
def keep_secret(variable: str, told: SecretWord) -> Secrets:
    try:
        _refusing(lambda: channel_service.keep_secret(current_account(), variable, told.secret.strip()))
    except LookupError:
        abort(404)
    return _secrets()


@api.endpoint(Endpoint("copies_copies", "/copies", "GET", Role.ADMIN, _l("Копии данных на сервере моста"), DataCopies))
def copies() -> DataCopies:
    return _copies()


@api.endpoint(
    Endpoint("copies_make", "/copies", "POST", Role.ADMIN,
             _l("Сделать копию данных; скачать её можно только со страницы"), DataCopies, takes=CopyWanted)
)  # fmt: skip
def make_copy(told: CopyWanted) -> DataCopies:
    try:
        copy_service.make(current_account(), told.note)
    except OSError as error:
        abort(refusal(409, why_not(error)))
    except StoreUnavailable:
        raise
    except BridgeError as error:
        abort(refusal(409, str(error)))
    return _copies()


@api.endpoint(
    Endpoint("copies_delete", "/copies/<name>", "DELETE", Role.ADMIN, _l("Удалить копию данных"),
             DataCopies)
)  # fmt: skip
def delete_copy(name: str) -> DataCopies:
    try:
        copy_service.delete(current_account(), name)
    except LookupError:
        abort(404)
    except OSError as error:
        abort(refusal(409, why_not(error)))
    return _copies()


@api.endpoint(
    Endpoint("channels_ask", "/channels/<vendor>/ask", "POST", Role.ADMIN,
             _l("Пускает ли поставщик канала; никому ничего не уходит"), VendorOutcome)
)  # fmt: skip
def ask(vendor: str) -> VendorOutcome:
    here = current_account()
    try:
        outcome = channel_service.ask(here, channel_service.connected(here, vendor))
    except LookupError:
        abort(404)
    audit("channels.ask", f"Спрошен поставщик [{vendor}]")
    return VendorOutcome(is_well=outcome.is_well, words=outcome.words)


@api.endpoint(
    Endpoint("channels_trial", "/channels/<vendor>/trial", "POST", Role.ADMIN,
             _l("Послать пробное сообщение по каналу"), VendorOutcome, takes=TrialWanted)
)  # fmt: skip
def trial(vendor: str, told: TrialWanted) -> VendorOutcome:
    here = current_account()
    try:
        found = channel_service.connected(here, vendor)
    except LookupError:
        abort(404)
    outcome = channel_service.try_out(here, found, told.to.strip()[:200], told.person.strip()[:200])
    return VendorOutcome(is_well=outcome.is_well, words=outcome.words)


def _section(name: str) -> Section:
    return service.section_at(name) or abort(404)


def _draft(name: str) -> SettingsDraft:
    try:
        return service.draft_of(current_account(), _section(name))
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))


def _wanted(draft: SettingsDraft, told: SettingsWanted) -> SettingsDraft:
    if has_null(told.values):
        abort(refusal(422, _("в TOML нет null: чего нет, того не пишут")))
    values = {draft.section.table: told.values} if draft.section.is_of_names else told.values
    try:
        return draft.with_keys(values)
    except ConfigError as error:
        abort(refusal(422, "; ".join(error.problems)))


def _refusing(change: Callable[[], object]) -> None:
    try:
        change()
    except ConfigError as error:
        abort(refusal(422 if isinstance(error, Unfit) else 409, "; ".join(error.problems)))


def _facts(found: Section, text: str) -> dict[str, Any]:
    return {
        "name": found.name,
        "table": found.table,
        "title": str(found.title),
        "says": str(found.sentence),
        "keys": list(found.keys),
        "is_optional": found.is_optional,
        "is_set": found.values_in(text) is not None,
        "restart": [one.key for one in found.controls if one.key in found.restart],
    }


def _form(draft: SettingsDraft) -> SettingsForm:
    file, found = current_account().file.read(), draft.section
    before = draft.before.get(found.table, {}) if found.is_of_names else draft.before
    return SettingsForm(
        **_facts(found, file.text),
        values=dict(before),
        options=[option_shape(one) for one in found.controls],
        toml=draft.toml(),
        mark=file.mark,
    )


def _secrets() -> Secrets:
    names = SecretNamed.model_fields
    found = channel_service.secrets_of(current_account())
    return Secrets(secrets=[SecretNamed(**{name: getattr(one, name) for name in names}) for one in found])


def _copies() -> DataCopies:
    names = DataCopyShape.model_fields
    found = copy_service.copies_of(current_account())
    return DataCopies(copies=[DataCopyShape(**{name: getattr(one, name) for name in names}) for one in found])
