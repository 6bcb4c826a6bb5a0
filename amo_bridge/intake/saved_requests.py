"""Saved requests: read again from a file as if they came now; nothing is kept or answered.

The file is JSON: ``vendor``, ``method``, ``query``, ``headers``, ``body_file`` beside it, and ``secrets``, by which the
request is proven. A ``method`` in brackets («(answer of Graph)», «(IMAP)») was fetched, not posted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from amo_bridge.intake.model import (
    ButtonPress,
    DeliveryStatus,
    Enquiry,
    NoEnquiry,
    Outcome,
    Outcomes,
    PbxCall,
    Recording,
    StaffReply,
    enquiry_of_call,
    words_of_call,
)
from amo_bridge.intake.reception import (
    POLLED,
    UNKNOWN,
    VENDORS,
    Reception,
    VendorAnswer,
    outcomes_of,
    receive,
)
from amo_bridge.intake.request import PATH_SECRET, VendorRequest, VendorSettings
from amo_bridge.lazy.dataclasses import dataclass


class NotSaved(Exception):
    """The file is no saved request; the text (Russian) says why."""


@dataclass(frozen=True)
class SavedRequest:
    """``secrets``: those of the vendor at the time it was saved. ``is_fetched``: it was no request to us."""

    vendor: str
    request: VendorRequest
    secrets: Mapping[str, str]
    is_fetched: bool


@dataclass(frozen=True)
class Reading:
    """What a saved request comes to; the keys of ``to_json`` are published."""

    http: int | None
    answer: str | None
    key: str | None
    enquiry: Enquiry | None
    call: PbxCall | None
    status: DeliveryStatus | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "http": self.http,
            "answer": self.answer,
            "dedupe_key": self.key,
            "enquiry": _enquiry_json(self.enquiry),
            "call": _call_json(self.call),
            "status": _status_json(self.status),
            "why": self.why,
        }


def load_saved(path: Path) -> SavedRequest:
    """Raises NotSaved."""
    try:
        document = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(document, dict) or not isinstance(document.get("vendor"), str):
            raise NotSaved(f"{path}: нет vendor: это не сохранённый запрос")
        name = document.get("body_file")
        body = (path.parent / str(name)).read_bytes() if name else str(document.get("body") or "").encode()
    except OSError as error:
        raise NotSaved(f"{error.filename or path} не читается: {error.strerror or error}") from error
    except ValueError as error:
        raise NotSaved(f"{path}: это не JSON") from error
    method = str(document.get("method") or "POST")
    request = VendorRequest(
        method=method.upper(),
        body=body,
        query=str(document.get("query") or ""),
        headers={str(key): str(value) for key, value in _table(document, "headers").items()},
        path_secret=_path_secret(document),
        received_at=float(document["received_at"]) if isinstance(document.get("received_at"), int | float) else 0.0,
    )
    secrets = {str(key): str(value) for key, value in _table(document, "secrets").items() if value is not None}
    return SavedRequest(document["vendor"].strip().casefold(), request, secrets, method.startswith("("))


def read_again(saved: SavedRequest, settings: VendorSettings) -> Reading:
    """The answer and what the request says. ``settings``: the account's, without its secrets."""
    settings = replaced(settings, secrets=saved.secrets)
    if (parse := _fetched_parser(saved)) is not None:
        outcomes, why = outcomes_of(parse, saved.request, settings)
        return _reading(200, None, "", outcomes or (), why)
    vendor = VENDORS.get(saved.vendor)
    if vendor is None:
        return _reading(UNKNOWN.status, UNKNOWN.body, "", (), f"сервис «{saved.vendor}» мосту неизвестен")
    reception = receive(vendor, saved.request, settings, path_secret=saved.secrets.get(PATH_SECRET, ""))
    return _of_reception(reception)


def _fetched_parser(saved: SavedRequest) -> Any:
    if saved.vendor in POLLED:
        return POLLED[saved.vendor]
    return VENDORS[saved.vendor].parse if saved.is_fetched and saved.vendor in VENDORS else None


def _of_reception(reception: Reception) -> Reading:
    answer: VendorAnswer = reception.answer
    return _reading(answer.status, answer.body, reception.key, reception.outcomes, reception.why)


def _reading(http: int | None, answer: str | None, key: str, outcomes: Outcomes, why: str) -> Reading:
    """Of several things the newest is shown, and the others are named: parsers put the oldest first."""
    call = _last(outcomes, PbxCall)
    status = _last(outcomes, DeliveryStatus)
    enquiry = _last(outcomes, Enquiry) or (enquiry_of_call(call) if call else None)
    shown: Outcome | None = enquiry or call or status or (outcomes[-1] if outcomes else None)
    others = [outcome for outcome in outcomes if outcome is not shown and outcome is not call]
    return Reading(
        http=http,
        answer=answer,
        key=(shown.key if shown else "") or key or None,
        enquiry=enquiry,
        call=call,
        status=status,
        why="; ".join(filter(None, [why, _words(shown) if shown else "", _named(others)])),
    )


def _words(outcome: Outcome) -> str:
    match outcome:
        case ButtonPress():
            return "нажата кнопка под сообщением моста"
        case StaffReply():
            return "ответ на сообщение моста"
        case Enquiry(fetch=None):
            return "новое обращение"
        case Enquiry():
            return f"новое обращение; остальное отдаст {outcome.fetch}"
        case PbxCall():
            return words_of_call(outcome)
        case Recording(wait=0):
            return f"запись к звонку {outcome.call_key}"
        case Recording():
            return f"запись к звонку {outcome.call_key}: её можно запросить через {outcome.wait} с"
        case DeliveryStatus():
            return f"состояние отправленного: {outcome.state}"
        case NoEnquiry():
            return f"метка ссылки {outcome.link_param}" if outcome.link_param else ""


def _named(others: Outcomes) -> str:
    keys = [outcome.key for outcome in others if not isinstance(outcome, NoEnquiry) and outcome.key]
    return f"в том же запросе ещё {len(keys)}: {', '.join(keys)}" if keys else ""


def _last(outcomes: Outcomes, kind: type[Any]) -> Any:
    return next((outcome for outcome in reversed(outcomes) if isinstance(outcome, kind)), None)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _path_secret(document: Mapping[str, Any]) -> str | None:
    """The secret end of the address, if the file says which it was."""
    if isinstance(document.get(PATH_SECRET), str):
        return str(document[PATH_SECRET])
    address = document.get("path") or document.get("url")
    return urlsplit(str(address)).path.rstrip("/").rpartition("/")[2] if address else None


def _enquiry_json(enquiry: Enquiry | None) -> dict[str, Any] | None:
    if enquiry is None:
        return None
    return {
        "source": enquiry.source,
        "name": enquiry.name,
        "phones": list(enquiry.phones),
        "emails": list(enquiry.emails),
        "text": enquiry.text,
        "utm": dict(enquiry.utm),
        "roistat_visit": enquiry.roistat_visit,
    }


def _call_json(call: PbxCall | None) -> dict[str, Any] | None:
    if call is None:
        return None
    return {
        "direction": call.direction,
        "phone": call.phone,
        "talked": call.talked,
        "duration": call.duration,
        "extension": call.extension,
        "record_url": call.record_url,
    }


def _status_json(status: DeliveryStatus | None) -> dict[str, Any] | None:
    if status is None:
        return None
    return {
        "state": status.state,
        "outbox_id": status.outbox_id,
        "vendor_id": status.vendor_id,
        "address": status.address,
        "reason": status.reason,
    }
