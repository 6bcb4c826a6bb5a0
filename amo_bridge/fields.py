"""Fields with people's names: how rules read them, on a deal and on a contact alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from amo_bridge.text.names import normalise

Value = str | bool | date | datetime | tuple[str, ...]
"""A field's value: text (numbers too, as amoCRM gives them), bool (checkbox), date, datetime, or several texts."""


HIDDEN = "•••"
"""What stands for the value of a field that nobody is to read here: it is filled, and that is all that is known."""


class WithFields:
    """Something that has fields. ``fields``: name → value, filled ones only."""

    fields: Mapping[str, Value]

    def value(self, name: str) -> Value | None:
        """The value of a field by its name, case and «ё» forgiven; None when empty.

        What amoCRM has built in answers to its Russian name, unless the account has a custom field of that name.
        """
        wanted = normalise(name)
        for field_name, value in self.fields.items():
            if normalise(field_name) == wanted:
                return value
        return self._built_in().get(wanted)

    def text(self, name: str) -> str:
        """The value as a person would write it; empty when there is none."""
        value = self.value(name)
        return "" if value is None else as_text(value)

    def has(self, name: str) -> bool:
        """Is the field filled? A checkbox counts only when it is ticked, a budget only above 0."""
        return self.value(name) not in (None, "", (), False)

    def _built_in(self) -> dict[str, Value]:
        """Normalised name → value of what amoCRM has without a custom field."""
        return {}


def as_text(value: Value) -> str:
    """A value in the words people use: 31.12.2026, да/нет, a list with commas."""
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, datetime):
        return value.strftime("%d.%m.%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y")
    if isinstance(value, tuple):
        return ", ".join(value)
    return value
