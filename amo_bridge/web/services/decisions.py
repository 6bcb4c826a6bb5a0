"""Decisions for pages and API, filtered by days, rule, person, channel, ending, words of the deal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from flask_babel import lazy_gettext as _l

from amo_bridge.engine.effects import CHANNEL_KINDS, Channel
from amo_bridge.engine.history import Decision, DecisionFilter, Ending, Source
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services.deals import LONGEST_WORDS, FoundDeal, find_deals, listed
from amo_bridge.web.template_filters import VERDICTS

ENDINGS: Mapping[Ending, Any] = {
    "done": _l("сделано"),
    "would_act": _l("сделало бы (вхолостую)"),
    "at_work": _l("в работе"),
    "trouble": _l("не вышло"),
    "unsent": _l("не отправлено"),
}
SOURCES: Mapping[Source, Any] = {
    "webhook": _l("amoCRM: вебхук"),
    "reconciliation": _l("amoCRM: найдено позже, без вебхука"),
    "timer": _l("наступил срок"),
    "enquiry": _l("обращение с сайта, по телефону, из мессенджера"),
    "mail": _l("письмо"),
    "ads": _l("статистика рекламы"),
    "import": _l("загрузка участников"),
    "person": _l("человек на странице моста"),
    "api": _l("программа по API"),
    "bridge": _l("действие самого моста"),
    "unknown": _l("неизвестно: запись старше этого признака"),
}
"""What started it."""
LONGEST_SPAN = 366
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 12, 31)
MOST_DEALS = 500
"""Whose decisions are looked for by words; more are not told apart by anybody."""
MOST_COUNTED = 10_000


@dataclass(frozen=True)
class Wish:
    """What is asked for, days in the account's time zone. What is empty does not limit. ``before``: a decision's
    number, to go on from."""

    since: date
    until: date
    is_today: bool
    rule: str = ""
    person: int | None = None
    ending: Ending | None = None
    channel: Channel | None = None
    source: Source | None = None
    words: str = ""
    before: int | None = None

    @property
    def asked(self) -> dict[str, str | int]:
        """As it stands in an address, without where to go on from."""
        told = {
            "from": "" if self.is_today else self.since.isoformat(),
            "to": "" if self.is_today else self.until.isoformat(),
            "rule": self.rule,
            "person": self.person,
            "ending": self.ending,
            "channel": self.channel,
            "source": self.source,
            "text": self.words,
        }
        return {name: value for name, value in told.items() if value}

    @property
    def besides_days(self) -> dict[str, str | int]:
        """``asked`` of any other days."""
        return {name: value for name, value in self.asked.items() if name not in ("from", "to")}


@dataclass(frozen=True)
class DecisionView:
    """One decision, with its deal as it is known now. ``ending``, ``source``: in the reader's language."""

    line: Decision
    at: datetime
    deal_name: str
    person: str
    ending: str
    source: str


@dataclass(frozen=True)
class Decisions:
    """A page of them. ``total``: counted up to ``MOST_COUNTED``. ``next_before``: where the next page goes on.
    ``is_vague``: more deals than ``MOST_DEALS`` fit the words."""

    rows: Sequence[DecisionView]
    total: int
    next_before: int | None
    is_vague: bool


def wish_asked_for(here: AccountView, told: Mapping[str, str]) -> Wish:
    """Nonsense in an address does not limit; days that are none are today."""
    today = here.clock.now().astimezone(here.zone).date()
    since, until = _day(told.get("from")), _day(told.get("to"))
    first, last = since or until or today, until or today
    first, last = min(first, last), max(first, last)
    first = max(first, last - timedelta(days=LONGEST_SPAN))
    person = told.get("person", "")
    before = told.get("before", "")
    return Wish(
        since=first,
        until=last,
        is_today=first == last == today,
        rule=told.get("rule", "")[:160],
        person=int(person) if _is_number(person) else None,
        ending=next((one for one in get_args(Ending) if one == told.get("ending")), None),
        channel=next((one for one in ("crm", *CHANNEL_KINDS) if one == told.get("channel")), None),
        source=next((one for one in SOURCES if one == told.get("source")), None),
        words=told.get("text", "").strip()[:LONGEST_WORDS],
        before=int(before) if _is_number(before) else None,
    )


def decisions_of(here: AccountView, wish: Wish, most: int) -> Decisions:
    """Newest first. Raises NotMet, StoreUnavailable."""
    deal_ids = find_deals(here, wish.words, MOST_DEALS + 1) if wish.words else None
    wanted = DecisionFilter(
        since=_midnight(here, wish.since),
        until=_midnight(here, wish.until + timedelta(days=1)),
        rule=wish.rule or None,
        person=wish.person,
        ending=wish.ending,
        channel=wish.channel,
        source=wish.source,
        deal_ids=deal_ids[:MOST_DEALS] if deal_ids is not None else None,
    )
    found = here.history.find(replace(wanted, before=wish.before), most + 1)
    known = {one.deal_id: one for one in listed(here, {line.deal_id for line in found if line.deal_id})}
    # Each word once: a table has ten thousand lines.
    endings = {outcome: str(word) for outcome, (_, word) in VERDICTS.items()}
    sources = {source: str(word) for source, word in SOURCES.items()}
    return Decisions(
        rows=[_view(line, known, endings, sources) for line in found[:most]],
        # All of them may be there already.
        total=len(found) if wish.before is None and len(found) <= most else here.history.count(wanted, MOST_COUNTED),
        next_before=found[most - 1].id if len(found) > most else None,
        is_vague=deal_ids is not None and len(deal_ids) > MOST_DEALS,
    )


def _view(
    line: Decision, known: Mapping[int, FoundDeal], endings: Mapping[str, str], sources: Mapping[Source, str]
) -> DecisionView:
    deal, at = known.get(line.deal_id or 0), datetime.fromtimestamp(line.at, UTC)
    return DecisionView(
        line,
        at,
        deal.name if deal else "",
        deal.person if deal else "",
        endings.get(line.outcome, line.outcome),
        sources.get(line.source, line.source),
    )


def _midnight(here: AccountView, day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=here.zone).timestamp()


def _day(text: str | None) -> date | None:
    try:
        told = date.fromisoformat(text or "")
    except ValueError:
        return None
    return told if EARLIEST <= told <= LATEST else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18
