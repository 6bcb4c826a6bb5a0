"""``/state``, ``/accounts``, ``/overview``, ``/upcoming``: health, what rules did and will do."""

from __future__ import annotations

import datetime
from typing import Literal
from urllib.parse import quote

from flask import request
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.vendors import unconnected
from amo_bridge.engine.effects import CHANNEL_KINDS
from amo_bridge.web.api import ROOT, api
from amo_bridge.web.api.deals import Effect, effects_of
from amo_bridge.web.api.endpoint import Endpoint, Shape, day, one_of, whole
from amo_bridge.web.api.rules import RuleDecision, decision_of
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts as installed_accounts
from amo_bridge.web.context import current_account, visible
from amo_bridge.web.middleware import WHERE
from amo_bridge.web.services.decisions import ENDINGS, SOURCES, DecisionView, decisions_of, wish_asked_for
from amo_bridge.web.services.overview import days_of, health_issues, imports_of_today, today_of

# A program reads more than a page shows.
MOST_LINES = 500
USUAL_LINES = 100


class WebinarToday(Shape):
    """An upload of a webinar's attendees that was begun or ended today."""

    number: int
    state: str
    held_on: datetime.date


class Today(Shape):
    """What rules did today, or failed to do, newest first; at most 500. ``date``: in the account's time zone.
    ``webinars``: no rule makes their deals."""

    date: datetime.date
    actions: list[RuleDecision]
    webinars: list[WebinarToday]


class Day(Shape):
    """Decisions of rules. ``unsent``: nothing went out, as by channels that nobody has connected. ``would_act``: in
    dry run, nothing was done."""

    date: datetime.date
    acted: int
    would_act: int
    skipped: int
    failed: int
    unsent: int


class Days(Shape):
    """Oldest first, today the last; none before the bridge has met its account."""

    days: list[Day]


@api.endpoint(
    Endpoint("overview_today", "/overview/today", "GET", Role.VIEWER, _l("Что правила сделали сегодня"), Today)
)
def today() -> Today:
    here = current_account()
    return Today(
        date=here.clock.now().astimezone(here.zone).date(),
        actions=[decision_of(line) for line in today_of(here, MOST_LINES)],
        webinars=[WebinarToday(number=one.id, state=one.state, held_on=one.held_on) for one in imports_of_today(here)],
    )


@api.endpoint(Endpoint("overview_days", "/overview/days", "GET", Role.VIEWER, _l("Последние 14 дней в числах"), Days))
def days() -> Days:
    return Days(days=[Day(date=day.date, **vars(day.count)) for day in days_of(current_account())])


class DecisionWithDeal(RuleDecision):
    """``id``: grows with time. ``deal_name``, ``person``: of the deal as it is known now; empty if it is not.
    ``source``: what started it; ``unknown`` of what is older than this was kept. ``effects``: what was to be done, and
    what became of each."""

    id: int
    deal_name: str
    person: str
    source: str
    effects: list[Effect]


class Decisions(Shape):
    """Newest first. ``total``: counted up to 10,000. ``next_before``: what to ask for as ``before`` to go on; null at
    the end. ``is_vague``: more deals fit the words than are looked at."""

    total: int
    next_before: int | None
    is_vague: bool
    decisions: list[DecisionWithDeal]


@api.endpoint(
    Endpoint(
        "overview_decisions",
        "/overview/decisions",
        "GET",
        Role.VIEWER,
        _l("Что сделал мост: решения по дню, правилу, человеку, каналу, исходу, источнику"),
        Decisions,
        query={
            "from": _l("с какого дня; сегодня"),
            "to": _l("по какой день; сегодня"),
            "rule": _l("имя правила"),
            "person": _l("номер сотрудника, который ведёт сделку"),
            "ending": _l("исход: done, would_act, at_work, trouble, unsent"),
            "channel": _l("канал: crm, mail, sms …"),
            "source": _l(
                "источник: webhook, reconciliation, timer, enquiry, mail, ads, import, person, api, bridge, unknown"
            ),
            "text": _l("номер, название или клиент сделки"),
            "before": _l("номер решения, до которого"),
            "most": _l("сколько, до 500; 100"),
        },
        checks={
            "from": day,
            "to": day,
            "person": whole(1),
            "ending": one_of(ENDINGS),
            "channel": one_of(["crm", *CHANNEL_KINDS]),
            "source": one_of(SOURCES),
            "before": whole(1),
            "most": whole(1, MOST_LINES),
        },
    )
)
def decisions() -> Decisions:
    here = current_account()
    found = decisions_of(here, wish_asked_for(here, request.args), request.args.get("most", USUAL_LINES, type=int))
    return Decisions(
        total=found.total,
        next_before=found.next_before,
        is_vague=found.is_vague,
        decisions=[_with_deal(one) for one in found.rows],
    )


