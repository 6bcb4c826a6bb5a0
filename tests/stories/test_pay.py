"""A month of a team that was made up with known answers: the pay sheet tells the same, over HTTP (M17).

The answers are reckoned from what people were told to do, day by day, and know nothing of facts, stages or ids.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tomlkit
from click.testing import CliRunner
from support.bridge_process import BridgeProcess
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.sheet_kits import Rows, YandexKit
from support.shipped_examples import EXAMPLES, example, stopped_at

from amo_bridge.channels.sheets import SheetJob
from amo_bridge.cli import main
from amo_bridge.clock import FixedClock
from amo_bridge.config.model import Config
from amo_bridge.config.pay import Employment
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Breach, Violations
from amo_bridge.mirror.facts import OWNER, STAGE, FactLog
from amo_bridge.reports.kpi_days import KpiDays, KpiRows, way_of
from amo_bridge.reports.overdue import Report, Span, overdue
from amo_bridge.reports.pay import Sheet, sheet_of
from amo_bridge.reports.pay_terms import Terms
from amo_bridge.reports.violations import Month
from amo_bridge.rules.option_types import EmployeeName
from amo_bridge.sandbox.account_file import SMM
from amo_bridge.standins.server import StandIns, serving

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
    calls: list[tuple[date, int]] = field(default_factory=list)
    """Day, and how many seconds whoever has him then talks with him; 0: in vain."""
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
        self.errands: dict[date, Callable[[], object]] = {}
        """What is done besides on a day."""

    def play(self, first: date, last: date, after: Callable[[], object]) -> None:
        """``after`` each day on which something was done."""
        day = first
        while day <= last:
            self.crm.control("POST", "clock", {"set": f"{day}T12:00", "freeze": True})
            is_busy = any([self._day(client, day) for client in self.clients])
            if errand := self.errands.get(day):
                self.crm.later(7)
                errand()
            if is_busy or errand:
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
        for called, seconds in one.calls:
            if called == day:
                acts.append(partial(self._call, one, one.whose(day), seconds))
        for act in acts:
            self.crm.later(7)
            act()
        return bool(acts)

    def _hand_over(self, one: Client, new: str) -> None:
        body = {"responsible_user_id": self.office.users[new]}
        self.office._ask("PATCH", f"/api/v4/leads/{one.deal}", body, one.hands[0][1])

    def _call(self, one: Client, who: str, seconds: int) -> None:
        self.office.call(who, one.deal, seconds=seconds)

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


def agrees(found: Sheet, clients: list[Client], fines: int = 0, salaries: Mapping[str, int] | None = None) -> None:
    """Every line and every total, and each line leads to a deal with its evidence. ``salaries``: of whom it is not the
    whole one."""
    wanted = answers(clients, OCTOBER)
    assert counted(found) == wanted
    assert {kind for _, kind in wanted} == set(SUMS), "the made-up month has everything"
    most = max(wanted[who, "renewed"] for who in TEAM)
    first = [who for who in TEAM if wanted[who, "renewed"] == most]
    numbers = {name: number for number, name in found.people.items()}
    for who in TEAM:
        told = (salaries or {}).get(who, 150_000) + sum(amount * wanted[who, kind] for kind, amount in SUMS.items())
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


# --- the same with a real process that is killed, and a manager who leaves ---

LEAVER, LEFT = TEAM[1], date(2026, 10, 16)
# Kazakhstan, October 2026: 22 weekdays, Monday 26 is free for the Day of the Republic, a Sunday; 11 until the 15th.
PART_SALARY = round(150_000 * 11 / 21)
TALK_SECONDS = 30
KILLED_ON = (date(2026, 10, 8), date(2026, 10, 12), date(2026, 10, 15))
TITLES = {"Разговоры": "talks", "Не дозвонились": "unanswered", "Новые клиенты": "contacts"}


def of_a_hard_month(seed: int) -> list[Client]:
    """As before, and: a refund on the tenth day and one on the eleventh, calls, a manager who leaves: his clients are
    another's from that day on."""
    clients, dice = made_up(seed), random.Random(seed + 1)
    for name, days in (("Десятый день", 10), ("Одиннадцатый день", 11)):
        start = date(2026, 10, 6)
        one = Client(name, start, [(start, TEAM[0])], refund=start + timedelta(days=days - 1))
        clients.append(one)
    for one in clients:
        heirs = [(since, TEAM[2] if who == LEAVER and since >= LEFT else who) for since, who in one.hands]
        is_his = one.start < LEFT and [who for since, who in heirs if since <= LEFT][-1] == LEAVER
        one.hands = sorted({*heirs, *([(LEFT, TEAM[0])] if is_his else [])})
        first = max(one.start, date(2026, 10, 1))
        days = [first + timedelta(days=dice.randint(0, 28)) for _ in range(dice.randint(0, 3))]
        one.calls = [(day, dice.choice((0, 29, 30, 300))) for day in sorted(days) if day <= date(2026, 10, 31)]
    return clients


