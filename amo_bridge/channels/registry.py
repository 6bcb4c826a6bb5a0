"""Registry of channels: vendors, the ports of an account, and channels that rules want in vain.

A new vendor is a row of ``VENDORS``, its section in config/channels.py and its own module (docs/add-a-channel.md). The
channels themselves, whoever serves them, are rows of ``engine/effects.CHANNEL_KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from amo_bridge.channels.attachments import Attachments, DealFiles
from amo_bridge.channels.audience_services import AudienceFiles, AudienceVendor, VkAds, YandexAudience
from amo_bridge.channels.audiences import AudiencePort
from amo_bridge.channels.client_chats import ClientBots, ClientChatPort
from amo_bridge.channels.dial import DialPort
from amo_bridge.channels.documents import Documents
from amo_bridge.channels.google import GoogleDrive, GoogleSheets
from amo_bridge.channels.letter import LetterService
from amo_bridge.channels.mail import MailPort
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.mail_series import SeriesLog, SeriesPort
from amo_bridge.channels.max_bot import MaxBot
from amo_bridge.channels.megaplan import Megaplan
from amo_bridge.channels.messengers import Messenger
from amo_bridge.channels.notices import NoticePort
from amo_bridge.channels.pipedrive import Pipedrive
from amo_bridge.channels.port import Job, LocalPort, NotSent, Outcome, Port
from amo_bridge.channels.roistat import Roistat
from amo_bridge.channels.s3 import S3
from amo_bridge.channels.sheets import SheetService
from amo_bridge.channels.sms import SmsPort
from amo_bridge.channels.sms_services import Smsc, SmsRu
from amo_bridge.channels.smtp import MailServer
from amo_bridge.channels.storage import StoragePort
from amo_bridge.channels.storage_services import INCOMING, FolderStorage, StorageService
from amo_bridge.channels.telegram import Bot
from amo_bridge.channels.telephony import Novofon, Novofon2, OnlinePbx, Telephony, Zadarma
from amo_bridge.channels.unisender_go import UnisenderGo
from amo_bridge.channels.violations import ViolationPort
from amo_bridge.channels.vk_ads import VkAdsApi
from amo_bridge.channels.yandex_direct import YandexDirect
from amo_bridge.channels.yandex_disk import YandexDisk, YandexTable
from amo_bridge.clock import Clock
from amo_bridge.config.advertising import ROISTAT_KEY, VKADS_SECRET, YANDEX_AUDIENCE_TOKEN, YANDEX_DIRECT_TOKEN
from amo_bridge.config.channels import (
    GOOGLE_DRIVE_KEY,
    GOOGLE_SHEETS_KEY,
    MAIL_PASSWORD,
    MAX_TOKEN,
    NOVOFON2_TOKEN,
    NOVOFON_SECRET,
    ONLINEPBX_KEY,
    S3_SECRET,
    SMSC_PASSWORD,
    SMSRU_ID,
    TELEGRAM_TOKEN,
    UNISENDER_GO_KEY,
    YANDEX_DISK_TOKEN,
    YANDEX_TABLE_TOKEN,
    ZADARMA_SECRET,
    SheetsSection,
    StorageSection,
    Way,
)
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.config.other_crms import MEGAPLAN_PASSWORD, PIPEDRIVE_TOKEN
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.effects import CHANNEL_KINDS, Channel
from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Violations
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import PLAIN
from amo_bridge.rules.options import ActionsSpec
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import small_state
from amo_bridge.text.templates import Templates

NOTHING_SENT = "никуда не отправлено: канал «{}» не подключён"


class UnconnectedPort(LocalPort):
    """The port of a channel that no vendor serves: the journal says plainly that nothing was sent."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: NotSent(NOTHING_SENT.format(CHANNEL_KINDS[self.channel].label)) for row in rows}


# --- vendors ----------------------------------------------------------------------------------------------------------


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


