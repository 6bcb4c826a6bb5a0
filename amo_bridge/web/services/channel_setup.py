"""Vendors connected, changed and disconnected on «Каналы»: config section and secret.

The section goes into the TOML file, comments and everything else left as they are; the secret is kept encrypted and
never shown. What a form has no field for (lists of audiences, times between calls) stays a matter of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic.fields import FieldInfo

from amo_bridge.channels.vendors import VENDORS, Vendor, rivals
from amo_bridge.config.blocks import values_of
from amo_bridge.config.channels import VENDOR_SECTIONS, Quiet
from amo_bridge.config.files import Plain, with_section, without_section
from amo_bridge.config.loader import secret
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_types import ContactFieldName, CustomFieldName
from amo_bridge.runtime.config_reload import FileState
from amo_bridge.versioned_file import CHANGED_MEANWHILE
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.config import LONGEST_SECRET, Unfit
from amo_bridge.web.services.enquiries import variables_of

Kind = Literal["text", "number", "switch", "choice"]
ON, OFF = "on", "off"
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)
LONGEST_VALUE = 500
_API = _l("Адрес API")
_CONSENT = _l("Поле контакта с согласием на рекламу")
_DIALS = _l("Автодозвон: АТС соединяет менеджера и клиента.")
_ZADARMA: Mapping[str, Any] = {
    "key": _l("Ключ API (не секретный)"),
    "sip": _l("Линия, номер которой видит клиент"),
    "zone": _l("Часовой пояс кабинета"),
    "api": _API,
}
"""Novofon 1.0 speaks as Zadarma does."""
_SMS: Mapping[str, Any] = {
    "sender": _l("Имя отправителя, согласованное с операторами"),
    "consent": _CONSENT,
    "quiet": _l("Тихие часы, например 21:00-09:00"),
    "low_balance": _l("Предупредить, когда на счёте меньше"),
    "note": _l("Оставлять в сделке примечание об SMS"),
    "test": _l("Проба: сервис принимает и ничего не отправляет"),
    "api": _API,
}


class Outdated(ConfigError):
    """Somebody has changed the file since the form was shown."""


@dataclass(frozen=True)
class SetupForm:
    """What a vendor's form asks. ``title``: as people know the vendor. ``labels``: key of its section → the field's
    words, in the form's order. ``secret``: what is asked for as the secret. ``is_document``: it has many lines."""

    title: Any
    does: Any
    labels: Mapping[str, Any]
    secret: Any
    is_document: bool = False


