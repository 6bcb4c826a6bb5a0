"""Overview for pages and API: decisions of today, figures of the last fourteen days, health issues."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import ngettext

from amo_bridge.engine import alerts
from amo_bridge.engine.effects import CHANNEL_KINDS
from amo_bridge.engine.history import Count, Line
from amo_bridge.engine.metrics import HealthSnapshot
from amo_bridge.intake.enquiries import EnquiryFilter, title_of
from amo_bridge.intake.social import VK_ADS
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.overdue import knows_tasks, late_by_day
from amo_bridge.runtime.updates import newer_version
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.services.enquiries import repository_of
from amo_bridge.web.stored_sentences import stored
from amo_bridge.webinars.imports.model import Import
from amo_bridge.webinars.imports.repository import ImportRepository

DAYS = 14
MOST_LINES = 30
# Counting fourteen days of a busy account takes a second or so; it needn't be done for everybody who looks. What took
# so long is kept so many times longer.
KEPT_FOR = 30.0


@dataclass(frozen=True)
class Day:
    date: date
    count: Count


_kept: dict[tuple[str, int], tuple[float, list[Day]]] = {}


def days_of(here: AccountView) -> list[Day]:
    """Oldest first; nothing for an account that was never met."""
    try:
        at = (here.store.url, here.key)
    except NotMet:
        return []
    kept = _kept.get(at)
    if kept is None or kept[0] < time.monotonic():
        began = time.monotonic()
        bounds = midnights(here.clock.now(), here.zone, DAYS)
        counts = here.history.by_stretch(bounds)
        dates = [datetime.fromtimestamp(begin, here.zone).date() for begin in bounds[:-1]]
        ended = time.monotonic()
        kept = _kept[at] = (ended + KEPT_FOR * (ended - began), [Day(*one) for one in zip(dates, counts, strict=True)])
    return kept[1]


def today_of(here: AccountView, most: int = MOST_LINES) -> list[Line]:
    """What rules did today, or failed to do, newest first. Raises NotMet."""
    return here.history.done_since(_midnight(here), most)


def imports_of_today(here: AccountView) -> list[Import]:
    """Uploads of webinars that were begun or ended today: no rule makes their deals. Raises NotMet."""
    if here.config.webinar is None:
        return []
    midnight, known = _midnight(here), ImportRepository(here.account_store, here.clock).all()
    return [one for one in known if max(one.started_at or 0, one.finished_at or 0) >= midnight]


def _midnight(here: AccountView) -> float:
    return midnights(here.clock.now(), here.zone, 1)[0]


def midnights(now: datetime, zone: ZoneInfo, days: int) -> list[float]:
    """When each of the last ``days`` days began in the zone, today's included, and when today ends."""
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -2, -1)]
    return [datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in dates]


# People and deals: whose tasks are late, since when, and what came today.

MOST_LATE_PEOPLE = 5


@dataclass(frozen=True)
class LatePerson:
    """Whose open tasks are past their time. ``name``: of somebody unknown his number."""

    user_id: int
    name: str
    many: int


@dataclass(frozen=True)
class PeopleToday:
    """What the head looks at first. ``knows_tasks``: without any nobody can be said to be in time. ``late``: how many
    tasks fell due today, yesterday and before and are open still; ``late_people``: most first, ``MOST_LATE_PEOPLE`` at
    most, of ``late_many``. ``enquiries``: None where no enquiries are taken in; ``asked``: of them, those about which a
    person was asked."""

    knows_tasks: bool
    late: tuple[int, int, int]
    late_people: Sequence[LatePerson]
    late_many: int
    enquiries: int | None
    asked: int
    violations: int

    @property
    def all_late(self) -> int:
        return sum(self.late)


def people_today(here: AccountView) -> PeopleToday:
    """Raises NotMet, StoreUnavailable."""
    now = here.clock.now()
    yesterday, today, _tomorrow = midnights(now, here.zone, 2)
    late, people = late_by_day(here.account_store, yesterday, today, now.timestamp())
    names = here.user_names
    found = [LatePerson(user_id, names.get(user_id, str(user_id)), many) for user_id, many in people.most_common()]
    since = datetime.fromtimestamp(today, here.zone)
    taken_in = here.config.intake is not None
    enquiries = repository_of(here)
    return PeopleToday(
        knows_tasks=knows_tasks(here.account_store),
        late=late,
        late_people=found[:MOST_LATE_PEOPLE],
        late_many=len(found),
        enquiries=enquiries.count(EnquiryFilter(since=since)) if taken_in else None,
        asked=enquiries.count(EnquiryFilter(since=since, state="asked")) if taken_in else 0,
        violations=here.violations.count(since, None),
    )


# Is everything well? What is not, in the order of its weight, and what to do about it.

# The reconciliation comes every five minutes; so long after it something holds it up.
RECONCILED_WITHIN = 15 * 60
MENDED_LATELY = 24 * 3600
MOST_BROKEN = 5


@dataclass(frozen=True)
class HealthIssue:
    """``weight``: bad or warning. ``page``: the endpoint where something can be done about it."""

    weight: str
    words: str
    page: str = ""


def health_issues(account: AccountView, health: HealthSnapshot | None, now: datetime) -> list[HealthIssue]:
    """Everything that somebody should look at; bad things first."""
    is_ready = account.bridge.state == "ready"
    found = [
        *_of_bridge(account),
        *(_issues_of_health(health, is_ready=is_ready) if health else ()),
        *(HealthIssue("bad", _("Почта: %(why)s", why=stored(why))) for why in account.bridge.mailbox_outages.values()),
        *_of_channels(account),
        *_of_names(account),
        *_of_config(account),
        *_of_updates(account),
    ]
    if words := alerts.warning(account.bridge.token_ends_at, now):
        found.append(HealthIssue("warning", stored(words), "connect_page.show"))
    return sorted(found, key=lambda one: one.weight != "bad")


