"""Enquiries for pages and programs: listed, counted, tried again; the addresses they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.config.loader import secret
from amo_bridge.intake.connections import API_TOKENS, CONNECTABLE, SET_BY
from amo_bridge.intake.enquiries import (
    SETTLED_STATES,
    EnquiryFilter,
    EnquiryRepository,
    StoredEnquiry,
    title_of,
)
from amo_bridge.intake.model import PbxCall, words_of_call
from amo_bridge.intake.reception import KEPT, settings_of
from amo_bridge.intake.repository import IntakeAddress, IntakeRequests, LastRequest, ReceivedRequest
from amo_bridge.intake.social import VK_ADS
from amo_bridge.intake.telephony import NOVOFON_TEMPLATE
from amo_bridge.intake.trials import TRIAL_VENDORS, trial_request
from amo_bridge.intake.vk_leads import READ_UNTIL, LeadExports
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import mask_text
from amo_bridge.storage.accounts import Cursors
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, holder, who

CHART_DAYS = 14
RETRYABLE = tuple(state for state in SETTLED_STATES if state != "done")
STATES: Mapping[str, tuple[str, Any]] = {
    "new": ("warning", _l("ждёт разбора")),
    "sent": ("warning", _l("в работе")),
    "waits": ("quiet", _l("ждёт записи звонка")),
    "done": ("good", _l("сделано")),
    "asked": ("warning", _l("спросили человека")),
    "skipped": ("quiet", _l("ничего не заведено")),
    "dry": ("warning", _l("вхолостую")),
    "refused": ("bad", _l("не вышло")),
}
# What to do with the address in the vendor's own cabinet.
_WORDPRESS = _l("Вставьте в настройки формы на WordPress, куда отправлять заявку (webhook), метод POST.")
_STAFF = _l(
    "Вставлять не надо: поставьте командой amo-bridge intake connect. Сюда приходят нажатия кнопок согласования."
)
_TELEPHONY = _l("Вставьте в кабинет телефонии, где она спрашивает, куда слать уведомления о звонках и записях.")
_MESSENGER = _l("Адрес вебхука бота; секрет вебхука — тот же, что у моста.")
_META = _l("Вставьте в настройки вебхуков приложения Meta вместе с маркером проверки.")
_DELIVERY = _l("Вставьте в кабинет рассылки: куда сообщать о доставке.")
PASTE: Mapping[str, Any] = {
    "html": _l("Вставьте в action формы (method=post) или шлите скриптом. Сайт должен быть в origins."),
    "tilda": _l("Вставьте в настройки сайта на Тильде: приём заявок из форм, Webhook. Ключ API — тот же, что у моста."),
    "elementor": _WORDPRESS,
    "cf7": _WORDPRESS,
    "mapped": _l(
        "Вставьте туда, где сервис спрашивает адрес вебхука: JSON или форма. Где какое поле — fields в настройке."
    ),
    "jivo": _l(
        "Вставьте в настройки канала в Jivo, адрес Webhooks. Не вместе с виджетом Jivo в amoCRM: обращения задвоятся."
    ),
    "vk": _l("Вставьте в настройки Callback API сообщества. Секретный ключ и строку подтверждения задайте мосту."),
    "vkads": _l("Вставьте в настройки лид-форм VK Рекламы, передача заявок по вебхуку. С [vkads] мост читает и сам."),
    "telegram": _MESSENGER,
    "max": _MESSENGER,
    "viber": _MESSENGER,
    "telegram_staff": _STAFF,
    "max_staff": _STAFF,
    "meta_leadgen": _META,
    "messenger": _META,
    "zadarma": _TELEPHONY,
    "novofon": _TELEPHONY,
    "novofon2": _TELEPHONY,
    "onlinepbx": _TELEPHONY,
    "unisender_go": _DELIVERY,
    "smsru": _DELIVERY,
    "smsc": _l("Вставьте в кабинет SMSC: и туда, куда сообщать о доставке, и туда, куда слать ответы клиентов на SMS."),
    "pipedrive": _l("Вставьте в Pipedrive, раздел Webhooks; имя и пароль — те же, что у моста."),
}


@dataclass(frozen=True)
class EnquiryView:
    """One enquiry.

    Phones, addresses, profile and words are masked for whoever may not work with people's data.
    """

    row: StoredEnquiry
    title: str
    name: str
    addresses: tuple[str, ...]
    text: str
    outcome: str
    error: str

    @property
    def is_retryable(self) -> bool:
        """May it be tried again?"""
        return self.row.state in RETRYABLE

    @property
    def facts(self) -> dict[str, Any]:
        """As programs are told it; the keys are published."""
        told = self.row.to_json()
        if may_see_people():
            return told
        lists = {name: [mask_text(one) for one in told[name]] for name in ("phones", "emails")}
        name, utm = told["name"] and self.name, {key: mask_text(one) for key, one in told["utm"].items()}
        words = {"name": name, "utm": utm, "text": self.text, "outcome": self.outcome, "error": self.error}
        return {**told, **lists, **words}


@dataclass(frozen=True)
class SecretView:
    """A secret of a vendor. ``is_set_outside``: a variable holds it, so that no page can change it."""

    variable: str
    what: str
    is_set: bool
    is_set_outside: bool


@dataclass(frozen=True)
class AddressView:
    """Where a vendor posts.

    ``missing``: the variables of secrets it still needs; ``is_open``: it takes requests without them. ``takes_export``:
    a person may upload the export of its cabinet. ``set_by``: the command that sets the webhook, where the vendor has
    an API for it. ``read_until``: until when its list has been read, where one is; ``trouble``: why it can't be read
    now.
    """

    title: str
    address: IntakeAddress
    url: str
    paste: str
    secrets: tuple[SecretView, ...]
    missing: tuple[str, ...]
    is_open: bool
    body: str
    last: LastRequest | None
    can_be_tried: bool
    takes_export: bool
    read_until: float | None
    trouble: str
    set_by: str


def may_see_people() -> bool:
    """May whoever asks see phones and addresses? Those who work with webinars and deals may."""
    asking = holder()
    return asking is not None and asking.role.covers(Role.WEBINAR)


def repository_of(here: AccountView) -> EnquiryRepository:
    """Raises NotMet, StoreUnavailable."""
    return EnquiryRepository(here.account_store, here.clock, here.config.calendar.country)


def view_of(row: StoredEnquiry) -> EnquiryView:
    known, call = row.enquiry, row.body if isinstance(row.body, PbxCall) else None
    phones = known.phones if known else (call.phone,) if call and call.phone else ()
    mails = known.emails if known else ()
    profile = (known.profile,) if known and known.profile else ()
    words = [words_of_call(call) if call else "", known.text if known else ""]
    text = "\n".join(word for word in words if word)
    name = (known.name if known else None) or ""
    if may_see_people():
        return EnquiryView(row, title_of(row.source), name, (*phones, *mails, *profile), text, row.outcome, row.error)
    hidden = tuple(mask_text(one) for one in (*phones, *mails))
    told = (mask_text(name), hidden, mask_text(text), mask_text(row.outcome), mask_text(row.error))
    return EnquiryView(row, title_of(row.source), *told)


def span_of(here: AccountView, day: str) -> tuple[datetime, datetime] | tuple[None, None]:
    """When this day begins and ends in the account's zone; nothing for what is no day."""
    try:
        first = date.fromisoformat(day)
        return _midnight(here, first), _midnight(here, first + timedelta(days=1))
    except (ValueError, OverflowError):
        return None, None


