"""Week report for the head: who is late, violations, what the bridge did, what waits for a decision.

Figures come from the bridge's own store; amoCRM is not asked. The letter is about the week that ended last Sunday; the
page shows any week, the one that goes on as far as it has come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from itertools import pairwise

from sqlalchemy import func, select

from amo_bridge.clock import Clock
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.engine.alerts import notice_or_task
from amo_bridge.engine.history import Count, History
from amo_bridge.engine.retention import TASK_HISTORY_KEPT
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.violations import Violations
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.overdue import Span, overdue
from amo_bridge.storage.accounts import MIRROR_MET_AT, WEEKLY_LETTER_SENT, Cursors
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import is_given_up, outbox

RULE = "bridge.week"
MOST_PEOPLE = 15
# A bridge that was down at that hour tells it later that day.
NOT_LATER = timedelta(hours=10)
DAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
BAR_LENGTH = 12
CHART_WIDTH = 240


@dataclass(frozen=True)
class Week:
    """``late``: who → tasks that stood overdue when the week ended, and ``missed``: deadlines missed within it; most
    first. ``violations``: who → how many that count. ``days``: what the bridge did on each of the seven. ``failures``:
    how many wait for a decision now; ``broken``: rules that don't work now. ``known_from``: when the bridge began to
    know the tasks, if that is not before the week."""

    monday: date
    late: Mapping[str, int]
    missed: Mapping[str, int]
    violations: Mapping[str, int]
    days: Sequence[Count]
    failures: int
    broken: Sequence[str]
    known_from: date | None = None

    @property
    def sunday(self) -> date:
        return self.monday + timedelta(days=6)

    def day(self, number: int) -> date:
        """Its Monday is 0."""
        return self.monday + timedelta(days=number)

    @property
    def people(self) -> list[str]:
        """Whoever has a figure, the most overdue first."""
        return list(dict.fromkeys((*self.late, *self.missed, *self.violations)))


def week_of(
    store: AccountStore,
    calendar: WorkCalendar,
    names: Mapping[int, str],
    broken: Sequence[str],
    monday: date,
    clock: Clock,
) -> Week:
    """``names``: of the account's people. ``broken``: names of the rules that don't work. Raises StoreUnavailable."""
    now = clock.now().timestamp()
    midnights = [calendar.moment(monday + timedelta(days=number), time()).timestamp() for number in range(8)]
    spans = [
        Span(monday + timedelta(days=number), begin, min(end, now))
        for number, (begin, end) in enumerate(pairwise(midnights))
        if begin <= now
    ]
    standing = overdue(store, spans[-1:], names, "standing").rows
    missed = overdue(store, spans, names, "missed").tasks
    first, last = (datetime.fromtimestamp(one, UTC) for one in (midnights[0], midnights[-1]))
    broken_by = Counter[str]()
    for one in Violations(store, clock).totals(first, last):
        broken_by[one.person] += one.many if one.state == "counts" else 0
    with store.read() as connection:
        given_up = select(func.count()).select_from(outbox).where(store.owns(outbox), is_given_up(outbox))
        failures = connection.execute(given_up).scalar_one()
    return Week(
        monday=monday,
        late=_most({name: figures[0] for name, figures in standing.items() if figures[0]}),
        missed=_most(dict(missed)),
        violations=_most(dict(+broken_by)),
        days=History(store).by_stretch(midnights, is_loud_alone=True),
        failures=failures,
        broken=broken,
        known_from=_known_from(store, calendar, midnights[0], now),
    )


def _known_from(store: AccountStore, calendar: WorkCalendar, begin: float, now: float) -> date | None:
    """What was finished before the bridge met the tasks it does not know, and what is too old it has forgotten."""
    met_at = Cursors(store).read(MIRROR_MET_AT) or 0.0
    known = max(met_at, now - TASK_HISTORY_KEPT.total_seconds())
    return calendar.local(datetime.fromtimestamp(known, UTC)).date() if begin < known else None


def _most(figures: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(figures.items(), key=lambda one: (-one[1], one[0])))


def in_words(week: Week, url: str) -> str:
    """The letter's text (Russian). ``url``: of the bridge's pages; empty if nobody knows where they are."""
    lines = [f"Неделя {week.monday:%d.%m}–{week.sunday:%d.%m.%Y}"]
    late, missed, violations = _sections(week)
    lines += ["", *_people(*late), "", *_people(*missed)]
    if week.known_from:
        lines += ["", f"Мост знает о задачах с {week.known_from:%d.%m.%Y}: кто опаздывал раньше, сказать нельзя."]
    lines += ["", *_people(*violations)]
    lines += ["", "Что сделал мост", *_bars(week)]
    lines += ["", *_decisions(week)]
    if url:
        span = f"from={week.monday.isoformat()}&to={week.sunday.isoformat()}"
        lines += [
            "", f"Подробно: {url}/done?{span}",
            f"С графиками: {url}/reports/week?monday={week.monday.isoformat()}",
            f"Просроченные: {url}/reports/overdue?days=7&until={week.sunday.isoformat()}",
            f"Не выполнено: {url}/failed",
        ]  # fmt: skip
    return "\n".join(lines)


def in_html(week: Week, url: str) -> str:
    """The letter for mail programs (Russian): tables, and bars as coloured cells, which all of them draw."""
    monday, sunday = week.monday.isoformat(), week.sunday.isoformat()
    parts = [f"<h2>Неделя {week.monday:%d.%m}–{week.sunday:%d.%m.%Y}</h2>"]
    for title, figures, otherwise in _sections(week):
        parts.append(f"<h3>{title}: {sum(figures.values()) if figures else otherwise}</h3>")
        parts.append(_chart([(name, many, "") for name, many in list(figures.items())[:MOST_PEOPLE]], "#c0392b"))
        if (more := len(figures) - MOST_PEOPLE) > 0:
            parts.append(f"<p>… и ещё человек: {more}</p>")
    if week.known_from:
        parts.append(f"<p>Мост знает о задачах с {week.known_from:%d.%m.%Y}: кто опаздывал раньше, сказать нельзя.</p>")
    days = [(name, day.acted, _besides(day)) for name, day in zip(DAYS, week.days, strict=True)]
    parts.append(f"<h3>Что сделал мост</h3>{_chart(days, '#2e7d52')}")
    parts += [f"<p>{escape(line)}</p>" for line in _decisions(week)]
    if url:
        links = {
            "Подробно": f"{url}/done?from={monday}&to={sunday}", "С графиками": f"{url}/reports/week?monday={monday}",
            "Просроченные": f"{url}/reports/overdue?days=7&until={sunday}", "Не выполнено": f"{url}/failed",
        }  # fmt: skip
        parts.append("<p>" + " · ".join(f'<a href="{escape(to)}">{words}</a>' for words, to in links.items()) + "</p>")
    body = "\n".join(part for part in parts if part)
    return f'<html lang="ru"><body style="font-family:Arial,sans-serif">\n{body}\n</body></html>\n'


def _chart(rows: Sequence[tuple[str, int, str]], colour: str) -> str:
    """A line for each (name, figure, what is said beside it); its bar is a cell as wide as the figure is large."""
    if not rows:
        return ""
    largest = max([1, *(many for _, many, _ in rows)])
    lines = []
    for name, many, more in rows:
        wide = round(CHART_WIDTH * many / largest)
        bar = f'<td bgcolor="{colour}" width="{wide}" height="14"></td>' if wide else ""
        words = f"{many} ({escape(more)})" if more else str(many)
        drawn = (
            f'<table cellpadding="0" cellspacing="0"><tr>{bar}<td style="padding-left:6px">{words}</td></tr></table>'
        )
        lines.append(f'<tr><td style="padding-right:8px">{escape(name)}</td><td>{drawn}</td></tr>')
    return f'<table cellpadding="2" cellspacing="0">{"".join(lines)}</table>'


def _sections(week: Week) -> Iterator[tuple[str, Mapping[str, int], str]]:
    """(title, who → how many, what is said when nobody is there)."""
    yield "Просрочено к концу недели", week.late, "просроченных задач к концу недели нет"
    yield "Не сделано в срок за неделю", week.missed, "все задачи недели сделаны в срок"
    yield "Нарушения", week.violations, "нарушений нет"


def _besides(day: Count) -> str:
    """What else became of that day's rules, in words."""
    told = {"не вышло": day.failed, "не отправлено": day.unsent, "вхолостую": day.would_act}
    return ", ".join(f"{words} {many}" for words, many in told.items() if many)