class VendorClient(Protocol):
    """A vendor's client, as ``amo-bridge check`` knows it."""

    def check(self) -> str:
        """What to say when the vendor lets us in (Russian). Raises ChannelError if it does not."""


V = TypeVar("V", bound=VendorClient)
MakePort = Callable[[ChannelContext], Port]


@dataclass(frozen=True)
class Vendor(Generic[V]):
    """A server or service that takes what goes out past amoCRM; a new one is a row of ``VENDORS``.

    ``section``: its section of the config, whose keys are those of config/channels.VENDOR_SECTIONS. ``client``: made of
    that section and of the secret, which the environment variable ``secret`` (or its ``_FILE``) holds. ``no_secret``:
    what ``check`` says without one (Russian); empty: it can do without. ``ports``: channel → its port.
    """

    section: str
    client: Callable[[Any, str], V]
    secret: str
    ports: Mapping[Channel, MakePort]
    no_secret: str = ""

    def is_connected(self, config: Config) -> bool:
        """Whether the config has its section."""
        return config.channels.is_connected(self.section)

    def is_asked(self, config: Config) -> bool:
        """Whether ``check`` asks it how it is."""
        return True

    def ports_in(self, config: Config) -> Mapping[Channel, MakePort]:
        """``ports``, as far as this config wants them."""
        return self.ports

    def open(self, config: Config, environment: Mapping[str, str]) -> V | None:
        """The client; None if it is not connected. Raises ConfigError for a secret's file that can't be read."""
        return self.client_of(config, environment) if self.is_connected(config) else None

    def client_of(self, config: Config, environment: Mapping[str, str]) -> V:
        """The client of a vendor that is connected. Raises ConfigError, as ``open``."""
        return self.client(getattr(config.channels, self.section), secret(environment, self.secret))

    def secret_problem(self, environment: Mapping[str, str]) -> str:
        """What is wrong with the secret (Russian); empty if nothing is. Raises ConfigError."""
        if self.no_secret and not secret(environment, self.secret):
            return f"{self.no_secret} ({self.secret})"
        return ""


@dataclass(frozen=True)
class OwnFolder(Vendor[FolderStorage]):
    """The folder on this server: it serves as long as no service that keeps documents is connected."""

    def is_connected(self, config: Config) -> bool:
        others = (vendor for vendor in VENDORS if vendor is not self and "storage" in vendor.ports)
        return not any(vendor.is_connected(config) for vendor in others)

    def is_asked(self, config: Config) -> bool:
        return "storage" in channels_wanted(config.rules)

    def client_of(self, config: Config, environment: Mapping[str, str]) -> FolderStorage:
        return FolderStorage(config.documents_folder, is_private=not config.channels.storage.folder)


@dataclass(frozen=True)
class OwnMailServer(Vendor[MailServer]):
    """``[mail]``: without ``host`` a service takes the letters, and the section says from whom they are."""

    def is_connected(self, config: Config) -> bool:
        return config.channels.mail is not None and bool(config.channels.mail.host)


@dataclass(frozen=True)
class UnisenderGoVendor(Vendor[UnisenderGo]):
    """From whom letters are stands in ``[mail]``."""

    def is_connected(self, config: Config) -> bool:
        return config.channels.unisender_go is not None and config.channels.mail is not None

    def client_of(self, config: Config, environment: Mapping[str, str]) -> UnisenderGo:
        section, mail = config.channels.unisender_go, config.channels.mail
        assert section is not None
        return UnisenderGo(section, secret(environment, self.secret), mail.sender if mail else "")


@dataclass(frozen=True)
class KeptSheets(Vendor[SheetService]):
    """``client`` is made of the sheets that are kept, too: daily reports need none where nobody reports."""

    client: Callable[..., SheetService]

    def client_of(self, config: Config, environment: Mapping[str, str]) -> SheetService:
        section: SheetsSection | None = getattr(config.channels, self.section)
        assert section is not None
        reports = [section.daily_reports] if config.daily_report is not None else []
        spend = config.channels.spend_sheet
        read = [spend.sheet] if spend and spend.enabled and spend.vendor == self.section else []
        return self.client(section, secret(environment, self.secret), [*reports, *section.sheets, *read])


