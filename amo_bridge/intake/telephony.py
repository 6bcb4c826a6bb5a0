"""Telephony: Zadarma and Novofon 1.0, onlinePBX, Novofon 2.0."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from amo_bridge.channels.telephony import zadarma_signature
from amo_bridge.intake.contacts import phones_in
from amo_bridge.intake.model import Enquiry, NoEnquiry, Outcome, Outcomes, PbxCall, Recording, digest
from amo_bridge.intake.request import (
    FormFields,
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    Verdict,
    fields_of,
    integer,
    same,
)

# Zadarma and Novofon 1.0: notifications about calls and SMS, alike but for the name.
#
# Only some fields are signed, duration and disposition are not: what costs money is confirmed by the statistics.

ZADARMA_HEADER = "Signature"
# A record can be asked for 40 s after the call (Zadarma's API documentation).
RECORD_WAIT_SECONDS = 40
_INCOMING = ("caller_id", "called_did", "call_start")
_OUTGOING = ("internal", "destination", "call_start")
ZADARMA_SIGNED = {
    "NOTIFY_START": _INCOMING,
    "NOTIFY_INTERNAL": _INCOMING,
    "NOTIFY_END": _INCOMING,
    "NOTIFY_IVR": _INCOMING,
    "NOTIFY_ANSWER": ("caller_id", "destination", "call_start"),
    "NOTIFY_OUT_START": _OUTGOING,
    "NOTIFY_OUT_END": _OUTGOING,
    "NOTIFY_RECORD": ("pbx_call_id", "call_id_with_rec"),
}
"""Event → the fields whose values are signed, in this order."""

ZADARMA_REASONS = {
    "busy": "занято", "cancel": "сброшен", "no answer": "не ответили", "failed": "не состоялся",
    "no money": "нет денег на счёте АТС", "unallocated number": "номера не существует", "no limit": "исчерпан лимит",
    "no day limit": "исчерпан дневной лимит", "line limit": "заняты все линии",
    "no money, no limit": "нет денег на счёте АТС",
}  # fmt: skip
_LONGEST_EXTENSION = 6


def zadarma_proof(*secret_names: str) -> Callable[[VendorRequest, VendorSettings], Verdict]:
    """Base64 of the hexadecimal HMAC-SHA1 of some fields.

    What is signed of an event that Zadarma adds one day nobody knows: it is let in, for nothing is made of it.
    """

    def prove(request: VendorRequest, settings: VendorSettings) -> Verdict:
        secret = next((value for name in secret_names if (value := settings.secrets.get(name, ""))), "")
        if check_zadarma(request, settings) is not None:
            return "proven"
        if not secret:
            return "closed"
        fields = fields_of(request)
        if not fields.get("event"):
            raise UnreadableBody("нет event")
        given = request.header(ZADARMA_HEADER).strip()
        names = ZADARMA_SIGNED.get(fields.get("event"))
        result = fields.values.get("result")
        if names is None and result is None:
            return "proven"
        signed = "".join(_zadarma_value(fields, name) for name in names) if names else result or ""
        return "proven" if same(given, zadarma_signature(secret, signed)) else "wrong"

    return prove


def check_zadarma(request: VendorRequest, settings: VendorSettings) -> str | None:
    """``?zd_echo=…`` is repeated as it is."""
    return request.arguments.get("zd_echo")


def zadarma_parser(source: str) -> Callable[[VendorRequest, VendorSettings], Outcomes]:
    """The parser of Zadarma's or Novofon's notifications: an enquiry is made of the end of a call."""

    def parse(request: VendorRequest, settings: VendorSettings) -> Outcomes:
        fields = fields_of(request)
        return [_zadarma_event(fields, source, settings, request)]

    return parse


def _zadarma_event(fields: FormFields, source: str, settings: VendorSettings, request: VendorRequest) -> Outcome:
    event, call = fields.get("event"), fields.get("pbx_call_id")
    key = f"{event}:{call}:{fields.get('call_start')}"
    match event:
        case "NOTIFY_END" | "NOTIFY_OUT_END":
            return _zadarma_call(fields, source, call or key, is_out=event == "NOTIFY_OUT_END", settings=settings)
        case "NOTIFY_RECORD":
            record = fields.get("call_id_with_rec")
            return Recording(
                source=source, key=f"{event}:{record}", call_key=call, record_id=record, wait=RECORD_WAIT_SECONDS
            )
        case "NOTIFY_START" | "NOTIFY_INTERNAL" | "NOTIFY_ANSWER" | "NOTIFY_OUT_START" | "NOTIFY_IVR":
            return NoEnquiry("звонок идёт: обращение заводится по его концу", key=key)
        case "SMS":
            return _zadarma_sms(fields, source, settings, int(request.received_at // 60))
        case _:
            return NoEnquiry(f"событие «{event}» АТС не обращение", key=key)


def _zadarma_call(fields: FormFields, source: str, key: str, *, is_out: bool, settings: VendorSettings) -> PbxCall:
    number = _zadarma_value(fields, "destination" if is_out else "caller_id")
    disposition, duration = fields.get("disposition").casefold(), integer(fields.get("duration"))
    talked = disposition == "answered" and duration > 0
    return PbxCall(
        source=source,
        key=key,
        direction="out" if is_out else "in",
        phone=_zadarma_phone(number, settings),
        talked=talked,
        duration=duration if talked else 0,
        extension=fields.get("internal") or None,
        record_id=fields.get("call_id_with_rec") or None,
        line=None if is_out else fields.get("called_did") or None,
        reason="" if talked else ZADARMA_REASONS.get(disposition, disposition if disposition != "answered" else ""),
    )


def _zadarma_phone(number: str, settings: VendorSettings) -> str | None:
    """None for hidden numbers and extensions."""
    digits = "".join(char for char in number if char.isdigit())
    if len(digits) < _LONGEST_EXTENSION:
        return None
    return next(iter(phones_in(number.strip(), settings.home)), None)


def _zadarma_sms(fields: FormFields, source: str, settings: VendorSettings, minute: int) -> Outcome:
    """Comes as multipart with a JSON text in ``result``.

    Nothing in it numbers it or says when it was written.
    """
    try:
        document: Any = json.loads(fields.get("result") or "{}")
    except (ValueError, RecursionError):
        document = {}
    document = document if isinstance(document, dict) else {}
    phone, text = _zadarma_phone(str(document.get("caller_id", "")), settings), str(document.get("text", "")).strip()
    if not phone:
        return NoEnquiry("SMS без номера отправителя")
    return Enquiry(
        source=source,
        key=f"sms:{phone}:{document.get('caller_did', '')}:{minute}:{text}",
        phones=(phone,),
        text=f"SMS: {text}" if text else "Пустая SMS",
    )


def _zadarma_value(fields: FormFields, name: str) -> str:
    """A bare «+» of a form's body is a blank after decoding; the number began with it when it was signed."""
    value = fields.values.get(name, "")
    return f"+{value[1:]}" if value[:1] == " " and value[1:].isdigit() else value


