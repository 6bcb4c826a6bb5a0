"""Taking people out of a snapshot: names, phones, addresses and free texts become others, each always the same one.

What rules decide by stays: stages, dates, numbers, choices of lists, switches, whether a field is filled, and texts
that are a user's name (a role may stand in a field). The secret of the replacement is thrown away, so nobody can go
back; two contacts with one phone still have one phone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from amo_bridge.text.names import normalise

Row = dict[str, Any]
TEXTS = frozenset(
    {"text", "textarea", "url", "streetaddress", "smart_address", "legal_entity", "file", "tracking_data"}
)
"""Types of fields whose values people write."""
PHONE_DIGITS = 10**7


class Masking:
    """``users``: the account's own people, who stay. ``kept``: names of fields that stay as they are."""

    def __init__(self, users: Collection[str], kept: Iterable[str] = ()) -> None:
        self._users = {normalise(name) for name in users}
        self._kept = {normalise(name) for name in kept}
        self._secret = secrets.token_bytes(32)

    def masked(self, kind: str, row: Mapping[str, Any]) -> Row:
        """A row of ``kind`` (leads, contacts, companies, tasks) without people in it."""
        if kind == "tasks":
            return {**row, "text": self._text(kind, row.get("text")), "result": []}
        changed = dict(row)
        changed["name"] = self._text(kind, row.get("name"))
        if kind == "contacts":
            changed["first_name"], changed["last_name"] = changed["name"], ""
        changed["custom_fields_values"] = [
            self._field(field) for field in row.get("custom_fields_values") or ()
        ] or None
        return changed

    def _field(self, field: Mapping[str, Any]) -> Row:
        if normalise(str(field.get("field_name") or "")) in self._kept:
            return dict(field)
        kind, code = field.get("field_type"), field.get("field_code")
        if kind == "multitext" or code in ("PHONE", "EMAIL"):
            return self._with_values(field, lambda value: self._contact_way(str(code), value))
        if kind in TEXTS or kind is None:
            return self._with_values(field, lambda value: self._text("fields", value))
        return dict(field)

    def _with_values(self, field: Mapping[str, Any], masked: Any) -> Row:
        values = [{**value, "value": masked(value.get("value"))} for value in field.get("values") or ()]
        return {**field, "values": values}

    def _contact_way(self, code: str, value: object) -> str:
        number = self._number("ways", str(value))
        if code == "EMAIL":
            return f"client{number}@example.com"
        return f"+7900{number % PHONE_DIGITS:07d}"

    def _text(self, kind: str, value: object) -> object:
        if not isinstance(value, str):
            # A file, an address in parts: nothing of it is known to be harmless.
            return value if value in (None, True, False) or isinstance(value, int | float) else None
        if not value.strip() or normalise(value) in self._users:
            return value
        words = {"leads": "Сделка", "contacts": "Клиент", "companies": "Компания", "tasks": "Задача"}
        return f"{words.get(kind, 'Текст')} {self._number(kind, value):08d}"[:40]

    def _number(self, kind: str, value: str) -> int:
        digest = hmac.new(self._secret, f"{kind}\0{value}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") % 10**8
