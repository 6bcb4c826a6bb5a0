"""Terms of pay: ``[pay]`` with the account's own ids, and a deal's past read by them (M17)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from amo_bridge.config.pay import Employment, PayRate, PaySection
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.facts import FIELD, OWNER, STAGE, Fact, field_fact, stage_value
from amo_bridge.text.names import normalise, same_name

DATES = ("date", "date_time", "birthday")
MISTAKE = timedelta(days=1)
"""A stage that a deal left so soon for the one it came from was a mistake, or was rolled back."""
ROBOT_FOLLOWS_WITHIN = timedelta(days=7)
"""As long as a bridge may have been down and still does what was to be done."""
SOURCES: Mapping[str, str] = {
    "hook": "",
    "bridge": "",
    "list": "по списку событий amoCRM",
    "found": "замечено позже, могло быть раньше",
    "known": "было заполнено до того, как мост стал хранить историю",
}


@dataclass(frozen=True)
class Signs:
    """By what something is known: stages («pipeline.status») and fields (facts' ``what``)."""

    stages: frozenset[str] = frozenset()
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Terms:
    """``people``: whose sheets there are, id → name. ``signs``: renewed, lost, refunded. ``started``: the field's
    ``what``; None if the account has no such field. ``own_user_id``: in whose name the bridge works. ``problems``: what
    of the config can't be understood (Russian)."""

    section: PaySection
    people: Mapping[int, str]
    users: Mapping[int, str]
    signs: Mapping[str, Signs]
    started: str | None
    dates: frozenset[str]
    titles: Mapping[str, str]
    zone: ZoneInfo
    calendar: WorkCalendar
    problems: tuple[str, ...]
    own_user_id: int | None = None

    @classmethod
    def of(cls, section: PaySection, account: Account, calendar: WorkCalendar, secret: Iterable[str] = ()) -> Terms:
        """``secret``: fields whose values are shown nowhere: they can't be evidence."""
        reader = _Names(account, {normalise(name) for name in secret})
        rates = {"renewed": section.renewed, "lost": section.lost, "refunded": section.refunded}
        signs = {name: reader.signs(rate) for name, rate in rates.items() if rate is not None}
        people = {}
        for name in section.people:
            try:
                people[account.user(name).id] = str(name)
            except UnknownName as error:
                reader.problems.append(str(error))
        started = reader.field(section.started)
        dates = {field_fact(one.id) for one in account.fields() if one.type in DATES}
        titles = {stage_value(one.pipeline_id, one.status_id): one.title for one in account.stages}
        titles |= {field_fact(one.id): one.name for one in account.fields()}
        return cls(
            section=section,
            people=people,
            users={user.id: user.name for user in account.users},
            signs=signs,
            started=started,
            dates=frozenset(dates),
            titles=titles,
            zone=ZoneInfo(account.timezone),
            calendar=calendar,
            problems=tuple(dict.fromkeys(reader.problems)),
            own_user_id=account.current_user_id,
        )

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def begin(self, day: date) -> datetime:
        """When the day begins, by the account's clocks."""
        return datetime.combine(day, time(), self.zone)

    def end(self, day: date) -> datetime:
        """Its last microsecond."""
        return self.begin(day + timedelta(days=1)) - timedelta(microseconds=1)

    def date_of(self, what: str, text: str) -> date | None:
        """The day that a field's value names; None if it names none."""
        if what not in self.dates:
            return None
        try:
            return self.day(datetime.fromtimestamp(int(text), UTC))
        except (ValueError, OverflowError, OSError):
            return None

    def employment(self, user_id: int) -> Employment:
        name = self.people.get(user_id, "")
        return next((one for told, one in self.section.employed.items() if same_name(told, name)), Employment())

    def works(self, user_id: int, day: date) -> bool:
        own = self.employment(user_id)
        return (own.first is None or own.first <= day) and (own.last is None or day <= own.last)

    def whose(self, login: str) -> int | None:
        """Whose sheet this user of the bridge sees as his own."""
        told = next((name for key, name in self.section.logins.items() if key.casefold() == login.casefold()), None)
        return next((number for number, name in self.people.items() if told and same_name(name, told)), None)

    @property
    def fields(self) -> list[str]:
        """The fields whose past is needed."""
        own = (self.started,) if self.started else ()
        return list(dict.fromkeys((*own, *(what for signs in self.signs.values() for what in signs.fields))))

    def in_words(self, fact: Fact) -> str:
        """«этап «Клиенты / Обслуживание продлено», 03.11.2026 14:05, Алина Жумабаева»."""
        when = f"{fact.at.astimezone(self.zone):%d.%m.%Y %H:%M}"
        who = self.users.get(fact.user_id or 0, "") or ("мост" if fact.source == "bridge" else "")
        if fact.what == STAGE:
            told = f"этап «{self.titles.get(fact.now, 'удалённый')}»"
        else:
            value = self.value_in_words(fact.what, fact.now) or "пусто"
            told = f"поле «{self.titles.get(fact.what, 'удалённое')}»: {value}, записано"
        return ", ".join(filter(None, (f"{told} {when}", who, SOURCES[fact.source])))

    def value_in_words(self, what: str, text: str) -> str:
        day = self.date_of(what, text)
        return f"{day:%d.%m.%Y}" if day else ("да" if text == "1" else text)


class _Names:
    """The account's ids of the section's names; what it does not know becomes a problem."""

    def __init__(self, account: Account, secret: set[str]) -> None:
        self._account = account
        self._secret = secret
        self.problems: list[str] = []

    def signs(self, rate: PayRate) -> Signs:
        stages = filter(None, map(self._stage, rate.stages))
        fields = filter(None, map(self.field, rate.fields))
        return Signs(frozenset(stages), tuple(fields))

    def _stage(self, name: str) -> str:
        try:
            stage = self._account.stage(name)
        except UnknownName as error:
            self.problems.append(str(error))
            return ""
        return stage_value(stage.pipeline_id, stage.status_id)

    def field(self, name: str) -> str | None:
        if normalise(name) in self._secret:
            self.problems.append(f"поле «{name}» скрыто (secret_fields): по нему ведомость не посчитать")
            return None
        try:
            return field_fact(self._account.field(name).id)
        except UnknownName as error:
            self.problems.append(str(error))
            return None


def watched_fields(section: PaySection | None, account: Account, secret: Iterable[str]) -> list[int] | None:
    """The fields whose changes are to be kept for the pay sheet; None: no sheet is asked for."""
    if section is None:
        return None
    reader = _Names(account, {normalise(name) for name in secret})
    found = filter(None, map(reader.field, section.fields))
    return sorted({int(what.removeprefix(FIELD)) for what in found})


@dataclass(frozen=True)
class Sign:
    """Something that tells of a renewal or a refund. ``day``: on which it counts."""

    day: date
    fact: Fact


@dataclass(frozen=True)
class Start:
    """The first day of a client's service. ``is_certain``: no earlier one can have been there."""

    day: date
    fact: Fact
    is_certain: bool


class DealPast:
    """One deal's facts as the terms read them. ``record``: the mirror's copy; None: the deal is gone."""

    def __init__(self, deal_id: int, facts: Sequence[Fact], record: DealRecord | None, terms: Terms) -> None:
        self.deal_id = deal_id
        self.record = record
        self._facts = facts
        self._terms = terms

    @property
    def name(self) -> str:
        return self.record.name if self.record else f"сделка {self.deal_id} (в amoCRM её больше нет)"

    @cached_property
    def stays(self) -> list[Fact]:
        """Onto which stages it came, each once: amoCRM and the bridge may have told of one move twice."""
        found: list[Fact] = []
        for fact in self._of(STAGE):
            if not found or found[-1].now != fact.now:
                found.append(fact)
        return found

    def meant_stays(self, until: datetime) -> list[Fact]:
        """The stays up to that moment, without stages that it left within ``MISTAKE`` for the one it came from."""
        found: list[Fact] = []
        for stay in self.stays:
            if stay.at > until:
                break
            if found:
                before = found[-1].was or (found[-2].now if len(found) > 1 else "")
                if stay.now == before and stay.at - found[-1].at <= MISTAKE:
                    found.pop()
            if not found or found[-1].now != stay.now:
                found.append(stay)
        return found

    def owner_at(self, at: datetime) -> int | None:
        """Whose deal it was; None if nobody knows."""
        changes = self._of(OWNER)
        later = next((fact for fact in changes if fact.at > at), None)
        if later is not None:
            return int(later.was or later.now)
        if changes and self.record is None:
            return int(changes[-1].now)
        return self.record.responsible_user_id if self.record else None

    @cached_property
    def start(self) -> Start | None:
        """When service began first."""
        terms, what = self._terms, self._terms.started
        first: Start | None = None
        for fact in self._of(what) if what else ():
            if first is None and fact.was and (was := terms.date_of(fact.what, fact.was)):
                first = Start(was, fact, is_certain=self._is_first(was))
            day = terms.date_of(fact.what, fact.now)
            if day is None:
                continue
            if first is None:
                is_certain = fact.source != "known" or self._is_first(day)
                first = Start(day, fact, is_certain)
            elif self._is_corrected(first, day, fact):
                first = replace(first, day=day, fact=fact)
            else:
                break
        return first

    def _is_corrected(self, first: Start, day: date, fact: Fact) -> bool:
        """Is it the same start, written otherwise? A later one, when the first days are over or the client has paid on
        that day, is that of a renewal."""
        if day <= first.day:
            return True
        section = self._terms.section
        is_early = self._terms.day(fact.at) < first.day + timedelta(days=section.refund_days)
        is_mistake = first.fact.source != "known" and fact.at - first.fact.at <= MISTAKE
        return (is_early or is_mistake) and day not in self._paid_days

    @cached_property
    def _paid_days(self) -> set[date]:
        signs = self._terms.signs.get("renewed")
        days = (
            self._terms.date_of(fact.what, fact.now)
            for what in (signs.fields if signs else ())
            for fact in self._of(what)
        )
        return {day for day in days if day}

    def _is_first(self, day: date) -> bool:
        """Is the deal too young for another month of service before that day?"""
        if self.record is None:
            return False
        return (day - self._terms.day(self.record.created_at)).days < self._terms.section.month_days

    def signs(self, wanted: Signs) -> list[Sign]:
        """What tells of it, by days."""
        fields = [one for what in wanted.fields for one in self._field_signs(what)]
        found = [self._as_its_cause(one, fields) for one in self._stage_signs(wanted.stages)]
        return sorted([*found, *fields], key=lambda one: (one.day, one.fact.at))

    def _as_its_cause(self, moved: Sign, fields: Iterable[Sign]) -> Sign:
        """A robot moves a deal because of what was written into it before: it tells of that day, though the robot was
        down and moved it days later."""
        if moved.fact.user_id not in (0, None, self._terms.own_user_id):
            return moved
        before = [one for one in fields if timedelta() <= moved.fact.at - one.fact.at <= ROBOT_FOLLOWS_WITHIN]
        return replace(moved, day=min(moved.day, before[-1].day)) if before else moved

    def _stage_signs(self, stages: frozenset[str]) -> Iterator[Sign]:
        for number, stay in enumerate(self.stays):
            before = self.stays[number - 1] if number else None
            after = self.stays[number + 1] if number + 1 < len(self.stays) else None
            if stay.now not in stages or (before and before.now in stages):
                continue
            if before and after and after.now == before.now and after.at - stay.at <= MISTAKE:
                continue
            yield Sign(self._terms.day(stay.at), stay)

    def _field_signs(self, what: str) -> list[Sign]:
        """A value that was emptied or replaced within a day was a mistake; so was a date that was emptied later or
        replaced by an earlier one. What is told of a value that is there already is no other change."""
        terms, found = self._terms, list[Sign]()
        own = self._of(what)
        for number, fact in enumerate(own):
            if number == 0 and (before := terms.date_of(what, fact.was)):
                # Of a time that was not kept, but the field had said the day.
                found.append(Sign(before, replace(fact, now=fact.was, source="known")))
            if number and fact.now == own[number - 1].now:
                continue
            day = terms.date_of(what, fact.now) or (None if fact.source == "known" else terms.day(fact.at))
            is_soon = bool(found) and found[-1].fact.source != "known" and fact.at - found[-1].fact.at <= MISTAKE
            is_emptied = not fact.now and what in terms.dates
            if found and (is_soon or is_emptied or (fact.now and day is not None and day < found[-1].day)):
                found.pop()
            if fact.now and fact.now != fact.was and day:
                found.append(Sign(day, fact))
        return found

    def _of(self, what: str) -> list[Fact]:
        own = [fact for fact in self._facts if fact.what == what]
        # What amoCRM's list has told of the time before is more than that a value was there.
        return [fact for number, fact in enumerate(own) if not number or fact.source != "known"]
