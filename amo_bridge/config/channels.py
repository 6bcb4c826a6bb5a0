"""Sections of channels: mail, messengers, telephony, SMS, storage, ``[people]``, ``[series]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import time, timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from amo_bridge.config.advertising import (
    AudiencesSection,
    RoistatSection,
    SpendSheetSection,
    VkAdsSection,
    YandexAudienceSection,
    YandexDirectSection,
)
from amo_bridge.config.diagnostics import Problems
from amo_bridge.config.other_crms import MegaplanSection, PipedriveSection
from amo_bridge.dates.calendar import Country, DaySpan, Span, Timezone
from amo_bridge.dates.duration import Duration
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.letters import AllSeries, SeriesSpec
from amo_bridge.rules.option_types import BaseUrl, ContactFieldName, PersonName, Strict, TagName, UserName


def series_in(table: Mapping[str, Any], problems: Problems) -> AllSeries:
    """The series of ``[series]``; what is wrong goes to ``problems``."""
    named: dict[str, SeriesSpec] = {}
    for name, told in table.items():
        if not isinstance(told, dict):
            problems.add(("series", name), 'нужен раздел: [series."прогрев"] со списком letters', block=2)
            continue
        try:
            named[name.strip()] = SeriesSpec.model_validate(told)
        except ValidationError as errors:
            problems.invalid(errors, ("series", name), SeriesSpec, block=2)
    return AllSeries(named=named)


# ``[mail]``, ``[telegram]`` and ``[people]``: by which ways the bridge reaches clients and its own people.
#
# No secret stands in the file: the mail server's password comes from AMO_BRIDGE_MAIL_PASSWORD, the bot's token from
# AMO_BRIDGE_TELEGRAM_TOKEN, or from the files named in the same variables with ``_FILE`` behind them.

MAIL_PASSWORD = "AMO_BRIDGE_MAIL_PASSWORD"
UNISENDER_GO_KEY = "AMO_BRIDGE_UNISENDER_GO_KEY"
TELEGRAM_TOKEN = "AMO_BRIDGE_TELEGRAM_TOKEN"
MAX_TOKEN = "AMO_BRIDGE_MAX_TOKEN"
ONLINEPBX_KEY = "AMO_BRIDGE_ONLINEPBX_KEY"
NOVOFON2_TOKEN = "AMO_BRIDGE_NOVOFON2_TOKEN"
NOVOFON_SECRET = "AMO_BRIDGE_NOVOFON_SECRET"
ZADARMA_SECRET = "AMO_BRIDGE_ZADARMA_SECRET"
SMSRU_ID = "AMO_BRIDGE_SMSRU_ID"
SMSC_PASSWORD = "AMO_BRIDGE_SMSC_PASSWORD"
YANDEX_DISK_TOKEN = "AMO_BRIDGE_YANDEX_DISK_TOKEN"
GOOGLE_DRIVE_KEY = "AMO_BRIDGE_GOOGLE_DRIVE_KEY"
GOOGLE_SHEETS_KEY = "AMO_BRIDGE_GOOGLE_SHEETS_KEY"
YANDEX_TABLE_TOKEN = "AMO_BRIDGE_YANDEX_TABLE_TOKEN"
S3_SECRET = "AMO_BRIDGE_S3_SECRET"
TELEGRAM = "https://api.telegram.org"
MAX_API = "https://platform-api2.max.ru"
ZADARMA_API = "https://api.zadarma.com"
_QUIET = re.compile(r"\s*(\d{1,2}):(\d{2})\s*[-–—]\s*(\d{1,2}):(\d{2})\s*")
_ADDRESS = re.compile(r"[^\s@<>,;:\"\\]+@[^\s@<>,;:\"\\]+\.[^\s@<>,;:\"\\]+")
_PROXY = re.compile(r"(https?|socks5h?)://\S+", re.IGNORECASE)


def _mail_address(text: str) -> str:
    text = text.strip()
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"«{text}» — не адрес почты: нужен такой, как info@agency.ru")
    return text


def _sender(text: str) -> str:
    """«Агентство <info@agency.ru>», or the address alone."""
    name, address = parseaddr(text)
    if not address or any(sign in text for sign in "\r\n"):
        raise ValueError(f"«{text}» — не отправитель: нужен «Агентство <info@agency.ru>» или просто адрес")
    return str(Address(display_name=name, addr_spec=_mail_address(address)))


def _proxy(text: str) -> str:
    if not _PROXY.fullmatch(text.strip()):
        raise ValueError(f"«{text}» — не прокси: нужен адрес вида http://прокси:3128")
    return text.strip()


MailAddress = Annotated[str, AfterValidator(_mail_address)]
ProxyUrl = Annotated[str, AfterValidator(_proxy)]


class MailSection(Strict):
    """``[mail]``: the server that takes our letters, who they are from, and where their templates are.

    ``host``: empty where ``[unisender_go]`` takes them. ``tls``: "starttls" (port 587), "tls" (port 465) or "none" (a
    server on this machine). ``consent``: the contact's field without which nobody gets advertising. ``note``: a sent
    letter leaves a note on the deal. ``attachments_mb``: files of one letter together, at most. ``ca``: a file with
    certificates to trust beside the system's. ``agency``: what documents say of the agency itself, by the names that
    their templates use («{{ агентство.БИК }}»).
    """

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    sender: Annotated[str, AfterValidator(_sender), Field(alias="from")]
    reply_to: MailAddress | None = None
    templates: Annotated[str, Field(min_length=1)] = "letters"
    note: bool = True
    attachments_mb: Annotated[int, Field(ge=1, le=18)] = 7
    agency: Mapping[str, str] = Field(default_factory=dict)
    consent: ContactFieldName | None = None
    ca: str | None = None

    @property
    def sender_address(self) -> str:
        return parseaddr(self.sender)[1]


class UnisenderGoSection(Strict):
    """``[unisender_go]``: takes our letters instead of a mail server.

    ``api``: the server that the account was made at. ``own_unsubscribing``: the service has agreed to leave out its
    own link for unsubscribing; then ours stands in the letter's headers. ``track_opens``: it tells whether a letter was
    opened.
    """

    api: BaseUrl = "https://go1.unisender.ru"
    own_unsubscribing: bool = False
    track_opens: bool = True


def check_mail(vendors: Mapping[str, Any], problems: Problems) -> None:
    """Somebody takes the letters; ``vendors``: sections by their names, None if misspelt."""
    mail = vendors.get("mail")
    if mail and not mail.host and "unisender_go" not in vendors:
        problems.add(("mail", "host"), "обязательный ключ не задан: почтовый сервер; без него — раздел [unisender_go]")


class TelegramSection(Strict):
    """``[telegram]``: the bot that tells people. ``api``, ``proxy``: where Telegram is not to be reached directly."""

    api: BaseUrl = TELEGRAM
    proxy: ProxyUrl | None = None


class MaxBotSection(Strict):
    """``[max]``: the bot of MAX that tells people. ``ca``: a file with the certificates of Минцифры, by which MAX's own
    is signed; ``api``, ``proxy``: as in ``[telegram]``."""

    api: BaseUrl = MAX_API
    ca: str | None = None
    proxy: ProxyUrl | None = None


@dataclass(frozen=True)
class Quiet:
    """Hours of the day in which nobody is disturbed, in the account's time zone; they may go over midnight."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def holds_at(self, moment: time) -> bool:
        if self.begin <= self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