def _people(title: str, figures: Mapping[str, int], otherwise: str) -> Iterator[str]:
    if not figures:
        yield f"{title}: {otherwise}"
        return
    yield f"{title}: {sum(figures.values())}"
    for name, many in list(figures.items())[:MOST_PEOPLE]:
        yield f"— {name}: {many}"
    if (more := len(figures) - MOST_PEOPLE) > 0:
        yield f"… и ещё человек: {more}"


def _bars(week: Week) -> Iterator[str]:
    """A line a day, drawn as a bar, so that it is seen in any messenger."""
    largest = max([1, *(day.acted for day in week.days)])
    for name, day in zip(DAYS, week.days, strict=True):
        bar = "█" * round(BAR_LENGTH * day.acted / largest)
        rest = _besides(day)
        yield f"{name} {bar} {day.acted}" + (f" ({rest})" if rest else "")


def _decisions(week: Week) -> Iterator[str]:
    """What only a person can settle."""
    told = []
    if week.failures:
        told.append(f"— не выполнено, ждёт решения: {week.failures}")
    told += [f"— правило не работает: {name}" for name in week.broken]
    yield "Решить:" if told else "Решать нечего: всё выполнено, правила работают."
    yield from told


class WeeklyLetter:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store)

    def run(self) -> None:
        """Put the letter into the outbox, if it is time. Raises StoreUnavailable."""
        rules = self._rules.get()
        section, calendar = rules.config.weekly_letter, rules.calendar
        if section is None or rules.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        today = calendar.local(now).date()
        due = calendar.moment(today, section.at)
        if today.weekday() != section.weekday or not due <= now < due + NOT_LATER:
            return
        if (self._cursors.read(WEEKLY_LETTER_SENT) or 0.0) >= due.timestamp():
            return
        monday = today - timedelta(days=today.weekday() + 7)
        names = {user.id: user.name for user in rules.account.users}
        broken = [rule.name for rule in rules.config.rules if rule.broken]
        week = week_of(self._store, calendar, names, broken, monday, self._account_clock)
        text, html = in_words(week, self._pages(rules)), in_html(week, self._pages(rules))
        # Whoever is away or gone is stood in for; whom no notice reaches gets a task.
        key, pages = monday.isoformat(), self._pages(rules)
        planned = [
            one
            for name in section.people
            for one in notice_or_task(rules, RULE, key, name, text, "Итоги недели", pages, now, html)
        ]
        rows = [one.row(self._store.account_id, self._clock.now()) for one in planned]
        with self._store.write() as connection:
            insert_new(connection, outbox, rows)
            self._cursors.write(connection, WEEKLY_LETTER_SENT, due.timestamp())

    def _pages(self, rules: RuleEngine) -> str:
        return rules.viewer.pages_url.rstrip("/")