def _letter_service(context: ChannelContext) -> LetterService | None:
    """Whoever takes letters; None if nobody does."""
    vendor: Vendor[Any] = UNISENDER_GO if UNISENDER_GO.is_connected(context.config) else MAIL
    service: LetterService | None = vendor.open(context.config, context.environment)
    return service


def _mail(vendor: Callable[[], Vendor[Any]]) -> MakePort:
    """The port of letters that this row takes."""

    def make(context: ChannelContext) -> Port:
        section, folder = context.config.channels.mail, context.config.letters_folder
        assert section is not None
        assert folder is not None
        service: LetterService = vendor().client_of(context.config, context.environment)
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

    return make


def _notices(context: ChannelContext) -> Port:
    return NoticePort(
        context.config.channels.mail,
        _letter_service(context),
        messengers_of(context.config, context.environment),
        context.rule_engine,
        context.store.account_id,
        context.clock,
        context.account_clock,
        more_may_come=PendingWork(context.store, context.clock).is_judging,
        files=DealFiles(context.client, context.rule_engine),
    )


def messengers_of(config: Config, environment: Mapping[str, str]) -> dict[Way, Messenger]:
    """The bots that tell our own people, of those that the config connects. Raises ConfigError, as ``Vendor.open``."""
    bots: dict[Way, Messenger | None] = {
        "telegram": TELEGRAM.open(config, environment),
        "max": MAX.open(config, environment),
    }
    return {way: bot for way, bot in bots.items() if bot is not None}


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


def _dial(vendor: Callable[[], Vendor[Any]]) -> MakePort:
    """The port of the exchange that this row describes."""

    def make(context: ChannelContext) -> Port:
        telephony: Telephony = vendor().client_of(context.config, context.environment)
        return DialPort(
            telephony,
            context.store,
            context.client,
            context.rule_engine,
            context.clock,
            context.account_clock,
        )

    return make


def _sms(vendor: Callable[[], Vendor[Any]]) -> MakePort:
    """The port of the SMS service that this row describes."""

    def make(context: ChannelContext) -> Port:
        row = vendor()
        return SmsPort(
            getattr(context.config.channels, row.section),
            row.client_of(context.config, context.environment),
            context.store,
            context.client,
            context.rule_engine,
            context.clock,
            context.account_clock,
        )

    return make


def _folder(section: StorageSection, _: str) -> FolderStorage:
    return FolderStorage(Path(section.folder))


def _storage(vendor: Callable[[], Vendor[Any]]) -> MakePort:
    """The port of the storage that this row describes."""

    def make(context: ChannelContext) -> Port:
        config, row = context.config, vendor()
        service: StorageService = row.client_of(config, context.environment)
        # Beside the copies where they stay on this server: the same disk.
        spool = config.documents_folder if row is STORAGE else config.data_folder
        return StoragePort(
            config.channels.storage,
            service,
            spool / (INCOMING if row is STORAGE else "uploads"),
            context.store,
            context.client,
            context.rule_engine,
            context.clock,
            context.account_clock,
        )

    return make


def _audiences(context: ChannelContext) -> Port:
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


class VkAdsVendor(Vendor[VkAds]):
    """Without ``[audiences]`` it is there for lead forms alone, and no channel's."""

    def ports_in(self, config: Config) -> Mapping[Channel, MakePort]:
        return self.ports if config.channels.audiences is not None else {}

    def is_asked(self, config: Config) -> bool:
        # Lead forms are asked after where enquiries come in: intake/connections.py.
        asks_figures = config.ads is not None and "vk" in config.ads.ask
        return config.channels.audiences is not None or asks_figures

    def client_of(self, config: Config, environment: Mapping[str, str]) -> VkAds:
        return VkAds(vk_ads_api(config, environment))