FORMS: Mapping[str, SetupForm] = {
    "mail": SetupForm(
        _l("Почта"),
        _l("Письма клиентам и сотрудникам через ваш почтовый сервер."),
        {
            "host": _l("Сервер, например smtp.yandex.ru; пусто — письма берёт Unisender Go"),
            "port": _l("Порт"),
            "tls": _l("Шифрование: starttls — порт 587, tls — порт 465"),
            "user": _l("Логин"),
            "from": _l("От кого: Агентство <info@agency.ru>"),
            "reply_to": _l("Куда отвечать, если не туда же"),
            "consent": _CONSENT,
            "note": _l("Оставлять в сделке примечание об отправленном письме"),
        },
        _l("Пароль почты"),
    ),
    "unisender_go": SetupForm(
        "Unisender Go",
        _l("Письма через сервис рассылок. От кого они — в форме «Почта», сервер в ней не нужен; эту форму — сначала."),
        {
            "api": _API,
            "own_unsubscribing": _l("Сервис согласился не добавлять свою ссылку отписки"),
            "track_opens": _l("Узнавать, открыто ли письмо"),
        },
        _l("Ключ API"),
    ),
    "telegram": SetupForm(
        "Telegram",
        _l("Уведомления сотрудникам и в общие чаты."),
        {"api": _API, "proxy": _l("Прокси, если Telegram недоступен")},
        _l("Токен бота от @BotFather"),
    ),
    "max": SetupForm(
        "MAX",
        _l("Уведомления сотрудникам и в общие чаты."),
        {
            "ca": _l("Файл с сертификатами Минцифры на сервере моста"),
            "api": _API,
            "proxy": _l("Прокси, если MAX недоступен"),
        },
        _l("Токен бота из кабинета MAX"),
    ),
    "yandex_audience": SetupForm(
        _l("Яндекс Аудитории"),
        _l("Аудитории для рекламы в Яндексе. Сначала впишите в файл раздел [audiences]."),
        {"api": _API},
        _l("Токен OAuth Яндекса"),
    ),
    "yandex_direct": SetupForm(
        _l("Яндекс Директ"),
        _l("Статистика рекламы. Сначала впишите в файл раздел [ads], потом — ask в нём."),
        {"client_login": _l("Логин клиента, если токен агентства"), "api": _API},
        _l("Токен OAuth Яндекса"),
    ),
    "vkads": SetupForm(
        _l("VK Реклама"),
        _l("Лид-формы, статистика и аудитории ВКонтакте. Для аудиторий впишите в файл раздел [audiences]."),
        {"client_id": _l("client_id доступа к API"), "api": _API},
        _l("Секрет API (client_secret)"),
    ),
    "roistat": SetupForm(
        "Roistat",
        _l("Сквозная аналитика: сделки, их состояния и суммы."),
        {
            "project": _l("Номер проекта"),
            "visit_field": _l("Поле сделки с номером визита"),
            "cost_field": _l("Поле сделки с себестоимостью"),
            "attraction_field": _l("Поле сделки, куда писать стоимость привлечения"),
            "api": _API,
        },
        _l("Ключ API Roistat"),
    ),
    "pipedrive": SetupForm(
        "Pipedrive",
        _l("Сделки, звонки и задачи отдела, который работает там: для KPI. Только чтение."),
        {"api": _l("Адрес компании, например https://agency.pipedrive.com")},
        _l("Токен API Pipedrive"),
    ),
    "megaplan": SetupForm(
        _l("Мегаплан"),
        _l("Задачи производству под проектом клиента. Какие — tasks в файле: без них не передаётся ничего."),
        {
            "api": _l("Адрес компании, например https://agency.megaplan.ru"),
            "login": _l("Логин сотрудника"),
            "project_field": _l("Поле сделки с номером проекта"),
            "head": _l("Номер руководителя: аудитор глобальных задач"),
        },
        _l("Пароль Мегаплана"),
    ),
    "yandex_disk": SetupForm(
        _l("Яндекс.Диск"),
        _l("Копии файлов сделок и ссылки на них."),
        {"folder": _l("Папка, например disk:/amoCRM"), "publish": _l("Ссылки открываются у всех"), "api": _API},
        _l("Токен OAuth Яндекс.Диска"),
    ),
    "google_drive": SetupForm(
        _l("Google Диск"),
        _l("Копии файлов сделок и ссылки на них."),
        {
            "drive": _l("Номер общего диска"),
            "folder": _l("Номер папки на нём"),
            "share": _l("Ссылки открываются у всех, а не только у участников диска"),
            "api": _API,
        },
        _l("Ключ сервисного аккаунта: весь файл JSON"),
        is_document=True,
    ),
    "google_sheets": SetupForm(
        _l("Google Таблицы"),
        _l("Отчёты за день — строка на человека и день."),
        {
            "spreadsheet": _l("Номер таблицы: часть её адреса между /d/ и /edit"),
            "daily_reports": _l("Лист с отчётами за день"),
            "kpi": _l("Лист с KPI; пусто — не ведётся"),
            "losses": _l("Лист с потерянными сделками; пусто — не ведётся"),
            "api": _API,
        },
        _l("Ключ сервисного аккаунта: весь файл JSON"),
        is_document=True,
    ),
    "yandex_table": SetupForm(
        _l("Яндекс Таблица"),
        _l("Отчёты за день и KPI в книге XLSX на Яндекс.Диске — строка на человека и день."),
        {
            "path": _l("Книга, например disk:/Отчёты.xlsx; нет её — мост создаст"),
            "daily_reports": _l("Лист с отчётами за день"),
            "kpi": _l("Лист с KPI; пусто — не ведётся"),
            "losses": _l("Лист с потерянными сделками; пусто — не ведётся"),
            "api": _API,
        },
        _l("Токен OAuth Яндекс.Диска"),
    ),
    "s3": SetupForm(
        "S3",
        _l("Копии файлов сделок в хранилище, которое понимает S3."),
        {
            "api": _l("Адрес хранилища, без бакета"),
            "bucket": _l("Бакет"),
            "region": _l("Регион"),
            "key": _l("Номер ключа доступа"),
            "prefix": _l("С чего начинаются имена файлов, например deals/"),
        },
        _l("Секретный ключ"),
    ),
    "onlinepbx": SetupForm(
        "onlinePBX",
        _DIALS,
        {
            "domain": _l("Домен АТС, например agency.onpbx.ru"),
            "gate": _l("Линия, с которой звонят клиентам"),
            "api": _API,
        },
        _l("Ключ API"),
    ),
    "novofon2": SetupForm(
        "Novofon 2.0",
        _DIALS,
        {
            "number": _l("Номер, который видит клиент"),
            "file": _l("Номер звукового файла для менеджера"),
            "api": _API,
            "reports": _l("Адрес отчётов"),
        },
        _l("Ключ API"),
    ),
    "novofon": SetupForm(
        "Novofon 1.0",
        _DIALS,
        _ZADARMA,
        _l("Секрет API"),
    ),
    "zadarma": SetupForm(
        "Zadarma",
        _DIALS,
        _ZADARMA,
        _l("Секрет API"),
    ),
    "smsru": SetupForm(
        "SMS.ru",
        _l("SMS клиентам."),
        _SMS,
        "api_id",
    ),
    "smsc": SetupForm(
        "SMSC",
        _l("SMS клиентам."),
        {"login": _l("Логин"), **_SMS},
        _l("Пароль или ключ API"),
    ),
}
"""Section → its form. ``[audiences]`` and ``[storage]`` connect nobody: what stands there is for the file."""


