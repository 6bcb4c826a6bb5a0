"""The pay sheet of a month: each person's lines, each with its deal and its evidence (M17).

It is made of facts about deals (mirror/facts.py), the ledger of violations and the head's corrections; amoCRM is not
asked. What can't be known is told in ``notes`` and ``uncounted``, never guessed. Sums are whole units of the currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from amo_bridge.clock import FixedClock
from amo_bridge.engine.violations import Counting, Violations
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.facts import OWNER, STAGE, FactLog
from amo_bridge.reports.pay_terms import DealPast, Sign, Terms
from amo_bridge.reports.violations import Month
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import normalise
from amo_bridge.text.typography import money

Kind = Literal["salary", "renewed", "lost", "refunded", "kept", "best", "fine", "correction"]
KINDS: Mapping[Kind, str] = {
    "salary": "Оклад",
    "renewed": "Клиент продлил",
    "lost": "Клиент потерян",
    "refunded": "Возврат денег",
    "kept": "Без возврата",
    "best": "Лучший менеджер месяца",
    "fine": "Штраф",
    "correction": "Поправка",
}
MEASURES = {
    "renewed": "продлений",
    "kept": "клиентов без возврата",
    "balance": "продлений без потерянных",
    "amount": "сумма остальных строк",
}
DAY_FORMAT = "%d.%m.%Y"


@dataclass(frozen=True)
class Line:
    """One sum of one person. ``key``: the same for the same line however often the month is made. ``deal_id``: None
    where it is about no deal. ``words``: its evidence (Russian)."""

    key: str
    kind: Kind
    user_id: int
    person: str
    amount: int
    day: date
    deal_id: int | None
    deal_name: str
    words: str


@dataclass(frozen=True)
class Uncounted:
    """What looked like a line and is none. ``words``: why (Russian)."""

    kind: Kind
    day: date
    deal_id: int
    deal_name: str
    words: str


@dataclass(frozen=True)
class Correction:
    """By the head. ``number``: by which it is known."""

    number: int
    user_id: int
    person: str
    amount: int
    deal_id: int | None
    why: str
    who: str
    at: datetime


@dataclass
class Sheet:
    """``people``: id → name, of those in the config. ``notes``: what is not known, what is preliminary (Russian)."""

    month: Month
    currency: str
    people: Mapping[int, str]
    lines: list[Line] = field(default_factory=list)
    uncounted: list[Uncounted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def everybody(self) -> dict[int, str]:
        """Those of the config, and whoever has a line besides, by name."""
        found = {**self.people, **{line.user_id: line.person for line in self.lines}}
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def total(self, user_id: int) -> int:
        return sum(line.amount for line in self.lines if line.user_id == user_id)

    def of(self, user_id: int) -> list[Line]:
        return [line for line in self.lines if line.user_id == user_id]


@dataclass(frozen=True)
class Difference:
    """What a closed month would be now. ``was``, ``would_be``: a line, or None where there is none."""

    was: Line | None
    would_be: Line | None

    @property
    def amount(self) -> int:
        """By how much the person's sum would change."""
        return (self.would_be.amount if self.would_be else 0) - (self.was.amount if self.was else 0)


def differences(frozen: Iterable[Line], live: Iterable[Line]) -> list[Difference]:
    """By lines; another evidence for the same sum of the same person is none."""
    old, new = {line.key: line for line in frozen}, {line.key: line for line in live}
    found: list[Difference] = []
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        if was and now and was.user_id != now.user_id:
            found += [Difference(was, None), Difference(None, now)]
        elif was is None or now is None or was.amount != now.amount:
            found.append(Difference(was, now))
    return found


def sheet_of(
    store: AccountStore, terms: Terms, month: Month, now: datetime, currency: str, corrections: Sequence[Correction]
) -> Sheet:
    """``now``: amoCRM's clock. Raises StoreUnavailable."""
    return _Maker(store, terms, month, now, currency).make(corrections)