def _with_deal(one: DecisionView) -> DecisionWithDeal:
    return DecisionWithDeal(
        **decision_of(one.line).model_dump(),
        id=one.line.id,
        deal_name=one.deal_name,
        person=one.person,
        source=one.line.source,
        effects=effects_of(one.line.effects),
    )


# How the bridge and its accounts are.


class Trouble(Shape):
    """What somebody should look at, in Russian."""

    weight: Literal["bad", "warning"]
    words: str


class State(Shape):
    """Is everything well? Ages are seconds; null: it has not happened yet. ``unconnected``: channels that rules call,
    and nobody has connected them. ``access_ends_at``: null where that is not known."""

    account: str
    state: str
    is_ready: bool
    is_leading: bool
    troubles: list[Trouble]
    inbox_new: int
    events_open: int
    outbox: dict[str, int]
    failed: dict[str, int]
    overdue: int
    mirror_deals: int
    last_hook_age: float | None
    hook_seen_age: float | None
    reconcile_age: float | None
    stopped: str
    unconnected: list[str]
    access_ends_at: datetime.datetime | None


@api.endpoint(Endpoint("state_state", "/state", "GET", Role.VIEWER, _l("Всё ли хорошо"), State))
def state() -> State:
    here = current_account()
    health = here.health_snapshot()
    found = [Trouble(weight=one.weight, words=one.words) for one in health_issues(here, health, here.clock.now())]
    told = health.to_json()
    return State(
        account=here.config.account.url,
        state=here.bridge.state,
        is_ready=here.bridge.is_ready,
        is_leading=here.bridge.is_leading,
        troubles=found,
        unconnected=sorted(unconnected(here.config)),
        access_ends_at=here.bridge.token_ends_at,
        **{name: told[name] for name in State.model_fields if name in told},
    )


# The accounts of this installation.


class InstalledAccount(Shape):
    """``api``: under which path its doors are; empty for one that does not work because its config is broken, as
    ``problems`` tell (Russian)."""

    name: str
    url: str
    state: str
    is_ready: bool
    api: str
    problems: list[str]


class InstalledAccounts(Shape):
    """By name, of those that the token has a role in. Users, tokens and the audit are common to all."""

    accounts: list[InstalledAccount]


@api.endpoint(
    Endpoint("accounts_accounts", "/accounts", "GET", Role.VIEWER, _l("Аккаунты этой установки"), InstalledAccounts)
)
def accounts() -> InstalledAccounts:
    here = installed_accounts()
    known = [
        _account(name, f"{WHERE}{quote(name)}{ROOT}" if here.has_several else ROOT) for name in visible(here.names)
    ]
    broken = [
        InstalledAccount(name=name, url="", state="broken", is_ready=False, api="", problems=list(problems))
        for name, problems in here.broken.items()
        if name in visible(here.broken)
    ]
    return InstalledAccounts(accounts=sorted([*known, *broken], key=lambda one: one.name))


def _account(name: str, api: str) -> InstalledAccount:
    page = installed_accounts().account_at(name)
    bridge = page.bridge
    return InstalledAccount(
        name=name,
        url=page.config.account.url,
        state=bridge.state,
        is_ready=bridge.is_ready,
        api=api,
        problems=list(bridge.problems),
    )


# What the rules will do next.


class Step(Shape):
    """A step that the clock will take. ``due`` may have passed, if the worker has not looked since."""

    due: datetime.datetime
    rule: str
    clause: str
    step: str
    deal_id: int
    deal_name: str
    says: str


class Steps(Shape):
    """The earliest first. ``now``: by amoCRM's clock. ``total``: how many there are, counted up to 10,000."""

    now: datetime.datetime
    total: int
    steps: list[Step]


MOST_DAYS = 366


@api.endpoint(
    Endpoint(
        "upcoming_upcoming",
        "/upcoming",
        "GET",
        Role.VIEWER,
        _l("Что подойдёт по часам"),
        Steps,
        query={
            "days": _l("на сколько дней вперёд, до 366; 7"),
            "rule": _l("имя правила"),
            "deal": _l("номер сделки"),
            "most": _l("сколько, до 1000; 100"),
            "passed": _l("сколько ближайших пропустить; 0"),
        },
        checks={"days": whole(1, MOST_DAYS), "deal": whole(1), "most": whole(1, 1000), "passed": whole(0)},
    )
)
def upcoming() -> Steps:
    ahead = current_account().upcoming
    told = request.args
    span, rule = datetime.timedelta(days=told.get("days", 7, type=int)), told.get("rule") or None
    most, passed = told.get("most", USUAL_LINES, type=int), told.get("passed", 0, type=int)
    deal_id = told.get("deal", type=int)
    found = ahead.within(span, rule=rule, deal_id=deal_id, most=most, passed=passed)
    steps = [Step.model_validate(one.to_json()) for one in found]
    return Steps(now=ahead.now(), total=ahead.count(span, rule=rule, deal_id=deal_id), steps=steps)
