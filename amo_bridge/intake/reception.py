"""The vendors, one row each; a request of a vendor → its answer and what it says.

Nothing is stored here. A common answer would break several vendors, so each row has its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

from amo_bridge.config.channels import UNISENDER_GO_KEY
from amo_bridge.config.intake import CommunitySection, FormSection, LeadFormsSection, SiteSection
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.intake import chats, delivery, mail, presses, sites, social, telephony
from amo_bridge.intake.model import NoEnquiry, Outcomes
from amo_bridge.intake.request import (
    Proof,
    SecretName,
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    basic_auth,
    body_signature,
    header_secret,
    path_only,
    same,
)
from amo_bridge.lazy.dataclasses import dataclass

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
MEGABYTE = 1024 * 1024
LARGEST, LARGEST_WITH_FILES = MEGABYTE, 15 * MEGABYTE
_WITHOUT_BODY = ("GET", "HEAD")


@dataclass(frozen=True)
class VendorAnswer:
    """What a vendor is told. ``headers``: beside the content type."""

    status: int
    body: str = ""
    content_type: str = TEXT
    headers: Mapping[str, str] | None = None


def no_check(request: VendorRequest, settings: VendorSettings) -> str | None:
    """The vendor has no set-up check."""
    return None


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One row.

    ``proof``: beside the secret end of the address. ``check``: the body of the answer to a set-up check, None for
    anything else. ``kept``: the headers that are kept with the body. ``accepted``: the answer to whatever is proven.
    ``refused``: the answer to a wrong proof. ``methods``: what it calls with. ``is_path_the_proof``: without a
    secret of its own the address proves it. ``repeats``: it calls again when we are down. ``law``: why it is off by
    default (Russian).
    """

    name: str
    title: str
    parse: Callable[[VendorRequest, VendorSettings], Outcomes]
    proof: Proof = path_only
    secrets: tuple[SecretName, ...] = ()
    check: Callable[[VendorRequest, VendorSettings], str | None] = no_check
    kept: tuple[str, ...] = ("Content-Type",)
    accepted: VendorAnswer = VendorAnswer(200, "ok")
    refused: VendorAnswer = VendorAnswer(403, "подпись или секрет не те")
    methods: tuple[str, ...] = ("POST",)
    largest: int = LARGEST
    is_path_the_proof: bool = False
    repeats: bool = False
    law: str = ""

    @property
    def is_address_enough(self) -> bool:
        """Does the secret end of the address prove it, where no other secret is set?"""
        return self.is_path_the_proof or self.proof in (path_only, sites.prove_form, sites.from_own_site)


_TILDA_KEY = SecretName(sites.TILDA_KEY, "AMO_BRIDGE_INTAKE_TILDA_KEY", "ключ API из настроек вебхука Тильды")
_FORM_WORD = SecretName(
    sites.FORM_WORD, "AMO_BRIDGE_INTAKE_FORM_TOKEN", "слово, которое шлёт плагин формы: в поле, заголовке или адресе"
)
_VK = (
    SecretName(social.VK_SECRET, "AMO_BRIDGE_INTAKE_VK_SECRET", "секретный ключ Callback API сообщества"),
    SecretName(social.VK_CONFIRMATION, "AMO_BRIDGE_INTAKE_VK_CONFIRMATION", "строка, которую должен вернуть сервер"),
)
_META = (
    SecretName(social.META_SECRET, "AMO_BRIDGE_INTAKE_META_SECRET", "секрет приложения Meta"),
    SecretName(social.META_VERIFY, "AMO_BRIDGE_INTAKE_META_VERIFY", "маркер проверки адреса"),
)
_ANY_METHOD = ("POST", "GET")
_FORM_HEADERS = ("Content-Type", "Origin", "Referer")

VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="tilda",
            title="Тильда",
            parse=sites.of_tilda,
            proof=sites.prove_form,
            check=sites.check_tilda,
            secrets=(_TILDA_KEY,),
            kept=("Content-Type", "Referer"),
            repeats=True,
            is_path_the_proof=True,
        ),
        Vendor(
            name="elementor",
            title="Elementor",
            parse=sites.of_elementor,
            largest=LARGEST_WITH_FILES,
            proof=sites.prove_form,
            secrets=(_FORM_WORD,),
        ),
        Vendor(
            name="cf7",
            title="Contact Form 7",
            parse=sites.of_cf7,
            proof=sites.prove_form,
            secrets=(_FORM_WORD,),
            methods=("POST", "GET", "PUT"),
            largest=LARGEST_WITH_FILES,
        ),
        Vendor(
            name="html",
            title="Форма сайта",
            parse=sites.of_html,
            proof=sites.from_own_site,
            check=sites.check_form,
            kept=_FORM_HEADERS,
            accepted=VendorAnswer(200, '{"ok": true}', JSON),
            methods=_ANY_METHOD,
            largest=LARGEST_WITH_FILES,
            refused=VendorAnswer(403, "этого сайта нет в списке origins"),
        ),
        Vendor(
            name="mapped",
            title="Любая форма или JSON",
            parse=sites.of_any,
            proof=sites.prove_form,
            secrets=(_FORM_WORD,),
            check=sites.check_form,
            accepted=VendorAnswer(200, '{"ok": true}', JSON),
            methods=("POST", "GET", "PUT"),
            largest=LARGEST_WITH_FILES,
        ),
        Vendor(
            name="jivo",
            title="Jivo",
            parse=chats.of_jivo,
            accepted=VendorAnswer(200, '{"result": "ok"}', JSON),
            is_path_the_proof=True,
        ),
        Vendor(
            name="vk",
            title="ВКонтакте, сообщество",
            parse=social.of_vk,
            proof=social.prove_vk,
            check=social.check_vk,
            secrets=_VK,
            kept=("Content-Type", "X-Retry-Counter"),
            repeats=True,
        ),
        Vendor(name="vkads", title="VK Реклама, лид-формы", parse=social.of_vk_ads, is_path_the_proof=True),
        Vendor(
            name="telegram",
            title="Telegram, бот для клиентов",
            parse=chats.of_telegram,
            proof=header_secret(chats.TELEGRAM_HEADER, chats.TELEGRAM_SECRET),
            repeats=True,
            secrets=(
                SecretName(chats.TELEGRAM_SECRET, "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET", "secret_token из setWebhook"),
            ),
        ),
        Vendor(
            name="max",
            title="MAX",
            parse=chats.of_max,
            proof=header_secret(chats.MAX_HEADER, chats.MAX_SECRET),
            repeats=True,
            secrets=(SecretName(chats.MAX_SECRET, "AMO_BRIDGE_INTAKE_MAX_SECRET", "secret подписки MAX"),),
        ),
        *(
            Vendor(
                name=name,
                title=title,
                parse=social.of_meta,
                proof=social.prove_meta,
                check=social.check_meta,
                secrets=_META,
                methods=_ANY_METHOD,
                repeats=True,
                law=social.META_LAW,
            )
            for name, title in (("meta_leadgen", "Meta, лид-формы"), ("messenger", "Meta, Messenger"))
        ),
        Vendor(
            name="viber",
            title="Viber",
            parse=chats.of_viber,
            check=chats.check_viber,
            repeats=True,
            proof=body_signature(chats.VIBER_HEADER, chats.VIBER_TOKEN),
            secrets=(SecretName(chats.VIBER_TOKEN, "AMO_BRIDGE_INTAKE_VIBER_TOKEN", "токен бота Viber"),),
        ),
        Vendor(
            name="telegram_staff",
            title="Telegram, бот для своих",
            parse=presses.of_telegram_staff,
            proof=header_secret(chats.TELEGRAM_HEADER, presses.TELEGRAM_STAFF_SECRET),
            repeats=True,
            secrets=(
                SecretName(
                    presses.TELEGRAM_STAFF_SECRET,
                    "AMO_BRIDGE_INTAKE_TELEGRAM_STAFF_SECRET",
                    "secret_token из setWebhook бота для своих",
                ),
            ),
        ),
        Vendor(
            name="max_staff",
            title="MAX, бот для своих",
            parse=presses.of_max_staff,
            proof=header_secret(chats.MAX_HEADER, presses.MAX_STAFF_SECRET),
            repeats=True,
            secrets=(
                SecretName(
                    presses.MAX_STAFF_SECRET, "AMO_BRIDGE_INTAKE_MAX_STAFF_SECRET", "secret подписки бота для своих"
                ),
            ),
        ),
        Vendor(
            name="zadarma",
            title="Zadarma",
            parse=telephony.zadarma_parser("zadarma"),
            proof=telephony.zadarma_proof("zadarma_secret"),
            check=telephony.check_zadarma,
            methods=_ANY_METHOD,
            kept=("Content-Type", "User-Agent"),
            secrets=(SecretName("zadarma_secret", "AMO_BRIDGE_INTAKE_ZADARMA_SECRET", "секрет API Zadarma"),),
        ),
        Vendor(
            name="novofon",
            title="Novofon 1.0",
            parse=telephony.zadarma_parser("novofon"),
            check=telephony.check_zadarma,
            proof=telephony.zadarma_proof("novofon_secret", "zadarma_secret"),
            methods=_ANY_METHOD,
            kept=("Content-Type", "User-Agent"),
            secrets=(SecretName("novofon_secret", "AMO_BRIDGE_INTAKE_NOVOFON_SECRET", "секрет API Novofon 1.0"),),
        ),
        Vendor(
            name="novofon2",
            title="Novofon 2.0",
            parse=telephony.of_novofon2,
            methods=_ANY_METHOD,
            is_path_the_proof=True,
        ),
        Vendor(
            name="onlinepbx",
            title="onlinePBX",
            parse=telephony.of_onlinepbx,
            methods=_ANY_METHOD,
            is_path_the_proof=True,
        ),
        Vendor(
            name="unisender_go",
            title="Unisender Go",
            parse=delivery.of_unisender,
            proof=delivery.prove_unisender,
            check=delivery.check_unisender,
            methods=_ANY_METHOD,
            repeats=True,
            secrets=(
                SecretName(
                    delivery.UNISENDER_KEY,
                    "AMO_BRIDGE_INTAKE_UNISENDER_GO_KEY",
                    "ключ API Unisender Go, если он не тот же, что в AMO_BRIDGE_UNISENDER_GO_KEY",
                    or_else=UNISENDER_GO_KEY,
                ),
            ),
        ),
        Vendor(
            name="smsru",
            title="SMS.ru",
            parse=delivery.of_smsru,
            proof=delivery.prove_smsru,
            accepted=VendorAnswer(200, "100"),
            repeats=True,
            secrets=(SecretName(delivery.SMSRU_ID, "AMO_BRIDGE_INTAKE_SMSRU_ID", "api_id SMS.ru"),),
        ),
        Vendor(
            name="smsc",
            title="SMSC",
            parse=delivery.of_smsc,
            proof=delivery.prove_smsc,
            methods=_ANY_METHOD,
            repeats=True,
            secrets=(
                SecretName(delivery.SMSC_WORD, "AMO_BRIDGE_INTAKE_SMSC_WORD", "секретное слово из настроек SMSC"),
            ),
        ),
        Vendor(
            name="pipedrive",
            title="Pipedrive",
            parse=delivery.of_pipedrive,
            proof=basic_auth(delivery.PIPEDRIVE_BASIC),
            repeats=True,
            refused=VendorAnswer(401, "имя или пароль не те", headers={"WWW-Authenticate": 'Basic realm="amo-bridge"'}),
            secrets=(
                SecretName(
                    delivery.PIPEDRIVE_BASIC, "AMO_BRIDGE_INTAKE_PIPEDRIVE_BASIC", "имя:пароль вебхука Pipedrive"
                ),
            ),
        ),
    )
}