def vk_ads_api(config: Config, environment: Mapping[str, str]) -> VkAdsApi:
    """The API of ``[vkads]``, which must be there. Its access token is shared by all processes, so it lies where they
    all look. Raises ConfigError, as ``Vendor.open``."""
    section = config.channels.vkads
    assert section is not None
    shared = small_state(config, environment)
    return VkAdsApi(section, secret(environment, VKADS_SECRET), shared.secrets, partial(shared.lock, "vkads"))


MAIL: Vendor[Any] = OwnMailServer("mail", MailServer, MAIL_PASSWORD, {"mail": _mail(lambda: MAIL), "notices": _notices})
UNISENDER_GO: Vendor[Any] = UnisenderGoVendor(
    "unisender_go",
    UnisenderGo,
    UNISENDER_GO_KEY,
    {"mail": _mail(lambda: UNISENDER_GO), "notices": _notices},
    no_secret="нет ключа API Unisender Go",
)
TELEGRAM = Vendor("telegram", Bot, TELEGRAM_TOKEN, {"notices": _notices}, no_secret="нет токена бота Telegram")
MAX = Vendor("max", MaxBot, MAX_TOKEN, {"notices": _notices}, no_secret="нет токена бота MAX")
ONLINEPBX: Vendor[Any] = Vendor(
    "onlinepbx", OnlinePbx, ONLINEPBX_KEY, {"dial": _dial(lambda: ONLINEPBX)}, no_secret="нет ключа API onlinePBX"
)
NOVOFON2: Vendor[Any] = Vendor(
    "novofon2", Novofon2, NOVOFON2_TOKEN, {"dial": _dial(lambda: NOVOFON2)}, no_secret="нет ключа Novofon 2.0"
)
NOVOFON: Vendor[Any] = Vendor(
    "novofon", Novofon, NOVOFON_SECRET, {"dial": _dial(lambda: NOVOFON)}, no_secret="нет секрета API Novofon 1.0"
)
ZADARMA: Vendor[Any] = Vendor(
    "zadarma", Zadarma, ZADARMA_SECRET, {"dial": _dial(lambda: ZADARMA)}, no_secret="нет секрета API Zadarma"
)
SMSRU: Vendor[Any] = Vendor("smsru", SmsRu, SMSRU_ID, {"sms": _sms(lambda: SMSRU)}, no_secret="нет api_id SMS.ru")
SMSC: Vendor[Any] = Vendor("smsc", Smsc, SMSC_PASSWORD, {"sms": _sms(lambda: SMSC)}, no_secret="нет пароля SMSC")
YANDEX_DISK: Vendor[Any] = Vendor(
    "yandex_disk",
    YandexDisk,
    YANDEX_DISK_TOKEN,
    {"storage": _storage(lambda: YANDEX_DISK)},
    no_secret="нет токена Яндекс.Диска",
)
GOOGLE_DRIVE: Vendor[Any] = Vendor(
    "google_drive",
    GoogleDrive,
    GOOGLE_DRIVE_KEY,
    {"storage": _storage(lambda: GOOGLE_DRIVE)},
    no_secret="нет ключа сервисного аккаунта Google",
)
OBJECTS: Vendor[Any] = Vendor(
    "s3", S3, S3_SECRET, {"storage": _storage(lambda: OBJECTS)}, no_secret="нет секретного ключа S3"
)
STORAGE: Vendor[Any] = OwnFolder("storage", _folder, "", {"storage": _storage(lambda: STORAGE)})
PAGED_STORAGES = frozenset({OBJECTS.section, STORAGE.section})
"""Sections of storages whose copies people open by the bridge's own page."""
YANDEX_AUDIENCE = Vendor(
    "yandex_audience", YandexAudience, YANDEX_AUDIENCE_TOKEN, {"audiences": _audiences}, no_secret="нет токена Яндекса"
)
YANDEX_DIRECT = Vendor("yandex_direct", YandexDirect, YANDEX_DIRECT_TOKEN, {}, no_secret="нет токена Яндекс Директа")
VKADS = VkAdsVendor(
    "vkads", lambda section, word: VkAds(VkAdsApi(section, word)), VKADS_SECRET, {"audiences": _audiences},
    no_secret="нет секрета API VK Рекламы",
)  # fmt: skip
AUDIENCES = Vendor("audiences", AudienceFiles, "", {"audiences": _audiences})
GOOGLE_SHEETS = KeptSheets(
    "google_sheets", GoogleSheets, GOOGLE_SHEETS_KEY, {}, no_secret="нет ключа сервисного аккаунта Google для таблицы"
)
YANDEX_TABLE = KeptSheets("yandex_table", YandexTable, YANDEX_TABLE_TOKEN, {}, no_secret="нет токена Яндекс.Диска")
SHEET_SERVICES = (GOOGLE_SHEETS, YANDEX_TABLE)
ROISTAT = Vendor("roistat", Roistat, ROISTAT_KEY, {}, no_secret="нет ключа API Roistat")
PIPEDRIVE = Vendor("pipedrive", Pipedrive, PIPEDRIVE_TOKEN, {}, no_secret="нет токена API Pipedrive")
MEGAPLAN = Vendor("megaplan", Megaplan, MEGAPLAN_PASSWORD, {}, no_secret="нет пароля Мегаплана")
VENDORS: tuple[Vendor[Any], ...] = (
    UNISENDER_GO, MAIL, TELEGRAM, MAX, YANDEX_AUDIENCE, YANDEX_DIRECT, VKADS, AUDIENCES, ROISTAT, PIPEDRIVE,
    MEGAPLAN, *SHEET_SERVICES, YANDEX_DISK, GOOGLE_DRIVE, OBJECTS, STORAGE,
    ONLINEPBX, NOVOFON2, NOVOFON, ZADARMA, SMSRU, SMSC,
)  # fmt: skip
BUILT_IN: Mapping[Channel, MakePort] = {"series": _series, "ledger": _ledger, "chats": _chats}
"""Channels that the bridge serves itself, in every account. Answers to clients go by the bots of ``[intake]``; where
there is none, their port says so on the card."""
INTAKE = "intake"


