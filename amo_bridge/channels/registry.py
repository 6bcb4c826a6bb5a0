"""The port of a kind of channel that has no vendor: the journal says plainly that nothing was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy.engine import Connection

from amo_bridge.channels.mail import MailPort
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.mail_series import SeriesJob, SeriesLog, SeriesPort
from amo_bridge.channels.notices import NoticePort
from amo_bridge.channels.port import Job, NotSent, Outcome, Port
from amo_bridge.channels.smtp import MailServer
from amo_bridge.channels.telegram import Bot
from amo_bridge.channels.violations import ViolationPort
from amo_bridge.clock import Clock
from amo_bridge.config.channels import MAIL_PASSWORD, TELEGRAM_TOKEN
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.effects import Channel
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Violations
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.options import (
    ActionsSpec,
    AudienceSpec,
    EscalationSpec,
    FolderSpec,
    LetterSpec,
    NoticeSpec,
    ViolationSpec,
)
from amo_bridge.storage.database import Store
from amo_bridge.text.templates import Templates

NAMES: Mapping[Channel, str] = {
    "mail": "почта",
    "notices": "уведомления",
    "audiences": "аудитории",
    "sms": "SMS",
    "dial": "автодозвон",
    "series": "серии писем",
    "ledger": "учёт нарушений",
    "storage": "хранилище документов",
}
"""How people call the channels."""
NOTHING_SENT = "никуда не отправлено: канал «{}» не подключён"


class UnconnectedPort:
    in_order = True
    is_far = False
    repeats_doubtful = True
    gives_up_after = timedelta(days=36500)

    def __init__(self, channel: Channel) -> None:
        self.channel: Channel = channel

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: NotSent(NOTHING_SENT.format(NAMES[self.channel])) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        """There is nothing to remember."""

    def rest(self) -> None:
        """There is no connection to close."""


# Which ports an account has: one for every channel, with a vendor behind it or without.


@dataclass(frozen=True)
class ChannelContext:
    """What ports stand on. ``rule_engine`` gives the present one, which is replaced when the account changes."""

    config: Config
    environment: Mapping[str, str]
    store: Store
    account_id: int
    client: CrmClient
    rule_engine: Callable[[], RuleEngine]
    clock: Clock
    account_clock: Clock


def ports_of(at: ChannelContext) -> list[Port]:
    """A port for each channel, whatever is connected. Raises ConfigError for a secret's file that can't be read."""
    connected = {port.channel: port for port in [_mail(at), _notices(at), _series(at), _ledger(at)] if port is not None}
    return [connected.get(channel) or UnconnectedPort(channel) for channel in NAMES]


def ports_to_nowhere(at: ChannelContext) -> list[Port]:
    """Nothing leaves the house; series of letters, which never do by themselves, go on."""
    return [_series(at) if channel == "series" else UnconnectedPort(channel) for channel in NAMES]


def mail_server(config: Config, environment: Mapping[str, str]) -> MailServer | None:
    """The mail server of the config, if there is one."""
    section = config.channels.mail
    return MailServer(section, secret(environment, MAIL_PASSWORD)) if section else None


def series_job(at: ChannelContext) -> SeriesJob:
    """What has to be run every minute for series of letters."""
    return SeriesJob(at.store, at.account_id, at.rule_engine, at.clock, at.account_clock)


def _series(at: ChannelContext) -> Port:
    return SeriesPort(SeriesLog(at.store, at.account_id), at.rule_engine, at.account_clock)


def _ledger(at: ChannelContext) -> Port:
    return ViolationPort(Violations(at.store, at.account_id, at.clock), at.rule_engine)


def telegram_bot(config: Config, environment: Mapping[str, str]) -> Bot | None:
    """The bot of the config, if there is one."""
    section = config.channels.telegram
    return Bot(section, secret(environment, TELEGRAM_TOKEN)) if section else None


def _notices(at: ChannelContext) -> Port | None:
    mail, bot = at.config.channels.mail, telegram_bot(at.config, at.environment)
    if mail is None and bot is None:
        return None
    server = mail_server(at.config, at.environment)
    return NoticePort(mail, server, bot, at.rule_engine, at.account_id, at.clock, at.account_clock)


def _mail(at: ChannelContext) -> Port | None:
    section, folder, server = at.config.channels.mail, at.config.letters_folder, mail_server(at.config, at.environment)
    if section is None or folder is None or server is None:
        return None
    return MailPort(
        section,
        server,
        Templates(folder),
        MailMemory(at.store, at.account_id, at.clock),
        at.client,
        at.rule_engine,
        at.account_id,
        at.account_clock,
    )


# Which ways out past amoCRM the enabled rules want, as far as their options tell.

SHAPES: Mapping[type[BaseModel], Channel] = {
    LetterSpec: "mail",
    NoticeSpec: "notices",
    EscalationSpec: "notices",
    AudienceSpec: "audiences",
    ViolationSpec: "ledger",
    FolderSpec: "storage",
}


def channels_wanted(rules: Iterable[Rule]) -> dict[Channel, list[str]]:
    """Lane → the names of the enabled rules that want it."""
    found: dict[Channel, list[str]] = {}
    for rule in rules:
        if rule.enabled:
            for channel in dict.fromkeys(_channels(rule.options)):
                found.setdefault(channel, []).append(rule.name)
    return found


def _channels(value: Any) -> Iterator[Channel]:
    if isinstance(value, BaseModel):
        if type(value) in SHAPES:
            yield SHAPES[type(value)]
        if isinstance(value, ActionsSpec):
            yield from _channels_of_actions(value)
        for name in type(value).model_fields:
            yield from _channels(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _channels(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _channels(one)


def _channels_of_actions(deeds: ActionsSpec) -> Iterator[Channel]:
    """Those deeds that have no shape of their own."""
    if deeds.sms:
        yield "sms"
    if deeds.auto_dial:
        yield "dial"
    if deeds.start_series:
        yield "mail"


# Which channels the enabled rules want and the config connects to nothing.

ALWAYS: frozenset[Channel] = frozenset({"series", "ledger"})


def connected(config: Config) -> frozenset[Channel]:
    """The ways out that lead somewhere."""
    channels = config.channels
    mail: set[Channel] = {"mail", "notices"} if channels.mail else set()
    telegram: set[Channel] = {"notices"} if channels.telegram else set()
    return ALWAYS | mail | telegram


def unconnected_of(config: Config) -> dict[str, list[str]]:
    """Name of an enabled rule → names of its channels that lead nowhere; rules without such are
    left out."""
    found: dict[str, list[str]] = {}
    for channel, rules in unconnected(config).items():
        for name in rules:
            found.setdefault(name, []).append(NAMES[channel])
    return found


def unconnected(config: Config) -> dict[Channel, list[str]]:
    """Lane → the names of the enabled rules whose deeds will go nowhere."""
    there = connected(config)
    return {channel: rules for channel, rules in channels_wanted(config.rules).items() if channel not in there}