def due_on(day: int) -> int:
    return int(datetime(2026, 10, day, 12, tzinfo=ALMATY).timestamp())


def calls_by_day(clients: list[Client]) -> Counter[tuple[date, str, str]]:
    """(Day, who, what) → how many."""
    found: Counter[tuple[date, str, str]] = Counter()
    for one in clients:
        for number, (day, seconds) in enumerate(one.calls):
            found[day, one.whose(day), "talks" if seconds >= TALK_SECONDS else "unanswered"] += 1
            is_new = seconds >= TALK_SECONDS and all(before < TALK_SECONDS for _, before in one.calls[:number])
            found[day, one.whose(day), "contacts"] += is_new
    return +found


class Reports:
    """What the bridge tells of October, read from its store."""

    def __init__(self, bridge: RunningBridge, kit: YandexKit) -> None:
        self.account = bridge.app.extensions["amo_bridge"].account_at(None)
        self.kit = kit
        self.clock = FixedClock(datetime(2026, 11, 2, 12, tzinfo=ALMATY))
        self.engine = RuleEngine.of(self.account.fit.config, self.account.crm_account, self.clock)
        self.days = [OCTOBER.first + timedelta(days=number) for number in range(31)]

    def calls(self) -> Counter[tuple[date, str, str]]:
        store, names = self.account.account_store, {one.id: one.name for one in self.account.crm_account.users}
        figures = KpiDays(store, way_of(self.engine)).figures(self.days, self.clock.now())
        told = {
            (day, names[person], what): getattr(one, what)
            for day, people in figures.items()
            for person, one in people.items()
            for what in ("talks", "unanswered", "contacts")
        }
        return +Counter(told)

    def in_the_table(self) -> Counter[tuple[date, str, str]]:
        """By the titles, as people read it."""
        rows = self.kit.sheets()["KPI"]
        head = next(row for row in rows if KpiRows.head[0] in row)
        found: Counter[tuple[date, str, str]] = Counter()
        for row in rows[rows.index(head) + 1 :]:
            cells = dict(zip(head, row, strict=False))
            day = datetime.strptime(str(cells["День"]), "%d.%m.%Y").replace(tzinfo=ALMATY).date()
            assert (day, str(cells["Человек"]), "row") not in found, "once"
            found[day, str(cells["Человек"]), "row"] += 1
            for title, what in (
                ("Разговоры", "talks"),
                ("Не дозвонились", "unanswered"),
                ("Новые клиенты", "contacts"),
            ):
                found[day, str(cells["Человек"]), what] += int(cells[title])
        return +Counter({key: count for key, count in found.items() if key[2] != "row" and key[0] in self.days})

    def overdue(self) -> Report:
        edges = [datetime(day.year, day.month, day.day, tzinfo=ALMATY).timestamp() for day in self.days]
        spans = [Span(day, edge, edge + 86_400) for day, edge in zip(self.days, edges, strict=True)]
        names = {one.id: one.name for one in self.account.crm_account.users}
        return overdue(self.account.account_store, spans, names, "standing")

    def write_table(self) -> None:
        """As the jobs do by and by."""
        store = self.account.account_store
        days = KpiDays(store, way_of(self.engine))
        while days.keep_up(self.clock.now()):
            pass
        job = SheetJob(
            self.kit.service(), KpiRows(store, "yandex_table_kpi", "KPI"), store, lambda: self.engine, self.clock,
            self.clock,
        )  # fmt: skip
        while job.run():
            assert not job.is_put_off


@pytest.fixture
def kit() -> Iterator[YandexKit]:
    stand_ins = StandIns(["yandex_disk"], live=False)
    with serving(stand_ins):
        yield YandexKit(stand_ins)


def edit_by_hand(rows: Rows) -> None:
    """A title above, a column of one's own, two columns swapped, the rows upside down."""
    body = [[row[0], "моё", *row[2:4][::-1], row[1], *row[4:]] for row in rows]
    body[0][1] = "Заметки"
    rows[:] = [["KPI отдела"], body[0], *reversed(body[1:])]


