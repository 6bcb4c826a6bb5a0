"""Daily reports: made once at the end of the shift, reminded, escalated, passed on, corrected; on both stores."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.daily_office import HEAD, IVAN, MARIA, MONDAY_EVENING, PLAN, Agency
from support.fakes import NOON, user

from amo_bridge.config.model import Absence
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.engine.daily_reports import DailyReports, Sums
from amo_bridge.reports.pipedrive import PipedriveItem, PipedriveLog, PipedriveUser
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.database import Store

HOUR = timedelta(hours=1)
DONE = (
    "✅ Сумма продаж – 150\N{NO-BREAK SPACE}000\N{NO-BREAK SPACE}₽\n✅ Кол-во продаж – 1 шт\n"
    f"✅ Кол-во дозвонов – 2 шт\nПлан на завтра:\n{PLAN}"
)


@pytest.fixture
def agency(store: Store) -> Agency:
    made = Agency(store, tell=[MARIA])
    for hours in (1, 2):
        made.call(NOON + hours * HOUR)
    made.call(NOON + HOUR, seconds=3)
    made.sell(NOON + HOUR, 150_000)
    return made


# --- making -----------------------------------------------------------------------------------------------------------


def test_at_the_end_of_the_shift_each_person_has_his_report(agency: Agency) -> None:
    agency.at(MONDAY_EVENING - timedelta(minutes=1))
    assert agency.reports == []
    agency.at(MONDAY_EVENING)
    report = agency.report
    assert (report.day, report.person, report.due) == (date(2026, 11, 23), IVAN, MONDAY_EVENING)
    assert (report.sums, report.plan, report.is_confirmed) == (Sums(150_000, 1, 2), PLAN, False)
    assert [(one.what, one.who) for one in report.changes] == [("made", "")]


def test_it_is_made_once(agency: Agency) -> None:
    for minutes in range(0, 40, 5):
        if minutes == 20:
            agency.begin()
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert len(agency.report.changes) == 1


@pytest.mark.parametrize(
    ("change", "moment", "people"),
    [
        pytest.param({}, "2026-11-23T15:00", [IVAN], id="a working day"),
        pytest.param({}, "2026-11-22T15:00", [], id="a Sunday"),
        pytest.param({}, "2026-11-04T15:00", [], id="a holiday"),
        pytest.param({"dry": True}, "2026-11-23T15:00", [], id="dry run"),
        pytest.param({"at": "19:00"}, "2026-11-23T15:00", [], id="a later hour"),
        pytest.param({"event_at": "23:00", "events": True}, "2026-11-23T15:00", [], id="an event day is longer"),
        pytest.param({"event_at": "23:00", "events": True}, "2026-11-23T20:00", [IVAN], id="and ends later"),
        pytest.param({"events": True}, "2026-11-23T15:00", [IVAN], id="an event day like others"),
        pytest.param({"people": [IVAN, MARIA]}, "2026-11-23T15:00", [IVAN, MARIA], id="two"),
        pytest.param({"people": []}, "2026-11-23T15:00", [IVAN], id="whoever did something"),
        pytest.param({"people": [], "kpi": [MARIA]}, "2026-11-23T15:00", [MARIA], id="those of KPI"),
        pytest.param({"away": True}, "2026-11-23T15:00", [], id="away"),
    ],
)
def test_who_reports_and_when(agency: Agency, change: dict[str, Any], moment: str, people: list[str]) -> None:
    change = dict(change)
    agency.is_dry = change.pop("dry", False)
    agency.kpi = {"people": change.pop("kpi", [])}
    if change.pop("events", False):
        agency.kpi["event_days"] = {"2026-11-23": "15:00"}
    if change.pop("away", False):
        away = {"from": date(2026, 11, 20), "to": date(2026, 11, 25), "deputy": MARIA}
        agency.absences = {UserName(IVAN): (Absence.model_validate(away),)}
    agency.section |= change
    agency.at(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert [one.person for one in agency.reports] == people


def test_a_bridge_that_was_down_makes_up_for_the_last_shift_with_time_to_confirm(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    back = MONDAY_EVENING + timedelta(days=4, hours=-6)
    agency.at(back)
    last, first = agency.reports
    assert (first.day.day, last.day.day) == (23, 26), "Tuesday and Wednesday are nobody's report any more"
    assert last.due == back
    assert not [text for _, text in agency.notices if "26.11" in text], "nobody is reminded at once"


# --- what is not confirmed --------------------------------------------------------------------------------------------


def test_reminded_once_then_the_head_is_told_and_it_is_entered(agency: Agency) -> None:
    agency.section |= {"violation": {"clause": "S2", "penalty": 500}}
    for minutes in range(0, 60, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert agency.put == []
    for minutes in range(60, 120, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    remind = "Отчёт за 23.11.2026 не подтверждён. Подтвердите до 20:00: потом узнает руководитель"
    assert agency.notices == [(user(IVAN), remind)]
    assert agency.put[0][1]["url"] == f"https://bridge.example/reports/daily/{agency.report.number}"
    for minutes in range(120, 300, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert agency.notices[1:] == [(user(HEAD), "Иван Петров: отчёт за 23.11.2026 не подтверждён")]
    (violation,) = [body for kind, body in agency.put if kind == "record_violation"]
    assert violation == {
        "user_id": user(IVAN), "clause": "S2", "penalty": 500, "at": int((MONDAY_EVENING + 2 * HOUR).timestamp()),
        "deal_name": "", "why": "отчёт за 23.11.2026 не подтверждён вовремя",
    }  # fmt: skip


@pytest.mark.parametrize(("confirmed_after", "notices"), [(30, 0), (90, 1)])
def test_a_confirmed_report_is_left_alone(agency: Agency, confirmed_after: int, notices: int) -> None:
    agency.section |= {"tell": []}
    for minutes in range(0, 300, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
        if minutes == confirmed_after:
            assert agency.confirm() == "done"
    assert len(agency.notices) == notices
    assert agency.report.escalated_at is None


def test_a_head_whom_no_notice_reaches_gets_a_task(agency: Agency) -> None:
    agency.ways = {IVAN: {"telegram": 22}}
    for minutes in (0, 60, 120):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    kind, body = agency.put[-1]
    assert (kind, body["responsible_user_id"]) == ("create_task", user(HEAD))
    assert "отчёт за 23.11.2026 не подтверждён" in body["text"]


def test_nobody_is_escalated_who_was_not_reminded_before(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    agency.at(MONDAY_EVENING + timedelta(hours=5))
    assert [whom for whom, _ in agency.notices] == [user(IVAN)]
    agency.after(minutes=61)
    assert [whom for whom, _ in agency.notices] == [user(IVAN), user(HEAD)]


def test_who_confirms_at_that_very_moment_is_left_alone(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    agency.section |= {"tell": [], "violation": "S2"}
    agency.at(MONDAY_EVENING)
    open_then = agency.reports
    agency.confirm()
    monkeypatch.setattr(agency.job._reports, "open_since", lambda since: open_then)
    for minutes in (60, 120, 180):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert agency.put == []


# --- what is confirmed ------------------------------------------------------------------------------------------------


def test_the_confirmed_report_is_shown_to_the_chat_once(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    assert agency.confirm() == "done"
    assert agency.confirm() == "already"
    for _ in range(3):
        agency.after(minutes=1)
        agency.begin()
    assert agency.notices == [(user(MARIA), f"Иван Петров, отчёт за 23.11.2026\n{DONE}")]


def test_before_the_confirmation_figures_follow_and_after_it_they_are_corrections(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    agency.sell(MONDAY_EVENING, 50_000, deal_id=31)
    agency.after(minutes=11)
    assert agency.report.sums == Sums(200_000, 2, 2)
    assert agency.confirm() == "done"
    agency.after(minutes=1)
    agency.sell(MONDAY_EVENING + HOUR, 10_000, deal_id=32)
    for _ in range(3):
        agency.after(minutes=11)
    report = agency.report
    assert [one.what for one in report.changes] == ["made", "figures", "confirmed", "figures"]
    assert report.confirmed is not None
    assert (report.confirmed.sums, report.sums) == (Sums(200_000, 2, 2), Sums(210_000, 3, 2))
    assert [one.sums for one in report.corrections] == [Sums(210_000, 3, 2)]
    space = "\N{NO-BREAK SPACE}"
    words = (
        "Иван Петров, отчёт за 23.11.2026: исправление\n"
        f"Сумма продаж – 210{space}000{space}₽ (было 200{space}000{space}₽)\nКол-во продаж – 3 шт (было 2)"
    )
    assert agency.notices[1:] == [(user(MARIA), words), (user(IVAN), words)]


def test_the_chat_is_shown_what_was_confirmed_and_then_the_correction(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    assert agency.confirm() == "done"
    agency.sell(MONDAY_EVENING, 50_000, deal_id=31)
    agency.begin()
    for _ in range(3):
        agency.after(minutes=1)
    assert [one.what for one in agency.report.changes] == ["made", "confirmed", "figures"]
    first, *more = agency.notices
    assert first == (user(MARIA), f"Иван Петров, отчёт за 23.11.2026\n{DONE}")
    assert [(whom, text.partition(")")[2]) for whom, text in more] == [
        (one, "\nКол-во продаж – 2 шт (было 1)") for one in (user(MARIA), user(IVAN))
    ]


def test_a_correction_of_the_last_day_that_is_counted_again_is_told(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    assert agency.confirm() == "done"
    agency.after(minutes=1)
    agency.sell(MONDAY_EVENING + HOUR, 10_000, deal_id=32)
    agency.at(MONDAY_EVENING + timedelta(days=7, hours=2))
    found = [text for _, text in agency.notices if "отчёт за 23.11.2026: исправление" in text]
    assert len(found) == 2


@pytest.mark.parametrize("confirmed", [(IVAN, MARIA), (IVAN,), (MARIA,), ()])
def test_a_deal_that_is_handed_over_rewrites_no_confirmed_report(agency: Agency, confirmed: tuple[str, ...]) -> None:
    agency.section |= {"people": [IVAN, MARIA], "tell": []}
    agency.at(MONDAY_EVENING)
    for report in [one for one in agency.reports if one.person in confirmed]:
        with agency.store.write() as connection:
            assert DailyReports(agency.store, agency.clock).confirm(connection, report.number, "сам") == "done"
    agency.sell(NOON + HOUR, 150_000, MARIA)
    agency.sell(NOON + HOUR, 1_000, MARIA, deal_id=31)
    for _ in range(3):
        agency.after(hours=8)
        agency.begin()
    sums = {one.person: one.sums for one in agency.reports if one.day.day == 23}
    if confirmed:
        assert (sums[IVAN], sums[MARIA]) == (Sums(150_000, 1, 2), Sums(1_000, 1, 0))
    else:
        assert (sums[IVAN], sums[MARIA]) == (Sums(0, 0, 2), Sums(151_000, 2, 0))


def test_a_deal_of_somebody_without_a_report_stays_his(agency: Agency) -> None:
    agency.section |= {"tell": []}
    agency.sell(NOON + HOUR, 7_000, HEAD, deal_id=31)
    agency.at(MONDAY_EVENING)
    assert agency.confirm() == "done"
    agency.sell(NOON + HOUR, 7_000, IVAN, deal_id=31)
    agency.after(minutes=30)
    assert agency.report.sums == Sums(150_000, 1, 2)


def test_a_report_without_a_plan_can_not_be_confirmed(agency: Agency) -> None:
    agency.section |= {"plan": ""}
    agency.at(MONDAY_EVENING)
    assert agency.confirm() == "no plan"
    assert not agency.report.is_confirmed


def test_work_in_pipedrive_stands_in_the_report_too(agency: Agency) -> None:
    agency.pipedrive = PipedriveSection(api="https://agency.pipedrive.com")
    log, mail = PipedriveLog(agency.store), agency.rule_engine().account.user(IVAN).email
    money = agency.rule_engine().account.currency
    items = [
        PipedriveItem("activity", 1, 5, NOON, kind="call", client="person 1"),
        PipedriveItem("deal", 2, 5, NOON, cost=70_000, currency=money),
    ]
    with agency.store.write() as connection:
        log.keep_users(connection, [PipedriveUser(5, "Ivan", mail)])
        log.keep(connection, items)
    agency.sell(NOON, 1_000)
    agency.at(MONDAY_EVENING)
    assert agency.report.sums == Sums(1_700, 2, 3), "two talks in amoCRM, one there"
    with agency.store.write() as connection:
        log.forget(connection, "deal", [2])
    agency.after(minutes=11)
    assert agency.report.sums == Sums(1_000, 1, 3)
