"""People and their addresses: by which channels the config, vendors and amoCRM let one be reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from amo_bridge.config.channels import Channels, PersonSection, Way
from amo_bridge.config.model import MANAGER, Absences, RoleByField, RoleSpec, stand_in_once
from amo_bridge.crm.account import Account, User
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import Person
from amo_bridge.text.names import normalise, same_name

ANYBODY = PersonSection()


@dataclass(frozen=True)
class ReachablePerson:
    """A user of the account. ``ways``: how he can be told, the first one first; ``address``: where by mail."""

    user: User
    ways: tuple[Way, ...]
    address: str
    section: PersonSection

    def chat(self, way: Way) -> int | None:
        """The number of the chat by a messenger."""
        return {"telegram": self.section.telegram, "max": self.section.max}.get(way)


class Reach:
    def __init__(self, channels: Channels, account: Account) -> None:
        self._channels = channels
        self._users = {user.id: user for user in account.users}
        self._zone = ZoneInfo(account.timezone)

    def person(self, user_id: int) -> ReachablePerson | None:
        """None for somebody whom the account does not know."""
        user = self._users.get(user_id)
        if user is None:
            return None
        section = self._section(user)
        address = section.mail or user.email
        person = ReachablePerson(user, (), address, section)
        return replace(person, ways=tuple(self._usable_ways(person)))

    def is_reachable(self, user_id: int) -> bool:
        person = self.person(user_id)
        return person is not None and bool(person.ways)

    def quiet_until(self, person: ReachablePerson, now: datetime) -> datetime | None:
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

    def _usable_ways(self, person: ReachablePerson) -> Iterator[Way]:
        for way in dict.fromkeys(person.section.order):
            has_address = bool(person.address) if way == "mail" else person.chat(way) is not None
            if has_address and self._channels.is_connected(way):
                yield way


# Roles and users: from the config's words to amoCRM's user ids, and back.

DealKnown = Callable[[int], DealRecord | None]
HEAD = "head"
"""The role of whoever answers for everybody's work."""
DEAL_ADDRESS = re.compile(r"/leads/detail/(\d{1,15})(?!\d)")


def nobody_has_seen(deal_id: int) -> None:
    """For whoever has no mirror."""