@dataclass(frozen=True)
class Entry:
    """One field of a form. ``value``: as it stands in the file, or was typed; ``default``: what counts without one.
    ``choices``: of a list, or of what is only offered."""

    key: str
    label: Any
    kind: Kind
    value: str
    default: str
    is_required: bool
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class Setup:
    """A vendor's form, filled. ``is_set_outside``: a variable holds the secret, so that the page can't change it."""

    section: str
    form: SetupForm
    entries: Sequence[Entry]
    mark: str
    is_connected: bool
    has_secret: bool
    is_set_outside: bool
    variable: str


@dataclass(frozen=True)
class VendorLine:
    """One vendor in the list. ``lacks``: what a connected one lacks (Russian). ``rival``: the section that serves its
    channel instead of it, because it comes first."""

    section: str
    form: SetupForm
    is_connected: bool
    lacks: str
    rival: str


def vendor_lines(here: AccountView) -> list[VendorLine]:
    """Every vendor that has a form, the connected ones first."""
    lines, idle = [], {name: first for first, *others in rivals(here.config).values() for name in others}
    for section, form in FORMS.items():
        is_connected = vendor_at(section).is_connected(here.config)
        missing = lacks(here, section) if is_connected else ""
        lines.append(VendorLine(section, form, is_connected, missing, idle.get(section, "")))
    return sorted(lines, key=lambda one: not one.is_connected)


def vendor_at(section: str) -> Vendor[Any]:
    """The vendor of a form's section. Raises LookupError."""
    if section not in FORMS:
        raise LookupError(section)
    return next(vendor for vendor in VENDORS if vendor.section == section)


def lacks(here: AccountView, section: str) -> str:
    """What is wrong with a vendor's secret (Russian); empty if nothing is."""
    try:
        return vendor_at(section).secret_problem(here.bridge.environment)
    except ConfigError as error:
        return "; ".join(error.problems)


def setup_of(here: AccountView, section: str, typed: Mapping[str, str] | None = None) -> Setup:
    """The form of a vendor, as the file has it, or as it was typed. Raises LookupError, ConfigError."""
    vendor, file = vendor_at(section), here.file.read()
    known = values_of(file.text, [section])
    return Setup(
        section,
        FORMS[section],
        _entries(here, section, known or {}, typed),
        mark=file.mark if typed is None else typed.get("mark", ""),
        is_connected=known is not None,
        has_secret=_has_secret(here, vendor),
        is_set_outside=here.bridge.is_set_outside(vendor.secret),
        variable=vendor.secret,
    )


def connect(here: AccountView, section: str, typed: Mapping[str, str]) -> FileState:
    """Write the section as it was typed, and keep the secret if one was; the bridge takes both at once.

    Raises Unfit for what was typed, ConfigError when the file can't be written or has changed meanwhile,
    StoreUnavailable when the secret can't be kept, LookupError."""
    vendor, before = vendor_at(section), here.file.read()
    known = values_of(before.text, [section]) or {}
    values, problems = _values(_entries(here, section, known, typed), known)
    word = typed.get("secret", "").strip()
    problems += _secret_problems(here, vendor, word)
    if problems:
        raise Unfit(problems)
    text = with_section(before.text, section, values)
    if text != before.text and typed.get("mark") != before.mark:
        raise Outdated([CHANGED_MEANWHILE])
    # Kept before the file is written: whoever begins anew by the file finds the secret there.
    with config_service.with_secret(here, vendor.secret, word or None):
        if text != before.text:
            state = config_service.save(here, text, before.mark)
        else:
            state = here.bridge.watch.look(again=True)
    if word:
        audit("channels.secret", f"Задан секрет для [{section}]")
    return state


