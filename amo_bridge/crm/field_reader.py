"""Custom fields of a deal or a contact as people see them: by name, with dates as dates in the account's time zone.

amoCRM's own forms (strings for numbers, Unix seconds for dates) stay in this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.rules.deal import HIDDEN, Value, as_text
from amo_bridge.text.names import normalise


class FieldReader:
    """``entity``: whose fields (leads, contacts). ``secret``: names of those whose values are never told."""

    def __init__(self, account: Account, entity: str = "leads", secret: Iterable[str] = ()) -> None:
        hidden = {normalise(name) for name in secret}
        self._fields = {field.id: field for field in account.fields(entity)}
        self._secret = {number for number, field in self._fields.items() if normalise(field.name) in hidden}
        self._zone = ZoneInfo(account.timezone)

    def values(self, record: DealRecord | ContactRecord) -> dict[str, Value]:
        """Filled custom fields: name → value. A field the account's copy does not know yet is left out."""
        found: dict[str, Value] = {}
        for field_id, raw in record.fields.items():
            field = self._fields.get(field_id)
            if field is None or not raw:
                continue
            value = self._value(field.type, raw)
            if value is not None:
                found[field.name] = HIDDEN if field_id in self._secret else value
        return found

    def texts(self, record: DealRecord) -> dict[str, str]:
        """All that can be compared and told as text: custom fields and the built-in «Название», «Бюджет», «Причина
        отказа»; filled ones only."""
        built_in = {
            "Название": record.name,
            "Бюджет": str(record.price) if record.price else "",
            "Причина отказа": record.loss_reason or "",
        }
        custom = {name: as_text(value) for name, value in self.values(record).items()}
        return {name: text for name, text in (built_in | custom).items() if text}

    def _value(self, field_type: str, raw: tuple[object, ...]) -> Value | None:
        if field_type == "checkbox":
            return str(raw[0]).casefold() in ("true", "1")
        if field_type in ("date", "birthday", "date_time"):
            return self._moment(field_type, raw[0])
        texts = tuple(str(item) for item in raw if item not in (None, ""))
        if not texts:
            return None
        return texts if field_type == "multiselect" else ", ".join(texts)

    def _moment(self, field_type: str, raw: object) -> Value | None:
        try:
            local = datetime.fromtimestamp(int(str(raw)), UTC).astimezone(self._zone)
        except (ValueError, OverflowError, OSError):
            return str(raw) or None
        return local if field_type == "date_time" else local.date()