def by_day(here: AccountView) -> tuple[list[date], dict[str, list[int]]]:
    """The last days, and for each source how many came on each of them; sources with most first."""
    today = here.clock.now().astimezone(here.zone).date()
    days = [today - timedelta(days=back) for back in range(CHART_DAYS - 1, -1, -1)]
    edges = [_midnight(here, day) for day in [*days, today + timedelta(days=1)]]
    counts = repository_of(here).per_day(EnquiryFilter(), edges)
    sources = {source for count in counts for source in count}
    found = {source: [count.get(source, 0) for count in counts] for source in sources}
    return days, dict(sorted(found.items(), key=lambda one: (-sum(one[1]), one[0])))


def retry(here: AccountView, numbers: Sequence[int]) -> tuple[list[StoredEnquiry], list[str]]:
    """See EnquiryRepository.retry_all."""
    done, errors = repository_of(here).retry_all(numbers, who())
    if done:
        audit("enquiry.retry", f"Обращения разбираются ещё раз: № {', '.join(str(row.id) for row in done)}")
        here.bridge.wake()
    return done, errors


# The addresses that vendors post to.


def addresses_of_account(here: AccountView, base: str) -> list[AddressView]:
    """``base``: how the bridge's public address begins. Raises StoreUnavailable, ConfigError."""
    last = IntakeRequests(here.account_store).last_by_address() if here.is_known else {}
    return [_address(here, one, base, last) for one in here.bridge.intake_addresses.all()]