POLLED: Mapping[str, Callable[[VendorRequest, VendorSettings], Outcomes]] = {"mail": mail.of_mail}
"""What is fetched, never posted: the source → its parser."""


# What the config and the environment say of a vendor, as its parser wants it.

# A site whose section is not written yet.
_HTML = SiteSection()


def settings_of(config: Config, vendor: str, environment: Mapping[str, str], name: str = "") -> VendorSettings:
    """``name``: which of ``[intake.mapped.…]``.

    Raises ConfigError for a file of a secret that can't be read.
    """
    section = config.intake.of(vendor, name) if config.intake else None
    section = section or (_HTML if vendor == "html" else None)
    row = VENDORS.get(vendor)
    own_domains = [*(config.intake.own_domains if config.intake else ())]
    if config.channels.mail:
        own_domains.append(config.channels.mail.sender_address.rpartition("@")[2])
    return VendorSettings(
        home=config.calendar.country,
        fields={str(what): key for what, key in section.fields.items()} if isinstance(section, FormSection) else {},
        honeypot=section.honeypot if isinstance(section, FormSection) else (),
        origins=section.origins if isinstance(section, SiteSection) else (),
        thanks=(section.thanks or "") if isinstance(section, SiteSection) else "",
        began_field=section.began_field if isinstance(section, SiteSection) else "",
        least_seconds=section.least_seconds if isinstance(section, SiteSection) else 0,
        group=section.group if isinstance(section, CommunitySection) else None,
        forms=section.forms if isinstance(section, LeadFormsSection) else (),
        own_domains=tuple(own_domains),
        secrets={one.name: _secret(environment, one) for one in row.secrets} if row else {},
    )


def _secret(environment: Mapping[str, str], name: SecretName) -> str:
    found = secret(environment, name.variable)
    return found or (secret(environment, name.or_else) if name.or_else else "")


# One request, judged.

