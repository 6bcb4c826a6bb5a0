"""Webhooks about delivery (Unisender Go, SMS.ru, SMSC), and about deals in Pipedrive."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from amo_bridge.channels.sms_services import RU_STATES, SMSC_STATES
from amo_bridge.intake.contacts import phones_in
from amo_bridge.intake.model import DeliveryState, DeliveryStatus, Enquiry, NoEnquiry, Outcome, Outcomes, digest
from amo_bridge.intake.request import (
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    Verdict,
    fields_of,
    integer,
    json_of,
    md5_hex,
    object_at,
    objects,
    text_at,
    verdict,
)

# What became of letters and SMS of ours: Unisender Go and SMS.ru.

# Unisender Go signs by MD5 of the raw body in which its own signature is replaced by the key.

UNISENDER_KEY = "unisender_go_key"
_AUTH = re.compile(rb'("auth"\s*:\s*")([^"]*)(")')
_LETTERS: dict[str, DeliveryState] = {
    "sent": "sent", "delivered": "delivered", "opened": "read", "clicked": "clicked", "spam": "spam",
    "unsubscribed": "unsubscribed", "soft_bounced": "failed", "hard_bounced": "bounced",
}  # fmt: skip


def prove_unisender(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """``auth`` of the body; the check of the address has none."""
    if check_unisender(request, settings) is not None:
        return "proven"
    key = settings.secrets.get(UNISENDER_KEY, "")
    if not key:
        return "closed"
    json_of(request)
    found = _AUTH.search(request.body)
    if found is None:
        return "wrong"
    signed = request.body[: found.start(2)] + key.encode() + request.body[found.end(2) :]
    return verdict(found[2].decode("latin-1"), md5_hex(signed))


def check_unisender(request: VendorRequest, settings: VendorSettings) -> str | None:
    """A GET asks whether the address is alive."""
    return "" if request.method == "GET" else None


def of_unisender(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """Grouped by user, or one event alone («single event»)."""
    document = json_of(request)
    users = objects(document.get("events_by_user"))
    events = [event for user in users for event in objects(user.get("events"))]
    if not users and ("event_name" in document or "event_data" in document):
        events = [document]
    return [_letter(event) for event in events] or [NoEnquiry("событий нет")]


def _letter(event: dict[str, Any]) -> Outcome:
    name, data = text_at(event, "event_name"), object_at(event, "event_data")
    if name != "transactional_email_status":
        return NoEnquiry(f"событие «{name}» Unisender Go не о письме")
    status = text_at(data, "status")
    parts = [text_at(data, part) for part in ("job_id", "email", "status", "event_time")]
    key = ":".join(parts)
    if status not in _LETTERS:
        return NoEnquiry(f"состояние письма «{status}» ничего не меняет", key=key)
    return DeliveryStatus(
        source="unisender_go",
        key=key,
        state=_LETTERS[status],
        outbox_id=text_at(data, "metadata", "outbox_id") or None,
        vendor_id=parts[0] or None,
        address=parts[1].casefold() or None,
        reason=text_at(data, "delivery_info", "destination_response") or text_at(data, "comment"),
    )


# SMS.ru sends entries of lines, signed by SHA-256 of the account's id and all of them; it wants «100» and repeats else.

SMSRU_ID = "smsru_api_id"
_ENTRY = re.compile(r"data(?:\[(\d*)\])?$")
_SMS_DELIVERED, _SMS_READ = 103, 110
_SMS_QUEUED, _SMS_ON_THE_WAY, _SMS_FAILED = (100,), (101, 102), (*range(104, 109), 150)


def prove_smsru(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """``hash`` of the form."""
    api_id = settings.secrets.get(SMSRU_ID, "")
    if not api_id:
        return "closed"
    signed = api_id + "".join(_entries(request))
    return verdict(fields_of(request).get("hash").casefold(), hashlib.sha256(signed.encode()).hexdigest())


def of_smsru(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """Up to a hundred entries a request."""
    return [_sms(entry) for entry in _entries(request)] or [NoEnquiry("записей нет")]


def _entries(request: VendorRequest) -> list[str]:
    """In the order of their numbers, which begin with 0 or 1. Raises UnreadableBody."""
    found = [
        (integer(match[1]), value)
        for key, value in fields_of(request).values.items()
        if (match := _ENTRY.match(key)) and value
    ]
    if not found:
        raise UnreadableBody("в теле нет data")
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def _sms(entry: str) -> Outcome:
    kind, *lines = entry.replace("\r\n", "\n").split("\n")
    if kind != "sms_status" or len(lines) < 2:
        return NoEnquiry("проверка адреса SMS.ru" if kind == "test" else f"запись «{kind}» SMS.ru не о доставке")
    number, code = lines[0].strip(), integer(lines[1])
    key = f"{number}:{code}"
    states: list[tuple[tuple[int, ...], DeliveryState]] = [
        ((_SMS_DELIVERED,), "delivered"), ((_SMS_READ,), "read"), (_SMS_QUEUED, "queued"),
        (_SMS_ON_THE_WAY, "sent"), (_SMS_FAILED, "failed"),
    ]  # fmt: skip
    state = next((state for codes, state in states if code in codes), None)
    if state is None:
        return NoEnquiry(f"состояние SMS {code} мосту неизвестно", key=key)
    return DeliveryStatus(
        source="smsru",
        key=key,
        state=state,
        vendor_id=number,
        reason=RU_STATES[code].words if code in RU_STATES else "",
    )


# SMSC posts a state of one message, or an SMS that a client has sent us.
#
# «id:phone:status:word» by MD5 proves a state; of what a client writes the address is the only proof.

SMSC_WORD = "smsc_word"
_SMSC_STATES: dict[int, DeliveryState] = {
    -1: "queued", 0: "sent", 1: "delivered", 2: "read", 4: "clicked", -2: "failed", 3: "failed", 20: "failed",
    22: "failed", 23: "failed", 24: "failed", 25: "failed",
}  # fmt: skip


def prove_smsc(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """``md5`` of the form; an SMS of a client has none."""
    word = settings.secrets.get(SMSC_WORD, "")
    if not word:
        return "closed"
    fields = fields_of(request)
    if not fields.get("status"):
        return "proven"
    signed = ":".join([fields.get("id"), fields.get("phone"), fields.get("status"), word])
    return verdict(fields.get("md5").casefold(), md5_hex(signed.encode()))


def of_smsc(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """A state, or a client's answer."""
    fields = fields_of(request)
    number, phone, text = fields.get("id"), fields.get("phone"), fields.get("mes").strip()
    if fields.get("status"):
        code = integer(fields.get("status"))
        state = _SMSC_STATES.get(code)
        key = f"{number}:{code}"
        if state is None:
            return [NoEnquiry(f"состояние SMS {code} мосту неизвестно", key=key)]
        return [DeliveryStatus(source="smsc", key=key, state=state, vendor_id=number, reason=SMSC_STATES[code].words)]
    found = phones_in(f"+{phone.lstrip('+')}", settings.home)
    if not text or not found:
        raise UnreadableBody("нет ни status, ни mes с телефоном")
    # Without a number of its own the same words are one SMS only within a minute.
    mark = number or digest(text, fields.get("time") or str(int(request.received_at // 60)))
    return [Enquiry(source="smsc", key=f"sms:{mark}:{phone}", phones=(found[0],), text=f"SMS: {text}")]


# Pipedrive: changes of its deals. They are no enquiries; readers of Pipedrive learn by them that there is news.

PIPEDRIVE_BASIC = "pipedrive_basic"
_PIPEDRIVE_STATES = {"won": "выиграна", "lost": "проиграна", "open": "открыта", "deleted": "удалена"}


def of_pipedrive(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """What changed, in words; the key is the message's own id."""
    document = json_of(request)
    meta, data = object_at(document, "meta"), object_at(document, "data") or object_at(document, "current")
    kind, number = text_at(meta, "entity") or text_at(meta, "object"), text_at(data, "id") or text_at(meta, "entity_id")
    state = text_at(data, "status")
    words = f"Pipedrive: изменение {kind} {number}, не обращение"
    if kind == "deal":
        words = f"Pipedrive: сделка {number} {_PIPEDRIVE_STATES.get(state, state)}, не обращение".replace("  ", " ")
    return [NoEnquiry(words, key=text_at(meta, "id"))]
