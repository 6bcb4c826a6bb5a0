"""Calls at a stand-in PBX: in which order things happen, and how they end."""

from __future__ import annotations

import pytest

from amo_bridge.standins.calls import CallScript, Moment, Outcome, Switchboard, SwitchedCall
from amo_bridge.standins.timeline import Timeline


class Board(Switchboard):
    def __init__(self) -> None:
        self.told: list[Moment] = []
        super().__init__(Timeline(live=False), lambda call, moment: self.told.append(moment))


ENDS: list[tuple[Outcome, int, list[Moment]]] = [
    (
        "talked",
        45,
        ["began", "manager_answered", "client_rings", "client_answered", "ended", "recorded"],
    ),
    ("client_no_answer", 0, ["began", "manager_answered", "client_rings", "ended"]),
    ("client_busy", 0, ["began", "manager_answered", "client_rings", "ended"]),
    ("no_such_number", 0, ["began", "manager_answered", "client_rings", "ended"]),
    ("manager_rejects", 0, ["began", "ended"]),
    ("manager_busy", 0, ["began", "ended"]),
    ("manager_no_answer", 0, ["began", "ended"]),
]


@pytest.mark.parametrize(("outcome", "talk", "moments"), ENDS, ids=[end[0] for end in ENDS])
def test_a_call_back_goes_as_its_script_says(outcome: Outcome, talk: int, moments: list[Moment]) -> None:
    board = Board()
    board.default = CallScript(outcome)
    call = board.call_back("100", "+7 900 000-01-02", "74950000001")
    board.timeline.advance(300)
    assert board.told == moments
    assert (call.client, call.talk) == ("79000000102", talk)
    assert (call.client_rang_at is None) == outcome.startswith("manager_")


def test_the_history_shows_a_call_a_minute_after_its_end() -> None:
    board = Board()
    board.call_back("100", "79000000102", "")
    board.timeline.advance(5 + 5 + 45 + 59)
    assert (board.history(), board.going_on()) == ([], [])
    board.timeline.advance(1)
    assert [call.talk for call in board.history()] == [45]


def test_scripts_are_used_up_one_by_one_and_a_number_may_have_its_own() -> None:
    board = Board()
    board.scripts.extend([CallScript("manager_rejects"), CallScript("client_busy")])
    board.by_client["79000000109"] = CallScript("no_such_number")
    clients = ["79000000102", "79000000109", "79000000102", "79000000102"]
    outcomes = [board.call_back("100", client, "").outcome for client in clients]
    assert outcomes == ["manager_rejects", "no_such_number", "client_busy", "talked"]


def test_a_client_who_gives_up_has_made_a_missed_call() -> None:
    board = Board()
    call = board.call_in("79000000101", "", "74950000001", CallScript("client_no_answer", patience=20))
    board.timeline.advance(20)
    assert (call.talk, call.duration, call.cause) == (0, 20, "ORIGINATOR_CANCEL")


def test_a_call_that_is_hung_up_has_talked_until_then() -> None:
    board = Board()
    call: SwitchedCall = board.call_back("100", "79000000102", "")
    board.timeline.advance(5 + 5 + 7)
    assert board.hang_up(call.number)
    board.timeline.advance(300)
    assert (call.talk, board.told.count("ended")) == (7, 1)
    assert not board.hang_up(call.number)
