"""Beginnings of shifts by Telegram and MAX: each person is asked, and confirms by a button.

Whoever has begun in amoCRM meanwhile is asked no more: the message says so. Whoever has no messenger with buttons gets
a notice with the link to his page.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Button
from amo_bridge.channels.presses import NO_BUTTON, NOBODY, Judged, Press, StaffBots, user_of
from amo_bridge.channels.staff_messages import MESSENGERS, Question, StaffQuestions
from amo_bridge.clock import Clock
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.shift_starts import ABOUT, ShiftStart, ShiftStarts, is_shift_over, notice_of, shift_page
from amo_bridge.storage.database import AccountStore

CONFIRM = "Я на смене"
OVER = "Эта смена уже прошла: ничего не изменено"
_DATA = re.compile(r"sh:([0-9]{1,18})")


class ShiftStartButtons(StaffQuestions[ShiftStart]):
    mark, about = "sh", ABOUT

    def __init__(
        self,
        bots: StaffBots,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        super().__init__(bots, store, rule_engine, clock, account_clock)
        self._starts = ShiftStarts(store, account_clock)

    def run(self) -> int:
        engine, now = self._rule_engine(), self._account_clock.now()
        today = engine.calendar.local(now).date()
        waiting = {one.number: one for one in self._starts.between(today, today) if one.begun_at is None}
        ended = self._end_others(engine, waiting)
        return ended if is_shift_over(engine, today, now) else ended + self._ask(engine, waiting, now)

    def _version(self, one: ShiftStart) -> int:
        return 1

    def _question(self, engine: RuleEngine, one: ShiftStart) -> Question:
        text, url = _text(engine, one), shift_page(engine.viewer.pages_url)
        return Question(text, url, Button(CONFIRM, f"{self.mark}:{one.number}"), notice_of(one, "asked", text, url))

    def _ending(self, engine: RuleEngine, number: int) -> tuple[str, str]:
        return _outcome(engine, self._starts.of(number)), shift_page(engine.viewer.pages_url)

    def judge(self, press: Press) -> Judged:
        found = _DATA.fullmatch(press.data)
        one = self._starts.of(int(found[1])) if found else None
        if one is None:
            return Judged(NO_BUTTON)
        engine, now = self._rule_engine(), self._account_clock.now()
        user_id = user_of(press, engine)
        if user_id is None:
            return Judged(NOBODY.format(press.person))
        if user_id != one.user_id:
            return Judged(f"Это смена другого человека, подтверждает {one.person}: ничего не изменено")
        if one.day != engine.calendar.local(now).date():
            return Judged(OVER)
        who = f"{one.person}, {MESSENGERS[press.way]}"

        def keep(connection: Connection, press_id: int) -> Judged | None:
            said = self._starts.begin(connection, one.number, now, who)
            return None if said == "done" else Judged("Смена уже начата")

        return Judged(f"Смена начата в {engine.calendar.local(now):%H:%M}", keep=keep)


def _text(engine: RuleEngine, one: ShiftStart) -> str:
    return f"{one.day:%d.%m.%Y}: смена в {engine.calendar.local(one.due):%H:%M}. Подтвердите, что вы на работе."


def _outcome(engine: RuleEngine, one: ShiftStart | None) -> str:
    if one is None or one.begun_at is None:
        return "Не подтверждено."
    how = "подтверждена" if one.begun_by else "видна по работе в amoCRM"
    return f"Смена начата в {engine.calendar.local(one.begun_at):%H:%M}, {how}."
