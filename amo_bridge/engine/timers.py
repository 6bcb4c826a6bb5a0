"""Timers: the steps that schedules planned, kept in the store until they fall due.

They are a function of the mirror and the config. Whenever a deal's copy is written, its timers are brought into line in
the same transaction: missing ones are added, open ones that nobody wants any more are deleted, those that have fired
stay as they are as long as anybody could want them (``old_timers``). So a restart, a missed tick or a moved clock
changes nothing: a step fires once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.engine import Connection

from amo_bridge.engine.timetable import InForce, Moments, TimerKey, Timetable, WantedStep
from amo_bridge.mirror.contacts import MirroredContact, known_contacts
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.mirror.touches import unanswered_touches
from amo_bridge.rules.deal import Touches
from amo_bridge.storage.database import chunks, insert_new
from amo_bridge.storage.tables import schedules, timers

OPEN, FIRED = "open", "fired"


def contacts_of(connection: Connection, account: int, copies: Iterable[MirroredDeal]) -> dict[int, MirroredContact]:
    """The contacts of these deals, as far as the index knows them."""
    return known_contacts(connection, account, {one for copy in copies for one in copy.record.contact_ids})


def waiting_clients(
    connection: Connection, account: int, timetable: Timetable, copies: Iterable[MirroredDeal]
) -> dict[int, Touches]:
    """What the clients of these deals wait for an answer to, if something is counted from that."""
    if not timetable.from_messages:
        return {}
    return unanswered_touches(connection, account, [copy.record for copy in copies])


class Timers:
    def __init__(self, account: int) -> None:
        self._account = account

    def follow(self, connection: Connection, timetable: Timetable, copies: Iterable[MirroredDeal]) -> None:
        """The mirror's copies of these deals are being written: their timers follow, in the same transaction."""
        known = {copy.record.id: copy for copy in copies}
        if not known or not timetable:
            return
        in_force = self.in_force(connection)
        for some in chunks(sorted(known)):
            these = [known[deal_id] for deal_id in some]
            people = contacts_of(connection, self._account, these) if timetable.contact_dates else None
            unanswered = waiting_clients(connection, self._account, timetable, these)
            wanted = timetable.wanted(these, in_force, people, unanswered)
            self._bring_into_line(connection, self._of(connection, some), wanted)

    def forget(self, connection: Connection, deal_ids: Collection[int]) -> None:
        """The deals are gone."""
        for some in chunks(sorted(deal_ids)):
            gone = timers.c.deal_id.in_(some)
            connection.execute(delete(timers).where(timers.c.account == self._account, timers.c.state == OPEN, gone))

    def in_force(self, connection: Connection) -> dict[str, InForce]:
        """When the rules that have ever been on were on."""
        rows = connection.execute(select(schedules).where(schedules.c.account == self._account))
        return {row.rule: InForce.of(row) for row in rows}

    def fired(self, connection: Connection, rule: str, deal_ids: Iterable[int]) -> set[TimerKey]:
        """The steps of this rule that fell due for these deals: they never come again."""
        mine = (timers.c.account == self._account, timers.c.rule == rule, timers.c.state == FIRED)
        rows = connection.execute(select(timers).where(*mine, timers.c.deal_id.in_(deal_ids)))
        return {_key(row) for row in rows}

    def _of(self, connection: Connection, deal_ids: Collection[int]) -> Mapping[TimerKey, Row[Any]]:
        rows = connection.execute(
            select(timers).where(timers.c.account == self._account, timers.c.deal_id.in_(deal_ids))
        )
        return {_key(row): row for row in rows}

    def _bring_into_line(self, connection: Connection, there: Mapping[TimerKey, Row[Any]], wanted: WantedStep) -> None:
        new = [self._row(key, moments) for key, moments in wanted.steps.items() if key not in there]
        insert_new(connection, timers, new)
        still_open = {key: row for key, row in there.items() if row.state == OPEN}
        unwanted = [
            row.id
            for key, row in still_open.items()
            if key not in wanted.steps and (key.deal_id, key.rule) not in wanted.unknown
        ]
        for some in chunks(unwanted):
            connection.execute(delete(timers).where(timers.c.id.in_(some)))
        moved = [
            {"timer": row.id, "moment": wanted.steps[key].due_at, "counted": wanted.steps[key].since}
            for key, row in still_open.items()
            if key in wanted.steps and wanted.steps[key] != (row.due_at, row.since)
        ]
        if moved:
            by_id = update(timers).where(timers.c.id == bindparam("timer"))
            connection.execute(by_id.values(due_at=bindparam("moment"), since=bindparam("counted")), moved)

    def _row(self, key: TimerKey, moments: Moments) -> dict[str, Any]:
        return {
            "account": self._account,
            "deal_id": key.deal_id,
            "rule": key.rule,
            "step": key.step,
            "anchor": key.anchor,
            "due_at": moments.due_at,
            "since": moments.since,
            "state": OPEN,
        }


def _key(row: Row[Any]) -> TimerKey:
    return TimerKey(row.deal_id, row.rule, row.step, row.anchor)