def process_for(config: Config, sandbox: LocalCrm, folder: Path) -> BridgeProcess:
    """``serve`` with the rules of this story."""
    shipped = tomlkit.parse((EXAMPLES / "smm.toml").read_text("utf-8"))
    kept: dict[str, Any] = {key: shipped[key] for key in ("account", "calendar", "roles", "pay")}
    kept["handlers"] = {"filled_field_starts_deeds": {}}
    for name in RULES:
        kind, block = name.split(".")
        kept["handlers"][kind][block] = shipped["handlers"][kind][block]  # type: ignore[index]
    file = folder / "process.toml"
    file.write_text(tomlkit.dumps(kept), "utf-8")
    environment = {
        **ENVIRONMENT, "AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(config.data_folder),
        "AMO_BRIDGE_SETTLE": "0.05",
    }  # fmt: skip
    return BridgeProcess(folder / "process.log", environment, "--config", str(file))


def test_every_report_is_right_after_kills_of_a_real_process_and_a_sheet_edited_by_hand(
    sandbox: LocalCrm,
    office: CrmUser,
    config: Config,
    start_bridge: Callable[..., RunningBridge],
    tmp_path: Path,
    kit: YandexKit,
    request: pytest.FixtureRequest,
) -> None:
    assert config.pay is not None
    leaves = {EmployeeName(LEAVER): Employment.model_validate({"to": LEFT - timedelta(days=1)})}
    config = replace(config, pay=config.pay.model_copy(update={"employed": leaves}))
    kit.keep("Отчёты", "KPI")
    clients = of_a_hard_month(8)
    team = Team(sandbox, office, clients)
    tenth = next(one for one in clients if one.name == "Десятый день")
    tasks: list[int] = []
    # Late from the 9th on, put off while nobody hears, late again on the 20th, done on the 22nd.
    team.errands = {
        date(2026, 10, 6): lambda: tasks.append(office.new_task(TEAM[0], tenth.deal, "Позвонить", 3 * 86_400)),
        date(2026, 10, 14): lambda: office.change_task(TEAM[0], tasks[0], complete_till=due_on(20)),
        date(2026, 10, 22): lambda: office.finish(TEAM[0], tenth.deal, "Позвонить", "готово"),
    }
    sandbox.fault("hook_duplicate")
    bridge = start_bridge(config).wait_ready()
    team.play(FIRST, date(2026, 10, 7), lambda: bridge.settle(sandbox))
    bridge.stop()
    # A process of its own: SIGKILL while it works on what has just been told, and a day down after the second one.
    for day in KILLED_ON:
        process = process_for(config, sandbox, tmp_path)
        request.addfinalizer(process.kill)
        process.wait_ready()
        team.play(day, day, process.kill)
        process.kill()
        after = [one for one in KILLED_ON if one > day]
        team.play(day + timedelta(days=1), (after[0] if after else LEFT) - timedelta(days=1), lambda: None)
    bridge = start_bridge(config).wait_ready()
    bridge.look_at_the_clock()
    bridge.settle(sandbox)
    team.play(LEFT, date(2026, 10, 21), lambda: bridge.settle(sandbox))
    Reports(bridge, kit).write_table()
    kit.edit(edit_by_hand, "KPI")
    team.play(date(2026, 10, 22), LAST_DAY, lambda: bridge.settle(sandbox))
    bridge.look_at_the_clock()
    bridge.settle(sandbox)
    reports = Reports(bridge, kit)
    wait_until(lambda: reports.calls() == calls_by_day(clients), "all calls are known")

    def all_agree() -> None:
        agrees(sheet(bridge, OCTOBER, office.now()), clients, salaries={LEAVER: PART_SALARY})
        assert reports.calls() == calls_by_day(clients)
        late = reports.overdue()
        told = {day.day: count for day, count in zip(late.days, late.rows[TEAM[0]], strict=True) if count}
        assert (told, late.moves[TEAM[0]].times) == (dict.fromkeys((9, 10, 11, 12, 13, 20, 21), 1), 1)
        reports.write_table()
        assert reports.in_the_table() == calls_by_day(clients)

    all_agree()
    # What the month is reckoned from is read once more from amoCRM's events.
    environment = {**ENVIRONMENT, "AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(config.data_folder)}
    for subject in ("pay", "kpi"):
        words = [subject, "rebuild", "2026-10", "--config", str(tmp_path / "process.toml")]
        told = CliRunner().invoke(main, words, env=environment)
        assert told.exit_code == 0, told.output
    all_agree()
    lines = {(one.deal_name, one.kind) for one in sheet(bridge, OCTOBER, office.now()).lines}
    assert {("Десятый день", "refunded"), ("Одиннадцатый день", "kept")} <= lines
    assert not {("Десятый день", "kept"), ("Одиннадцатый день", "refunded")} & lines
    assert kit.sheets()["KPI"][1][1] == "Заметки"
