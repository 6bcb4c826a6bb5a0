"""Requests as vendors send them, proven by secrets of the tests' own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from amo_bridge.intake.model import Enquiry, NoEnquiry, PbxCall
from amo_bridge.intake.reception import VENDORS, Reception, receive
from amo_bridge.intake.request import VendorRequest, VendorSettings

PATH = "path-token"
RECEIVED_AT = 1_796_000_000.0
SECRETS = {
    "tilda_key": "tilda-key",
    "vk_secret": "vk-secret",
    "vk_confirmation": "c0de",
    "telegram_secret_token": "tg-secret",
    "max_secret": "max-secret",
    "telegram_staff_secret_token": "telegram-staff-secret",
    "max_staff_secret": "max-staff-secret",
    "meta_app_secret": "meta-secret",
    "meta_verify_token": "meta-verify",
    "viber_token": "viber-token",
    "zadarma_secret": "zadarma-secret",
    "novofon_secret": "novofon-secret",
    "unisender_go_key": "ugo-key",
    "smsru_api_id": "sms-id",
    "smsc_word": "smsc-test-word",
    "pipedrive_basic": "bridge:password",
}
FORM = "application/x-www-form-urlencoded"
Body = bytes | str | Mapping[str, Any] | list[Any]


def post(
    vendor: str,
    body: Body,
    *,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] = SECRETS,
    path_secret: str = PATH,
    method: str = "POST",
    query: str = "",
    **settings: Any,
) -> Reception:
    """What becomes of a request; with a dict as body it is JSON, with a text a form, unless ``kind`` says else."""
    is_json = isinstance(body, Mapping | list)
    raw = json.dumps(body).encode() if is_json else body.encode() if isinstance(body, str) else bytes(body)
    told = {"Content-Type": kind or ("application/json" if is_json else FORM), **(headers or {})}
    # Each vendor knows its own secrets only.
    own = {name: value for name, value in secrets.items() if secrets is not SECRETS or name in names_of(vendor)}
    request = VendorRequest(method, raw, query, told, path_secret=PATH, received_at=RECEIVED_AT)
    return receive(VENDORS[vendor], request, VendorSettings(secrets=own, **settings), path_secret=path_secret)


def names_of(vendor: str) -> set[str]:
    """The secrets that a vendor has."""
    return {secret.name for secret in VENDORS[vendor].secrets}


def form(**fields: str) -> str:
    """A form's body."""
    return urlencode(fields)


def enquiry_in(reception: Reception) -> Enquiry:
    """The one enquiry of a request that was taken."""
    assert reception.kind == "accepted", reception.why
    (outcome,) = reception.outcomes
    assert isinstance(outcome, Enquiry)
    return outcome


def call_in(reception: Reception) -> PbxCall:
    """The one call of a request that was taken."""
    assert reception.kind == "accepted", reception.why
    (outcome,) = reception.outcomes
    assert isinstance(outcome, PbxCall)
    return outcome


def reason_in(reception: Reception) -> str:
    """Why the request is no enquiry."""
    assert reception.kind == "accepted", reception.why
    (outcome,) = reception.outcomes
    assert isinstance(outcome, NoEnquiry)
    return outcome.reason


def hmac_sha256(secret: str, body: bytes) -> str:
    """As Meta and Viber sign."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()


def zadarma_signature(secret: str, text: str) -> str:
    """As Zadarma signs."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), "sha1").hexdigest().encode()).decode()


def unisender_body(key: str, **document: Any) -> bytes:
    """Signed by MD5 of itself with the key in the place of the signature."""
    unsigned = json.dumps({"auth": "@", **document}).encode()
    signature = hashlib.md5(unsigned.replace(b'"@"', f'"{key}"'.encode())).hexdigest()
    return unsigned.replace(b'"@"', f'"{signature}"'.encode())


def smsru_form(api_id: str, entries: Mapping[int, str]) -> str:
    """Signed by SHA-256 of the account's id and the entries in their order."""
    signed = api_id + "".join(entries[number] for number in sorted(entries))
    fields = {f"data[{number}]": entry for number, entry in entries.items()}
    return urlencode({**fields, "hash": hashlib.sha256(signed.encode()).hexdigest()})
