"""Lanes with threads of their own: they go on after any trouble, say what they are waiting out, and stop when told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from support.channel_fakes import ScriptedPort, lane, notices
from support.fakes import ACCOUNT, clock, states
from support.running_bridge import wait_until

from amo_bridge.channels import sender as traffic_module
from amo_bridge.channels.sender import ChannelWorkers
from amo_bridge.engine.outbox import Outbox
from amo_bridge.errors import ChannelDown, CrmUncertain, LeadLost
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox


@pytest.fixture
def roads(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ChannelWorkers]]:
    monkeypatch.setattr(traffic_module, "delay", lambda attempt: 0.01)
    monkeypatch.setattr(traffic_module, "POLL_INTERVAL_SECONDS", 0.05)
    opened: list[ChannelWorkers] = []
    yield opened
    for one in opened:
        one.stop()


def far(*answers: Exception) -> ScriptedPort:
    return ScriptedPort(*answers, is_far=True, in_order=False)


def test_a_far_lane_sends_by_itself(store: Store, roads: list[ChannelWorkers]) -> None:
    port = far()
    roads.append(ChannelWorkers([lane(store, port)]))
    roads[0].start()
    notices(store, "раз")
    roads[0].wake()
    wait_until(lambda: states(store) == ["done"], "the notice is out")
    assert roads[0].send_near() == 0


def test_a_near_lane_goes_along_with_the_workers_rounds(store: Store, roads: list[ChannelWorkers]) -> None:
    notices(store, "раз")
    roads.append(ChannelWorkers([lane(store, ScriptedPort())]))
    roads[0].start()
    assert roads[0].send_near() == 1
    assert states(store) == ["done"]


@pytest.mark.parametrize("trouble", [ChannelDown("сервер не отвечает"), CrmUncertain("нет ответа"), OSError("сеть")])
def test_a_far_lane_goes_on_after_trouble(store: Store, roads: list[ChannelWorkers], trouble: Exception) -> None:
    class Stumbling(ScriptedPort):
        def plan(self, rows):  # type: ignore[no-untyped-def]
            if self.answers:
                answer = self.answers.pop(0)
                assert isinstance(answer, Exception)
                raise answer
            return super().plan(rows)

    notices(store, "раз")
    roads.append(ChannelWorkers([lane(store, Stumbling(trouble, is_far=True))]))
    roads[0].start()
    wait_until(lambda: states(store) == ["done"], "the notice is out")
    wait_until(lambda: roads[0].outages == {}, "the trouble is over")


def test_a_far_lane_says_what_it_is_waiting_out(store: Store, roads: list[ChannelWorkers]) -> None:
    notices(store, *map(str, range(50)))
    roads.append(ChannelWorkers([lane(store, far(*[ChannelDown("пароль не подошёл")] * 1000))]))
    roads[0].start()
    wait_until(lambda: roads[0].outages == {"notices": "пароль не подошёл"}, "the trouble is shown")


def test_an_outage_is_told_as_long_as_what_it_met_waits(
    store: Store, roads: list[ChannelWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice is put off for an hour, so rounds without a word go by."""
    monkeypatch.setattr(traffic_module, "delay", lambda attempt: 3600.0)
    monkeypatch.setattr(traffic_module, "LONGEST_PAUSE", 0.01)
    notices(store, "раз")
    rounds: list[int] = []

    class Counting(ScriptedPort):
        def run_due(self) -> int:
            rounds.append(1)
            return super().run_due()

    roads.append(ChannelWorkers([lane(store, Counting(ChannelDown("ключ не тот"), is_far=True))]))
    roads[0].start()
    wait_until(lambda: len(rounds) > 3, "rounds without anything due")
    assert roads[0].outages == {"notices": "ключ не тот"}
    with store.write() as connection:
        connection.execute(update(outbox).values(due_at=0.0))
    roads[0].wake()
    wait_until(lambda: states(store) == ["done"], "the notice is out")
    wait_until(lambda: roads[0].outages == {}, "the outage is over")


def test_what_was_under_way_when_the_bridge_died_is_looked_at_first(store: Store, roads: list[ChannelWorkers]) -> None:
    notices(store, "раз")
    dying = Outbox(AccountStore(store, ACCOUNT), clock())
    dying.sending(dying.take("ready", "notices"))
    roads.append(ChannelWorkers([lane(store, far())]))
    roads[0].start()
    wait_until(lambda: states(store) == ["unknown"], "it is in doubt")


def test_who_has_lost_the_lead_sends_no_more(store: Store, roads: list[ChannelWorkers]) -> None:
    notices(store, "раз", "два")
    port = far(LeadLost("другой процесс"))
    roads.append(ChannelWorkers([lane(store, port)]))
    roads[0].start()
    wait_until(lambda: not port.answers, "it has tried")
    roads[0].stop()
    assert port.sent == []
