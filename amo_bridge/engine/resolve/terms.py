"""What every group of actions needs to turn the config's words into amoCRM's: ids, moments, field values, names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People
from amo_bridge.rules.actions import Person
from amo_bridge.rules.deal import Deal

Way = Callable[[Any, Deal, DealRecord, datetime], list[Effect]]
"""(action, deal, its record, when the cause happened) → what has to be sent; empty when all is so already."""


class Terms:
    """Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(self, account: Account, people: People, calendar: WorkCalendar) -> None:
        self.account = account
        self._people = people
        self._calendar = calendar
        self._zone = ZoneInfo(account.timezone)

    def user_id(self, person: Person, record: DealRecord) -> int:
        return self._people.user_id(person, record)

    def present(self, person: int, due: datetime) -> int:
        """Who does what is due then: the person, or the deputy of somebody away."""
        return self._people.present(person, due.astimezone(self._zone).date())

    def user_name(self, user_id: int) -> str:
        return next((user.name for user in self.account.users if user.id == user_id), str(user_id))

    def due(self, due: Due, deal: Deal, at: datetime) -> datetime:
        return due.resolve(at, self._calendar, {name: value for name in due.fields if (value := deal.value(name))})

    def due_of_nobodys(self, due: Due, at: datetime) -> datetime:
        """For what stands on no deal's card."""
        return due.resolve(at, self._calendar, {})

    def local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%d.%m.%Y %H:%M")

    def field_value(self, name: str, value: object) -> dict[str, Any]:
        """A custom field and its value, as amoCRM's API takes it; None empties the field."""
        field = self.account.field(name)
        if value is None:
            return {"field_id": field.id, "values": None}
        texts = value if isinstance(value, tuple) else (value,)
        return {"field_id": field.id, "values": [{"value": self._wire_value(field, one)} for one in texts]}

    def _wire_value(self, field: Field, value: object) -> object:
        if isinstance(value, datetime):
            return int(value.timestamp())
        if isinstance(value, date):
            return int(datetime.combine(value, time(), self._zone).timestamp())
        return value
