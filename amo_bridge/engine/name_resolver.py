"""Name resolver: the config's words → amoCRM's user ids, moments, field values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due
from amo_bridge.engine.people import People
from amo_bridge.rules.actions import Person, Rota
from amo_bridge.rules.deal import Compound, Deal


class NameResolver:
    """The config's words → amoCRM's: user ids, moments, field values.

    Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(self, account: Account, people: People, calendar: WorkCalendar) -> None:
        self.account = account
        self._people = people
        self._calendar = calendar
        self._zone = ZoneInfo(account.timezone)

    def user_id(self, person: Person, record: DealRecord) -> int:
        return self._people.user_id(person, record)

    def works_now(self, user_id: int, at: datetime, *, is_there: bool = False) -> int:
        """Who does what is due then: the user, or whoever works in his place. See People."""
        return self._people.works_now(user_id, at.astimezone(self._zone).date(), is_there=is_there)

    def assignee(self, person: Person | Rota, record: DealRecord, at: datetime) -> int:
        """Who gets what is new: the person, or whose turn it is among those at work; if none is, the first's deputy."""
        if not isinstance(person, Rota):
            return self.works_now(self.user_id(person, record), at)
        people = tuple(dict.fromkeys(self.user_id(one, record) for one in person.people))
        day = at.astimezone(self._zone).date()
        present = [one for one in people if self._people.is_there(one, day)]
        if not present:
            return self.works_now(people[0], at)
        if person.share == "in turn":
            return present[person.turn % len(present)]
        load = dict(person.load)
        for _ in range(person.place):
            busy = min(present, key=lambda one: load.get(one, 0))
            load[busy] = load.get(busy, 0) + 1
        return min(present, key=lambda one: load.get(one, 0))

    def name_in_place_of(self, user_id: int, owner: int) -> str:
        """«Елена Орлова», or «Елена Орлова (за Мария Кузнецова)» where one works for the other."""
        return self.user_name(user_id) + (f" (за {self.user_name(owner)})" if user_id != owner else "")

    def user_name(self, user_id: int) -> str:
        return next((user.name for user in self.account.users if user.id == user_id), str(user_id))

    def due(self, due: Due, deal: Deal, at: datetime) -> datetime:
        return due.resolve(at, self._calendar, {name: value for name in due.fields if (value := deal.value(name))})

    def due_without_deal(self, due: Due, at: datetime) -> datetime:
        """Of a task on no deal's card."""
        return due.resolve(at, self._calendar, {})

    def local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%d.%m.%Y %H:%M")

    def field_value(self, name: str, value: object) -> dict[str, Any]:
        """A custom field and its value, as amoCRM's API takes it; None empties the field."""
        field = self.account.field(name)
        if value is None:
            return {"field_id": field.id, "values": None}
        if isinstance(value, Compound):
            return {"field_id": field.id, "values": _compound_values(field, value)}
        texts = value if isinstance(value, tuple) else (value,)
        return {"field_id": field.id, "values": [{"value": self._wire_value(field, text)} for text in texts]}

    def _wire_value(self, field: Field, value: object) -> object:
        if isinstance(value, datetime):
            return int(value.timestamp())
        if isinstance(value, date):
            return int(datetime.combine(value, time(), self._zone).timestamp())
        return value


# What amoCRM takes of a part; it answers with more (amoCRM docs, custom-fields).
WRITTEN_KEYS: Mapping[str, tuple[str, ...]] = {
    "file": ("file_uuid", "version_uuid", "file_name", "file_size"),
    "linked_entity": ("name", "entity_id", "entity_type", "catalog_id"),
    "chained_list": ("catalog_id", "catalog_element_id"),
    "smart_address": ("value", "enum_id", "enum_code"),
}
BARE_KINDS = ("chained_list", "smart_address")
"""Their parts stand in the list of values as they are."""


def _compound_values(field: Field, value: Compound) -> list[dict[str, Any]]:
    """As it was read, into a field of the same type; into any other its words."""
    if field.type != value.kind:
        return [{"value": value.text}]
    values = []
    for part in value.parts:
        if not isinstance(part, Mapping):
            values.append({"value": part})
            continue
        keys = WRITTEN_KEYS.get(value.kind, tuple(part))
        written = {key: part[key] for key in keys if part.get(key) is not None}
        values.append(written if value.kind in BARE_KINDS else {"value": written})
    return values
