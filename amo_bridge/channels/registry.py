"""Registry of ports: what sends by each channel of an account; ``vendors`` says whose each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from amo_bridge.channels.attachments import Attachments, DealFiles
from amo_bridge.channels.audience_services import AudienceVendor
from amo_bridge.channels.audiences import AudiencePort
from amo_bridge.channels.client_chats import ClientBots, ClientChatPort
from amo_bridge.channels.dial import DialPort
from amo_bridge.channels.documents import Documents
from amo_bridge.channels.letter import LetterService
from amo_bridge.channels.mail import MailPort
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.mail_series import SeriesLog, SeriesPort
from amo_bridge.channels.notices import NoticePort
from amo_bridge.channels.port import Job, LocalPort, NotSent, Outcome, Port
from amo_bridge.channels.sms import SmsPort
from amo_bridge.channels.sms_services import SmsService
from amo_bridge.channels.storage import StoragePort
from amo_bridge.channels.storage_services import INCOMING, StorageService
from amo_bridge.channels.telephony import Telephony
from amo_bridge.channels.vendors import (
    MAIL,
    STORAGE,
    UNISENDER_GO,
    VKADS,
    YANDEX_AUDIENCE,
    MakePort,
    Vendor,
    connected_vendors,
    messengers_of,
    named,
)
from amo_bridge.channels.violations import ViolationPort
from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.effects import CHANNEL_KINDS, Channel
from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Violations
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.templates import Templates

NOTHING_SENT = "никуда не отправлено: канал «{}» не подключён"


class UnconnectedPort(LocalPort):
    """The port of a channel that no vendor serves: the journal says plainly that nothing was sent."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: NotSent(NOTHING_SENT.format(CHANNEL_KINDS[self.channel].label)) for row in rows}


@dataclass(frozen=True)
class ChannelContext:
    """What ports stand on. ``rule_engine`` tells the present one: it is made anew when the account changes.
    ``client`` is the ports' own, because they work in other threads."""

    config: Config
    environment: Mapping[str, str]
    store: AccountStore
    client: CrmClient
    rule_engine: Callable[[], RuleEngine]
    clock: Clock
    account_clock: Clock


# --- a channel's port, for the vendor that serves it: named in rows of ``VENDORS`` ------------------------------------


def mail_port(context: ChannelContext, vendor: Vendor[LetterService]) -> Port:
    section, folder = context.config.channels.mail, context.config.letters_folder
    assert section is not None
    assert folder is not None
    service = vendor.client_of(context.config, context.environment)
    documents = Documents(
        folder, context.store, context.client, context.rule_engine, context.clock, context.account_clock
    )
    most = min(section.attachments_mb << 20, service.most_attached)
    return MailPort(
        section,
        service,
        Templates(folder),
        Attachments(folder, DealFiles(context.client, context.rule_engine), documents.enclosed, most),
        MailMemory(context.store, context.clock),
        context.client,
        context.rule_engine,
        context.store.account_id,
        context.account_clock,
    )


def notice_port(context: ChannelContext, _: Vendor[Any]) -> Port:
    """All messengers at once, and letters by whoever takes them."""
    letters = UNISENDER_GO if UNISENDER_GO.is_connected(context.config) else MAIL
    return NoticePort(
        context.config.channels.mail,
        letters.open(context.config, context.environment),
        messengers_of(context.config, context.environment),
        context.rule_engine,
        context.store.account_id,
        context.clock,
        context.account_clock,
        more_may_come=PendingWork(context.store, context.clock).is_judging,
        files=DealFiles(context.client, context.rule_engine),
    )


def dial_port(context: ChannelContext, vendor: Vendor[Telephony]) -> Port:
    return DialPort(
        vendor.client_of(context.config, context.environment),
        context.store,
        context.client,
        context.rule_engine,
        context.clock,
        context.account_clock,
    )


def sms_port(context: ChannelContext, vendor: Vendor[SmsService]) -> Port:
    return SmsPort(
        getattr(context.config.channels, vendor.section),
        vendor.client_of(context.config, context.environment),
        context.store,
        context.client,
        context.rule_engine,
        context.clock,
        context.account_clock,
    )


def storage_port(context: ChannelContext, vendor: Vendor[StorageService]) -> Port:
    config = context.config
    # Beside the copies where they stay on this server: the same disk.
    spool = config.documents_folder / INCOMING if vendor is STORAGE else config.data_folder / "uploads"
    return StoragePort(
        config.channels.storage,
        vendor.client_of(config, context.environment),
        spool,
        context.store,
        context.client,
        context.rule_engine,
        context.clock,
        context.account_clock,
    )


def audience_port(context: ChannelContext, _: Vendor[Any]) -> Port:
    """Both services at once, each for the audiences that the config gives it."""
    vendors = (vendor.open(context.config, context.environment) for vendor in (YANDEX_AUDIENCE, VKADS))
    return _audiences_by(context, [vendor for vendor in vendors if vendor is not None])


def _audiences_by(context: ChannelContext, vendors: Sequence[AudienceVendor]) -> Port:
    return AudiencePort(
        {vendor.name: vendor for vendor in vendors},
        context.store,
        context.client,
        context.rule_engine,
        context.clock,
        context.account_clock,
    )


# --- ports of channels that the bridge serves itself ------------------------------------------------------------------


def _series(context: ChannelContext) -> Port:
    return SeriesPort(SeriesLog(context.store), context.rule_engine, context.account_clock)


def _ledger(context: ChannelContext) -> Port:
    return ViolationPort(Violations(context.store, context.clock), context.rule_engine)


def _chats(context: ChannelContext) -> Port:
    return ClientChatPort(
        ClientBots(context.config.intake, context.environment),
        context.store,
        context.client,
        context.rule_engine,
        context.account_clock,
    )


OWN_PORTS: Mapping[Channel, Callable[[ChannelContext], Port]] = {"series": _series, "ledger": _ledger, "chats": _chats}
"""One for each of ``vendors.BUILT_IN``."""


# --- the ports of an account ------------------------------------------------------------------------------------------


def ports_of(context: ChannelContext) -> list[Port]:
    """A port for each channel, whatever is connected. Raises ConfigError for a secret's file that can't be read."""
    makers = dict(OWN_PORTS)
    for vendor in connected_vendors(context.config):
        for name, path in vendor.ports_in(context.config).items():
            # Of two vendors of one channel the upper row serves it; ``check`` says so.
            makers.setdefault(name, partial(_made, path, vendor))
    return [makers[name](context) if name in makers else UnconnectedPort(name) for name in CHANNEL_KINDS]


def _made(path: str, vendor: Vendor[Any], context: ChannelContext) -> Port:
    make: MakePort = named(path)
    return make(context, vendor)


def ports_to_nowhere(context: ChannelContext) -> list[Port]:
    """Nothing is sent out; series of letters go on, and so does the keeping of audiences: by themselves neither
    leaves it."""
    own: dict[Channel, Callable[[ChannelContext], Port]] = {"series": _series}
    if context.config.channels.audiences is not None:
        own["audiences"] = partial(_audiences_by, vendors=())
    return [own[name](context) if name in own else UnconnectedPort(name) for name in CHANNEL_KINDS]
