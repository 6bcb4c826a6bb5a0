"""Rules of working in the CRM by Telegram and MAX: what has changed, with a button «Прочитано».

Whoever has no messenger with buttons gets a notice with the link to the page. A press counts for the version that the
message is about, as long as that is in force.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row
from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Button
from amo_bridge.channels.presses import NO_BUTTON, NOBODY, Judged, Press, StaffBots, user_of
from amo_bridge.channels.staff_messages import MESSENGERS, Question, StaffQuestions
from amo_bridge.clock import Clock
from amo_bridge.engine.policies import (
    ABOUT,
    Acknowledgement,
    Policies,
    Policy,
    change_text,
    named_people,
    personal_notice,
    policy_page,
)
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.storage.database import AccountStore

READ = "Прочитано"
OLDER = "Вышла новая версия: прочитайте её"
_DATA = re.compile(r"rd:([0-9]{1,18})")


class PolicyButtons(StaffQuestions[Acknowledgement]):
    mark, about = "rd", ABOUT

    def __init__(
        self,
        bots: StaffBots,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        super().__init__(bots, store, rule_engine, clock, account_clock)
        self._policies = Policies(store, account_clock)

    # --- asking ---

    def run(self) -> int:
        engine = self._rule_engine()
        section = engine.config.policies
        people = {user.id for user in named_people(engine, section)} if section else set()
        unread = {one.number: one for one in self._policies.unread(people)}
        return self._end_others(engine, unread) + self._ask(engine, unread, self._account_clock.now())

    def _version(self, one: Acknowledgement) -> int:
        return one.term

    def _is_due(self, row: Row[Any] | None, one: Acknowledgement) -> bool:
        # Where no button could be sent in the term before, the notice comes again.
        is_anew = row is not None and row.state == "refused" and row.version < one.term
        return is_anew or super()._is_due(row, one)

    def _question(self, engine: RuleEngine, one: Acknowledgement) -> Question | None:
        policy = self._policies.of(one.policy_id)
        if policy is None:
            return None
        text, url = self._text(engine, policy, one), policy_page(engine.viewer.pages_url, policy.number)
        notice = personal_notice(engine, one, one.step("new"), text, url, self._account_clock.now())
        return Question(text, url, Button(READ, f"{self.mark}:{one.number}"), notice)

    def _text(self, engine: RuleEngine, policy: Policy, one: Acknowledgement) -> str:
        """With what has changed since the version that this person has read last."""
        read = [
            other.version
            for other in self._policies.readers(policy.number)
            if other.user_id == one.user_id and other.read_at is not None
        ]
        versions = {version.version: version for version in self._policies.versions(policy.number)}
        return change_text(engine, policy, versions.get(max(read, default=0)), one.due)

    def _ending(self, engine: RuleEngine, number: int) -> tuple[str, str]:
        one = self._policies.acknowledgement(number)
        return self._outcome(engine, one), policy_page(engine.viewer.pages_url, one.policy_id) if one else ""

    def _outcome(self, engine: RuleEngine, one: Acknowledgement | None) -> str:
        if one is not None and one.read_at is not None:
            at = engine.calendar.local(one.read_at)
            return f"Прочитано {at:%d.%m в %H:%M}: {one.read_by}."
        policy = self._policies.of(one.policy_id) if one else None
        if one is not None and policy is not None and policy.current.version != one.version:
            return f"{OLDER}."
        return "Отвечать больше не нужно."

    # --- presses ---

    def judge(self, press: Press) -> Judged:
        found = _DATA.fullmatch(press.data)
        one = self._policies.acknowledgement(int(found[1])) if found else None
        policy = self._policies.of(one.policy_id) if one else None
        if one is None or policy is None:
            return Judged(NO_BUTTON)
        user_id = user_of(press, self._rule_engine())
        if user_id is None:
            return Judged(NOBODY.format(press.person))
        if user_id != one.user_id:
            return Judged(f"Это сообщение — для {one.person}: ничего не изменено")
        if one.read_at is not None:
            return Judged(f"Уже отмечено: {one.read_by}")
        if policy.withdrawn_at is not None:
            return Judged("Эти правила больше не действуют")
        if policy.current.version != one.version:
            return Judged(OLDER)
        who, number = f"{one.person}, {MESSENGERS[press.way]}", one.number

        def keep(connection: Connection, press_id: int) -> Judged | None:
            done = self._policies.acknowledge(connection, number, who) == "done"
            return None if done else Judged("Уже отмечено")

        return Judged("Отмечено: прочитано", keep=keep)
