"""A month of a team that was made up with known answers: the pay sheet tells the same, over HTTP (M17).

The answers are reckoned from what people were told to do, day by day, and know nothing of facts, stages or ids.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge
from support.shipped_examples import EXAMPLES, example, stopped_at

from amo_bridge.cli import main
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.violations import Breach, Violations
from amo_bridge.mirror.facts import OWNER, STAGE, FactLog
from amo_bridge.reports.pay import Sheet, sheet_of
from amo_bridge.reports.pay_terms import Terms
from amo_bridge.reports.violations import Month
from amo_bridge.rules.option_types import EmployeeName
from amo_bridge.sandbox.account_file import SMM

ALMATY = ZoneInfo("Asia/Almaty")
TEAM = ("Алина Жумабаева", "Тимур Ахметов", "Иван Соколов")
LAUNCHED, LOST = "Клиенты / Проект запущен", "Клиенты / Клиент потерян"
STARTED, PAID, REFUNDED = "Дата начала обслуживания", "Дата оплаты", "Дата возврата"
FIRST, OCTOBER = date(2026, 9, 1), Month(date(2026, 10, 1))
LAST_DAY = date(2026, 11, 2)
CLIENTS = 42
# The two rules that people's renewals and refusals lean on; the others would only be in the way of two months.
RULES = ("filled_field_starts_deeds.paid", "filled_field_starts_deeds.refused")
SUMS = {"renewed": 10_000, "lost": -5_000, "refunded": -4_000, "kept": 2_000}
MONTH_DAYS, REFUND_DAYS = 27, 10


@dataclass
class Client:
    """What becomes of one client. ``hands``: from which day on whose he is. ``acts``: day → what is done."""

    name: str
    start: date
    hands: list[tuple[date, str]]
    paid: list[date] = field(default_factory=list)
    refund: date | None = None
    lost: date | None = None
    back: date | None = None
    lost_again: date | None = None
    deal: int = 0

    def whose(self, day: date) -> str:
        return [who for since, who in self.hands if since <= day][-1]


def made_up(seed: int) -> list[Client]:
    """The clients of two months, by a seed."""
    dice = random.Random(seed)
    clients = []
    for number in range(CLIENTS):
        start = FIRST + timedelta(days=dice.randint(0, 52))
        one = Client(f"Клиент {number}", start, [(start, dice.choice(TEAM))])
        fate = dice.choice(("stays", "refund", "renews", "renews", "lost", "wavers", "comes back"))
        if fate == "refund":
            one.refund = start + timedelta(days=dice.randint(3, 14))
        elif fate == "renews":
            one.paid = [start + timedelta(days=dice.choice((20, 26, 27, 30, 34)))]
            one.paid += [one.paid[0] + timedelta(days=dice.choice((5, 27, 31)))]
        elif fate != "stays":
            one.lost = start + timedelta(days=dice.choice((12, 26, 27, 30)))
            if fate in ("wavers", "comes back"):
                one.back = one.lost + timedelta(days=dice.randint(2, 4))
            if fate == "wavers":
                one.lost_again = one.lost + timedelta(days=dice.randint(5, 8))
        if dice.random() < 0.4:
            one.hands.append((start + timedelta(days=dice.choice((5, 15, 25))), dice.choice(TEAM)))
        clients.append(one)
    return clients


def answers(clients: list[Client], month: Month) -> Counter[tuple[str, str]]:
    """(Who, what) → how many lines."""
    found: Counter[tuple[str, str]] = Counter()
    first, last = month.first, month.following.first - timedelta(days=1)

    def count(client: Client, kind: str, day: date) -> None:
        if first <= day <= last:
            found[client.whose(day), kind] += 1

    for one in clients:
        tenth = one.start + timedelta(days=REFUND_DAYS - 1)
        if one.refund and one.refund <= tenth:
            count(one, "refunded", one.refund)
        else:
            count(one, "kept", tenth)
        renewed: date | None = None
        for day in one.paid:
            # A payment that comes too early is no renewal, and hides none.
            is_served = (day - one.start).days >= MONTH_DAYS
            if is_served and (renewed is None or (day - renewed).days >= MONTH_DAYS):
                renewed = day
                count(one, "renewed", day)
        # Lost is who is lost when the month ends, since he was lost for good in it.
        losses = [(one.lost, one.back), (one.lost_again, None)]
        of_month = [(lost, back) for lost, back in losses if lost and first <= lost <= last]
        if of_month:
            lost, back = of_month[-1]
            if not (back and back <= last) and (lost - one.start).days >= MONTH_DAYS:
                count(one, "lost", lost)
    return found


class Team:
    """Plays the months, day by day."""

    def __init__(self, crm: LocalCrm, office: CrmUser, clients: list[Client]) -> None:
        self.crm = crm
        self.office = office
        self.clients = clients

    def play(self, first: date, last: date, after: Callable[[], object]) -> None:
        """``after`` each day on which something was done."""
        day = first
        while day <= last:
            self.crm.control("POST", "clock", {"set": f"{day}T12:00", "freeze": True})
            if any([self._day(client, day) for client in self.clients]):
                after()
            day += timedelta(days=1)

    def _day(self, one: Client, day: date) -> bool:
        acts: list[Callable[[], object]] = []
        who = one.hands[0][1]
        if one.start == day:
            one.deal = self.office.new_deal(who, one.name, LAUNCHED, self.office.new_contact(who, one.name), 150_000)
            acts.append(lambda: self._fill(one, STARTED, day))
        for since, new in one.hands[1:]:
            if since == day:
                acts.append(partial(self._hand_over, one, new))
        if day in one.paid:
            acts.append(lambda: self._fill(one, PAID, day))
        if one.refund == day:
            acts.append(lambda: self._fill(one, REFUNDED, day))
        if day in (one.lost, one.lost_again):
            acts.append(lambda: self.office.move(who, one.deal, LOST))
        if one.back == day:
            acts.append(lambda: self.office.move(who, one.deal, LAUNCHED))
        for act in acts:
            self.crm.later(7)
            act()
        return bool(acts)

    def _hand_over(self, one: Client, new: str) -> None:
        body = {"responsible_user_id": self.office.users[new]}
        self.office._ask("PATCH", f"/api/v4/leads/{one.deal}", body, one.hands[0][1])

    def _fill(self, one: Client, name: str, day: date) -> None:
        midnight = datetime(day.year, day.month, day.day, tzinfo=ALMATY)
        self.office.fill(one.hands[0][1], one.deal, name, int(midnight.timestamp()))


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The SMM agency's amoCRM, two months ago."""
    with stopped_at(f"{FIRST - timedelta(days=1)}T12:00", SMM) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example with one more manager."""
    shipped = example("smm", sandbox, tmp_path)
    assert shipped.pay is not None
    pay = shipped.pay.model_copy(update={"people": tuple(map(EmployeeName, TEAM))})
    return replace(shipped, pay=pay, rules=tuple(rule for rule in shipped.rules if rule.name in RULES))


def sheet(bridge: RunningBridge, month: Month, now: datetime) -> Sheet:
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    config, known = account.fit.config, account.crm_account
    terms = Terms.of(config.pay, known, config.calendar.calendar("Asia/Almaty"))
    return sheet_of(account.account_store, terms, month, now, "KZT", [])


def counted(found: Sheet) -> Counter[tuple[str, str]]:
    return Counter((line.person, line.kind) for line in found.lines if line.kind in SUMS)


def agrees(found: Sheet, clients: list[Client], fines: int = 0) -> None:
    """Every line and every total, and each line leads to a deal with its evidence."""
    wanted = answers(clients, OCTOBER)
    assert counted(found) == wanted
    assert {kind for _, kind in wanted} == set(SUMS), "the made-up month has everything"
    most = max(wanted[who, "renewed"] for who in TEAM)
    first = [who for who in TEAM if wanted[who, "renewed"] == most]
    numbers = {name: number for number, name in found.people.items()}
    for who in TEAM:
        told = 150_000 + sum(amount * wanted[who, kind] for kind, amount in SUMS.items())
        told += 30_000 if first == [who] else 0
        told -= fines if who == TEAM[0] else 0
        assert found.total(numbers[who]) == told, who
    deals = {one.deal: one.name for one in clients}
    for line in found.lines:
        if line.kind in SUMS:
            assert deals[line.deal_id or 0] == line.deal_name
            assert "2026" in line.words


def test_a_made_up_month_comes_to_what_was_made_up(
    sandbox: LocalCrm, office: CrmUser, config: Config, start_bridge: Callable[..., RunningBridge]
) -> None:
    bridge = start_bridge(config).wait_ready()
    clients = made_up(8)
    team = Team(sandbox, office, clients)
    sandbox.fault("hook_duplicate")
    team.play(FIRST, date(2026, 10, 9), lambda: bridge.settle(sandbox))
    # Down for some days: what happened meanwhile is found afterwards.
    bridge.stop()
    team.play(date(2026, 10, 10), date(2026, 10, 13), lambda: None)
    bridge = start_bridge(config).wait_ready()
    bridge.look_at_the_clock()
    bridge.settle(sandbox)
    team.play(date(2026, 10, 14), LAST_DAY, lambda: bridge.settle(sandbox))
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    late = Breach(
        at=datetime(2026, 10, 20, 12, tzinfo=ALMATY), user_id=office.users[TEAM[0]], person=TEAM[0], clause="M7",
        deal_id=clients[0].deal, deal_name=clients[0].name, rule="r", why="поздно", penalty=5_000, currency="KZT",
    )  # fmt: skip
    with account.account_store.write() as connection:
        Violations(account.account_store, account.clock).record(connection, "k", late)
    found = sheet(bridge, OCTOBER, office.now())
    assert found.notes == [note for note in found.notes if "учш" in note]
    agrees(found, clients, fines=5_000)
    # September tells the same whenever it is asked.
    assert counted(sheet(bridge, OCTOBER.previous, office.now())) == answers(clients, OCTOBER.previous)


def test_a_month_before_the_bridge_is_read_from_amocrms_events(
    sandbox: LocalCrm,
    office: CrmUser,
    config: Config,
    start_bridge: Callable[..., RunningBridge],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = made_up(21)
    team = Team(sandbox, office, clients)
    team.play(FIRST, date(2026, 10, 19), lambda: None)
    bridge = start_bridge(config).wait_ready()
    team.play(date(2026, 10, 20), LAST_DAY, lambda: bridge.settle(sandbox))
    before = sheet(bridge, OCTOBER, office.now())
    assert any("pay rebuild 2026-10" in note for note in before.notes)
    assert counted(before) != answers(clients, OCTOBER)
    asked = sum(sandbox.requests().values())
    # The command goes by a file: the shipped one with the third manager in it.
    text = (EXAMPLES / "smm.toml").read_text("utf-8")
    file = tmp_path / "config.toml"
    file.write_text(text.replace('"Тимур Ахметов"]', '"Тимур Ахметов", "Иван Соколов"]'), "utf-8")
    for name, value in {**ENVIRONMENT, "AMO_BRIDGE_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", sandbox.url)
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(config.data_folder))
    monkeypatch.setenv("AMO_BRIDGE_CONFIG", str(file))

    def run(*words: str) -> Any:
        told = CliRunner().invoke(main, ["pay", *words])
        assert told.exit_code == 0, told.output
        return told

    for _ in range(2):
        assert "Прочитано изменений" in run("rebuild", "2026-10").output
        after = sheet(bridge, OCTOBER, office.now())
        assert not any("rebuild" in note for note in after.notes)
        agrees(after, clients)
    assert "Клиент продлил" in run("show", "2026-10").output
    # A page of events and no more for each of two kinds, twice.
    assert sum(sandbox.requests().values()) - asked <= 12
    store = bridge.app.extensions["amo_bridge"].account_at(None).account_store
    assert {FactLog(store).kept_since()[what] for what in (STAGE, OWNER)} == {datetime(2026, 10, 1, tzinfo=ALMATY)}
