"""Own page of a person: open tasks, violations, daily reports, texts to acknowledge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.config.model import Config
from amo_bridge.crm.account import User
from amo_bridge.engine.daily_reports import DailyReport, DailyReports
from amo_bridge.engine.policies import Acknowledgement, Policies
from amo_bridge.engine.shift_starts import ShiftStart, ShiftStarts
from amo_bridge.engine.violations import Violation
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.reports.violations import sums
from amo_bridge.storage.database import notify
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, number, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.deals import address_of
from amo_bridge.web.services.decisions import DecisionView, Wish, decisions_of

routes = Blueprint("mine", __name__)


def _has_logins(config: Config) -> bool:
    return any(person.login for person in config.channels.people.values())


MENU = Menu(_l("Мои задачи и нарушения"), "mine.show", place=12, role=Role.MANAGER, needs=_has_logins)
MOST_TASKS = 200
MOST_DONE = 20
VIOLATIONS_OF = timedelta(days=92)
REPORTS_OF = timedelta(days=14)


@dataclass(frozen=True)
class OwnTask:
    """An open task. ``deal_name``: empty if it is on no deal, or on one that is not known."""

    task: MirroredTask
    deal_name: str
    is_late: bool


@dataclass(frozen=True)
class Own:
    """What is a person's. ``tasks``: by their terms, ``MOST_TASKS`` at most; ``violations``: the newest first;
    ``reports``: not confirmed yet; ``unread``: with the titles of the texts; ``shift``: of today, not begun yet.
    ``done``: what the bridge did with his deals yesterday and today."""

    person: User
    tasks: Sequence[OwnTask]
    violations: Sequence[Violation]
    reports: Sequence[DailyReport]
    unread: Sequence[tuple[Acknowledgement, str]]
    shift: ShiftStart | None = None
    done: Sequence[DecisionView] = ()

    @property
    def late(self) -> int:
        return sum(one.is_late for one in self.tasks)


@routes.get("/mine")
@open_to(Role.MANAGER)
def show() -> str:
    """The head may look at anybody's (``person``)."""
    here = current_account()
    asked = number("person")
    person = here.person_of(user().login)
    if asked is not None and (person is None or asked != person.id):
        if not user().may(Role.HEAD):
            abort(403)
        person = person_at(here, asked)
    own = own_of(here, person) if person is not None and here.is_known else None
    return render_template(
        "mine/show.html",
        own=own,
        sums=sums([one.total for one in own.violations]) if own else [],
        is_mine=asked is None or person == here.person_of(user().login),
        has_pay=here.config.pay is not None,
        here=here,
        deal_address=address_of,
        people=sorted(here.user_names.items(), key=lambda one: one[1]) if user().may(Role.HEAD) else [],
        login=user().login,
        most=MOST_TASKS,
        most_done=MOST_DONE,
    )


def person_at(here: AccountView, user_id: int) -> User:
    """Ends the request with 404 if there is none."""
    known = here.crm_account
    return next((one for one in known.users if one.id == user_id), None) or abort(404) if known else abort(404)


def own_of(here: AccountView, person: User) -> Own:
    """Raises NotMet, StoreUnavailable."""
    now = here.clock.now()
    today = now.astimezone(here.zone).date()
    with here.account_store.read() as connection:
        tasks = TaskRows(here.key).open_of(connection, person.id, MOST_TASKS)
    deals = Mirror(here.account_store).get(one.deal_id for one in tasks if one.deal_id)
    texts = Policies(here.account_store, here.clock)
    titles = {policy.number: policy.current.title for policy in texts.all()}
    reports = DailyReports(here.account_store, here.clock).between(today - REPORTS_OF, today, person.id)
    return Own(
        person=person,
        tasks=[_own_task(one, now, deals[one.deal_id].record.name if one.deal_id in deals else "") for one in tasks],
        violations=here.violations.between(now - VIOLATIONS_OF, user_id=person.id)[::-1],
        reports=[one for one in reports if not one.is_confirmed],
        unread=[(one, titles.get(one.policy_id, "")) for one in texts.unread([person.id])],
        shift=_open_shift(here, person),
        done=decisions_of(here, Wish(today - timedelta(days=1), today, False, person=person.id), MOST_DONE).rows,
    )


@routes.post("/mine/shift")
@open_to(Role.MANAGER)
def begin_shift() -> Answer:
    """Only the person himself is at work."""
    here = current_account()
    person = here.person_of(user().login)
    if person is None or not here.is_known:
        abort(403)
    one, now = _open_shift(here, person), here.clock.now()
    if one is None:
        flash(_("Подтверждать нечего: смена уже начата или сегодня её нет."))
        return redirect(url_for("mine.show"))
    with here.store.write() as connection:
        ShiftStarts(here.account_store, here.clock).begin(connection, one.number, now, f"{one.person}, {user().login}")
        notify(connection, here.key)
    flash(_("Смена начата в %(at)s.", at=f"{now.astimezone(here.zone):%H:%M}"))
    return redirect(url_for("mine.show"))


def _open_shift(here: AccountView, person: User) -> ShiftStart | None:
    """The person's shift of today, as long as it is not begun."""
    today = here.clock.now().astimezone(here.zone).date()
    found = ShiftStarts(here.account_store, here.clock).between(today, today, person.id)
    return next((one for one in found if one.begun_at is None), None)


def _own_task(task: MirroredTask, now: datetime, deal_name: str) -> OwnTask:
    return OwnTask(task, deal_name, task.due < now)