def _quiet(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := _QUIET.fullmatch(value):
        hours = [int(part) for part in found.groups()]
        if hours[0] < 24 and hours[2] < 24 and hours[1] < 60 and hours[3] < 60 and hours[:2] != hours[2:]:
            return Quiet(time(hours[0], hours[1]), time(hours[2], hours[3]))
    raise ValueError(f"тихие часы «{value}» непонятны: нужно «21:00-09:00»")


QuietHours = Annotated[Quiet, BeforeValidator(_quiet), PlainSerializer(str)]

# Auto-dial: ``[dial]`` says when and how often, one of ``[onlinepbx]``, ``[novofon2]``, ``[novofon]``, ``[zadarma]`` by
# which exchange. Whose telephone rings first stands in ``[people]``: ``extension``, ``pbx_employee``.

_EXTENSION = re.compile(r"\+?\d{2,15}")
_DOMAIN_OF_PBX = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def _extension(value: Any) -> str:
    text = re.sub(r"[\s()-]", "", str(value))
    if isinstance(value, bool) or not _EXTENSION.fullmatch(text):
        raise ValueError(f"«{value}» — не номер АТС: нужен внутренний, как 101, или телефон сотрудника")
    return text


def _pbx_domain(text: str) -> str:
    text = text.strip().casefold()
    if not _DOMAIN_OF_PBX.fullmatch(text):
        raise ValueError(f"«{text}» — не домен АТС: нужен такой, как agency.onpbx.ru")
    return text


class DialSection(Strict):
    """``[dial]``: how the exchange calls manager and client, whichever exchange it is.

    ``enabled``: the switch for all. ``talk_seconds``: from so many on it was a talk. ``a_day``: calls for one deal.
    ``manager_retry``: after the manager's first refusal, and after each further one. ``client_retry``: after a client
    who does not answer; ``unanswered_note``: after so many of these a note is left on the deal. ``client_hours``: by
    the client's own clock, which ``client_zone`` (a field of the contact) tells. ``countries``: whose numbers are
    dialled; others get a task for ``abroad_to``. ``says``: what the manager hears or sees before.
    ``opt_out_tag``: of a deal or contact that is not to be called.
    """

    enabled: bool = True
    talk_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    a_day: Annotated[int, Field(ge=1, le=24)] = 8
    manager_retry: tuple[Duration, Duration] = (timedelta(minutes=30), timedelta(hours=1))
    client_retry: Duration = timedelta(hours=1)
    unanswered_note: Annotated[int, Field(ge=1, le=100)] = 3
    client_hours: Span = DaySpan(600, 1140)
    client_zone: ContactFieldName | None = None
    countries: Annotated[tuple[Country, ...], Field(min_length=1)] = ("RU",)
    abroad_to: PersonName = PersonName("manager")
    says: Annotated[str, Field(max_length=300)] = "Автодозвон. {клиент}, сделка {сделка}. Соединяем."
    opt_out_tag: TagName | None = TagName("не звонить")


class OnlinePbxSection(Strict):
    """``[onlinepbx]``. ``domain``: the exchange's own («agency.onpbx.ru»). ``gate``: the line by which clients are
    called; without it the exchange chooses."""

    api: BaseUrl = "https://api2.onlinepbx.ru"
    domain: Annotated[str, AfterValidator(_pbx_domain)]
    gate: str = ""


class Novofon2Section(Strict):
    """``[novofon2]``: Novofon 2.0. ``number``: the rented number that the client sees. ``reports``: the address of its
    reports. ``file``: the number of a sound file that the manager hears instead of ``[dial] says``."""

    api: BaseUrl = "https://callapi-jsonrpc.novofon.ru"
    reports: BaseUrl = "https://dataapi-jsonrpc.novofon.ru"
    number: Annotated[str, AfterValidator(_extension)]
    file: Annotated[int, Field(ge=1)] | None = None


class ZadarmaSection(Strict):
    """``[zadarma]``. ``key``: of the API, not secret. ``sip``: the line whose number the client sees. ``zone``: the one
    of the cabinet's statistics."""

    api: BaseUrl = ZADARMA_API
    key: Annotated[str, Field(min_length=1)]
    sip: str = ""
    zone: Annotated[Timezone, Field(min_length=1)] = "Europe/Moscow"


class NovofonSection(ZadarmaSection):
    """``[novofon]``: Novofon 1.0, which speaks as Zadarma does."""

    api: BaseUrl = "https://api.novofon.com"


# SMS: ``[smsru]``, ``[smsc]``.


class SmsSection(Strict):
    """What both services have. ``sender``: the name that the telephone shows, agreed on with the operators.

    ``consent``: the contact's field without which no advertising goes out. ``quiet``: nothing goes out then.
    ``most_parts``: a longer text is not sent. ``low_balance``: below it somebody is told. ``opt_out_tag``: of a deal or
    contact that gets none. ``note``: a note «sms_out» is left on the deal. ``test``: the service takes all and sends
    nothing.
    """

    sender: str = ""
    consent: ContactFieldName | None = None
    quiet: QuietHours = Quiet(time(21), time(9))
    most_parts: Annotated[int, Field(ge=1, le=10)] = 5
    low_balance: Annotated[float, Field(ge=0)] = 100
    opt_out_tag: TagName | None = TagName("без SMS")
    note: bool = True
    test: bool = False


class SmsRuSection(SmsSection):
    """``[smsru]``: SMS.ru."""

    api: BaseUrl = "https://sms.ru"


class SmscSection(SmsSection):
    """``[smsc]``: SMSC, of Russia or (``api = "https://smsc.kz"``) of Kazakhstan."""

    api: BaseUrl = "https://smsc.ru"
    login: Annotated[str, Field(min_length=1)]


# Documents: ``[storage]`` and the services that keep copies of deals' files.


class StorageSection(Strict):
    """``[storage]``: copies of deals' files. ``folder``: where they are kept on this server as long as no service is
    connected; empty: «documents» in the data folder. ``largest_mb``: a larger file is not copied. ``keep_free_mb``: so
    much is left free on the bridge's own disk."""

    folder: str = ""
    largest_mb: Annotated[int, Field(ge=1, le=100_000)] = 4096
    keep_free_mb: Annotated[int, Field(ge=0)] = 500


def _disk_path(text: str) -> str:
    text = text.strip().rstrip("/")
    if not re.fullmatch(r"(disk|app):(/[^/]+)+", text):
        raise ValueError(f"«{text}» — не папка Диска: нужна такая, как disk:/amoCRM, или app:/amoCRM у приложения")
    return text


class YandexDiskSection(Strict):
    """``[yandex_disk]``. ``folder``: in it each deal has its own. ``publish``: links open for everybody who has them;
    otherwise only for who is logged in to this disk."""

    api: BaseUrl = "https://cloud-api.yandex.net/v1/disk"
    folder: Annotated[str, AfterValidator(_disk_path)] = "disk:/amoCRM"
    publish: bool = True


class GoogleDriveSection(Strict):
    """``[google_drive]``. ``drive``: the shared drive's id; ``folder``: the id of a folder on it in which deals have
    theirs. ``share``: links open for everybody who has them, instead of for the drive's members. ``token_url``: where
    the service account gets its access."""

    api: BaseUrl = "https://www.googleapis.com"
    token_url: BaseUrl = "https://oauth2.googleapis.com/token"
    drive: Annotated[str, Field(pattern=r"^[\w-]+$")]
    folder: Annotated[str, Field(pattern=r"^[\w-]*$")] = ""
    share: bool = False


class SheetsSection(Strict):
    """What is kept in a table of any service. ``daily_reports``: the sheet of daily reports, ``kpi``: of KPI,
    ``losses``: of lost deals, empty for none; sheets have to be there."""

    daily_reports: Annotated[str, Field(min_length=1, max_length=100)] = "Отчёты"
    kpi: Annotated[str, Field(max_length=100)] = ""
    losses: Annotated[str, Field(max_length=100)] = ""

    @property
    def sheets(self) -> tuple[str, ...]:
        """Those beside the one of daily reports."""
        return tuple(name for name in (self.kpi, self.losses) if name)

    @model_validator(mode="after")
    def _sheets_differ(self) -> Self:
        # Services tell sheets apart without regard to case; rows of several are found by the same keys.
        if self.kpi.casefold() == self.daily_reports.casefold():
            raise ValueError(f"kpi и daily_reports — один и тот же лист «{self.kpi}»: для KPI нужен свой")
        if self.losses and self.losses.casefold() in (self.kpi.casefold(), self.daily_reports.casefold()):
            raise ValueError(f"лист «{self.losses}» уже занят: для потерянных сделок (losses) нужен свой")
        return self


class GoogleSheetsSection(SheetsSection):
    """``[google_sheets]``: a table that the bridge keeps. ``spreadsheet``: its id, as its address has it;
    ``token_url``: as in ``[google_drive]``."""

    api: BaseUrl = "https://sheets.googleapis.com"
    token_url: BaseUrl = "https://oauth2.googleapis.com/token"
    spreadsheet: Annotated[str, Field(pattern=r"^[\w-]+$")]


def _book_path(text: str) -> str:
    if not re.fullmatch(r"(disk|app):(/[^/]+)+\.xlsx", text):
        raise ValueError(f"«{text}» — не книга на Диске: нужна такая, как disk:/Отчёты.xlsx, или app:/Отчёты.xlsx")
    return text


class YandexTableSection(SheetsSection):
    """``[yandex_table]``: a workbook on Yandex.Disk that the bridge keeps. ``path``: where it lies; if nothing lies
    there, it is made."""

    api: BaseUrl = "https://cloud-api.yandex.net/v1/disk"
    path: Annotated[str, AfterValidator(_book_path)]

    @field_validator("daily_reports", "kpi", "losses")
    @classmethod
    def _name_of_a_sheet(cls, name: str) -> str:
        if re.search(r"[\\/?*:\[\]]|^'|'$", name) or len(name) > 31:
            raise ValueError(f"«{name}» — не имя листа XLSX: до 31 знака, без \\ / ? * : [ ] и без кавычки по краям")
        return name


class S3Section(Strict):
    """``[s3]``: any storage that speaks S3. ``api``: its address, without the bucket. ``key``: the access key's id, not
    secret. ``prefix``: with it the keys of all documents begin."""

    api: BaseUrl = "https://storage.yandexcloud.net"
    bucket: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{3,63}$")]
    region: Annotated[str, Field(min_length=1)] = "ru-central1"
    key: Annotated[str, Field(min_length=1)]
    prefix: Annotated[str, Field(pattern=r"^([\w.-]+/)*$")] = "deals/"


class ApprovalsSection(Strict):
    """``[approvals]``: tasks that are decided by a button in a messenger. ``tasks``: how their texts begin. ``yes``,
    ``no``: what the buttons say, and what is written as the task's result."""

    tasks: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    yes: Annotated[str, Field(min_length=1, max_length=40)] = "Согласовано"
    no: Annotated[str, Field(min_length=1, max_length=40)] = "Не согласовано"


UNSUBSCRIBE_PATH = "/u/"
TOKEN_LENGTH = 16
LONGEST_URL = 57
"""A longer one does not fit into a line of the header List-Unsubscribe, and what is folded there no mail program reads
(Python's e-mail library turns it into encoded words)."""


def too_long_for_unsubscribing(public_url: str) -> str:
    """What is wrong with the bridge's address (Russian); empty if nothing is."""
    most = LONGEST_URL - len(UNSUBSCRIBE_PATH) - TOKEN_LENGTH
    if len(public_url) <= most:
        return ""
    return f"адрес длиннее {most} знаков: ссылка для отписки не поместится в заголовок письма; нужен короче"


def check_unsubscribing(public_url: str | None, problems: Problems) -> None:
    """The link for unsubscribing must fit into a letter's header."""
    if public_url and (words := too_long_for_unsubscribing(public_url)):
        problems.add(("bridge", "public_url"), words)


Way = Literal["telegram", "max", "mail"]


class PersonSection(Strict):
    """``[people."Иван Петров"]``: how a person is told. ``telegram``: the chat's id (``amo-bridge telegram who``).
    ``max``: the person's id, or below 0 that of a group (``amo-bridge max who``).
    ``order``: which way is tried first; the next one when it fails. Without ``mail`` the address known to amoCRM.
    ``extension``: the number that auto-dial rings; ``pbx_employee``: Novofon's own number of the person. ``login``: by
    which name he logs in to the bridge's pages, so that they know whose report he confirms."""

    telegram: int | None = None
    max: int | None = None
    mail: MailAddress | None = None
    quiet: QuietHours | None = None
    order: Annotated[tuple[Way, ...], Field(min_length=1)] = ("telegram", "max", "mail")
    extension: Annotated[str, BeforeValidator(_extension)] | None = None
    pbx_employee: Annotated[int, Field(ge=1)] | None = None
    login: Annotated[str, Field(min_length=1, max_length=80)] | None = None


def folded_login(login: str) -> str:
    """By what a log-in name is found: case and spaces make no difference."""
    return " ".join(login.split()).casefold()


def people_in(table: Mapping[str, Any], problems: Problems) -> dict[UserName, PersonSection]:
    """The persons of ``[people]``; what is wrong goes to ``problems``."""
    people: dict[UserName, PersonSection] = {}
    for name, told in table.items():
        path = ("people", name)
        if not isinstance(told, dict):
            problems.add(path, 'нужен раздел: [people."Иван Петров"] с telegram, max, mail, quiet или order', block=2)
            continue
        try:
            people[UserName(name.strip())] = PersonSection.model_validate(told)
        except ValidationError as errors:
            problems.invalid(errors, path, PersonSection, block=2)
    owners: dict[str, str] = {}
    for name, person in people.items():
        if person.login and (owner := owners.setdefault(folded_login(person.login), name)) != name:
            problems.add(("people", name, "login"), f"с этим именем входит уже «{owner}»: у каждого должно быть своё")
    return people


VENDOR_SECTIONS: Mapping[str, type[Strict]] = {
    "mail": MailSection,
    "unisender_go": UnisenderGoSection,
    "telegram": TelegramSection,
    "max": MaxBotSection,
    "yandex_audience": YandexAudienceSection,
    "yandex_direct": YandexDirectSection,
    "vkads": VkAdsSection,
    "audiences": AudiencesSection,
    "roistat": RoistatSection,
    "pipedrive": PipedriveSection,
    "megaplan": MegaplanSection,
    "onlinepbx": OnlinePbxSection,
    "novofon2": Novofon2Section,
    "novofon": NovofonSection,
    "zadarma": ZadarmaSection,
    "smsru": SmsRuSection,
    "smsc": SmscSection,
    "storage": StorageSection,
    "yandex_disk": YandexDiskSection,
    "google_drive": GoogleDriveSection,
    "google_sheets": GoogleSheetsSection,
    "yandex_table": YandexTableSection,
    "s3": S3Section,
}
"""Section of the config → its keys, for every vendor of channels/vendors.VENDORS; a field of ``Channels`` each."""


@dataclass(frozen=True)
class Channels:
    """All that the config says of channels; what is None is not connected."""

    mail: MailSection | None = None
    unisender_go: UnisenderGoSection | None = None
    telegram: TelegramSection | None = None
    max: MaxBotSection | None = None
    yandex_audience: YandexAudienceSection | None = None
    yandex_direct: YandexDirectSection | None = None
    vkads: VkAdsSection | None = None
    audiences: AudiencesSection | None = None
    roistat: RoistatSection | None = None
    pipedrive: PipedriveSection | None = None
    megaplan: MegaplanSection | None = None
    people: Mapping[UserName, PersonSection] = field(default_factory=dict)
    series: AllSeries = field(default_factory=AllSeries)
    onlinepbx: OnlinePbxSection | None = None
    novofon2: Novofon2Section | None = None
    novofon: NovofonSection | None = None
    zadarma: ZadarmaSection | None = None
    smsru: SmsRuSection | None = None
    smsc: SmscSection | None = None
    storage: StorageSection = field(default_factory=StorageSection)
    yandex_disk: YandexDiskSection | None = None
    google_drive: GoogleDriveSection | None = None
    google_sheets: GoogleSheetsSection | None = None
    yandex_table: YandexTableSection | None = None
    s3: S3Section | None = None
    dial: DialSection = field(default_factory=DialSection)
    approvals: ApprovalsSection | None = None
    spend_sheet: SpendSheetSection | None = None

    def is_connected(self, section: str) -> bool:
        """Whether the config has this section of ``VENDOR_SECTIONS``."""
        return getattr(self, section) is not None
