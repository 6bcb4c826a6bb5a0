"""Vendors of channels asked and tried; secrets: which are set, from where, kept, forgotten.

A secret's value goes in and never comes out: not to a page, not to a program, not into the audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.dial_log import DECISIONS, DialCall, DialLog
from amo_bridge.channels.trials import Trial, kind_of, send_trial
from amo_bridge.channels.vendors import VENDORS, Vendor, connected_vendors
from amo_bridge.config.channels import PersonSection, folded_login
from amo_bridge.config.loader import DATABASE_PASSWORD, secret
from amo_bridge.crm.tokens import KEY_VARIABLE
from amo_bridge.errors import ChannelError, ChannelUncertain, ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import mask_text
from amo_bridge.runtime.connection import TOKEN
from amo_bridge.storage.backup import KEYS
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit, who
from amo_bridge.web.services.channel_setup import FORMS
from amo_bridge.web.services.config import LONGEST_SECRET, Unfit
from amo_bridge.web.services.enquiries import addresses_secrets

MAIL = "mail"


@dataclass(frozen=True)
class Outcome:
    """What a vendor has said, in words. ``is_well``: it lets us in, or has taken the message."""

    is_well: bool
    words: str


def connected(here: AccountView, section: str) -> Vendor[Any]:
    """The vendor of a section that the config has. Raises LookupError."""
    found = next((one for one in connected_vendors(here.config) if one.section == section), None)
    if found is None:
        raise LookupError(section)
    return found


def ask(here: AccountView, vendor: Vendor[Any]) -> Outcome:
    """Does the vendor let us in, and what does it say? Nothing is sent to anybody."""
    try:
        if words := vendor.secret_problem(here.bridge.environment):
            return Outcome(False, words)
        return Outcome(True, str(vendor.client_of(here.config, here.bridge.environment).check()))
    except ConfigError as error:
        why = "; ".join(error.problems)
    except (ChannelError, ValueError) as error:
        why = str(error)
    return Outcome(False, str(_("Не вышло: %(why)s", why=why)))


def try_out(here: AccountView, vendor: Vendor[Any], to: str, person: str = "") -> Outcome:
    """Send one message, or make one call, to an address; the audit has it with the address masked."""
    trial = Trial(to, person, here.clock.now(), here.account_store.account_id)
    is_well, words = False, ""
    try:
        is_well, words = True, send_trial(vendor, here.config, here.bridge.environment, trial)
    except ChannelUncertain as error:
        words = _("Неизвестно, ушло ли: %(why)s", why=str(error))
    except ChannelError as error:
        words = _("Не вышло: %(why)s", why=str(error))
    except ConfigError as error:
        words = _("Не вышло: %(why)s", why="; ".join(error.problems))
    audit("channels.trial", f"Пробное по [{vendor.section}]: {mask_text(to)}", details=mask_text(words))
    return Outcome(is_well, str(words))


def try_out_on(here: AccountView, login: str) -> list[tuple[str, Outcome]]:
    """A trial message to whoever logs in by this name, by each connected way in which the bridge tells him: (section,
    what came of it). Empty when ``[people]`` has nobody of that login. Raises NotMet, StoreUnavailable."""
    known = here.config.channels.people.items()
    name, person = next(
        ((name, one) for name, one in known if one.login and folded_login(one.login) == folded_login(login)),
        ("", None),
    )
    if person is None:
        return []
    ways = dict(_ways_to(here, str(name), person))
    return [
        (vendor.section, try_out(here, vendor, ways[kind]))
        for vendor in connected_vendors(here.config)
        if (kind := kind_of(vendor)) in ways
    ]


def _ways_to(here: AccountView, name: str, person: PersonSection) -> Iterator[tuple[str, str]]:
    if person.telegram is not None:
        yield "telegram", str(person.telegram)
    if person.max is not None:
        yield "max", str(person.max)
    account = here.crm_account
    users = account.users if account else []
    mail = person.mail or next((one.email for one in users if one.name.casefold() == name.casefold()), "")
    if mail:
        yield MAIL, str(mail)


# --- secrets ----------------------------------------------------------------------------------------------------------

Source = Literal["outside", "page", "file", "none", "unreadable"]
SOURCES = {
    "outside": _l("задан: переменная окружения"), "page": _l("задан: зашифрован у моста"), "none": _l("не задан"),
    "file": _l("в файле рядом с базой"), "unreadable": _l("файл с ним не читается"),
}  # fmt: skip


@dataclass(frozen=True)
class SecretState:
    """``what``: in words. ``is_ours``: a page may keep and forget it."""

    variable: str
    what: str
    source: Source
    is_ours: bool

    @property
    def words(self) -> str:
        return str(SOURCES[self.source])


def secrets_of(here: AccountView) -> list[SecretState]:
    """Every secret that this account's config may need. Raises StoreUnavailable, ConfigError."""
    found = {one.secret: str(FORMS[one.section].secret) for one in connected_vendors(here.config) if _has_form(one)}
    found = {**addresses_secrets(here), **{name: f"[{_section_of(name)}] {what}" for name, what in found.items()}}
    ours = [
        SecretState(name, what, _source(here, name), not here.bridge.is_set_outside(name))
        for name, what in sorted(found.items(), key=lambda one: one[1])
    ]
    fixed = ((TOKEN, _("Долгосрочный токен amoCRM")), (DATABASE_PASSWORD, _("Пароль базы PostgreSQL")),
             (KEY_VARIABLE, _("Ключ, которым зашифровано остальное")))  # fmt: skip
    return [*(SecretState(name, str(what), _source(here, name), False) for name, what in fixed), *ours]


