"""One way in for all buttons: each subject hears the presses of its own mark, and none holds up another's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import Connection
from support.fakes import ACCOUNT, clock, rule_engine

from amo_bridge.channels.presses import NO_BUTTON, ButtonJob, ButtonSubject, Judged, Press, StaffBots, keep_press
from amo_bridge.errors import CrmTemporary
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import approval_presses


class Subject(ButtonSubject):
    """Says what it was asked; ``raises``: what it fails with."""

    def __init__(self, mark: str, raises: Exception | None = None, *, is_slower: bool = False) -> None:
        self.mark = mark
        self.raises = raises
        self.is_slower = is_slower
        self.judged: list[str] = []
        self.expired: list[str] = []
        self.rounds = 0

    def judge(self, press: Press) -> Judged:
        if self.raises:
            raise self.raises
        self.judged.append(press.data)

        def keep(connection: Connection, press_id: int) -> Judged | None:
            return Judged("кто-то был быстрее") if self.is_slower else None

        return Judged("сделано", keep=keep)

    def expire(self, connection: Connection, press: Press) -> None:
        self.expired.append(press.data)

    def run(self) -> int:
        self.rounds += 1
        return 0


class Bot:
    """A messenger that only hears the answers."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    def answer_press(self, press: str, words: str) -> None:
        self.answers.append(words)


class Way:
    def __init__(self, store: Store, *subjects: Subject) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.bot: Any = Bot()
        self.clock = clock()
        bots = StaffBots({"telegram": self.bot}, self.clock)
        self.job = ButtonJob(subjects, bots, self.store, rule_engine, self.clock)

    def press(self, data: str) -> None:
        press = Press("telegram", 1, 1, "1", data, data)
        with self.store.write() as connection:
            keep_press(connection, self.store, data, press, self.clock.now().timestamp())

    def waiting(self) -> int:
        query = select(approval_presses.c.id).where(approval_presses.c.done_at.is_(None))
        with self.store.read() as connection:
            return len(connection.execute(query).all())


def test_each_hears_its_own(store: Store) -> None:
    first, second = Subject("aa"), Subject("bb")
    way = Way(store, first, second)
    for data in ("aa:1", "bb:2", "cc:3", "", "aa"):
        way.press(data)
    way.job.send()
    assert (first.judged, second.judged) == (["aa:1", "aa"], ["bb:2"])
    assert way.bot.answers == ["сделано", "сделано", NO_BUTTON, NO_BUTTON, "сделано"]
    assert (way.waiting(), first.rounds, second.rounds) == (0, 1, 1)


def test_amocrms_outage_holds_up_nobody_elses_press_nor_round(store: Store) -> None:
    first, second = Subject("aa", CrmTemporary("503")), Subject("bb")
    way = Way(store, first, second)
    way.press("aa:1")
    way.press("bb:2")
    with pytest.raises(CrmTemporary):
        way.job.send()
    assert (second.judged, second.rounds, way.waiting()) == (["bb:2"], 1, 1)
    first.raises = None
    way.job.send()
    assert (first.judged, way.waiting()) == (["aa:1"], 0)


def test_a_bug_in_one_drops_its_press_alone(store: Store) -> None:
    first, second = Subject("aa", ZeroDivisionError()), Subject("bb")
    way = Way(store, first, second)
    way.press("aa:1")
    way.press("bb:2")
    way.job.send()
    assert (second.judged, way.waiting()) == (["bb:2"], 0)


def test_whoever_comes_second_is_told_so(store: Store) -> None:
    way = Way(store, Subject("aa", is_slower=True))
    way.press("aa:1")
    way.job.send()
    assert way.bot.answers == ["кто-то был быстрее"]