def _of_bridge(account: AccountView) -> list[HealthIssue]:
    bridge = account.bridge
    if bridge.problems:
        return [HealthIssue("bad", stored(words), "config.edit") for words in bridge.problems]
    if bridge.trouble:
        return [HealthIssue("bad", _("Мост ждёт: %(why)s", why=stored(bridge.trouble)), "connect_page.show")]
    if bridge.state.startswith("waiting"):
        why = bridge.state.partition(": ")[2]
        return [HealthIssue("bad", _("Мост ещё не работает: %(why)s", why=stored(why)), "connect_page.show")]
    if bridge.state != "ready" and not bridge.is_without_config:
        return [HealthIssue("warning", _("Мост запускается"))]
    return []


def _issues_of_health(health: HealthSnapshot, *, is_ready: bool) -> list[HealthIssue]:
    found = []
    if health.stopped:
        words = _("amoCRM не принимает запросы: %(why)s", why=stored(health.stopped))
        found.append(HealthIssue("bad", words, "connect_page.show"))
    if failed := sum(health.failed.values()):
        words = ngettext("%(num)s дело не выполнено и ждёт решения", "%(num)s дел не выполнено и ждут решения", failed)
        found.append(HealthIssue("bad", words, "failed.show"))
    if health.overdue:
        words = ngettext(
            "%(num)s дело ждёт дольше минуты", "%(num)s дел ждут дольше минуты", health.overdue
        )  # fmt: skip
        found.append(HealthIssue("warning", words))
    if is_ready and health.last_hook_age is None:
        found.append(
            HealthIssue("warning", _("amoCRM ещё ни о чём не сообщала: подвиньте любую сделку, и мост о ней узнает"))
        )
    if health.reconcile_age is not None and health.reconcile_age > RECONCILED_WITHIN:
        found.append(HealthIssue("warning", _("Мост давно не искал в amoCRM пропущенное")))
    if health.hook_mended_age is not None and health.hook_mended_age < MENDED_LATELY:
        found.append(HealthIssue("warning", _("За сутки amoCRM умолкала; мост подписался на перемены снова")))
    return found


def _of_channels(account: AccountView) -> list[HealthIssue]:
    """Channels by which nothing goes out just now."""
    labels = {VK_ADS: title_of(VK_ADS), **{str(name): kind.label for name, kind in CHANNEL_KINDS.items()}}
    outages = account.bridge.channel_outages.items()
    return [
        HealthIssue(
            "bad",
            _("Канал «%(name)s» не работает: %(why)s", name=labels.get(name, name), why=stored(why)),
            "channels.show",
        )
        for name, why in outages
    ]


def _of_names(account: AccountView) -> list[HealthIssue]:
    """Rules that are off because of their names, and names to be put right."""
    fit = account.fit
    found = [
        HealthIssue("bad", _("Правило %(rule)s сломано: %(why)s", rule=rule, why=stored(why)), "rules.all_of_them")
        for rule, why in list(fit.broken.items())[:MOST_BROKEN]
    ]
    if more := len(fit.broken) - MOST_BROKEN if len(fit.broken) > MOST_BROKEN else 0:
        found.append(HealthIssue("bad", _("Сломанных правил ещё: %(n)s", n=more), "rules.all_of_them"))
    if fit.renamed:
        names = ", ".join(dict.fromkeys(f"«{one.name}» → «{one.new_name}»" for one in fit.renamed))
        words = _("В amoCRM переименовано, правила работают: %(names)s", names=names)
        found.append(HealthIssue("warning", words, "rules.all_of_them"))
    others = [
        one for one in fit.issues if one.state in ("inactive", "partial") or (one.state == "lost" and not one.rule)
    ]
    lines = dict.fromkeys(one.line.removesuffix(one.words) + stored(one.words) for one in others)
    return found + [HealthIssue("warning", words, "config.edit") for words in lines]


def _of_updates(account: AccountView) -> list[HealthIssue]:
    if not (account.config.updates.check and account.is_known) or not (newer := newer_version(account.account_store)):
        return []
    words = _("Вышла новая версия моста: %(newer)s. Как обновить — docs/operations.md", newer=newer)
    return [HealthIssue("warning", words, "settings.show_all")]


def _of_config(account: AccountView) -> list[HealthIssue]:
    state = account.bridge.watch.state
    found = []
    if state.problems:
        is_off = account.bridge.is_without_config
        words = (
            _("Настройка в файле сломана, правила не работают: %(first)s", first=state.problems[0])
            if is_off
            else _("Настройка в файле сломана, действует прежняя: %(first)s", first=state.problems[0])
        )
        if more := len(state.problems) - 1:
            words += f" ({_('и ещё %(n)s', n=more)})"
        found.append(HealthIssue("bad" if is_off else "warning", words, "config.edit"))
    if state.needs_restart:
        keys = ", ".join(state.needs_restart)
        found.append(HealthIssue("warning", _("Вступит в силу после перезапуска: %(keys)s", keys=keys), "config.edit"))
    if account.config.bridge.dry_run:
        found.append(
            HealthIssue("warning", _("Весь мост работает вхолостую: решает, но ничего не меняет"), "config.edit")
        )
    return found