def keep_secret(here: AccountView, variable: str, word: str) -> None:
    """Keep a vendor's secret, encrypted; an empty one is forgotten. The bridge takes it at once.

    Raises LookupError for a variable that is none of ours or is set outside, Unfit, ConfigError, StoreUnavailable."""
    state = next((one for one in secrets_of(here) if one.variable == variable and one.is_ours), None)
    if state is None:
        raise LookupError(variable)
    if len(word) > LONGEST_SECRET:
        raise Unfit([str(_("Секрет слишком длинный: проверьте, то ли вы вставили."))])
    here.bridge.keep_secret(variable, word)
    here.bridge.watch.look(again=True)
    audit("settings.secret", f"{'Задан' if word else 'Забыт'} секрет {variable}")


def _has_form(vendor: Vendor[Any]) -> bool:
    return bool(vendor.secret) and vendor.section in FORMS


def _section_of(variable: str) -> str:
    return next(one.section for one in VENDORS if one.secret == variable)


def _source(here: AccountView, variable: str) -> Source:
    try:
        is_set = bool(secret(here.bridge.environment, variable))
    except ConfigError:
        return "unreadable"
    if not is_set:
        folder = here.config.data_folder
        has_file = variable == KEY_VARIABLE and any((folder / name).exists() for name in KEYS)
        return "file" if has_file else "none"
    return "outside" if here.bridge.is_set_outside(variable) else "page"


# --- auto-dials -------------------------------------------------------------------------------------------------------

JOURNAL = "автодозвон"
_DECIDED = {"talked": "поговорили", "client": "клиент не ответил", "manager": "менеджер не взял трубку"}


def log_of(here: AccountView) -> DialLog:
    """Raises NotMet."""
    return DialLog(here.account_store)


def switch_all(here: AccountView, *, is_stopped: bool) -> None:
    """Nobody is called any more, or all goes on. Raises NotMet, StoreUnavailable."""
    with here.account_store.write() as connection:
        log_of(here).stop_all(connection, is_stopped=is_stopped)
    deed, words = ("stop", "Весь дозвон остановлен") if is_stopped else ("resume", "Дозвон продолжен")
    audit(f"dial.{deed}_all", words)
    here.bridge.wake()


def stop(here: AccountView, dial_id: int) -> bool:
    """The deal's journal says who has done it. False: it has ended before. Raises LookupError, StoreUnavailable."""
    log = log_of(here)
    dial = log.get(dial_id)
    if dial is None:
        raise LookupError(dial_id)
    why, now = f"остановил(а) {who()}", here.clock.now()
    with here.account_store.write() as connection:
        if not log.end(connection, dial.id, why, now):
            return False
        here.journal.note(connection, now, JOURNAL, {dial.deal_id: f"окончен: {why}"})
    audit("dial.stop", f"Сделка {dial.deal_id}: автодозвон остановлен")
    return True


def decide(here: AccountView, call_id: int, decision: str) -> bool:
    """What became of a call of which neither the exchange's webhook nor its history told. False: it is known by now.
    Raises LookupError, StoreUnavailable."""
    log = log_of(here)
    call: DialCall | None = log.call(call_id)
    if call is None or decision not in DECISIONS:
        raise LookupError(call_id)
    with here.account_store.write() as connection:
        if not log.decide(connection, call_id, decision, who(), here.clock.now()):
            return False
    audit("dial.decide", f"Сделка {call.deal_id}: о звонке решено — {_DECIDED[decision]}")
    here.bridge.wake()
    return True
