"""``params`` of a note, by its type: what must be sent, and what is read back (amoCRM docs, events-and-notes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox.validation import Reader, too_long

LONGEST = 20_000
CALL_STATUSES = range(1, 9)
"""1 left a message … 7 busy; 8 is seen in client code only."""

Types = Mapping[str, type | tuple[type, ...]]

CALL: Types = {
    "uniq": str,
    "duration": int,
    "source": str,
    "link": str,
    "phone": str,
    "call_responsible": (int, str),
    "call_result": str,
    "call_status": int,
}
SERVICE: Types = {"service": str, "text": str}
SMS: Types = {"text": str, "phone": str}
KNOWN: Mapping[str, Types] = {
    "common": {"text": str},
    "call_in": CALL,
    "call_out": CALL,
    "service_message": SERVICE,
    "extended_service_message": SERVICE,
    "message_cashier": {"status": str, "text": str},
    "geolocation": {"text": str, "address": str, "longitude": str, "latitude": str},
    "sms_in": SMS,
    "sms_out": SMS,
    "attachment": {"file_uuid": str, "version_uuid": str, "file_name": str},
}
"""The types that can be written, all others are read-only."""

REQUIRED = {
    "common": ("text",),
    "call_in": ("phone",),
    "call_out": ("phone",),
    "service_message": ("service", "text"),
    "extended_service_message": ("service", "text"),
    "message_cashier": ("status", "text"),
    "sms_in": ("text", "phone"),
    "sms_out": ("text", "phone"),
}
NAMES: Mapping[type | tuple[type, ...], str] = {str: "string", int: "int", (int, str): "string"}
CASHIER_STATUSES = ("created", "shown", "canceled")

LETTERS = "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya"
LATIN = dict(zip("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", LETTERS.split(" "), strict=True))


def read(reader: Reader, note_type: str) -> dict[str, Any]:
    """The params in the form they are read back; what is wrong is noted under ``params.…``."""
    sent = reader.mapping("params")
    if sent is None:
        if "params" not in reader or reader.body["params"] is None:
            reader.fail("FieldMissing", "params")
        return {}
    for name in REQUIRED.get(note_type, ()):
        if name not in sent:
            reader.fail("FieldMissing", f"params.{name}")
        elif sent[name] in (None, ""):
            reader.fail("NotBlank", f"params.{name}")
    params = {name: sent[name] for name in KNOWN[note_type] if sent.get(name) is not None}
    for name, value in params.items():
        _check(reader, note_type, name, value)
    if note_type == "attachment":
        return {} if reader.errors else _attachment(reader, params)
    return params


def latin(name: str) -> str:
    """A file's name as notes show it: transliterated, blanks as underscores."""
    letters = []
    for letter in name:
        plain = LATIN.get(letter.lower())
        if plain is None:
            letters.append("_" if letter.isspace() else letter)
        else:
            letters.append(plain.capitalize() if letter.isupper() else plain)
    return "".join(letters)


def attachment(file_uuid: str, version_uuid: str, original_name: str) -> dict[str, Any]:
    """The params of a file's note as they are read."""
    return {
        "is_drive_attachment": True,
        "text": original_name,
        "original_name": original_name,
        "file_uuid": file_uuid,
        "version_uuid": version_uuid,
        "file_name": latin(original_name),
    }


def _check(reader: Reader, note_type: str, name: str, value: Any) -> None:
    kind = KNOWN[note_type][name]
    if not isinstance(value, kind) or isinstance(value, bool):
        reader.wrong_type(f"params.{name}", NAMES[kind])
    elif isinstance(value, str) and len(value) > LONGEST:
        reader.fail("TooLong", f"params.{name}", too_long(LONGEST))
    elif (name == "call_status" and value not in CALL_STATUSES) or (name == "status" and value not in CASHIER_STATUSES):
        reader.not_a_choice(f"params.{name}")


def _attachment(reader: Reader, params: Mapping[str, Any]) -> dict[str, Any]:
    """An uploaded file, or any file that is named: the sandbox needs no upload to play the second."""
    known = reader.world.table("files").get(params.get("file_uuid", ""))
    name = params.get("file_name") or (known["name"] if known else None)
    if name is None:
        if "file_uuid" in params:
            reader.not_a_choice("params.file_uuid")
        else:
            reader.fail("FieldMissing", "params.file_uuid")
        return {}
    version = params.get("version_uuid") or (known["version_uuid"] if known else "")
    return attachment(params.get("file_uuid", ""), version, name)
