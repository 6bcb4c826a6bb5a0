"""Vendors of channels: which the config connects, what each serves, what rules want in vain.

A new vendor is a row of ``VENDORS``, its section in config/channels.py and its own module (docs/add-a-channel.md). The
channels themselves, whoever serves them, are rows of ``engine/effects.CHANNEL_KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

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
    Way,
)
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.config.other_crms import MEGAPLAN_PASSWORD, PIPEDRIVE_TOKEN
from amo_bridge.engine.effects import CHANNEL_KINDS, Channel
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import PLAIN
from amo_bridge.rules.options import ActionsSpec

if TYPE_CHECKING:
    # Who serves what is asked by short commands and by pages: neither waits for clients that nobody uses.
    from amo_bridge.channels.audience_services import AudienceFiles, VkAds, YandexAudience
    from amo_bridge.channels.letter import LetterService
    from amo_bridge.channels.max_bot import MaxBot
    from amo_bridge.channels.megaplan import Megaplan
    from amo_bridge.channels.messengers import Messenger
    from amo_bridge.channels.pipedrive import Pipedrive
    from amo_bridge.channels.port import Port
    from amo_bridge.channels.registry import ChannelContext
    from amo_bridge.channels.roistat import Roistat
    from amo_bridge.channels.sheets import SheetService
    from amo_bridge.channels.sms_services import SmsService
    from amo_bridge.channels.storage_services import StorageService
    from amo_bridge.channels.telegram import Bot
    from amo_bridge.channels.telephony import Telephony
    from amo_bridge.channels.vk_ads import VkAdsApi
    from amo_bridge.channels.yandex_direct import YandexDirect


class VendorClient(Protocol):
    """A vendor's client, as ``amo-bridge check`` knows it."""

    def check(self) -> str:
        """What to say when the vendor lets us in (Russian). Raises ChannelError if it does not."""


V = TypeVar("V", bound=VendorClient)
MakePort = Callable[["ChannelContext", "Vendor[Any]"], "Port"]
"""Makes the port of a channel that this vendor serves."""


def named(path: str) -> Any:
    """What stands in this package under «module.name»; the module is imported now."""
    module, _, name = path.partition(".")
    return getattr(import_module(f"amo_bridge.channels.{module}"), name)


@dataclass(frozen=True)
class Vendor(Generic[V]):
    """A server or service that takes what goes out past amoCRM; a new one is a row of ``VENDORS``.

    ``section``: its section of the config, whose keys are those of config/channels.VENDOR_SECTIONS. ``client``: made of
    that section and of the secret, which the environment variable ``secret`` (or its ``_FILE``) holds. ``ports``:
    channel → ``MakePort``. Client and ports are named «module.name»: imported when they are made. ``no_secret``: what
    ``check`` says without a secret (Russian); empty: it can do without.
    """

    section: str
    client: str
    secret: str
    ports: Mapping[Channel, str]
    no_secret: str = ""

    def is_connected(self, config: Config) -> bool:
        """Whether the config has its section."""
        return config.channels.is_connected(self.section)

    def is_asked(self, config: Config) -> bool:
        """Whether ``check`` asks it how it is."""
        return True

    def ports_in(self, config: Config) -> Mapping[Channel, str]:
        """``ports``, as far as this config wants them."""
        return self.ports

    def open(self, config: Config, environment: Mapping[str, str]) -> V | None:
        """The client; None if it is not connected. Raises ConfigError for a secret's file that can't be read."""
        return self.client_of(config, environment) if self.is_connected(config) else None

    def client_of(self, config: Config, environment: Mapping[str, str]) -> V:
        """The client of a vendor that is connected. Raises ConfigError, as ``open``."""
        made: V = named(self.client)(getattr(config.channels, self.section), secret(environment, self.secret))
        return made

    def secret_problem(self, environment: Mapping[str, str]) -> str:
        """What is wrong with the secret (Russian); empty if nothing is. Raises ConfigError."""
        if self.no_secret and not secret(environment, self.secret):
            return f"{self.no_secret} ({self.secret})"
        return ""


