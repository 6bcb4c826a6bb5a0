"""``[intake]``: from which sites, chats, telephony and mailboxes enquiries come in by themselves.

A section switches a vendor on; its secret comes from the environment (docs/variables.md), and without one nothing of
the vendor is taken. The secret end of each address is made by the bridge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from amo_bridge.config.channels import MAX_API, TELEGRAM, ZADARMA_API, Channels, ProxyUrl, Way
from amo_bridge.config.diagnostics import Problems
from amo_bridge.rules.option_types import BaseUrl, Strict

VK_API, GRAPH_API = "https://api.vk.com", "https://graph.facebook.com"

INTAKE_TOKENS: Mapping[str, str] = {
    "telegram": "AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN",
    "max": "AMO_BRIDGE_INTAKE_MAX_TOKEN",
    "vk": "AMO_BRIDGE_INTAKE_VK_TOKEN",
}
"""Messengers to which the bridge can write to clients → the variable of the token of its API."""

What = Literal["name", "phone", "email", "text", "page", "roistat_visit", "key"]
"""What a form's field can hold; ``key``: the number by which a repeat of the enquiry is known."""

_INTAKE_PREFIX = re.compile(r"(/[a-z0-9_-]+)+")
_SITE = re.compile(r"https?://[^\s/?#@]+", re.IGNORECASE)
_PAGE = re.compile(r"https?://[^\s/?#@]+(/\S*)?", re.IGNORECASE)
_TAKEN = ("/hooks", "/api", "/accounts", "/roistat", "/static", "/health", "/metrics", "/u")
_DOMAIN = re.compile(r"[^\s@/]+\.[^\s@/.]+")


INTAKE_PREFIX = "/in"


def _intake_prefix(text: str) -> str:
    text = text.strip().rstrip("/")
    if not _INTAKE_PREFIX.fullmatch(text):
        raise ValueError(f"«{text}» — не начало адреса: нужно такое, как /in")
    if any(text == path or text.startswith(f"{path}/") for path in _TAKEN):
        raise ValueError(f"«{text}» занято самим мостом: нужно другое начало, например /in")
    return text


def _site(text: str) -> str:
    text = text.strip().rstrip("/")
    if not _SITE.fullmatch(text):
        raise ValueError(f"«{text}» — не адрес сайта: нужен https://agency.example, без пути после него")
    return text


def _page(text: str) -> str:
    if not _PAGE.fullmatch(text.strip()):
        raise ValueError(f"«{text}» — не адрес страницы: нужен полный, который начинается с https://")
    return text.strip()


def _domain(text: str) -> str:
    text = text.strip().casefold()
    if not _DOMAIN.fullmatch(text):
        raise ValueError(f"«{text}» — не домен: нужен такой, как agency.example")
    return text


class VendorSection(Strict):
    """A vendor that needs no settings but its secret."""


class FormSection(Strict):
    """A builder of sites. ``fields``: what → the field that holds it, where the bridge would not find it by itself.
    ``honeypot``: fields that people don't see; filled by robots, and such a form is answered and dropped."""

    fields: Mapping[What, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    honeypot: tuple[str, ...] = ()


class SiteSection(FormSection):
    """``[intake.html]``: forms of the agency's own sites. ``origins``: the sites that may post; all, if empty.
    ``thanks``: the page that a visitor is led to. ``per_minute``: forms from one address. ``began_field``: the field
    into which the page writes when it was opened (Unix time); a form sent within ``least_seconds`` is a robot's."""

    honeypot: tuple[str, ...] = ("website",)
    began_field: str = "form_opened_at"
    least_seconds: Annotated[int, Field(ge=0, le=600)] = 0
    origins: tuple[Annotated[str, AfterValidator(_site)], ...] = ()
    thanks: Annotated[str, AfterValidator(_page)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=1000)] = 10


class CommunitySection(Strict):
    """``[intake.vk]``. ``group``: the community's number; events of another one are refused. ``api``: where VK's API
    is."""

    group: Annotated[int, Field(ge=1)] | None = None
    api: BaseUrl = VK_API


class LeadFormsSection(Strict):
    """``[intake.vkads]``. ``forms``: the numbers of the lead forms to take; all of the cabinet's, if empty. ``since``:
    where the API is asked (``[vkads]``), take the older leads too, from this day on; else only what comes after the
    first connection."""

    forms: tuple[Annotated[int, Field(ge=1)], ...] = ()
    since: date | None = None


class TelegramIntakeSection(Strict):
    """``[intake.telegram]``: the bot to which clients write. ``api``, ``proxy``: as in ``[telegram]``."""

    api: BaseUrl = TELEGRAM
    proxy: ProxyUrl | None = None


class MaxSection(Strict):
    """``[intake.max]``. ``api``: where MAX's API is. ``ca``: a file with the certificates of Минцифры, by which MAX's
    own is signed."""

    api: BaseUrl = MAX_API
    ca: str | None = None


class ZadarmaIntakeSection(Strict):
    """``[intake.zadarma]``. ``key``: the API's key, by which the bridge sets the webhook; ``api``: where it is."""

    key: str = ""
    api: BaseUrl = ZADARMA_API


class MetaSection(Strict):
    """``[intake.meta_leadgen]``, ``[intake.messenger]``. ``api``: where the Graph API is."""

    api: BaseUrl = GRAPH_API