Kind = Literal["closed", "refused", "checked", "accepted", "broken", "unproven"]
"""«closed»: there is no such address. «checked»: a set-up check. «broken»: proven, but not what this vendor sends;
«unproven»: so broken that it can't be proven. Both are answered as ever, for an error would make the vendor switch its
webhook off. Only «accepted» and «broken» are kept."""

UNKNOWN = VendorAnswer(404, "такого адреса нет")
BUG = "тело не разобрано, это сбой моста"
CLOSED = "секрет не задан: приём закрыт"
WRONG = "подпись или секрет не те"


KEPT = ("accepted", "broken")


@dataclass(frozen=True)
class Reception:
    """``why``: what was done and why (Russian). ``key``: by which a repeat of the request is known."""

    kind: Kind
    answer: VendorAnswer
    why: str
    key: str = ""
    outcomes: Outcomes = ()


def receive(vendor: Vendor, request: VendorRequest, settings: VendorSettings, *, path_secret: str | None) -> Reception:
    """Judge the request.

    ``path_secret``: the secret end of this vendor's address; None where whoever calls has compared it already.
    """
    if (reception := _by_the_address(vendor, request, settings, path_secret)) is not None:
        return reception
    if len(request.body) > vendor.largest:
        answer = VendorAnswer(413, f"больше {vendor.largest} байт")
        return Reception("refused", answer, "тело больше, чем принимается")
    try:
        verdict = vendor.proof(request, settings)
    except UnreadableBody as error:
        return Reception("unproven", accepted(vendor, settings), f"тело не читается: {error}")
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        return Reception("unproven", accepted(vendor, settings), f"{BUG}: {type(error).__name__}")
    if verdict == "closed":
        return Reception("closed", UNKNOWN, CLOSED)
    if verdict == "wrong":
        return Reception("refused", vendor.refused, vendor.refused.body)
    if (body := vendor.check(request, settings)) is not None:
        return Reception("checked", VendorAnswer(200, body), "проверка адреса при настройке: ничего не заводится")
    if request.method not in vendor.methods:
        return Reception(
            "refused", VendorAnswer(405, "не тот метод", headers={"Allow": ", ".join(vendor.methods)}), "не тот метод"
        )
    outcomes, why = outcomes_of(vendor.parse, request, settings)
    answer = accepted(vendor, settings)
    if outcomes is None:
        return Reception("broken", answer, why, _digest(request))
    return Reception("accepted", answer, why, _key(outcomes, request), outcomes)


def outcomes_of(
    parse: Callable[[VendorRequest, VendorSettings], Outcomes], request: VendorRequest, settings: VendorSettings
) -> tuple[Outcomes | None, str]:
    """What the request says, and why (Russian); None for a body that can't be read.

    No body may stop the receiver.
    """
    try:
        outcomes = parse(request, settings)
    except UnreadableBody as error:
        return None, f"тело не читается: {error}"
    except Exception as error:  # noqa: BLE001 - a vendor repeats or gives up on 500; it is told, answered and kept
        return None, f"{BUG}: {type(error).__name__}"
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, NoEnquiry)]
    return outcomes, "; ".join(dict.fromkeys(reasons))


def accepted(vendor: Vendor, settings: VendorSettings) -> VendorAnswer:
    """The vendor's own «thank you»; a form of a site may lead to a page of the config."""
    if vendor.name == "html" and settings.thanks:
        return VendorAnswer(303, headers={"Location": settings.thanks})
    return vendor.accepted


def _by_the_address(
    vendor: Vendor, request: VendorRequest, settings: VendorSettings, path_secret: str | None
) -> Reception | None:
    if path_secret is None:
        return None
    if not path_secret:
        is_open = not vendor.is_path_the_proof or any(settings.secrets.get(one.name) for one in vendor.secrets)
        return None if is_open else Reception("closed", UNKNOWN, CLOSED)
    if request.path_secret is not None and not same(request.path_secret, path_secret):
        return Reception("refused", VendorAnswer(403, WRONG), "секретный конец адреса не тот")
    return None


def _key(outcomes: Outcomes, request: VendorRequest) -> str:
    """One thing's own key; of many, all of them; without any, the bytes."""
    keys = [outcome.key for outcome in outcomes if outcome.key]
    if len(outcomes) == 1 and keys:
        return keys[0]
    return (
        f"all:{hashlib.sha256(chr(0).join(keys).encode('utf-8', 'replace')).hexdigest()[:32]}"
        if keys
        else _digest(request)
    )


def _digest(request: VendorRequest) -> str:
    return f"body:{hashlib.sha256(request.query.encode() + b'?' + request.body).hexdigest()[:32]}"
