"""Daily reports by Telegram and MAX: each person is sent his own, and confirms it by a button.

Whoever answers the message in words writes the plan for tomorrow; what he edits later is the plan then.

The message follows the report: other figures and another plan are put in its place, and a press counts for the version
that was seen. Whoever has no messenger with buttons gets a notice with the link to the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Button
from amo_bridge.channels.presses import NO_BUTTON, NOBODY, Judged, Press, Reply, StaffBots, user_of
from amo_bridge.channels.staff_messages import MESSENGERS, Question, StaffQuestions
from amo_bridge.clock import Clock
from amo_bridge.engine.daily_reports import (
    ABOUT,
    LONGEST_PLAN,
    DailyReport,
    DailyReports,
    Planning,
    notice_of,
    report_page,
    report_text,
)
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.storage.database import AccountStore

CONFIRM = "Подтвердить"
ASKED_FOR = timedelta(days=7)
NO_PLAN = "Сначала напишите план на завтра: ответом на отчёт или по ссылке под ним"
NO_WORDS = "План на завтра — только словами: пришлите текст"
TOO_LONG = "План длиннее {} знаков и не записан: сократите его"
PLANNED: Mapping[Planning, str] = {
    "saved": "План на завтра записан. Подтвердите отчёт кнопкой под ним",
    "same": "План на завтра уже такой",
    "changed": "Отчёт как раз меняется: пришлите план ещё раз",
}
OTHER_PLAN = "Другой план — ответом на это сообщение."
NO_PLAN_YET = "Напишите план на завтра ответом на это сообщение или на странице отчёта и подтвердите его."
CORRECTED = "План на завтра изменён; отчёт уже подтверждён, поэтому это исправление"
CHANGED = "Отчёт изменился: посмотрите его ещё раз и нажмите снова"
_DATA = re.compile(r"dr:([0-9]{1,18}):([0-9]{1,9})")


class DailyReportButtons(StaffQuestions[DailyReport]):
    mark, about = "dr", ABOUT

    def __init__(
        self,
        bots: StaffBots,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        super().__init__(bots, store, rule_engine, clock, account_clock)
        self._reports = DailyReports(store, account_clock)

    # --- asking ---

    def run(self) -> int:
        engine, now = self._rule_engine(), self._account_clock.now()
        reports = {one.number: one for one in self._reports.open_since(now - ASKED_FOR)}
        moved = self._end_others(engine, reports) + self._ask(engine, reports, now)
        self._mark_reached(reports, now)
        return moved

    def _version(self, one: DailyReport) -> int:
        return one.version

    def _question(self, engine: RuleEngine, one: DailyReport) -> Question:
        url = report_page(engine.viewer.pages_url, one.number)
        button = Button(CONFIRM, f"{self.mark}:{one.number}:{one.version}")
        return Question(_asking(engine, one), url, button, notice_of(one, "made", one.user_id, _text(engine, one), url))

    def _mark_reached(self, reports: dict[int, DailyReport], now: datetime) -> None:
        """Who was sent his report, or a notice in its place, by now: the time to confirm begins then."""
        untold = [number for number, report in reports.items() if report.told_at is None]
        told = [number for number, row in self._messages.of(untold).items() if row.state in ("asked", "refused")]
        if told:
            with self._store.write() as connection:
                for number in told:
                    self._reports.mark(connection, number, told_at=now.timestamp())

    def _ending(self, engine: RuleEngine, number: int) -> tuple[str, str]:
        return self._outcome(engine, self._reports.of(number)), report_page(engine.viewer.pages_url, number)

    def _outcome(self, engine: RuleEngine, report: DailyReport | None) -> str:
        if report is None:
            return "Отчёта больше нет."
        if report.confirmed_at is None:
            return "Отчёт не подтверждён: это можно сделать на странице."
        at = engine.calendar.local(report.confirmed_at)
        return f"Подтверждён {at:%d.%m в %H:%M}: {report.confirmed_by}."

    # --- presses ---

    def judge(self, press: Press) -> Judged:
        found = _DATA.fullmatch(press.data)
        report = self._reports.of(int(found[1])) if found else None
        if found is None or report is None:
            return Judged(NO_BUTTON)
        engine = self._rule_engine()
        user_id = user_of(press, engine)
        if user_id is None:
            return Judged(NOBODY.format(press.person))
        if user_id != report.user_id:
            return Judged(f"Этот отчёт подтверждает {report.person}: ничего не изменено")
        if report.is_confirmed:
            return Judged(f"Уже подтверждён: {report.confirmed_by}")
        version = int(found[2])
        if report.version != version:
            return Judged(CHANGED)
        if not report.plan.strip():
            return Judged(NO_PLAN)
        who = f"{report.person}, {MESSENGERS[press.way]}"

        def keep(connection: Connection, press_id: int) -> Judged | None:
            said = self._reports.confirm(connection, report.number, who, version=version)
            return None if said == "done" else Judged("Уже подтверждён" if said == "already" else CHANGED)

        return Judged("Отчёт подтверждён", keep=keep)

    def reply(self, number: int, reply: Reply) -> Judged | None:
        report, engine = self._reports.of(number), self._rule_engine()
        if report is None:
            return None
        user_id = user_of(reply, engine)
        if user_id is None:
            return Judged(NOBODY.format(reply.person))
        if user_id != report.user_id:
            return Judged(f"Это отчёт другого человека, план пишет {report.person}: ничего не изменено")
        plan = reply.text.replace("\r\n", "\n").strip()
        if not plan:
            return Judged(NO_WORDS)
        if len(plan) > LONGEST_PLAN:
            return Judged(TOO_LONG.format(LONGEST_PLAN))
        who = f"{report.person}, {MESSENGERS[reply.way]}"

        def keep(connection: Connection, press_id: int) -> Judged | None:
            said = self._reports.set_plan(connection, number, plan, who)
            return Judged(CORRECTED if said == "saved" and report.is_confirmed else PLANNED[said])

        return Judged("", keep=keep)


def _text(engine: RuleEngine, report: DailyReport) -> str:
    words = report_text(report.sums, report.plan, engine.account.currency)
    plan = "" if report.plan else "\n\nНапишите план на завтра на странице отчёта и подтвердите его."
    return f"{report.day:%d.%m.%Y}\n{words}{plan}"


def _asking(engine: RuleEngine, report: DailyReport) -> str:
    """What stands in a message that can be answered."""
    words = report_text(report.sums, report.plan, engine.account.currency)
    return f"{report.day:%d.%m.%Y}\n{words}\n\n{OTHER_PLAN if report.plan else NO_PLAN_YET}"
