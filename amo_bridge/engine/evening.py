"""The end of a working day: everybody is told once which of his tasks are not done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

from amo_bridge.channels.notices.reach import Reach
from amo_bridge.clock import Clock
from amo_bridge.config.model import stand_in
from amo_bridge.crm.account import User
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.planned import Planned
from amo_bridge.reports.evening_list import in_words, undone
from amo_bridge.storage.accounts import EVENING_LIST_SENT, Cursors
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import outbox
from amo_bridge.text.names import same_name

RULE = "bridge.evening"
NO_DEAL = 0
# A bridge that was down at that hour tells it later the same evening, and not in the night.
NOT_LATER = timedelta(hours=3)


class Evening:
    """A chore: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: Store, account_key: int, brain: Brain, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._config = brain.config
        self._account = brain.account
        self._calendar = brain.calendar
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store, account_key)

    def run(self) -> None:
        """Put today's lists into the outbox, if it is time. Raises StoreUnavailable."""
        section = self._config.evening_list
        if section is None or self._config.bridge.dry_run:
            return
        now = self._account_clock.now()
        today = self._calendar.local(now).date()
        at = self._calendar.moment(today, section.at)
        if not self._calendar.is_working_day(today) or not at <= now < at + NOT_LATER:
            return
        if (self._cursors.read(EVENING_LIST_SENT) or 0.0) >= at.timestamp():
            return
        rows = list(self._rows(today))
        with self._store.write() as connection:
            insert_new(connection, outbox, rows)
            self._cursors.write(connection, EVENING_LIST_SENT, at.timestamp())

    def _rows(self, today: date) -> Iterator[dict[str, Any]]:
        midnight = self._calendar.local(self._calendar.moment(today + timedelta(days=1), time()))
        for user_id, some in undone(self._store, self._key, midnight).items():
            user = next((one for one in self._account.users if one.id == user_id), None)
            if user is not None and self._is_told(user, today):
                yield self._row(user_id, in_words(some, today), today)

    def _is_told(self, user: User, today: date) -> bool:
        """Is he among those to be told, can he be told, and is he there?"""
        section = self._config.evening_list
        named = section is not None and (not section.to or any(same_name(user.name, name) for name in section.to))
        is_there = same_name(stand_in(self._config.absences, user.name, today), user.name)
        return named and is_there and Reach(self._config.channels, self._account).can_be_told(user.id)

    def _row(self, user_id: int, text: str, today: date) -> dict[str, Any]:
        url = f"{self._config.account.url}/todo/list/"
        body = {"user_id": user_id, "text": text, "urgent": False, "about": "Задачи на сегодня", "url": url}
        effect = Effect("notify", NO_DEAL, body, text)
        return Planned(None, RULE, f"{RULE}|{user_id}|{today:%Y-%m-%d}", effect).row(self._key, self._clock.now())