# onlinePBX: calls, as JSON or as a form by a switch of its cabinet. It signs nothing.
#
# ``call_end`` follows ``call_missed`` with the same ``uuid``: both are one call.

ONLINEPBX = "onlinepbx"
_ONLINEPBX_ENDED = ("call_end", "call_missed")
_LONGEST_EXTENSION = 6
_OUTBOUND = ("outbound", "out", "outgoing")
_INBOUND = ("inbound", "in", "incoming")
HANGUP_CAUSES = {
    "ORIGINATOR_CANCEL": "клиент положил трубку", "NO_ANSWER": "не ответили", "USER_BUSY": "занято",
    "CALL_REJECTED": "звонок отклонён", "NO_USER_RESPONSE": "нет ответа", "UNALLOCATED_NUMBER": "номера не существует",
}  # fmt: skip


def of_onlinepbx(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """The end of a call, or a missed one."""
    fields = fields_of(request)
    event, uuid = fields.get("event"), fields.get("uuid")
    if not event:
        raise UnreadableBody("нет ни event, ни uuid звонка") if not uuid else UnreadableBody("нет event звонка")
    if event not in _ONLINEPBX_ENDED:
        is_known = event in ("call_start", "call_answered")
        words = "звонок идёт: обращение заводится по его концу" if is_known else f"событие «{event}» АТС не обращение"
        return [NoEnquiry(words, key=f"{event}:{uuid}")]
    direction = fields.get("direction").casefold()
    if direction not in (*_INBOUND, *_OUTBOUND):
        return [NoEnquiry("внутренний звонок", key=uuid)]
    return [_onlinepbx_call(fields, uuid, is_out=direction in _OUTBOUND, settings=settings)]


def _onlinepbx_call(fields: FormFields, uuid: str, *, is_out: bool, settings: VendorSettings) -> PbxCall:
    caller, callee = fields.get("caller"), fields.get("callee")
    client, colleague = (callee, caller) if is_out else (caller, callee)
    duration = integer(fields.get("dialog_duration"))
    talked = fields.get("event") != "call_missed" and duration > 0
    cause = fields.get("hangup_cause")
    return PbxCall(
        source=ONLINEPBX,
        key=uuid or digest(caller, callee, fields.get("date")),
        direction="out" if is_out else "in",
        phone=None if is_extension(client) else next(iter(phones_in(client, settings.home)), None),
        talked=talked,
        duration=duration if talked else 0,
        extension=colleague if is_extension(colleague) and colleague else None,
        record_url=fields.get("download_url") or None,
        line=fields.get("gateway") or None,
        reason="" if talked else HANGUP_CAUSES.get(cause.upper(), ""),
    )


def is_extension(number: str) -> bool:
    """A colleague's short number, or nothing; whatever is longer is a telephone."""
    return sum(char.isdigit() for char in number) < _LONGEST_EXTENSION


# Novofon 2.0: the admin composes address and body himself of the vendor's macros, so the body is our own template.
#
# It signs nothing; numbers may come as text.

NOVOFON = "novofon"
_NOVOFON_RECORD = ("RECORD_CALL", "CALL_RECORD", "RECORD")
_NOVOFON_ENDED = ("CALL_END", "LOST_CALL", "CALL_LOST", "CALL_FINISH", "FINISH_CALL", "END_CALL")
_TRUE = ("true", "1", "да", "yes")
NOVOFON_TEMPLATE = (
    '{"event":"CALL_END","call_session_id":"{{call_session_id}}","external_id":"{{external_id}}",'
    '"direction":"{{direction}}","virtual_phone_number":"{{virtual_phone_number}}",'
    '"contact_phone_number":"{{contact_phone_number}}","extension_phone_number":"{{extension_phone_number}}",'
    '"talk_time_duration":"{{talk_time_duration}}","is_lost":"{{is_lost}}"}'
)
"""What is pasted into the cabinet."""


def of_novofon2(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """The end of a call, or its record."""
    fields = fields_of(request)
    session, link = fields.get("call_session_id"), fields.get("call_record_file_info[file_link]", "file_link")
    event = fields.get("event", "notification_name", "notification_mnemonic").upper()
    if not session and not fields.get("contact_phone_number"):
        raise UnreadableBody("нет ни call_session_id, ни contact_phone_number: шаблон уведомления не тот")
    key = f"session:{session}"
    if event in _NOVOFON_RECORD or (not event and link):
        if not link:
            return [NoEnquiry("запись без ссылки", key=f"record:{session}")]
        return [Recording(source=NOVOFON, key=f"record:{session}", call_key=key, url=link)]
    is_end = event in _NOVOFON_ENDED or (not event and fields.get("talk_time_duration", "is_lost") != "")
    if not is_end:
        return [NoEnquiry("звонок идёт: обращение заводится по его концу", key=f"{event}:{session}")]
    return [_novofon_call(fields, key if session else "", link, event, settings)]


def _novofon_call(fields: FormFields, key: str, link: str, event: str, settings: VendorSettings) -> PbxCall:
    number, extension = fields.get("contact_phone_number"), fields.get("extension_phone_number")
    duration = integer(fields.get("talk_time_duration"))
    is_lost = fields.get("is_lost").casefold() in _TRUE or "LOST" in event
    talked = duration > 0 and not is_lost
    return PbxCall(
        source=NOVOFON,
        key=key or digest(number, fields.get("notification_time")),
        direction="out" if fields.get("direction").casefold() in ("out", "outgoing", "outbound") else "in",
        phone=None if is_extension(number) else next(iter(phones_in(number, settings.home)), None),
        talked=talked,
        duration=duration if talked else 0,
        extension=extension or None,
        record_url=link or None,
        line=fields.get("virtual_phone_number") or None,
        external_id=fields.get("external_id") or None,
    )