def addresses_secrets(here: AccountView) -> dict[str, str]:
    """The variables of all secrets that the addresses need → whose it is and what, in words. Raises StoreUnavailable,
    ConfigError."""
    vendors = [one.vendor for one in here.bridge.intake_addresses.all()]
    tokens = {API_TOKENS[one.name]: f"{one.title}: {_('токен API')}" for one in vendors if one.name in API_TOKENS}
    return tokens | {one.variable: f"{vendor.title}: {one.what}" for vendor in vendors for one in vendor.secrets}


def variables_of(here: AccountView) -> set[str]:
    """The variables of all secrets that the addresses need. Raises StoreUnavailable, ConfigError."""
    return set(addresses_secrets(here))


def keep_secret(here: AccountView, variable: str, word: str) -> None:
    """Keep a secret of one of the addresses, encrypted; an empty one is forgotten. The bridge takes it at once.

    Raises LookupError for a variable that none of them knows or that is set outside, ConfigError, StoreUnavailable."""
    if variable not in variables_of(here) or here.bridge.is_set_outside(variable):
        raise LookupError(variable)
    here.bridge.keep_secret(variable, word)
    here.bridge.watch.look(again=True)
    audit("enquiry.secret", f"{'Задан' if word else 'Забыт'} секрет {variable}")


def send_trial(here: AccountView, vendor: str, name: str) -> str:
    """Send the bridge a request as this vendor would; what came of it, in words.

    Raises StoreUnavailable, ConfigError, LookupError for a vendor that is off or can't be imitated.
    """
    known = {(one.vendor.name, one.name): one for one in here.bridge.intake_addresses.all()}
    address = known.get((vendor, name))
    if address is None or vendor not in TRIAL_VENDORS:
        raise LookupError(vendor)
    settings = settings_of(here.config, vendor, here.bridge.environment, name)
    request, reception = trial_request(address.vendor, settings, here.clock.now())
    if reception.kind not in KEPT:
        return str(_("Пробное обращение не принято: %(why)s", why=reception.why))
    here.bridge.intake.put(ReceivedRequest(address, request, reception.key, reception.kind == "broken", reception.why))
    audit("enquiry.trial", f"Отправлено пробное обращение: {address.vendor.title}")
    return str(_("Пробное обращение принято: через несколько секунд оно появится в списке обращений."))


def take_export(here: AccountView, body: bytes) -> str:
    """Take the leads of an export; how many there were, in words.

    Raises NotAnExport, NotMet, StoreUnavailable, ConfigError, LookupError where leads of VK Ads are not taken.
    """
    if here.config.intake is None or here.config.intake.vkads is None:
        raise LookupError(VK_ADS)
    settings = settings_of(here.config, VK_ADS, here.bridge.environment)
    counted = LeadExports(here.account_store, settings, here.clock).take(body)
    audit("enquiry.export", f"Загружена выгрузка лидов VK Рекламы: {counted.words}")
    here.bridge.wake()
    return counted.words


def _address(
    here: AccountView, address: IntakeAddress, base: str, last: Mapping[tuple[str, str], LastRequest]
) -> AddressView:
    vendor = address.vendor
    settings = settings_of(here.config, vendor.name, here.bridge.environment, address.name)
    missing = [one for one in vendor.secrets if not settings.secrets.get(one.name)]
    known = here.bridge.environment
    secrets = {one.variable: one.what for one in vendor.secrets}
    if vendor.name in API_TOKENS:
        secrets = {API_TOKENS[vendor.name]: str(_("токен API: им мост ставит вебхук и проверяет его")), **secrets}
    return AddressView(
        title=f"{vendor.title} «{address.name}»" if address.name else vendor.title,
        address=address,
        url=f"{base.rstrip('/')}{address.path}",
        paste=str(PASTE.get(vendor.name, "")),
        secrets=tuple(
            SecretView(variable, what, bool(secret(known, variable)), here.bridge.is_set_outside(variable))
            for variable, what in secrets.items()
        ),
        missing=tuple(one.variable for one in missing),
        is_open=vendor.is_address_enough or not missing,
        body=NOVOFON_TEMPLATE if vendor.name == "novofon2" else "",
        last=last.get((vendor.name, address.name)),
        set_by=SET_BY.format(vendor.name) if vendor.name in CONNECTABLE else "",
        takes_export=vendor.name == VK_ADS,
        read_until=Cursors(here.account_store).read(READ_UNTIL) if vendor.name == VK_ADS and here.is_known else None,
        trouble=here.bridge.channel_outages.get(VK_ADS, "") if vendor.name == VK_ADS else "",
        can_be_tried=vendor.name in TRIAL_VENDORS and (vendor.is_address_enough or not missing),
    )


def _midnight(here: AccountView, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=here.zone)
