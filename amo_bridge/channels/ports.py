"""Which ports an account has: one for every lane, with a vendor behind it or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from amo_bridge.channels.ledger import LedgerPort
from amo_bridge.channels.mail.memory import MailMemory
from amo_bridge.channels.mail.port import MailPort
from amo_bridge.channels.mail.series_chore import SeriesChore
from amo_bridge.channels.mail.series_log import SeriesLog
from amo_bridge.channels.mail.series_port import SeriesPort
from amo_bridge.channels.mail.smtp import MailServer
from amo_bridge.channels.not_connected import NAMES, NotConnected
from amo_bridge.channels.notices.port import NoticePort
from amo_bridge.channels.telegram.bot import Bot
from amo_bridge.clock import Clock
from amo_bridge.config.channels import MAIL_PASSWORD, TELEGRAM_TOKEN
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.lanes.port import Port
from amo_bridge.engine.rule_engine import Brain
from amo_bridge.engine.violations import Violations
from amo_bridge.storage.database import Store
from amo_bridge.text.templates import Templates


@dataclass(frozen=True)
class Quay:
    """What ports stand on. ``brain`` tells the present one: it is made anew when the account changes."""

    config: Config
    environment: Mapping[str, str]
    store: Store
    account_key: int
    client: CrmClient
    brain: Callable[[], Brain]
    clock: Clock
    account_clock: Clock


def ports_of(at: Quay) -> list[Port]:
    """A port for each lane, whatever is connected. Raises ConfigError for a secret's file that can't be read."""
    connected = {port.lane: port for port in [_mail(at), _notices(at), _series(at), _ledger(at)] if port is not None}
    return [connected.get(lane) or NotConnected(lane) for lane in NAMES]


def ports_to_nowhere(at: Quay) -> list[Port]:
    """Nothing leaves the house; series of letters, which never do by themselves, go on."""
    return [_series(at) if lane == "series" else NotConnected(lane) for lane in NAMES]


def mail_server(config: Config, environment: Mapping[str, str]) -> MailServer | None:
    """The mail server of the config, if there is one."""
    section = config.channels.mail
    return MailServer(section, secret(environment, MAIL_PASSWORD)) if section else None


def series_chore(at: Quay) -> SeriesChore:
    """What has to be run every minute for series of letters."""
    return SeriesChore(at.store, at.account_key, at.brain, at.clock, at.account_clock)


def _series(at: Quay) -> Port:
    return SeriesPort(SeriesLog(at.store, at.account_key), at.brain, at.account_clock)


def _ledger(at: Quay) -> Port:
    return LedgerPort(Violations(at.store, at.account_key, at.clock), at.brain)


def telegram_bot(config: Config, environment: Mapping[str, str]) -> Bot | None:
    """The bot of the config, if there is one."""
    section = config.channels.telegram
    return Bot(section, secret(environment, TELEGRAM_TOKEN)) if section else None


def _notices(at: Quay) -> Port | None:
    mail, bot = at.config.channels.mail, telegram_bot(at.config, at.environment)
    if mail is None and bot is None:
        return None
    server = mail_server(at.config, at.environment)
    return NoticePort(mail, server, bot, at.brain, at.account_key, at.clock, at.account_clock)


def _mail(at: Quay) -> Port | None:
    section, folder, server = at.config.channels.mail, at.config.letters_folder, mail_server(at.config, at.environment)
    if section is None or folder is None or server is None:
        return None
    return MailPort(
        section,
        server,
        Templates(folder),
        MailMemory(at.store, at.account_key, at.clock),
        at.client,
        at.brain,
        at.account_key,
        at.account_clock,
    )