@dataclass(frozen=True)
class OwnFolder(Vendor["StorageService"]):
    """The folder on this server: it serves as long as no service that keeps documents is connected."""

    def is_connected(self, config: Config) -> bool:
        others = (vendor for vendor in VENDORS if vendor is not self and "storage" in vendor.ports)
        return not any(vendor.is_connected(config) for vendor in others)

    def is_asked(self, config: Config) -> bool:
        return "storage" in channels_wanted(config.rules)

    def client_of(self, config: Config, environment: Mapping[str, str]) -> StorageService:
        folder: StorageService = named(self.client)(
            config.documents_folder, is_private=not config.channels.storage.folder
        )
        return folder


@dataclass(frozen=True)
class OwnMailServer(Vendor["LetterService"]):
    """``[mail]``: without ``host`` a service takes the letters, and the section says from whom they are."""

    def is_connected(self, config: Config) -> bool:
        return config.channels.mail is not None and bool(config.channels.mail.host)


@dataclass(frozen=True)
class UnisenderGoVendor(Vendor["LetterService"]):
    """From whom letters are stands in ``[mail]``."""

    def is_connected(self, config: Config) -> bool:
        return config.channels.unisender_go is not None and config.channels.mail is not None

    def client_of(self, config: Config, environment: Mapping[str, str]) -> LetterService:
        section, mail = config.channels.unisender_go, config.channels.mail
        assert section is not None
        service: LetterService = named(self.client)(
            section, secret(environment, self.secret), mail.sender if mail else ""
        )
        return service


@dataclass(frozen=True)
class KeptSheets(Vendor["SheetService"]):
    """``client`` is made of the sheets that are kept, too: daily reports need none where nobody reports."""

    def client_of(self, config: Config, environment: Mapping[str, str]) -> SheetService:
        section: SheetsSection | None = getattr(config.channels, self.section)
        assert section is not None
        reports = [section.daily_reports] if config.daily_report is not None else []
        spend = config.channels.spend_sheet
        read = [spend.sheet] if spend and spend.enabled and spend.vendor == self.section else []
        sheets = [*reports, *section.sheets, *read]
        service: SheetService = named(self.client)(section, secret(environment, self.secret), sheets)
        return service


class VkAdsVendor(Vendor["VkAds"]):
    """Without ``[audiences]`` it is there for lead forms alone, and no channel's."""

    def ports_in(self, config: Config) -> Mapping[Channel, str]:
        return self.ports if config.channels.audiences is not None else {}

    def is_asked(self, config: Config) -> bool:
        # Lead forms are asked after where enquiries come in: intake/connections.py.
        asks_figures = config.ads is not None and "vk" in config.ads.ask
        return config.channels.audiences is not None or asks_figures

    def client_of(self, config: Config, environment: Mapping[str, str]) -> VkAds:
        lists: VkAds = named(self.client)(vk_ads_api(config, environment))
        return lists


