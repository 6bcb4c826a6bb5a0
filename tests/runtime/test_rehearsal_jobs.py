"""Rehearsals in the store, and the leader who has them played: one at a time, ended whenever nobody wants them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.running_bridge import config_for, wait_until

from amo_bridge.clock import SystemClock
from amo_bridge.runtime import rehearsal_jobs
from amo_bridge.runtime.rehearsal_jobs import BROKEN_OFF, DIED, TOO_LONG, NotRehearsed, RehearsalRunner, Rehearsals
from amo_bridge.storage.database import AccountStore, Store

# Plays until its stdin is closed, as the real one does, and leaves its number where the test finds it.
PLAYER = """
import os, pathlib, sys
pathlib.Path(os.environ["SEEN"]).write_text(str(os.getpid()))
sys.stdin.read()
"""
WHOSE_TOKEN = """
import os, pathlib
pathlib.Path(os.environ["TOKEN_SEEN"]).write_text(os.environ.get("AMO_BRIDGE_TOKEN", "none"))
"""
Enter = Callable[..., RehearsalRunner]


def book_of(store: Store, account: int = 1) -> Rehearsals:
    return Rehearsals(AccountStore(store, account), SystemClock())


@pytest.fixture
def enter(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """A leader of an account comes into his room; ``player``: what is run instead of a rehearsal."""
    entered: list[RehearsalRunner] = []
    monkeypatch.setattr(rehearsal_jobs, "PLAYER", "player")

    def room(account: int = 1, player: str = PLAYER) -> RehearsalRunner:
        (tmp_path / "player.py").write_text(player, "utf-8")
        made = RehearsalRunner({"PYTHONPATH": str(tmp_path), "SEEN": str(tmp_path / f"seen-{account}")})
        made.enter(book_of(store, account), config_for("http://127.0.0.1:9", tmp_path))
        entered.append(made)
        return made

    yield room
    for one in entered:
        one.leave()


def process_of(folder: Path, account: int = 1) -> int:
    """The number of the process that plays; waits until there is one."""
    seen = folder / f"seen-{account}"
    wait_until(lambda: seen.exists() and seen.read_text(), "the player has begun")
    return int(seen.read_text())


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_of_an_account_at_a_time(store: Store) -> None:
    book = book_of(store)
    number = book.ask(3, None, "Анна")
    with pytest.raises(NotRehearsed, match="уже идёт"):
        book.ask(3, None, "Вера")
    book_of(store, 2).ask(3, None, "Вера")
    book.stop(number)
    assert book.ask(5, 77, "Анна") != number


def test_what_nobody_wants_is_neither_told_nor_finished(store: Store) -> None:
    book = book_of(store)
    number = book.ask(3, None, "Анна")
    assert book.begin(number)
    assert book.tell(number, 0.5, "идёт")
    book.stop(number)
    assert not book.tell(number, 0.6, "идёт")
    assert not book.fail(number, "сорвалась")
    book.finish(number, [{"deal": 1}])
    assert (book.get(number).state, book.get(number).progress, book.actions(number)) == ("stopped", 0.5, [])
    assert not book.begin(number)


def test_another_account_sees_nothing_of_it(store: Store) -> None:
    number = book_of(store).ask(3, None, "Анна")
    other = book_of(store, 2)
    assert other.all() == []
    assert other.waiting() is None
    assert other.actions(number) == []
    with pytest.raises(NotRehearsed):
        other.stop(number)


def test_begun_by_the_leader_and_ended_when_it_is_stopped(store: Store, enter: Enter, tmp_path: Path) -> None:
    room, book = enter(), book_of(store)
    room.look()
    number = book.ask(3, None, "Анна")
    room.look()
    process = process_of(tmp_path)
    room.look()
    assert book.get(number).state == "running"
    assert is_alive(process)
    book.stop(number)
    room.look()
    assert not is_alive(process)
    assert book.get(number).state == "stopped"


def test_the_player_has_its_own_account_s_secrets_alone(
    store: Store, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "another account's")
    told = tmp_path / "token"
    monkeypatch.setenv("TOKEN_SEEN", str(told))
    room = enter(player=WHOSE_TOKEN + PLAYER)
    book_of(store).ask(3, None, "Анна")
    room.look()
    process_of(tmp_path)
    assert told.read_text() == "none"


def test_whoever_leads_next_says_that_it_was_broken_off(store: Store, enter: Enter, tmp_path: Path) -> None:
    room, book = enter(), book_of(store)
    number = book.ask(3, None, "Анна")
    room.look()
    process = process_of(tmp_path)
    room.leave()
    assert not is_alive(process)
    enter()
    assert (book.get(number).state, book.get(number).trouble) == ("failed", BROKEN_OFF)


def test_a_player_that_dies_is_told_of(store: Store, enter: Enter) -> None:
    room, book = enter(player="raise SystemExit(1)"), book_of(store)
    number = book.ask(3, None, "Анна")

    def is_over() -> bool:
        room.look()
        return not book.get(number).is_active

    wait_until(is_over, "the leader has seen it")
    assert book.get(number).trouble == DIED


def test_it_may_not_take_for_ever(store: Store, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room, book = enter(), book_of(store)
    number = book.ask(3, None, "Анна")
    room.look()
    process = process_of(tmp_path)
    monkeypatch.setattr(rehearsal_jobs, "MOST_SECONDS", -1)
    room.look()
    assert book.get(number).trouble == TOO_LONG
    assert not is_alive(process)


def test_accounts_of_one_process_take_turns(store: Store, enter: Enter, tmp_path: Path) -> None:
    room, other = enter(), enter(2)
    first, second = book_of(store).ask(3, None, "Анна"), book_of(store, 2).ask(3, None, "Вера")
    room.look()
    other.look()
    assert book_of(store, 2).get(second).state == "asked"
    book_of(store).stop(first)
    room.look()
    other.look()
    assert is_alive(process_of(tmp_path, 2))
    assert book_of(store, 2).get(second).state == "running"