class People:
    """Who is meant by a role or a name, and who works in whose place.

    ``deal_known``: a deal as it was last seen, by its id; None for one that nobody has seen. ``tell``: whom the bridge
    tells of its own troubles."""

    def __init__(
        self,
        account: Account,
        roles: Mapping[str, RoleSpec],
        absences: Absences = MappingProxyType({}),
        deal_known: DealKnown = nobody_has_seen,
        tell: Person | None = None,
    ) -> None:
        self._account = account
        self._tell = tell
        self._users = {user.id: user for user in account.users}
        self._roles = roles
        self._role_names = {normalise(role): role for role in reversed(list(roles))}
        self._absences = absences
        self._deal_known = deal_known
        self._names = {user.id: user.name for user in account.users}
        self._reader = FieldReader(account)

    def user_id(self, person: Person, deal: DealRecord) -> int:
        """Who a role, a name or an id means for this deal. Raises UnknownName, with what to do about it."""
        if isinstance(person, int):
            return person
        if same_name(person, MANAGER):
            return deal.responsible_user_id
        if role := self._role_names.get(normalise(person)):
            return self._by_role(role, self._roles[role], deal).id
        return self._account.user(person).id

    def works_now(self, user_id: int, day: date, *, is_there: bool = False, is_gone: bool = False) -> int:
        """Who does on that day what this person is to do: he himself; if he is away or switched off in amoCRM, his
        deputy of that day, else the head, else the person of ``[bridge] tell``.

        ``is_there``: he has just done something, whatever the list of absences says. ``is_gone``: amoCRM takes nothing
        for him. Raises UnknownName if he is switched off and nobody is there instead."""
        user = self._users.get(user_id)
        if user is None and not is_gone:
            # Newer than our copy of the account, or a robot.
            return user_id
        is_active = user is not None and user.is_active and not is_gone
        if is_active and user is not None and (is_there or self.is_at_work(user, day)):
            return user_id
        if user is not None and (deputy := self._deputy(user, day)):
            return deputy.id
        if is_active and not self._has_lost_deputy(user, day):
            # All his deputies are away as well: then it waits for him.
            return user_id
        for other in self._heads():
            if other.id != user_id and (instead := other if self.is_at_work(other, day) else self._deputy(other, day)):
                return instead.id
        if is_active:
            return user_id
        name = user.name if user else str(user_id)
        raise UnknownName(f"пользователь «{name}» отключён в amoCRM; заместителя или руководителя вместо него", name)

    def is_there(self, user_id: int, day: date) -> bool:
        """As ``is_at_work``, by id; somebody whom the account does not know is not there."""
        user = self._users.get(user_id)
        return user is not None and self.is_at_work(user, day)

    def is_at_work(self, user: User, day: date) -> bool:
        """Is he neither switched off nor away?"""
        return user.is_active and same_name(stand_in_once(self._absences, user.name, day) or user.name, user.name)

    def _deputies(self, user: User, day: date) -> Iterator[User | None]:
        """His deputy of that day, that one's deputy, and so on; None for one whom the account has lost."""
        asked = [user.name]
        while deputy := stand_in_once(self._absences, asked[-1], day):
            if any(same_name(deputy, name) for name in asked):
                return
            asked.append(deputy)
            try:
                yield self._account.user(deputy)
            except UnknownName:
                yield None
                return

    def _deputy(self, user: User, day: date) -> User | None:
        return next((one for one in self._deputies(user, day) if one is not None and self.is_at_work(one, day)), None)

    def _has_lost_deputy(self, user: User | None, day: date) -> bool:
        """Has he a deputy who does not work here any more?"""
        return user is not None and any(one is None or not one.is_active for one in self._deputies(user, day))

    def _heads(self) -> Iterator[User]:
        """The head, and whom the bridge tells of its troubles."""
        for person in (HEAD, self._tell):
            if person is None:
                continue
            try:
                found = self._users.get(self.user_id(person, DealRecord(id=0)))
            except UnknownName:
                continue
            if found is not None:
                yield found

    def names_of(self, user_id: int | None, deal: DealRecord) -> tuple[str, ...]:
        """The person's name and the roles he has on this deal, in the config's words; of one who is switched off also
        those of whoever works for him when the deal changed last: what was his is that one's now."""
        if not user_id:
            return ()
        names = self._names_on(user_id, deal)
        user = self._users.get(user_id)
        if user is None or user.is_active:
            return names
        try:
            instead = self.works_now(user_id, deal.updated_at.date())
        except UnknownName:
            return names
        return tuple(dict.fromkeys((*names, *self._names_on(instead, deal))))

    def _names_on(self, user_id: int, deal: DealRecord) -> tuple[str, ...]:
        names = [self._names[user_id]] if user_id in self._names else []
        for role in (MANAGER, *self._roles):
            try:
                if self.user_id(role, deal) == user_id:
                    names.append(role)
            except UnknownName:
                # The role's field is empty or names nobody on this deal: then this person does not have the role.
                continue
        return tuple(names)

    def _by_role(self, role: str, spec: RoleSpec, deal: DealRecord) -> User:
        if not isinstance(spec, RoleByField):
            return self._account.user(spec)
        if spec.field and (named := self._text(spec.field, deal)):
            return self._account.user(named)
        if spec.linked and (responsible := self._responsible_for(self._text(spec.linked, deal))):
            return responsible
        if spec.otherwise:
            return self._account.user(spec.otherwise)
        fields = " и ".join(f"«{field}»" for field in (spec.field, spec.linked) if field)
        raise UnknownName(f"роль «{role}»: поле {fields} сделки пусто, а запасного (otherwise)", role)

    def _text(self, field: str, deal: DealRecord) -> str:
        return self._reader.text(deal, self._account.field(field))

    def _responsible_for(self, address: str) -> User | None:
        """Who is responsible for the deal at this address, if he still works here."""
        found = DEAL_ADDRESS.search(address)
        known = self._deal_known(int(found[1])) if found else None
        if known is None:
            return None
        return next((one for one in self._account.users if one.id == known.responsible_user_id and one.is_active), None)
