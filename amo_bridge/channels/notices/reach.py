"""By which ways a person can be told: what the config says of him, what is connected, what amoCRM knows of him."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amo_bridge.config.channels import Channels, PersonSection, Way
from amo_bridge.crm.account import Account, User
from amo_bridge.text.names import same_name

ANYBODY = PersonSection()


@dataclass(frozen=True)
class Person:
    """A user of the account. ``ways``: how he can be told, the first one first; ``address``: where by mail."""

    user: User
    ways: tuple[Way, ...]
    telegram: int | None
    address: str
    section: PersonSection


class Reach:
    def __init__(self, channels: Channels, account: Account) -> None:
        self._channels = channels
        self._users = {user.id: user for user in account.users}
        self._zone = ZoneInfo(account.timezone)
        self._connected: Mapping[Way, bool] = {
            "telegram": channels.telegram is not None,
            "mail": channels.mail is not None,
        }

    def person(self, user_id: int) -> Person | None:
        """None for somebody whom the account does not know."""
        user = self._users.get(user_id)
        if user is None:
            return None
        section = self._section(user)
        address = section.mail or user.email
        ways = tuple(self._ways(section.order, section.telegram, address))
        return Person(user, ways, section.telegram, address, section)

    def can_be_told(self, user_id: int) -> bool:
        person = self.person(user_id)
        return person is not None and bool(person.ways)

    def quiet_until(self, person: Person, now: datetime) -> datetime | None:
        """When his quiet hours end; None if they are not on."""
        quiet = person.section.quiet
        local = now.astimezone(self._zone)
        if quiet is None or not quiet.holds_at(local.time()):
            return None
        end = local.replace(hour=quiet.end.hour, minute=quiet.end.minute, second=0, microsecond=0)
        if end <= local:
            # By the calendar, not by 24 hours: the clocks may be changed in that night.
            end = end + timedelta(days=1)
        return end.astimezone(now.tzinfo)

    def _section(self, user: User) -> PersonSection:
        people = self._channels.people
        return next((told for name, told in people.items() if same_name(name, user.name)), ANYBODY)

    def _ways(self, order: Iterable[Way], telegram: int | None, address: str) -> Iterator[Way]:
        for way in dict.fromkeys(order):
            if self._connected[way] and (telegram is not None if way == "telegram" else address):
                yield way