# --- the ports of an account ------------------------------------------------------------------------------------------


def ports_of(context: ChannelContext) -> list[Port]:
    """A port for each channel, whatever is connected. Raises ConfigError for a secret's file that can't be read."""
    makers = dict(BUILT_IN)
    for vendor in connected_vendors(context.config):
        # Of two vendors of one channel the upper row serves it; ``check`` says so.
        makers = {**vendor.ports_in(context.config), **makers}
    return [makers[name](context) if name in makers else UnconnectedPort(name) for name in CHANNEL_KINDS]


def ports_to_nowhere(context: ChannelContext) -> list[Port]:
    """Nothing is sent out; series of letters go on, and so does the keeping of audiences: by themselves neither
    leaves it."""
    own: dict[Channel, MakePort] = {"series": _series}
    if context.config.channels.audiences is not None:
        own["audiences"] = partial(_audiences_by, vendors=())
    return [own[name](context) if name in own else UnconnectedPort(name) for name in CHANNEL_KINDS]


EXCHANGES = (ONLINEPBX, NOVOFON2, NOVOFON, ZADARMA)


def exchanges_of(config: Config, environment: Mapping[str, str]) -> dict[str, Telephony]:
    """Section → the exchange, of those that the config connects. Raises ConfigError, as ``Vendor.open``."""
    found = {vendor.section: vendor.open(config, environment) for vendor in EXCHANGES}
    return {name: exchange for name, exchange in found.items() if exchange is not None}


# --- what the config connects, and what rules want --------------------------------------------------------------------


def connected_vendors(config: Config) -> list[Vendor[Any]]:
    """Those whose section stands in the config."""
    return [vendor for vendor in VENDORS if vendor.is_connected(config)]


def connected(config: Config) -> frozenset[Channel]:
    """The channels that lead somewhere."""
    return frozenset(vendor_of(config))