UNISENDER_GO: Vendor[LetterService] = UnisenderGoVendor(
    "unisender_go",
    "unisender_go.UnisenderGo",
    UNISENDER_GO_KEY,
    {"mail": "registry.mail_port", "notices": "registry.notice_port"},
    no_secret="нет ключа API Unisender Go",
)
MAIL: Vendor[LetterService] = OwnMailServer(
    "mail",
    "smtp.MailServer",
    MAIL_PASSWORD,
    {"mail": "registry.mail_port", "notices": "registry.notice_port"},
)
TELEGRAM: Vendor[Bot] = Vendor(
    "telegram",
    "telegram.Bot",
    TELEGRAM_TOKEN,
    {"notices": "registry.notice_port"},
    no_secret="нет токена бота Telegram",
)
MAX: Vendor[MaxBot] = Vendor(
    "max", "max_bot.MaxBot", MAX_TOKEN, {"notices": "registry.notice_port"}, no_secret="нет токена бота MAX"
)
YANDEX_AUDIENCE: Vendor[YandexAudience] = Vendor(
    "yandex_audience",
    "audience_services.YandexAudience",
    YANDEX_AUDIENCE_TOKEN,
    {"audiences": "registry.audience_port"},
    no_secret="нет токена Яндекса",
)
YANDEX_DIRECT: Vendor[YandexDirect] = Vendor(
    "yandex_direct", "yandex_direct.YandexDirect", YANDEX_DIRECT_TOKEN, {}, no_secret="нет токена Яндекс Директа"
)
VKADS: Vendor[VkAds] = VkAdsVendor(
    "vkads",
    "audience_services.VkAds",
    VKADS_SECRET,
    {"audiences": "registry.audience_port"},
    no_secret="нет секрета API VK Рекламы",
)
AUDIENCES: Vendor[AudienceFiles] = Vendor(
    "audiences", "audience_services.AudienceFiles", "", {"audiences": "registry.audience_port"}
)
ROISTAT: Vendor[Roistat] = Vendor("roistat", "roistat.Roistat", ROISTAT_KEY, {}, no_secret="нет ключа API Roistat")
PIPEDRIVE: Vendor[Pipedrive] = Vendor(
    "pipedrive", "pipedrive.Pipedrive", PIPEDRIVE_TOKEN, {}, no_secret="нет токена API Pipedrive"
)
MEGAPLAN: Vendor[Megaplan] = Vendor(
    "megaplan", "megaplan.Megaplan", MEGAPLAN_PASSWORD, {}, no_secret="нет пароля Мегаплана"
)
GOOGLE_SHEETS = KeptSheets(
    "google_sheets",
    "google.GoogleSheets",
    GOOGLE_SHEETS_KEY,
    {},
    no_secret="нет ключа сервисного аккаунта Google для таблицы",
)
YANDEX_TABLE = KeptSheets(
    "yandex_table", "yandex_disk.YandexTable", YANDEX_TABLE_TOKEN, {}, no_secret="нет токена Яндекс.Диска"
)
SHEET_SERVICES = (GOOGLE_SHEETS, YANDEX_TABLE)
YANDEX_DISK: Vendor[StorageService] = Vendor(
    "yandex_disk",
    "yandex_disk.YandexDisk",
    YANDEX_DISK_TOKEN,
    {"storage": "registry.storage_port"},
    no_secret="нет токена Яндекс.Диска",
)
GOOGLE_DRIVE: Vendor[StorageService] = Vendor(
    "google_drive",
    "google.GoogleDrive",
    GOOGLE_DRIVE_KEY,
    {"storage": "registry.storage_port"},
    no_secret="нет ключа сервисного аккаунта Google",
)
OBJECTS: Vendor[StorageService] = Vendor(
    "s3", "s3.S3", S3_SECRET, {"storage": "registry.storage_port"}, no_secret="нет секретного ключа S3"
)
STORAGE: Vendor[StorageService] = OwnFolder(
    "storage", "storage_services.FolderStorage", "", {"storage": "registry.storage_port"}
)
PAGED_STORAGES = frozenset({OBJECTS.section, STORAGE.section})
"""Sections of storages whose copies people open by the bridge's own page."""
ONLINEPBX: Vendor[Telephony] = Vendor(
    "onlinepbx",
    "telephony.OnlinePbx",
    ONLINEPBX_KEY,
    {"dial": "registry.dial_port"},
    no_secret="нет ключа API onlinePBX",
)
NOVOFON2: Vendor[Telephony] = Vendor(
    "novofon2", "telephony.Novofon2", NOVOFON2_TOKEN, {"dial": "registry.dial_port"}, no_secret="нет ключа Novofon 2.0"
)
NOVOFON: Vendor[Telephony] = Vendor(
    "novofon",
    "telephony.Novofon",
    NOVOFON_SECRET,
    {"dial": "registry.dial_port"},
    no_secret="нет секрета API Novofon 1.0",
)
ZADARMA: Vendor[Telephony] = Vendor(
    "zadarma", "telephony.Zadarma", ZADARMA_SECRET, {"dial": "registry.dial_port"}, no_secret="нет секрета API Zadarma"
)
EXCHANGES = (ONLINEPBX, NOVOFON2, NOVOFON, ZADARMA)
SMSRU: Vendor[SmsService] = Vendor(
    "smsru", "sms_services.SmsRu", SMSRU_ID, {"sms": "registry.sms_port"}, no_secret="нет api_id SMS.ru"
)
SMSC: Vendor[SmsService] = Vendor(
    "smsc", "sms_services.Smsc", SMSC_PASSWORD, {"sms": "registry.sms_port"}, no_secret="нет пароля SMSC"
)
VENDORS: tuple[Vendor[Any], ...] = (
    UNISENDER_GO, MAIL, TELEGRAM, MAX, YANDEX_AUDIENCE, YANDEX_DIRECT, VKADS, AUDIENCES, ROISTAT, PIPEDRIVE,
    MEGAPLAN, *SHEET_SERVICES, YANDEX_DISK, GOOGLE_DRIVE, OBJECTS, STORAGE,
    *EXCHANGES, SMSRU, SMSC,
)  # fmt: skip
TOGETHER: frozenset[Channel] = frozenset({"notices", "audiences"})
"""Channels that all their connected vendors serve side by side. Every other has one vendor: the upper row."""
BUILT_IN: tuple[Channel, ...] = ("series", "ledger", "chats")
"""Channels that the bridge serves itself, in every account. Answers to clients go by the bots of ``[intake]``; where
there is none, their port says so on the card."""
INTAKE = "intake"
CHAT_SOURCES: Mapping[str, str] = {"telegram": "Telegram", "max": "MAX", "vk": "ВКонтакте"}
"""Sections of ``[intake]`` by whose bots clients are answered, and how people call them."""


