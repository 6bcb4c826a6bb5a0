"""Results of decoding a vendor's request: Enquiry, PbxCall, Recording, DeliveryStatus, NoEnquiry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Literal

from amo_bridge.lazy.dataclasses import dataclass

NOTHING: Mapping[str, str] = MappingProxyType({})
Direction = Literal["in", "out"]
DeliveryState = Literal["queued", "sent", "delivered", "read", "clicked", "bounced", "failed", "spam", "unsubscribed"]


@dataclass(frozen=True)
class EnquiryFile:
    """A file of an enquiry. ``url``: where it lies, if it did not come along."""

    name: str
    url: str = ""
    size: int | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.url})" if self.url and self.url != self.name else self.name


@dataclass(frozen=True, kw_only=True)
class Enquiry:
    """Somebody wants something.

    ``phones``: E.164; a foreign number without its code as it was written. ``fetch``: the request by which the vendor
    hands out the rest. ``profile``: the person's page. ``link_param``: the mark of the link by which he came.
    """

    source: str
    key: str
    name: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    text: str = ""
    files: tuple[EnquiryFile, ...] = ()
    utm: Mapping[str, str] = field(default_factory=dict)
    roistat_visit: str | None = None
    profile: str | None = None
    link_param: str | None = None
    page: str | None = None
    fetch: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PbxCall:
    """A call that has ended.

    ``phone``: the client's, None if hidden. ``duration``: seconds of talk. ``extension``: the colleague's number.
    ``enquiry``: what the vendor knows of the person beside the call. ``external_id``: our own name of a call that
    auto-dial has asked for, where the vendor gives it back.
    """

    source: str
    key: str
    direction: Direction
    phone: str | None
    talked: bool
    duration: int = 0
    extension: str | None = None
    record_url: str | None = None
    record_id: str | None = None
    line: str | None = None
    reason: str = ""
    enquiry: Enquiry | None = None
    external_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The record of a call that was told of before. ``wait``: seconds until the vendor hands it out."""

    source: str
    key: str
    call_key: str
    url: str | None = None
    record_id: str | None = None
    wait: int = 0


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """What became of a letter or SMS of ours.

    ``outbox_id``: our own number, where the vendor gives it back.
    """

    source: str
    key: str
    state: DeliveryState
    outbox_id: str | None = None
    vendor_id: str | None = None
    address: str | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ButtonPress:
    """A colleague has pressed a button under a message of the bridge. ``person``: the number at the messenger;
    ``press``: the messenger's name of it; ``data``: what the bridge has given the button."""

    source: str
    key: str
    person: int
    chat_id: int
    message: str
    press: str
    data: str


@dataclass(frozen=True, kw_only=True)
class StaffReply:
    """A colleague has answered a message of the bridge in words. ``message``: the one that is answered; ``is_private``:
    in his own talk with the bot."""

    source: str
    key: str
    person: int
    chat_id: int
    message: str
    text: str
    is_private: bool


@dataclass(frozen=True)
class NoEnquiry:
    """Nothing new for amoCRM.

    ``link_param``, ``profile``: who came by which link, where that is what was told. ``answer_to``: the Message-ID of
    our letter that is answered.
    """

    reason: str
    key: str = ""
    link_param: str | None = None
    profile: str | None = None
    answer_to: str | None = None


Outcome = Enquiry | PbxCall | Recording | DeliveryStatus | ButtonPress | StaffReply | NoEnquiry
Outcomes = Sequence[Outcome]


KIND_OF = {Enquiry: "enquiry", PbxCall: "call", Recording: "record", DeliveryStatus: "status"}
CLASS_OF: Mapping[str, type[Any]] = {name: kind for kind, name in KIND_OF.items()}
"""Names under which outcomes are stored: never rename one."""


def to_json(outcome: Any) -> dict[str, Any]:
    """An outcome as plain JSON, without what is empty."""
    told = {one.name: getattr(outcome, one.name) for one in fields(outcome)}
    return {name: _plain(value) for name, value in told.items() if value not in (None, "", (), {}) or value is False}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return to_json(value) if is_dataclass(value) else value


def from_json(kind: str, plain: Mapping[str, Any]) -> Any:
    """The outcome that ``to_json`` gave."""
    known = {one.name for one in fields(CLASS_OF[kind])}
    values: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
    if "files" in values:
        values["files"] = tuple(EnquiryFile(**one) for one in values["files"])
    for name in ("phones", "emails"):
        if name in values:
            values[name] = tuple(values[name])
    if kind == "call":
        values = {"phone": None, "talked": False} | values
        if "enquiry" in values:
            values["enquiry"] = from_json("enquiry", values["enquiry"])
    return CLASS_OF[kind](**values)


def digest(*parts: str) -> str:
    """A key for what has no number of its own."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def enquiry_of_call(call: PbxCall) -> Enquiry | None:
    """A client's call as an enquiry; None for calls of ours and for hidden numbers."""
    if call.direction == "out" or (call.phone is None and call.enquiry is None):
        return None
    known = call.enquiry
    lines = [words_of_call(call), known.text if known else ""]
    return Enquiry(
        source=call.source,
        key=call.key,
        name=known.name if known else None,
        phones=tuple(dict.fromkeys([*((call.phone,) if call.phone else ()), *(known.phones if known else ())])),
        emails=known.emails if known else (),
        text="\n".join(line for line in lines if line),
        utm=known.utm if known else NOTHING,
        roistat_visit=known.roistat_visit if known else None,
        page=known.page if known else None,
    )


def words_of_call(call: PbxCall) -> str:
    """The note about a call (Russian)."""
    talk = f"разговор {call.duration} с" if call.duration else "поговорили"
    if call.direction == "in":
        what = f"Входящий звонок, {talk}" if call.talked else "Пропущенный звонок"
    else:
        what = f"Исходящий звонок, {talk if call.talked else call.reason or 'не состоялся'}"
    more = [
        f"на номер {call.line}" if call.line else "",
        f"внутренний номер {call.extension}" if call.extension else "",
        call.reason if call.talked or call.direction == "in" else "",
        f"запись: {call.record_url}" if call.record_url else "",
    ]
    return "; ".join([what, *(part for part in more if part)])
