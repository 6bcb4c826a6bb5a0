"""Pipedrive is read by pages and cursors, each thing once, whatever happens; people are found by their mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, NOON, agency, clock

from amo_bridge.channels.pipedrive import Pipedrive
from amo_bridge.config.loader import load_text
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError
from amo_bridge.intake.pipedrive_poll import PipedrivePoll
from amo_bridge.reports.kpi import Figures
from amo_bridge.reports.pipedrive import READ_AT, PipedriveFigures, PipedriveItem, PipedriveLog, together
from amo_bridge.standins.pipedrive import PipedriveStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import intake_requests, kpi_days, pipedrive_items

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
DAY = date(2026, 11, 23)


class Office:
    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.store, self.stand_ins = AccountStore(store, ACCOUNT), stand_ins
        made = stand_ins["pipedrive"]
        assert isinstance(made, PipedriveStandIn)
        self.there, self.hands, self.told = made, clock(NOON), list[str]()
        self.section = PipedriveSection(api=f"{stand_ins.url}/pipedrive")
        self.ivan = made.add_user(IVAN, agency().user(IVAN).email.upper())
        self.job = self.restarted()

    def restarted(self) -> PipedrivePoll:
        client = Pipedrive(self.section, "pipedrive-test-token")
        return PipedrivePoll(client, self.section, self.store, self.hands, lambda text, about: self.told.append(text))

    def call(self, number: int, person: int = 5, *, at: datetime | None = None, done: bool = True, **more: Any) -> None:
        moment = at or self.hands.now() - timedelta(hours=1)
        told = {"type": "call", "owner_id": self.ivan, "person_id": person, "deal_id": None, "done": done}
        when = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if done else None
        self.there.put("activities", number, moment, **(told | {"marked_as_done_time": when} | more))

    def win(self, number: int, value: float, currency: str = "RUB", **more: Any) -> None:
        at = self.hands.now() - timedelta(hours=1)
        won = {"status": "won", "won_time": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        told = {"owner_id": self.ivan, "value": value, "currency": currency}
        self.there.put("deals", number, at, **(told | won | more))

    def run(self, minutes: int = 6) -> None:
        for _ in range(minutes):
            with suppress(ChannelError):
                self.job.send()
            self.hands.advance(timedelta(minutes=1))

    def hook(self, body: bytes) -> None:
        """A webhook has come just now."""
        with self.store.write() as connection:
            place = {"account": ACCOUNT, "vendor": "pipedrive", "key": body.decode()[:80], "method": "POST"}
            row = {**place, "body": body, "received_at": self.hands.now().timestamp()}
            connection.execute(insert(intake_requests).values(row))

    def count(self) -> int:
        with self.store.read() as connection:
            return len(connection.execute(select(pipedrive_items.c.id)).all())

    def figures(self, named: dict[str, str] | None = None, day: date = DAY) -> PipedriveFigures:
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3)
        log = PipedriveLog(self.store)
        return log.figures({day: begin}, begin + timedelta(days=1), agency().users, named or {}, "RUB")

    def of(self, who: str, **more: Any) -> Figures:
        return self.figures(**more).days[more.get("day", DAY)].get(agency().user(who).id, Figures())

    def asked(self, path: str) -> int:
        return sum(call.path.endswith(path) for call in self.there.requests)


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    stand_ins = StandIns(["pipedrive"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins)


def test_calls_letters_tasks_and_sales_count_for_whose_they_are(office: Office) -> None:
    office.call(1, 5)
    office.call(2, 5)
    office.call(3, 6, type="email")
    office.call(4, 7, type="meeting")
    office.call(5, 8, done=False)
    office.win(9, 1234.5)
    office.win(10, 100, status="open", won_time=None)
    office.run()
    ivan = office.of(IVAN)
    assert (ivan.talks, ivan.letters, ivan.tasks, ivan.worked, ivan.contacts) == (2, 1, 1, 3, 2)
    assert (ivan.sales, ivan.amount, ivan.first_at) == (1, 1234, NOON - timedelta(hours=1))
    assert office.of(MARIA) == Figures()


def test_who_was_talked_with_before_is_no_new_client(office: Office) -> None:
    office.call(1, 5, at=NOON - timedelta(days=3))
    office.call(2, 5)
    office.run()
    assert (office.of(IVAN).contacts, office.of(IVAN).worked) == (0, 1)


def test_a_person_by_the_table_and_a_stranger_by_name(office: Office) -> None:
    other = office.there.add_user("Masha", "masha@home.example")
    office.call(1, owner_id=other)
    office.run()
    assert office.figures().strangers == ["Masha (masha@home.example)"]
    named = {"Masha@Home.example": MARIA}
    assert office.figures(named).strangers == []
    assert office.of(MARIA, named=named).talks == 1


def test_other_money_is_counted_and_not_added(office: Office) -> None:
    office.win(1, 10, "USD")
    office.win(2, 20)
    office.run()
    assert (office.of(IVAN).sales, office.of(IVAN).amount) == (2, 20)
    assert office.figures().other_money == {"USD": 1}


def test_many_pages_are_read_once(office: Office) -> None:
    office.there.most_a_page = 7
    for number in range(50):
        office.call(number + 1, number)
    office.run(1)
    assert (office.count(), office.of(IVAN).talks) == (50, 50)
    office.run(30)
    assert office.of(IVAN).talks == 50


def test_what_is_undone_or_reopened_counts_no_longer(office: Office) -> None:
    office.call(1)
    office.win(2, 10)
    office.run()
    office.there.put("activities", 1, office.hands.now(), done=False, marked_as_done_time=None)
    office.there.put("deals", 2, office.hands.now(), status="open", won_time=None)
    office.run(10)
    assert (office.of(IVAN).talks, office.of(IVAN).sales) == (0, 0)


@pytest.mark.parametrize("kind", ["limited", "unauthorised", "broken", "lost_answer", "refuse_before"])
@pytest.mark.parametrize("path", ["*users", "*activities", "*deals"])
def test_whatever_happens_each_thing_counts_once(office: Office, kind: str, path: str) -> None:
    office.there.most_a_page = 2
    for number in range(5):
        office.call(number + 1, number)
    office.win(9, 10)
    office.stand_ins.faults.add(kind, path=path, count=2)
    office.run(200)
    assert (office.of(IVAN).talks, office.of(IVAN).sales, office.job.is_put_off) == (5, 1, False)


def test_a_kill_between_two_pages_goes_on_where_it_was(office: Office) -> None:
    office.there.most_a_page = 2
    for number in range(6):
        office.call(number + 1, number, at=NOON - timedelta(hours=6 - number))
    pages, page = 0, office.job._pipedrive.page

    def dies(*told: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise KeyboardInterrupt
        return page(*told)

    office.job._pipedrive.page = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        office.job.send()
    assert office.count() == 4
    before = Cursors(office.store).read("pipedrive_activities")
    assert before == (NOON - timedelta(hours=3)).timestamp()
    assert Cursors(office.store).read(READ_AT) is None, "nothing says that all is read"
    office.job = office.restarted()
    office.run()
    assert office.of(IVAN).talks == 6


def test_nobody_is_asked_between_two_rounds_unless_the_webhook_came(office: Office) -> None:
    office.run(1)
    office.run(3)
    assert office.asked("/v1/users") == 1
    row = {
        "account": ACCOUNT, "vendor": "pipedrive", "key": "k", "method": "POST", "query": "", "headers": "{}",
        "body": b"{}", "state": "done", "why": "", "received_at": office.hands.now().timestamp(),
    }  # fmt: skip
    with office.store.write() as connection:
        known = {column.name for column in intake_requests.columns}
        connection.execute(insert(intake_requests).values({key: row[key] for key in row.keys() & known}))
    office.run(1)
    assert office.asked("/v1/users") == 2
    office.run(1)
    assert office.asked("/v1/users") == 2, "one webhook, one round"


def test_how_old_the_figures_are(office: Office) -> None:
    assert office.figures().read_at is None
    office.run(1)
    assert office.figures().read_at == NOON


def test_errors_with_status_200_are_errors(office: Office) -> None:
    office.there.says_errors_with_200 = True
    office.stand_ins.faults.add("limited", path="*users")
    client = Pipedrive(office.section, "pipedrive-test-token")
    with pytest.raises(ChannelBusy, match="Request over limit"):
        client.users()
    with pytest.raises(ChannelDown, match="проверьте AMO_BRIDGE_PIPEDRIVE_TOKEN"):
        Pipedrive(office.section, "wrong").check()


def test_a_person_is_told_when_it_is_not_let_in(office: Office) -> None:
    office.there.token = "another"
    office.run(1)
    assert office.told[0].startswith("Pipedrive: не читается, мост спросит снова сам")
    assert office.count() == 0


def test_check_says_who_is_there(office: Office) -> None:
    assert Pipedrive(office.section, "pipedrive-test-token").check() == "Pipedrive пускает, сотрудников там 1"


def test_both_systems_together_keep_the_first_thing_of_a_day() -> None:
    early, late = NOON, NOON + timedelta(hours=1)
    one = {DAY: {1: Figures(talks=1, first_at=late)}}
    other = {DAY: {1: Figures(talks=2, first_at=early), 2: Figures(sales=1)}}
    assert together(one, other) == {DAY: {1: Figures(talks=3, first_at=early), 2: Figures(sales=1)}}


def test_its_section(tmp_path: Any) -> None:
    text = '[account]\nurl = "https://a.amocrm.ru"\n[bridge]\n[pipedrive]\napi = "https://a.pipedrive.com"\n'
    section = load_text(tmp_path / "c.toml", f'{text}people = {{ "a@b.ru" = "Иван Петров" }}\n', {}).channels.pipedrive
    assert section is not None
    assert section.people == {"a@b.ru": "Иван Петров"}


@pytest.mark.parametrize("kind", ["activities", "deals"])
def test_what_is_deleted_or_merged_there_counts_no_longer(office: Office, kind: Any) -> None:
    office.call(1)
    office.call(2, person=6)
    office.win(1, 500)
    office.run()
    office.there.delete(kind, 1)
    office.run()
    assert (office.of(IVAN).talks, office.of(IVAN).sales) == (2, 1), "no list tells of it"
    office.hands.advance(timedelta(hours=6))
    office.run()
    assert (office.of(IVAN).talks, office.of(IVAN).sales) == ((1, 1) if kind == "activities" else (2, 0))


@pytest.mark.parametrize(
    ("action", "talks"), [("delete", 1), ("merge", 1), ("change", 2)], ids=["deleted", "merged", "no news of it"]
)
def test_a_webhook_has_it_looked_for_at_once(office: Office, action: str, talks: int) -> None:
    office.call(1)
    office.call(2, person=6)
    office.run()
    office.there.delete("activities", 1)
    meta = {"action": action, "entity": "activity", "entity_id": "1", "version": "2.0"}
    office.hook(json.dumps({"meta": meta, "data": None}).encode())
    office.run(1)
    assert office.of(IVAN).talks == talks


def test_a_webhook_is_a_hint_and_no_proof(office: Office) -> None:
    office.call(1)
    office.run()
    for body in (
        b'{"meta": {"action": "delete", "entity": "activity", "entity_id": "1"}}',
        b'{"meta": {"action": "delete", "entity": "person", "entity_id": "1"}}', b"nonsense", b"[]", b'{"meta": 1}',
    ):  # fmt: skip
        office.hook(body)
    office.run(1)
    assert office.of(IVAN).talks == 1


def test_a_lost_deal_counts_with_its_reason(office: Office) -> None:
    lost = f"{office.hands.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    office.win(1, 500, status="lost", lost_time=lost, lost_reason="Дорого")
    office.run()
    assert (office.of(IVAN).sales, office.of(IVAN).lost_by) == (0, {"Дорого": 1})


def test_a_table_hears_of_another_price_and_another_persons_sale(office: Office) -> None:
    """And of nothing that was only read once more."""
    end = datetime(2026, 11, 23, 21, tzinfo=UTC).timestamp()
    day = {"day": DAY.isoformat(), "ends_at": end, "way": "", "counted_at": end, "is_stale": False}
    with office.store.write() as connection:
        connection.execute(insert(kpi_days).values(account=ACCOUNT, **day))
    won = PipedriveItem("deal", 9, 1, NOON, cost=100, currency="RUB")
    editions = []
    for one in (won, won, replace(won, cost=200), replace(won, user_id=2), replace(won, user_id=2)):
        with office.store.write() as connection:
            PipedriveLog(office.store).keep(connection, [one])
            editions.append(connection.execute(select(kpi_days.c.edition)).scalar_one())
    assert editions == [1, 1, 2, 3, 3]
