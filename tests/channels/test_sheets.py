"""Daily reports in a table: a row for each person and day, found again by its key, changed in place, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from support.daily_office import IVAN, MARIA, MONDAY_EVENING, PLAN, Agency
from support.fakes import NOON, user
from support.google_account import service_account

from amo_bridge.channels.google_sheets import GoogleSheets
from amo_bridge.channels.registry import GOOGLE_SHEETS
from amo_bridge.channels.sheets import HEAD, ReportRows, SheetJob, SheetRow
from amo_bridge.config.channels import GOOGLE_SHEETS_KEY, GoogleSheetsSection
from amo_bridge.errors import ChannelDown
from amo_bridge.reports.kpi_days import KpiDays, KpiRows, LossRows, way_of
from amo_bridge.standins.google_sheets import GoogleSheetsStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import outbox


class Table:
    """A team whose reports go into a table; ``google`` is the stand-in of Google Sheets."""

    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.stand_ins = stand_ins
        google = stand_ins["google_sheets"]
        assert isinstance(google, GoogleSheetsStandIn)
        self.google = google
        told = google.settings()
        keys = {name: told[name] for name in ("api", "token_url", "spreadsheet")}
        self.section = GoogleSheetsSection(**keys)
        self.agency = Agency(store, people=[IVAN, MARIA])
        self.agency.sell(NOON, 1_000)
        self.begin()

    def begin(self) -> None:
        """The process starts, or starts again after it was killed."""
        self.service = GoogleSheets(self.section, service_account(self.google.email))
        agency = self.agency
        rows = ReportRows(agency.store, agency.clock, "google_sheets", self.section.daily_reports)
        self.job = SheetJob(self.service, rows, agency.store, agency.rule_engine, agency.clock, agency.clock)
        days = KpiRows(agency.store, "google_sheets_kpi", "KPI")
        self.kpi = SheetJob(self.service, days, agency.store, agency.rule_engine, agency.clock, agency.clock)

    def evening(self) -> None:
        self.agency.at(MONDAY_EVENING)
        self.job.send()

    def later(self, **time: float) -> int:
        self.agency.clock.advance(timedelta(**(time or {"minutes": 10})))
        return self.job.send()

    @property
    def rows(self) -> list[list[Any]]:
        return self.google.sheets["Отчёты"]

    @property
    def tasks(self) -> list[str]:
        with self.agency.store.read() as connection:
            return list(connection.execute(select(outbox.c.payload)).scalars())

    def confirm(self, who: str = IVAN) -> None:
        report = next(one for one in self.agency.reports if one.person == who)
        with self.agency.store.write() as connection:
            assert self.agency.job._reports.confirm(connection, report.number, f"{who}, Telegram") == "done"


@pytest.fixture
def table(store: Store) -> Iterator[Table]:
    stand_ins = StandIns(["google_sheets"], live=False)
    with serving(stand_ins):
        yield Table(store, stand_ins)


IVANS = ["23.11.2026", IVAN, 1_000, 1, 0, PLAN, "", "", 0]
MARIAS = ["23.11.2026", MARIA, 0, 0, 0, PLAN, "", "", 0]


def key(who: str) -> str:
    return f"2026-11-23 {user(who)}"


def test_a_row_for_each_person_and_day_with_a_head_once(table: Table) -> None:
    table.evening()
    assert table.rows == [list(HEAD), [key(IVAN), *IVANS], [key(MARIA), *MARIAS]]
    for _ in range(3):
        table.begin()
        assert table.later() == 0
    assert len(table.rows) == 3


def test_a_change_is_put_in_its_place_and_other_columns_are_peoples(table: Table) -> None:
    table.evening()
    table.rows[1].append("молодец")
    table.rows[1], table.rows[2] = table.rows[2], table.rows[1]
    table.rows.insert(1, ["", "между строк"])
    table.agency.clock.advance(timedelta(minutes=5))
    table.confirm()
    table.agency.sell(MONDAY_EVENING, 500, deal_id=31)
    table.agency.after(minutes=11)
    assert table.later() == 1
    changed = ["23.11.2026", IVAN, 1_500, 2, 0, PLAN, "23.11.2026 18:05", f"{IVAN}, Telegram", 1]
    assert table.rows[1:] == [["", "между строк"], [key(MARIA), *MARIAS], [key(IVAN), *changed, "молодец"]]


def test_a_row_that_somebody_has_deleted_comes_again_with_its_next_change(table: Table) -> None:
    table.evening()
    del table.rows[1]
    assert table.later() == 0
    table.confirm()
    table.later()
    assert [row[0] for row in table.rows] == [HEAD[0], key(MARIA), key(IVAN)]


@pytest.mark.parametrize("fault", ["lost_answer", "refuse_before", "broken", "limited"])
@pytest.mark.parametrize("path", ["/token", "*:append", "*values:batchUpdate", "*values/*A:A"])
def test_a_fault_writes_nothing_twice_and_loses_nothing(table: Table, fault: str, path: str) -> None:
    struck = table.stand_ins.faults.add(fault, vendor="google_sheets", path=path)
    table.evening()
    table.begin()
    for _ in range(3):
        table.later()
    table.confirm()
    table.later()
    for _ in range(3):
        table.later()
    assert [row[0] for row in table.rows] == [HEAD[0], key(IVAN), key(MARIA)]
    assert table.rows[1][8] == f"{IVAN}, Telegram"
    assert (struck.struck, table.job.is_put_off) == (1, False)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda one: setattr(one.google, "is_shared", False), "откройте таблицу аккаунту bridge@project"),
        (lambda one: one.google.sheets.clear(), "листа «Отчёты» нет, создайте его"),
        (lambda one: setattr(one.google, "spreadsheet", "another"), "такой таблицы нет, проверьте spreadsheet"),
        (lambda one: setattr(one.google, "email", "another@project"), "ключ не пускает"),
    ],
    ids=["not shared", "no sheet", "no table", "another key"],
)
def test_what_has_to_be_mended_is_told_and_then_all_is_written(
    table: Table, spoil: Callable[[Table], None], words: str
) -> None:
    service = table.service
    google = table.google
    kept = dict(google.__dict__, sheets={"Отчёты": []})
    spoil(table)
    table.job._service = service
    with pytest.raises(ChannelDown, match=words):
        service.check()
    table.evening()
    assert table.job.is_put_off
    assert sum(words.split(",")[0] in one for one in table.tasks) <= 1, "once a day, to whom the config says"
    google.__dict__.update(kept)
    for _ in range(3):
        table.later(hours=1)
    assert len(table.rows) == 3
    assert service.check() == "таблица Google открыта, на листе «Отчёты» строк: 3"


def test_nothing_is_ever_a_formula_and_a_quote_in_a_name_does_no_harm(table: Table) -> None:
    table.google.sheets["Отчёты 'отдела'"] = []
    table.service.write("Отчёты 'отдела'", ["ключ", "текст"], [SheetRow("1", ["=1+1", 7])])
    assert table.google.sheets["Отчёты 'отдела'"] == [["ключ", "текст"], ["1", "=1+1", 7]]
    assert all("valueInputOption" not in one.parameters or one.parameters["valueInputOption"] == "RAW"
               for one in table.google.requests)  # fmt: skip


def test_not_in_a_dry_run_and_not_of_long_ago(table: Table) -> None:
    table.agency.at(MONDAY_EVENING)
    table.agency.is_dry = True
    assert (table.later(), table.rows) == (0, [])
    table.agency.is_dry = False
    assert (table.later(days=70), table.rows) == (0, [])


def test_days_of_kpi_are_kept_in_a_sheet_of_their_own(table: Table) -> None:
    agency = table.agency
    table.google.sheets["KPI"] = []
    agency.call(NOON)
    agency.at(MONDAY_EVENING)
    kept = KpiDays(agency.store, way_of(agency.rule_engine()))

    def tick(**later: float) -> int:
        agency.clock.advance(timedelta(**later))
        kept.keep_up(agency.clock.now())
        return table.kpi.send()

    assert tick(minutes=5) == 0, "the day goes on"
    assert tick(hours=12) == 1
    began = f"{agency.rule_engine().calendar.local(NOON):%H:%M}"
    ivans = [key(IVAN), "23.11.2026", IVAN, 1, 1, 1, 0, 0, 0, 1, 1_000, began]
    rows = table.google.sheets["KPI"]
    assert rows == [list(KpiRows.head), ivans]
    rows[1].append("молодец")
    agency.call(NOON + timedelta(hours=1))
    tick(hours=7)
    assert rows[1] == [*ivans[:3], 2, 2, 2, *ivans[6:], "молодец"]
    table.google.sheets.pop("KPI")
    tick(days=1)
    assert table.kpi.is_put_off
    assert not table.job.is_put_off, "one sheet that is gone does not stop the other"


def test_what_is_no_longer_so_does_not_stay_in_the_sheet(table: Table) -> None:
    agency = table.agency
    table.google.sheets["KPI"] = []
    kept = KpiDays(agency.store, way_of(agency.rule_engine()))
    agency.call(NOON, MARIA)
    agency.clock.advance(timedelta(days=1))
    kept.keep_up(agency.clock.now())
    assert table.kpi.send() == 2
    rows = table.google.sheets["KPI"]
    assert [(row[2], row[10]) for row in rows[1:]] == [(IVAN, 1_000), (MARIA, 0)]
    agency.sell(NOON, 1_000, who=MARIA)
    agency.clock.advance(timedelta(hours=7))
    kept.keep_up(agency.clock.now())
    table.kpi.send()
    assert [(row[2], row[9], row[10]) for row in rows[1:]] == [(IVAN, 0, 0), (MARIA, 1, 1_000)]


def test_lost_deals_are_kept_in_a_sheet_of_their_own_as_they_are_now(table: Table) -> None:
    agency = table.agency
    table.google.sheets["Потери"] = []
    for number in (41, 42):
        agency.lose(NOON, "Дорого", number)
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    KpiDays(agency.store, way_of(agency.rule_engine())).keep_up(agency.clock.now())
    rows = LossRows(agency.store, "google_sheets_losses", "Потери")
    job = SheetJob(table.service, rows, agency.store, agency.rule_engine, agency.clock, agency.clock)
    assert job.send() == 1
    wanted = [f"{key(IVAN)} Дорого", "23.11.2026", IVAN, "Дорого", 2]
    assert table.google.sheets["Потери"] == [list(LossRows.head), wanted]
    agency.lose(NOON, "Дорого", 41, status=7)
    agency.lose(NOON, "Не отвечает", 42)
    agency.clock.advance(timedelta(days=4))
    job.send()
    assert [(row[3], row[4]) for row in table.google.sheets["Потери"][1:]] == [("Дорого", 0), ("Не отвечает", 1)]


def test_a_day_counted_again_while_it_is_written_is_written_again(table: Table) -> None:
    agency = table.agency
    table.google.sheets["KPI"] = []
    kept = KpiDays(agency.store, way_of(agency.rule_engine()))
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    kept.keep_up(agency.clock.now())
    days = KpiRows(agency.store, "google_sheets_kpi", "KPI")
    assert len(days.due(agency.rule_engine(), agency.clock.now())) == 1
    agency.call(NOON + timedelta(hours=1))
    agency.clock.advance(timedelta(hours=7))
    kept.keep_up(agency.clock.now())
    days.keep_written()
    (ivans,) = days.due(agency.rule_engine(), agency.clock.now()).values()
    assert ivans[4] == 2
    days.keep_written()
    assert not days.due(agency.rule_engine(), agency.clock.now())


def test_only_those_whom_kpi_names_stand_in_its_sheet(table: Table) -> None:
    agency = table.agency
    table.google.sheets["KPI"] = []
    agency.kpi = {"people": [MARIA]}
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    KpiDays(agency.store, way_of(agency.rule_engine())).keep_up(agency.clock.now())
    assert (table.kpi.send(), table.google.sheets["KPI"]) == (0, [])
    agency.clock.advance(timedelta(minutes=2))
    assert table.kpi.send() == 0


def test_kpi_needs_a_sheet_of_its_own() -> None:
    with pytest.raises(ValidationError, match="для KPI нужен свой"):
        GoogleSheetsSection(spreadsheet="1", daily_reports="Отчёты", kpi="отчёты")


@pytest.mark.parametrize("is_reported", [True, False])
def test_only_sheets_that_are_kept_have_to_be_there(table: Table, is_reported: bool) -> None:
    config = table.agency.rule_engine().config
    section = table.section.model_copy(update={"kpi": "KPI"})
    config = replace(
        config,
        channels=replace(config.channels, google_sheets=section),
        daily_report=config.daily_report if is_reported else None,
    )
    table.google.sheets = {"KPI": []}
    service = GOOGLE_SHEETS.client_of(config, {GOOGLE_SHEETS_KEY: service_account(table.google.email)})
    if is_reported:
        with pytest.raises(ChannelDown, match="листа «Отчёты» нет"):
            service.check()
    else:
        assert service.check() == "таблица Google открыта, на листе «KPI» строк: 0"
