"""The report of overdue tasks agrees with the tasks that amoCRM itself has (A120)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.reports.overdue import Span, overdue
from amo_bridge.storage.database import AccountStore

IVAN, ELENA = "Иван Петров", "Елена Орлова"


def test_the_counts_are_amocrms_own(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> None:
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Ольга"), 0)
    now = datetime.now(UTC)
    late = [_task(office, deal, IVAN, now - timedelta(hours=hours)) for hours in (1, 30, 60)]
    _task(office, deal, ELENA, now - timedelta(hours=2))
    _task(office, deal, ELENA, now + timedelta(days=3))
    bridge.settle(sandbox)
    # One of them gets done, late.
    office._ask("PATCH", f"/api/v4/tasks/{late[0]}", {"is_completed": True, "result": {"text": "готово"}}, IVAN)
    bridge.settle(sandbox)
    wait_until(lambda: _by_the_report(bridge) == _by_amocrm(office), "the report agrees with amoCRM")
    assert _by_the_report(bridge) == {IVAN: 2, ELENA: 1}


def test_a_deadline_moved_leaves_the_overdue_days_before(
    bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Ольга"), 0)
    now = datetime.now(UTC)
    task = _task(office, deal, IVAN, now - timedelta(hours=2))
    bridge.settle(sandbox)
    wait_until(lambda: _by_the_report(bridge) == {IVAN: 1}, "the task stands overdue")
    made = datetime.now(UTC).replace(microsecond=0)
    wait_until(
        lambda: datetime.now(UTC) >= made + timedelta(seconds=1), "amoCRM's next second: its times are whole ones"
    )
    later = datetime.now(UTC).replace(microsecond=0)
    due = int((now + timedelta(days=3, hours=-2)).timestamp())
    office._ask("PATCH", f"/api/v4/tasks/{task}", {"complete_till": due}, IVAN)
    bridge.settle(sandbox)
    wait_until(lambda: _by_the_report(bridge) == {}, "it is not overdue any more")
    assert _by_the_report(bridge, later) == {IVAN: 1}, "before it was moved it was overdue"
    assert _by_the_report(bridge, now - timedelta(minutes=30)) == {}, "then there was no such task"
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    today = Span(now.date(), (now - timedelta(hours=12)).timestamp(), datetime.now(UTC).timestamp())
    report = overdue(AccountStore(account.store, account.key), [today], {office.users[IVAN]: IVAN}, "missed")
    assert (report.rows, report.moves[IVAN].times, report.moves[IVAN].days) == ({IVAN: (1,)}, 1, 3.0)


def _task(office: CrmUser, deal: int, who: str, due: datetime) -> int:
    body = {
        "text": "Позвонить",
        "complete_till": int(due.timestamp()),
        "entity_id": deal,
        "entity_type": "leads",
        "responsible_user_id": office.users[who],
    }
    return int(office._ask("POST", "/api/v4/tasks", [body], who)["_embedded"]["tasks"][0]["id"])


def _by_the_report(bridge: RunningBridge, now: datetime | None = None) -> dict[str, int]:
    """How many stand overdue just now, or stood then, by the bridge's copy."""
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    now = now or datetime.now(UTC)
    today = Span(now.date(), (now - timedelta(hours=12)).timestamp(), now.timestamp())
    names = {person.id: person.name for person in account.crm_account.users}
    return {
        name: sum(figures)
        for name, figures in overdue(AccountStore(account.store, account.key), [today], names, "standing").rows.items()
    }


def _by_amocrm(office: CrmUser) -> dict[str, int]:
    """How many of amoCRM's own open tasks are past their time."""
    people = {number: name for name, number in office.users.items()}
    tasks = office._ask("GET", "/api/v4/tasks?limit=250")["_embedded"]["tasks"]
    now = datetime.now(UTC).timestamp()
    open_late = [task for task in tasks if not task["is_completed"] and task["complete_till"] < now]
    return dict(Counter(people[task["responsible_user_id"]] for task in open_late))
