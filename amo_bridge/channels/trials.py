"""Trial messages: a letter, message, SMS or call to an address that a person types, past the outbox.

Whoever sets a channel up sees at once what the vendor says. It is asked once, as for real; nothing is kept of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from amo_bridge.channels.dial_rules import number_to_dial
from amo_bridge.channels.letter import Letter, message_id
from amo_bridge.channels.mail import usable
from amo_bridge.channels.sms import LONGEST_NUMBER
from amo_bridge.channels.telephony import CallOrder
from amo_bridge.channels.vendors import Vendor
from amo_bridge.config.channels import PersonSection
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.addresses import is_landline, numbers_in
from amo_bridge.text.names import same_name
from amo_bridge.text.templates import Rendered

TrialKind = Literal["mail", "telegram", "max", "sms", "dial"]
_MESSENGERS = {"telegram": "Telegram", "max": "MAX"}
TEXT = "Пробное сообщение моста amoCRM: канал настроен."


@dataclass(frozen=True)
class Trial:
    """``to``: as it was typed. ``person``: whose telephone an exchange rings first. ``account_id``: the store's.
    ``content``: of a letter, instead of our own words."""

    to: str
    person: str
    at: datetime
    account_id: int
    content: Rendered | None = None

    @property
    def mark(self) -> str:
        """Another one for each trial."""
        return f"trial-{self.account_id}-{int(self.at.timestamp() * 1000)}"


def kind_of(vendor: Vendor[Any]) -> TrialKind | None:
    """What a vendor sends to a person; None: nothing (storages, audiences)."""
    if "dial" in vendor.ports:
        return "dial"
    if "sms" in vendor.ports:
        return "sms"
    if "mail" in vendor.ports:
        return "mail"
    if vendor.section in _MESSENGERS:
        return "telegram" if vendor.section == "telegram" else "max"
    return None


def callers(config: Config) -> list[str]:
    """The people of ``[people]`` whose telephone an exchange can ring."""
    return [str(name) for name, person in config.channels.people.items() if person.extension or person.pbx_employee]


def send_trial(vendor: Vendor[Any], config: Config, environment: Mapping[str, str], trial: Trial) -> str:
    """What the vendor has said (Russian). Raises ChannelError; ChannelRefused also for an address that is none and
    while nothing may go out; ConfigError for a secret's file that can't be read."""
    if config.bridge.dry_run:
        raise ChannelRefused("прогон без действий ([bridge] dry_run = true): ничего не уходит")
    if problem := vendor.secret_problem(environment):
        raise ChannelRefused(problem)
    kind = kind_of(vendor)
    if kind is None:
        raise ChannelRefused(f"[{vendor.section}] людям ничего не отправляет: для него есть «Проверить связь»")
    return _WAYS[kind](vendor.client_of(config, environment), vendor.section, config, trial)


def _mail(server: Any, _section: str, config: Config, trial: Trial) -> str:
    section, address = config.channels.mail, usable(trial.to)
    assert section is not None
    if address is None:
        raise ChannelRefused(f"«{trial.to}» — не адрес почты")
    letter = Letter(
        sender=section.sender,
        to_name="",
        to_address=address,
        content=trial.content or Rendered("Пробное письмо моста amoCRM", f"{TEXT}\n"),
        message_id=message_id(trial.account_id, trial.mark, section.sender_address),
        at=trial.at,
        reply_to=section.reply_to,
        is_notice=True,
    )
    try:
        server.deliver(letter)
    finally:
        server.leave()
    return f"{server.title} принял письмо"


def _messenger(bot: Any, section: str, _config: Config, trial: Trial) -> str:
    name = _MESSENGERS[section]
    try:
        chat_id = int(trial.to)
    except ValueError:
        raise ChannelRefused(f"«{trial.to}» — не номер чата: его скажет amo-bridge {section} who") from None
    bot.send(chat_id, TEXT)
    return f"{name} принял сообщение"


def _sms(service: Any, section: str, config: Config, trial: Trial) -> str:
    numbers = numbers_in(trial.to, config.calendar.country or "RU")
    phone = next((number for number in numbers if not is_landline(number)), None)
    if phone is None:
        raise ChannelRefused(f"«{trial.to}» — не мобильный телефон")
    taken = service.send(zlib.crc32(trial.mark.encode()) & LONGEST_NUMBER or 1, phone, TEXT)
    cost = "" if taken.cost is None else f", цена {taken.cost:g}"
    balance = "" if taken.balance is None else f", на счёте {taken.balance:g}"
    is_test = getattr(config.channels, section).test
    return f"сервис принял SMS{cost}{balance}" + (", проба: никуда не ушло (test = true)" if is_test else "")


def _dial(telephony: Any, _section: str, config: Config, trial: Trial) -> str:
    phone = number_to_dial([trial.to], config.channels.dial, config.calendar.country)
    if phone is None:
        raise ChannelRefused(f"«{trial.to}» — не телефон из стран, которым звонит мост ([dial] countries)")
    known = config.channels.people.items()
    person = next((section for name, section in known if same_name(name, trial.person)), PersonSection())
    order = CallOrder(trial.mark, person.extension or "", person.pbx_employee, phone, TEXT)
    if not order.extension and order.employee is None:
        raise ChannelRefused("выберите, кому звонить сначала: у кого в [people] есть extension")
    if problem := telephony.cause_of(order):
        raise ChannelRefused(f"у «{trial.person}» {problem}")
    telephony.call(order)
    return f"АТС приняла заказ: звонит «{trial.person}», потом {trial.to}"


_WAYS: Mapping[TrialKind, Callable[[Any, str, Config, Trial], str]] = {
    "mail": _mail, "telegram": _messenger, "max": _messenger, "sms": _sms, "dial": _dial,
}  # fmt: skip