def disconnect(here: AccountView, section: str, mark: str) -> FileState:
    """Take the section out of the file and forget the secret that a page has kept, unless an address for enquiries
    needs it too. Raises as ``connect``."""
    vendor, before = vendor_at(section), here.file.read()
    if mark != before.mark:
        raise Outdated([CHANGED_MEANWHILE])
    is_forgotten = vendor.secret and vendor.secret not in variables_of(here)
    with config_service.with_secret(here, vendor.secret, "" if is_forgotten else None):
        return config_service.save(here, without_section(before.text, section), before.mark)


def _has_secret(here: AccountView, vendor: Vendor[Any]) -> bool:
    try:
        return bool(vendor.secret and secret(here.bridge.environment, vendor.secret))
    except ConfigError:
        return False


def _secret_problems(here: AccountView, vendor: Vendor[Any], word: str) -> list[str]:
    if len(word) > LONGEST_SECRET:
        return [_("Секрет слишком длинный: проверьте, то ли вы вставили.")]
    if not word.isascii() and vendor.section != "mail":
        return [_("В секрете русские буквы или другие знаки, которых в нём не бывает: вставьте его ещё раз.")]
    if word and here.bridge.is_set_outside(vendor.secret):
        return [_("Секрет задан переменной %(name)s: меняйте его там.", name=vendor.secret)]
    if vendor.no_secret and not word and not _has_secret(here, vendor):
        return [_("Впишите: %(what)s.", what=FORMS[vendor.section].secret)]
    return []


# --- fields of a form, by the section's own types ---------------------------------------------------------------------


def _entries(
    here: AccountView, section: str, known: Mapping[str, object], typed: Mapping[str, str] | None
) -> list[Entry]:
    fields = {info.alias or name: info for name, info in VENDOR_SECTIONS[section].model_fields.items()}
    return [_entry(here, key, words, fields[key], known, typed) for key, words in FORMS[section].labels.items()]


def _entry(
    here: AccountView,
    key: str,
    words: Any,
    info: FieldInfo,
    known: Mapping[str, object],
    typed: Mapping[str, str] | None,
) -> Entry:
    kind, choices = _kind(here, info)
    default = "" if info.is_required() or info.default is None else _shown(info.default)
    stands = _shown(known[key]) if key in known else (default if kind in ("switch", "choice") else "")
    value = stands if typed is None else typed.get(key, OFF if kind == "switch" else "").replace("\xa0", " ").strip()
    return Entry(key, words, kind, value, default, info.is_required(), choices)


def _kind(here: AccountView, info: FieldInfo) -> tuple[Kind, Sequence[str]]:
    kinds = {info.annotation, *get_args(info.annotation)}
    if bool in kinds:
        return "switch", ()
    if kinds & {int, float}:
        return "number", ()
    if get_origin(info.annotation) is Literal:
        return "choice", get_args(info.annotation)
    known = here.crm_account
    if ContactFieldName in kinds:
        return "text", [field.name for field in known.fields("contacts")] if known else ()
    if CustomFieldName in kinds:
        return "text", [field.name for field in known.fields()] if known else ()
    return "text", ()


def _shown(value: object) -> str:
    match value:
        case bool():
            return ON if value else OFF
        case Quiet():
            return f"{value.begin:%H:%M}-{value.end:%H:%M}"
        case float():
            return repr(value).removesuffix(".0")
    return str(value)


def _values(entries: Sequence[Entry], known: Mapping[str, object]) -> tuple[dict[str, Plain | None], list[str]]:
    """Key → what to write, None for what is left out; and what can't be read."""
    values: dict[str, Plain | None] = {}
    problems: list[str] = []
    for one in entries:
        if len(one.value) > LONGEST_VALUE or not one.value.isprintable():
            problems.append(_("«%(field)s»: слишком длинно или не в одну строку.", field=one.label))
        elif one.is_required and not one.value:
            problems.append(_("«%(field)s»: впишите.", field=one.label))
        elif one.key not in known and one.value == one.default:
            values[one.key] = None
        elif one.kind == "switch":
            values[one.key] = one.value == ON
        elif one.kind == "number" and one.value:
            number = _number(one.value)
            values[one.key] = number
            if number is None:
                problems.append(_("«%(field)s»: нужно число, а не «%(value)s».", field=one.label, value=one.value))
        else:
            values[one.key] = one.value or None
    return values, problems


def _number(text: str) -> int | float | None:
    text = text.replace(" ", "").replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)