class _Maker:
    """Makes one sheet."""

    def __init__(self, store: AccountStore, terms: Terms, month: Month, now: datetime, currency: str) -> None:
        self._store = store
        self._terms = terms
        self._month = month
        self._now = now
        self._begin, self._end = month.span(terms.zone)
        self._last = month.following.first - timedelta(days=1)
        self._facts = FactLog(store)
        self._sheet = Sheet(month, currency, terms.people)

    def make(self, corrections: Sequence[Correction]) -> Sheet:
        sheet = self._sheet
        sheet.notes += [f"Настройка [pay]: {words}" for words in self._terms.problems]
        if self._now >= self._begin:
            self._tell_of_history()
            self._add_salaries()
            for past in self._pasts():
                self._add_deal(past)
            self._add_fines()
        if self._begin <= self._now < self._end:
            sheet.notes.append("Месяц ещё идёт: строки прибавятся, а потерянный клиент может вернуться.")
        self._add_corrections(corrections)
        self._add_best()
        order = {kind: number for number, kind in enumerate(KINDS)}
        sheet.lines.sort(key=lambda line: (line.person, order[line.kind], line.day, line.deal_id or 0, line.key))
        sheet.uncounted.sort(key=lambda one: (order[one.kind], one.day, one.deal_id))
        return sheet

    # --- deals ---

    def _pasts(self) -> Iterator[DealPast]:
        terms, facts = self._terms, self._facts
        span = (self._begin, self._end)
        stages = {stage for signs in terms.signs.values() for stage in signs.stages}
        fields = [what for signs in terms.signs.values() for what in signs.fields]
        wanted = facts.deals_with([STAGE], *span, values=stages)
        wanted |= facts.deals_with([what for what in fields if what not in terms.dates], *span)
        wanted |= facts.deals_with([what for what in fields if what in terms.dates], *span, by_value=True)
        if terms.started and terms.section.kept:
            before = self._begin - timedelta(days=terms.section.refund_days + 1)
            wanted |= facts.deals_with([terms.started], before, self._end, by_value=True)
        records = Mirror(self._store).get(wanted)
        for deal_id, found in sorted(facts.of_deals(wanted).items()):
            yield DealPast(deal_id, found, records[deal_id].record if deal_id in records else None, terms)

    def _add_deal(self, past: DealPast) -> None:
        self._add_renewals(past)
        self._add_loss(past)
        self._add_refund_or_kept(past)

    def _add_renewals(self, past: DealPast) -> None:
        rate, wanted = self._terms.section.renewed, self._terms.signs.get("renewed")
        if rate is None or wanted is None:
            return
        start, least = past.start, self._terms.section.month_days
        signs = past.signs(wanted)
        # The first payment is none: nor may it take the renewal that follows it.
        early = [sign for sign in signs if start and (sign.day - start.day).days < least]
        for group in [*_renewals(early, least), *_renewals([sign for sign in signs if sign not in early], least)]:
            day = group[0].day
            words = "; ".join(self._terms.in_words(sign.fact) for sign in group)
            if self._is_within(day) and self._served_a_month(past, "renewed", day, words):
                at = min(group[0].fact.at, self._terms.end(day))
                self._add(past, "renewed", rate.sum, day, at, words, f"renewed|{past.deal_id}|{day}")

    def _add_loss(self, past: DealPast) -> None:
        rate, wanted = self._terms.section.lost, self._terms.signs.get("lost")
        if rate is None or wanted is None:
            return
        stays = [stay for stay in past.meant_stays(self._now) if stay.at < self._end]
        entries = [
            stay
            for number, stay in enumerate(stays)
            if stay.now in wanted.stages and not (number and stays[number - 1].now in wanted.stages)
        ]
        if not entries or entries[-1].at < self._begin:
            return
        entry = entries[-1]
        day, words = self._terms.day(entry.at), self._terms.in_words(entry)
        if stays[-1].now not in wanted.stages:
            back = next(stay for stay in stays if stay.at >= entry.at and stay.now not in wanted.stages)
            self._leave_out(past, "lost", day, f"{words}; вернулся: {self._terms.in_words(back)}")
        elif self._served_a_month(past, "lost", day, words):
            self._add(past, "lost", -rate.sum, day, entry.at, words, f"lost|{past.deal_id}|{day}")

    def _served_a_month(self, past: DealPast, kind: Kind, day: date, words: str) -> bool:
        start = past.start
        if start is None:
            self._leave_out(past, kind, day, f"{words}; когда началось обслуживание, не записано")
            return False
        served = (day - start.day).days
        if served >= self._terms.section.month_days:
            return True
        since = f"обслуживается с {start.day:{DAY_FORMAT}}, дней: {served}, нужно {self._terms.section.month_days}"
        self._leave_out(past, kind, day, f"{words}; {since}")
        return False

    def _add_refund_or_kept(self, past: DealPast) -> None:
        section, wanted, start = self._terms.section, self._terms.signs.get("refunded"), past.start
        if section.refunded is None or wanted is None:
            return
        refund = next(iter(past.signs(wanted)), None)
        if start is None:
            if refund and self._is_within(refund.day):
                words = f"{self._terms.in_words(refund.fact)}; когда началось обслуживание, не записано"
                self._leave_out(past, "refunded", refund.day, words)
            return
        last = start.day + timedelta(days=section.refund_days - section.start_day_counts)
        first_days = (
            f"обслуживается с {start.day:{DAY_FORMAT}}, первые {section.refund_days} дней — по {last:{DAY_FORMAT}}"
        )
        is_refunded = refund is not None and refund.day <= last
        day = refund.day if refund and is_refunded else last
        if not self._is_within(day) or (not is_refunded and self._terms.end(last) >= self._now):
            return
        kind: Kind = "refunded" if is_refunded else "kept"
        if not start.is_certain:
            words = f"история сделки неполна: {self._terms.in_words(start.fact)}; было ли это началом, неизвестно"
            self._leave_out(past, kind, day, words)
        elif refund and is_refunded:
            words = f"{self._terms.in_words(refund.fact)}; {first_days}"
            at = min(refund.fact.at, self._terms.end(day))
            self._add(past, kind, -section.refunded.sum, day, at, words, f"refunded|{past.deal_id}")
        elif section.kept is not None:
            later = f"; возврат позже, {refund.day:{DAY_FORMAT}}" if refund else "; возврата нет"
            words = f"{first_days}{later}; {self._terms.in_words(start.fact)}"
            self._add(past, kind, section.kept, day, self._terms.end(last), words, f"kept|{past.deal_id}")

    def _add(self, past: DealPast, kind: Kind, amount: int, day: date, at: datetime, words: str, key: str) -> None:
        """The line of whoever had the client; whose that can't be is left out."""
        start = past.start
        if self._terms.section.whose == "start" and start is not None:
            at = min(max(start.fact.at, self._terms.begin(start.day)), at)
        owner = past.owner_at(at)
        name = self._terms.users.get(owner or 0, "")
        if owner is None:
            self._leave_out(past, kind, day, f"{words}; история сделки неполна: чья она была, неизвестно")
        elif owner not in self._terms.people:
            who = f"у «{name}»" if name else "ни у кого из сотрудников"
            self._leave_out(past, kind, day, f"{words}; сделка была {who}, в [pay] people его нет")
        elif not self._terms.works(owner, day):
            self._leave_out(
                past, kind, day, f"{words}; «{self._terms.people[owner]}» в этот день не работал ([pay.employed])"
            )
        else:
            person = self._terms.people[owner]
            self._sheet.lines.append(Line(key, kind, owner, person, amount, day, past.deal_id, past.name, words))

    def _leave_out(self, past: DealPast, kind: Kind, day: date, words: str) -> None:
        self._sheet.uncounted.append(Uncounted(kind, day, past.deal_id, past.name, words))

    def _is_within(self, day: date) -> bool:
        return self._month.first <= day <= self._last

    def _tell_of_history(self) -> None:
        """What was before facts were kept is not in the sheet."""
        kept, terms = self._facts.kept_since(), self._terms
        needed: dict[str, datetime] = {
            STAGE: self._begin,
            OWNER: self._begin,
            **dict.fromkeys(terms.fields, self._begin),
        }
        late = {kept[what] for what, since in needed.items() if what in kept and kept[what] > since}
        if any(what not in kept for what in needed):
            self._sheet.notes.append(
                "История сделки неполна: мост ещё не хранит историю этапов и полей. Он начнёт, как только поработает с"
                " разделом [pay]."
            )
        elif late:
            self._sheet.notes.append(
                f"История сделок неполна: она хранится с {max(late).astimezone(terms.zone):%d.%m.%Y %H:%M}, что было"
                f" раньше, в ведомости нет. Восстановить по событиям amoCRM: amo-bridge pay rebuild {self._month}"
            )

    # --- what is about no deal ---

    def _add_salaries(self) -> None:
        section, terms = self._terms.section, self._terms
        days = [self._month.first + timedelta(days=n) for n in range(self._last.day)]
        counted = [day for day in days if terms.calendar.is_working_day(day)]
        if section.part_month != "working days":
            counted = days
        for user_id, person in terms.people.items():
            own = terms.employment(user_id)
            salary = section.salary if own.salary is None else own.salary
            at_work = [day for day in counted if terms.works(user_id, day)]
            if not salary or not any(terms.works(user_id, day) for day in days):
                continue
            words, amount = "полный месяц", salary
            if len(at_work) < len(counted) and section.part_month != "whole":
                # Half a unit and more is a whole one.
                amount = (2 * salary * len(at_work) + len(counted)) // (2 * len(counted))
                kind = "рабочих" if section.part_month == "working days" else "календарных"
                words = f"{kind} дней: {len(at_work)} из {len(counted)}, оклад {money(salary, self._sheet.currency)}"
            self._sheet.lines.append(
                Line(f"salary|{user_id}", "salary", user_id, person, amount, self._last, None, "", words)
            )

    def _add_fines(self) -> None:
        ledger = Violations(self._store, FixedClock(self._now))
        by_clause = {normalise(clause): amount for clause, amount in self._terms.section.fines.items()}
        for one in ledger.counting(self._begin, self._end):
            self._add_fine(one, by_clause)

    def _add_fine(self, one: Counting, by_clause: Mapping[str, int]) -> None:
        sheet = self._sheet
        amount = by_clause.get(normalise(one.clause)) if one.penalty is None else one.penalty
        day, person = self._terms.day(datetime.fromtimestamp(one.at, UTC)), self._terms.people.get(one.user_id)
        words = f"нарушение № {one.number}, пункт {one.clause}: {one.why}; правило {one.rule}"
        reason = ""
        if amount is None:
            reason = "суммы у него нет: впишите её в [pay.fines]"
        elif one.penalty is not None and normalise(one.currency) != normalise(sheet.currency):
            reason = f"штраф в {one.currency}, а ведомость в {sheet.currency}"
        elif person is None:
            reason = f"«{one.person}» нет в [pay] people"
        if reason or person is None or amount is None:
            sheet.uncounted.append(Uncounted("fine", day, one.deal_id, one.deal_name, f"{words}; {reason}"))
        elif amount:
            key = f"fine|{one.number}"
            sheet.lines.append(
                Line(key, "fine", one.user_id, person, -amount, day, one.deal_id or None, one.deal_name, words)
            )

    def _add_corrections(self, corrections: Sequence[Correction]) -> None:
        known = Mirror(self._store).get(one.deal_id for one in corrections if one.deal_id)
        for one in corrections:
            name = known[one.deal_id].record.name if one.deal_id in known else ""
            day = self._terms.day(one.at)
            words = f"{one.why} — {one.who}"
            self._sheet.lines.append(
                Line(f"correction|{one.number}", "correction", one.user_id, one.person, one.amount, day, one.deal_id,
                     name, words)
            )  # fmt: skip

    def _add_best(self) -> None:
        best, sheet = self._terms.section.best, self._sheet
        if best is None or self._now < self._begin:
            return
        figures = {user_id: self._figure(user_id, best.by) for user_id in sheet.people}
        most = max(figures.values(), default=0)
        first = [user_id for user_id, figure in figures.items() if figure == most and figure >= best.least]
        ranking = sorted(figures.items(), key=lambda one: -one[1])
        told = f"{MEASURES[best.by]}: {', '.join(f'{sheet.people[user]} — {figure}' for user, figure in ranking)}"
        names = ", ".join(sheet.people[user_id] for user_id in first)
        if self._now < self._end:
            ahead = f"пока впереди {names}" if first else "пока впереди никого"
            sheet.notes.append(f"Лучший менеджер месяца определится, когда месяц кончится; {ahead} ({told}).")
            return
        if not first:
            sheet.notes.append(f"Лучшего менеджера нет: {told}, нужно не меньше {best.least}.")
            return
        if len(first) > 1 and best.ties == "none":
            sheet.notes.append(
                f"Лучших менеджеров несколько: {names} ({told}). Премия не начислена: решает руководитель, поправкой."
            )
            return
        # What can't be divided stays with the agency.
        amount = best.sum // len(first) if best.ties == "split" else best.sum
        for user_id in first:
            person = sheet.people[user_id]
            sheet.lines.append(Line(f"best|{user_id}", "best", user_id, person, amount, self._last, None, "", told))

    def _figure(self, user_id: int, measure: str) -> int:
        own = self._sheet.of(user_id)
        if measure == "amount":
            return sum(line.amount for line in own)
        many = {kind: sum(line.kind == kind for line in own) for kind in KINDS}
        return (
            many["renewed"] - many["lost"]
            if measure == "balance"
            else many["renewed" if measure == "renewed" else "kept"]
        )


def _renewals(signs: Iterable[Sign], month_days: int) -> list[list[Sign]]:
    """The signs by days, those of one renewal together."""
    found: list[list[Sign]] = []
    for sign in signs:
        if found and (sign.day - found[-1][0].day).days < month_days:
            found[-1].append(sign)
        else:
            found.append([sign])
    return found