# --- clients of a config ----------------------------------------------------------------------------------------------


def messengers_of(config: Config, environment: Mapping[str, str]) -> dict[Way, Messenger]:
    """The bots that tell our own people, of those that the config connects. Raises ConfigError, as ``Vendor.open``."""
    bots: dict[Way, Messenger | None] = {
        "telegram": TELEGRAM.open(config, environment),
        "max": MAX.open(config, environment),
    }
    return {way: bot for way, bot in bots.items() if bot is not None}


def exchanges_of(config: Config, environment: Mapping[str, str]) -> dict[str, Telephony]:
    """Section → the exchange, of those that the config connects. Raises ConfigError, as ``Vendor.open``."""
    found = {vendor.section: vendor.open(config, environment) for vendor in EXCHANGES}
    return {name: exchange for name, exchange in found.items() if exchange is not None}


def document_services(config: Config, environment: Mapping[str, str]) -> dict[str, StorageService]:
    """Section → the service, of those that the bridge's own page can show copies of. The folder on this server goes on
    showing what it has when another one is connected later. Raises ConfigError for a secret's file."""
    found = {vendor.section: vendor for vendor in connected_vendors(config) if "storage" in vendor.ports}
    return {name: row.client_of(config, environment) for name, row in {STORAGE.section: STORAGE, **found}.items()}


def vk_ads_api(config: Config, environment: Mapping[str, str]) -> VkAdsApi:
    """The API of ``[vkads]``, which must be there. Its access token is shared by all processes, so it lies where they
    all look. Raises ConfigError, as ``Vendor.open``."""
    # Here, as everything that only a client needs.
    from amo_bridge.channels.vk_ads import VkAdsApi
    from amo_bridge.storage.secrets import small_state

    section = config.channels.vkads
    assert section is not None
    shared = small_state(config, environment)
    return VkAdsApi(section, secret(environment, VKADS_SECRET), shared.secrets, partial(shared.lock, "vkads"))


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
    if config.intake is not None and any(config.intake.of(source) for source in CHAT_SOURCES):
        found["chats"] = INTAKE
    for vendor in connected_vendors(config):
        found = {**{name: vendor.section for name in vendor.ports_in(config)}, **found}
    return found


def serving(config: Config) -> dict[Channel, list[str]]:
    """Channel → the sections of all vendors that serve it together (messengers and mail tell people), the first one
    first."""
    found: dict[Channel, list[Vendor[Any]]] = {}
    for vendor in connected_vendors(config):
        for name in vendor.ports:
            if name in TOGETHER or name not in found:
                found.setdefault(name, []).append(vendor)
    return {name: [vendor.section for vendor in vendors] for name, vendors in found.items()}


def rivals(config: Config) -> dict[Channel, list[str]]:
    """Channel → the sections of its connected vendors, where each would serve it alone; the first one does."""
    vendors = connected_vendors(config)
    found = {name: [one.section for one in vendors if name in one.ports] for name in CHANNEL_KINDS}
    return {name: sections for name, sections in found.items() if len(sections) > 1 and name not in TOGETHER}


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
