"""The rule engine of one account: resolver, dispatcher, change detection, timetable.

Immutable; rebuilt when the config or the account's names change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.engine.change_detection import Observer, TaskObserver
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import Dispatcher
from amo_bridge.engine.people import DealKnown, People, Reach, nobody_has_seen
from amo_bridge.engine.resolver import Resolver
from amo_bridge.engine.timers import Timetable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import nameless


@dataclass(frozen=True)
class RuleEngine:
    """The parts that decide, and what they were made of."""

    config: Config
    account: Account
    people: People
    resolver: Resolver
    dispatcher: Dispatcher
    observer: Observer
    task_observer: TaskObserver
    viewer: Viewer
    timetable: Timetable
    calendar: WorkCalendar

    @classmethod
    def of(
        cls,
        config: Config,
        account: Account,
        clock: Clock,
        deal_known: DealKnown = nobody_has_seen,
        pages_url: str = "",
        card_name: Callable[[str, int], str] = nameless,
    ) -> Self:
        people = People(account, config.roles, config.absences, deal_known, config.bridge.tell)
        calendar = config.calendar.calendar(account.timezone)
        resolver = Resolver(account, people, calendar, Reach(config.channels, account).is_reachable)
        secret = config.bridge.secret_fields
        viewer = Viewer(account, config.account.url, pages_url or config.bridge.public_url or "", secret, card_name)
        return cls(
            config=config,
            account=account,
            people=people,
            resolver=resolver,
            dispatcher=Dispatcher(
                config.rules,
                resolver,
                account,
                clock,
                dry_run=config.bridge.dry_run,
                opt_out_tag=config.bridge.opt_out_tag,
                max_rollbacks=config.bridge.most_put_backs,
                tell=config.bridge.tell,
            ),
            observer=Observer(account, people, secret),
            task_observer=TaskObserver(account, people),
            viewer=viewer,
            timetable=Timetable(config.rules, viewer, calendar, config.calendar, clock),
            calendar=calendar,
        )


class CurrentRules:
    """Holds the rule engine in force. Whoever acts by the rules asks for it each time and keeps nothing of it.

    Safe for several threads; replaced only between two rounds of the worker."""

    def __init__(self, rule_engine: RuleEngine) -> None:
        self._rule_engine = rule_engine

    def get(self) -> RuleEngine:
        return self._rule_engine

    def timetable(self) -> Timetable:
        return self._rule_engine.timetable

    def replace(self, rule_engine: RuleEngine) -> None:
        self._rule_engine = rule_engine