def check_approvals(channels: Channels, intake: IntakeSection | None, problems: Problems) -> None:
    """Buttons need a bot that sends them and an address at which it hands over who pressed."""
    ways = intake.staff_bots if intake else ()
    if channels.approvals and not any(channels.is_connected(way) for way in ways):
        words = "кнопки не сработают: нужны [telegram] и [intake.telegram_staff] или [max] и [intake.max_staff]"
        problems.add(("approvals",), words)


def _mailbox_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,19}", text):
        raise ValueError(f"«{text}» — не имя ящика: латинские буквы, цифры и «_», до 20 знаков, как info или sales_2")
    return text


class MailboxSection(Strict):
    """``[[intake.mail]]``: a mailbox that is read by IMAP. ``name``: by it its password is found (``password_name``).

    ``tls``: "tls" (port 993), "starttls" (143) or "none" (a server on this machine). ``sent``: the folder of letters
    that people send from this box themselves; empty: it is not read. ``since``: read the older letters too, from this
    day on; else only what comes after the first connection. ``new_clients``: a letter of somebody unknown is an
    enquiry; without it such letters of a colleague's own box are left alone. ``largest_mb``: of a bigger letter only
    the headers are read. ``ca``: a file with certificates to trust beside the system's.

    ``login``: by "password", or by "xoauth2", the token of OAuth 2.0. ``token_url``: where the access token is renewed,
    for the app ``client_id``; without it the variable ``token_name`` holds the access token itself, else the refresh
    token.
    """

    name: Annotated[str, AfterValidator(_mailbox_name)]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 993
    tls: Literal["tls", "starttls", "none"] = "tls"
    user: Annotated[str, Field(min_length=1)]
    login: Literal["password", "xoauth2"] = "password"
    token_url: Annotated[str, AfterValidator(_page)] | None = None
    client_id: str = ""
    folder: Annotated[str, Field(min_length=1)] = "INBOX"
    sent: str = ""
    since: date | None = None
    new_clients: bool = True
    largest_mb: Annotated[int, Field(ge=1, le=100)] = 25
    ca: str | None = None

    @property
    def password_name(self) -> str:
        """The environment variable of the password."""
        return f"AMO_BRIDGE_INTAKE_MAIL_{self.name.upper()}_PASSWORD"

    @property
    def token_name(self) -> str:
        """The environment variable of the token of OAuth 2.0."""
        return f"AMO_BRIDGE_INTAKE_MAIL_{self.name.upper()}_TOKEN"

    @property
    def client_secret_name(self) -> str:
        """The environment variable of the app's secret; some apps have none."""
        return f"AMO_BRIDGE_INTAKE_MAIL_{self.name.upper()}_CLIENT_SECRET"

    @model_validator(mode="after")
    def keys_of_its_login(self) -> Self:
        if self.login == "password" and (self.token_url or self.client_id):
            raise ValueError('token_url и client_id бывают только при login = "xoauth2"')
        if bool(self.token_url) != bool(self.client_id):
            raise ValueError("token_url и client_id нужны вместе: без приложения токен не обновить")
        return self


def _different_boxes(boxes: tuple[MailboxSection, ...]) -> tuple[MailboxSection, ...]:
    names = [box.name for box in boxes]
    if doubled := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"ящиков с именем «{doubled}» два: по имени мост находит пароль и место, до которого дочитал")
    return boxes


class IntakeSection(Strict):
    """``prefix``: how the public addresses begin. ``own_domains``: the agency's mail domains, beside that of
    ``[mail] from``. A vendor without a section is off."""

    prefix: Annotated[str, AfterValidator(_intake_prefix)] = INTAKE_PREFIX
    own_domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = ()
    tilda: FormSection | None = None
    elementor: FormSection | None = None
    cf7: FormSection | None = None
    html: SiteSection | None = None
    mapped: Mapping[str, FormSection] = Field(default_factory=dict)
    jivo: VendorSection | None = None
    vk: CommunitySection | None = None
    vkads: LeadFormsSection | None = None
    telegram: TelegramIntakeSection | None = None
    max: MaxSection | None = None
    meta_leadgen: MetaSection | None = None
    messenger: MetaSection | None = None
    viber: VendorSection | None = None
    telegram_staff: VendorSection | None = None
    max_staff: VendorSection | None = None
    zadarma: ZadarmaIntakeSection | None = None
    novofon: VendorSection | None = None
    novofon2: VendorSection | None = None
    onlinepbx: VendorSection | None = None
    unisender_go: VendorSection | None = None
    smsru: VendorSection | None = None
    smsc: VendorSection | None = None
    pipedrive: VendorSection | None = None
    mail: Annotated[tuple[MailboxSection, ...], AfterValidator(_different_boxes)] = ()

    @property
    def staff_bots(self) -> tuple[Way, ...]:
        """The messengers whose bots for colleagues hand the bridge the presses of buttons."""
        sections: Mapping[Way, VendorSection | None] = {"telegram": self.telegram_staff, "max": self.max_staff}
        return tuple(way for way, section in sections.items() if section is not None)

    def of(self, vendor: str, name: str = "") -> Strict | None:
        """The section of a vendor; of ``mapped`` the one of this name. None: it is off."""
        if vendor == "mapped":
            return self.mapped.get(name)
        section = getattr(self, vendor, None)
        return section if isinstance(section, Strict) else None