def vendor_of(config: Config) -> dict[Channel, str]:
    """Channel → the section of the vendor that serves it; «bridge» for those that the bridge serves itself."""
    found: dict[Channel, str] = {name: "bridge" for name in BUILT_IN if name != "chats"}
    if ClientBots.are_connected(config):
        found["chats"] = INTAKE
    for vendor in connected_vendors(config):
        found = {**{name: vendor.section for name in vendor.ports_in(config)}, **found}
    return found


def serving(config: Config) -> dict[Channel, list[str]]:
    """Channel → the sections of all vendors that serve it together (messengers and mail tell people), the first one
    first."""
    found: dict[Channel, list[Vendor[Any]]] = {}
    for vendor in connected_vendors(config):
        for name, made in vendor.ports.items():
            others = found.setdefault(name, [])
            if not others or others[0].ports[name] == made:
                others.append(vendor)
    return {name: [vendor.section for vendor in vendors] for name, vendors in found.items()}


def document_services(config: Config, environment: Mapping[str, str]) -> dict[str, StorageService]:
    """Section → the service, of those that the bridge's own page can show copies of. The folder on this server goes on
    showing what it has when another one is connected later. Raises ConfigError for a secret's file."""
    found = {vendor.section: vendor for vendor in connected_vendors(config) if "storage" in vendor.ports}
    return {name: row.client_of(config, environment) for name, row in {STORAGE.section: STORAGE, **found}.items()}


def rivals(config: Config) -> dict[Channel, list[str]]:
    """Channel → the sections of its connected vendors, where each would serve it alone; the first one does."""
    found: dict[Channel, list[str]] = {}
    for name in CHANNEL_KINDS:
        vendors = [vendor for vendor in connected_vendors(config) if name in vendor.ports]
        if len({vendor.ports[name] for vendor in vendors}) > 1:
            found[name] = [vendor.section for vendor in vendors]
    return found


CHANNEL_OF_OPTIONS: Mapping[type[BaseModel], Channel] = {
    options: kind.name for kind in CHANNEL_KINDS.values() for options in kind.options
}
CHANNEL_OF_KEY: Mapping[str, Channel] = {key: kind.name for kind in CHANNEL_KINDS.values() for key in kind.action_keys}


def channels_wanted(rules: Iterable[Rule]) -> dict[Channel, list[str]]:
    """Channel → the names of the enabled rules that want it, by their options or by themselves."""
    found: dict[Channel, list[str]] = {}
    for rule in rules:
        if rule.enabled:
            for channel in dict.fromkeys((*_channels_in(rule.options), *sorted(rule.handler.sends))):
                found.setdefault(channel, []).append(rule.name)
    return found


def _channels_in(value: Any) -> Iterator[Channel]:
    if isinstance(value, BaseModel):
        if type(value) in CHANNEL_OF_OPTIONS:
            yield CHANNEL_OF_OPTIONS[type(value)]
        if isinstance(value, ActionsSpec):
            keys = [key for key in ActionsSpec.model_fields if key in CHANNEL_OF_KEY and getattr(value, key)]
            yield from (CHANNEL_OF_KEY[key] for key in keys)
        value = vars(value)
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for item in items:
        # Most options are plain, and pages ask of all rules.
        if type(item) not in PLAIN:
            yield from _channels_in(item)


def unconnected(config: Config) -> dict[Channel, list[str]]:
    """Channel → the names of the enabled rules whose actions will go nowhere."""
    there = connected(config)
    return {name: rules for name, rules in channels_wanted(config.rules).items() if name not in there}


def unconnected_of(config: Config) -> dict[str, list[str]]:
    """Name of an enabled rule → the labels of the channels that it wants and that lead nowhere; rules without such are
    left out."""
    found: dict[str, list[str]] = {}
    for channel, rules in unconnected(config).items():
        for rule_name in rules:
            found.setdefault(rule_name, []).append(CHANNEL_KINDS[channel].label)
    return found
