"""What is kept in tables, by every service: a row for each person and day, found by its key, changed in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from support.daily_office import IVAN, MARIA, MONDAY_EVENING, PLAN, Agency
from support.fakes import NOON, user
from support.sheet_kits import KITS, GoogleKit, Rows

from amo_bridge.channels.sheets import HEAD, ReportRows, SheetJob, SheetRow
from amo_bridge.config.channels import GoogleSheetsSection, YandexTableSection
from amo_bridge.errors import ChannelDown
from amo_bridge.reports.kpi_days import KpiDays, KpiRows, LossRows, way_of
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import outbox


class Table:
    """A team whose reports go into a table of the stand-in of a service."""

    def __init__(self, store: Store, stand_ins: StandIns, kind: str) -> None:
        self.stand_ins = stand_ins
        self.kit = KITS[kind](stand_ins)
        self.agency = Agency(store, people=[IVAN, MARIA])
        self.agency.sell(NOON, 1_000)
        self.begin()

    def begin(self) -> None:
        """The process starts, or starts again after it was killed."""
        self.service = self.kit.service()
        agency, section = self.agency, self.kit.section
        self.job = self.job_of(ReportRows(agency.store, agency.clock, self.kit.vendor.section, section.daily_reports))
        self.kpi = self.job_of(KpiRows(agency.store, f"{self.kit.vendor.section}_kpi", "KPI"))

    def job_of(self, source: Any) -> SheetJob:
        agency = self.agency
        return SheetJob(self.service, source, agency.store, agency.rule_engine, agency.clock, agency.clock)

    def evening(self) -> None:
        self.agency.at(MONDAY_EVENING)
        self.job.send()

    def later(self, **time: float) -> int:
        self.agency.clock.advance(timedelta(**(time or {"minutes": 10})))
        return self.job.send()

    @property
    def rows(self) -> Rows:
        return self.kit.sheets().get("Отчёты", [])

    @property
    def tasks(self) -> list[str]:
        with self.agency.store.read() as connection:
            return list(connection.execute(select(outbox.c.payload)).scalars())

    def confirm(self, who: str = IVAN) -> None:
        report = next(one for one in self.agency.reports if one.person == who)
        with self.agency.store.write() as connection:
            assert self.agency.job._reports.confirm(connection, report.number, f"{who}, Telegram") == "done"


@pytest.fixture(params=KITS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def table(store: Store, kind: str) -> Iterator[Table]:
    stand_ins = StandIns(["google_sheets", "yandex_disk"], live=False)
    with serving(stand_ins):
        yield Table(store, stand_ins, kind)


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

    def by_hand(rows: Rows) -> None:
        rows[1].append("молодец")
        rows[1], rows[2] = rows[2], rows[1]
        rows.insert(1, ["", "между строк"])

    table.kit.edit(by_hand)
    table.agency.clock.advance(timedelta(minutes=5))
    table.confirm()
    table.agency.sell(MONDAY_EVENING, 500, deal_id=31)
    table.agency.after(minutes=11)
    assert table.later() == 1
    changed = ["23.11.2026", IVAN, 1_500, 2, 0, PLAN, "23.11.2026 18:05", f"{IVAN}, Telegram", 1]
    assert table.rows[1:] == [["", "между строк"], [key(MARIA), *MARIAS], [key(IVAN), *changed, "молодец"]]


def test_columns_are_found_by_their_titles_wherever_people_have_moved_them(table: Table) -> None:
    """A column of their own before ours, one between, two of ours swapped, a title above all; then the rows go on."""
    table.evening()
    moved = (None, 0, 2, 1, 3, None, *range(4, 10))

    def by_hand(rows: Rows) -> None:
        for row in rows:
            row += [""] * (10 - len(row))
            row[:] = ["моё" if column is None else row[column] for column in moved]
        rows.insert(0, ["Отчёты отдела"])

    table.kit.edit(by_hand)
    table.confirm()
    table.later()
    assert table.later() == 0
    mine = dict(zip(HEAD, range(10), strict=True))
    ivans = table.rows[2]
    at = {title: moved.index(column) for title, column in mine.items()}
    assert (ivans[0], ivans[5], ivans[at["Кем"]], ivans[at["День"]]) == ("моё", "моё", f"{IVAN}, Telegram", IVANS[0])
    assert len(table.rows) == 4
    table.kit.edit(lambda rows: rows.pop(2))
    table.agency.sell(MONDAY_EVENING, 500, deal_id=31)
    table.agency.after(minutes=11)
    table.later()
    assert len(table.rows) == 4
    new = table.rows[3]
    assert (new[0], new[at[HEAD[0]]], new[at["Сумма продаж"]], new[5]) == ("", key(IVAN), 1_500, "")


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Выручка", "на листе «Отчёты» нет столбца «Сумма продаж», верните его"),
        ("Продажи", "два столбца «Продажи», назовите свой иначе"),
        (None, "нет столбца «Ключ (не менять)»: верните строку заголовков или освободите лист"),
    ],
)
def test_a_head_that_can_not_be_trusted_is_told_and_nothing_is_written(
    table: Table, title: str | None, words: str
) -> None:
    table.evening()

    def by_hand(rows: Rows) -> None:
        if title is None:
            rows.pop(0)
        elif title == "Продажи":
            rows[0].append(title)
        else:
            rows[0][3] = title

    table.kit.edit(by_hand)
    before = table.rows
    table.confirm()
    table.later()
    assert table.rows == before
    assert sum(words in one for one in table.tasks) == 1
    table.kit.edit(lambda rows: rows.__setitem__(slice(0, int(title is not None)), [list(HEAD)]))
    for _ in range(3):
        table.later(hours=1)
    assert (len(table.rows), table.rows[1][8]) == (3, f"{IVAN}, Telegram")


def test_a_row_that_somebody_has_deleted_comes_again_with_its_next_change(table: Table) -> None:
    table.evening()
    table.kit.edit(lambda rows: rows.pop(1))
    assert table.later() == 0
    table.confirm()
    table.later()
    assert [row[0] for row in table.rows] == [HEAD[0], key(MARIA), key(IVAN)]


FAULTS = [(kind, path) for kind, made in KITS.items() for path in made.faults]


@pytest.mark.parametrize("fault", ["lost_answer", "refuse_before", "broken", "limited"])
@pytest.mark.parametrize(("kind", "path"), FAULTS)
def test_a_fault_writes_nothing_twice_and_loses_nothing(table: Table, fault: str, path: str) -> None:
    struck = table.stand_ins.faults.add(fault, vendor=table.kit.stand_in_name, path=path)
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


SPOILT = [
    ("google", "is_shared", False, "откройте таблицу аккаунту bridge@project"),
    ("google", "spreadsheet", "another", "такой таблицы нет, проверьте spreadsheet"),
    ("google", "email", "another@project", "ключ не пускает"),
    ("yandex", "token", "another", "401 UnauthorizedError: токен не пускает, проверьте AMO_BRIDGE_YANDEX_TABLE_TOKEN"),
]


@pytest.mark.parametrize(("kind", "name", "value", "words"), SPOILT, ids=[f"{one[0]} {one[1]}" for one in SPOILT])
def test_what_has_to_be_mended_is_told_and_then_all_is_written(
    table: Table, name: str, value: object, words: str
) -> None:
    stand_in = table.stand_ins[table.kit.stand_in_name]
    kept = getattr(stand_in, name)
    setattr(stand_in, name, value)
    with pytest.raises(ChannelDown, match=words):
        table.service.check()
    table.evening()
    assert table.job.is_put_off
    assert sum(words.split(",")[0] in one for one in table.tasks) == 1, "once a day, to whom the config says"
    setattr(stand_in, name, kept)
    for _ in range(3):
        table.later(hours=1)
    assert len(table.rows) == 3
    assert table.service.check() == f"{table.kit.opened}, на листе «Отчёты» строк: 3"


@pytest.mark.parametrize("kind", ["google"])
@pytest.mark.parametrize("fault", ["", "lost_answer", "refuse_before", "broken"])
def test_a_sheet_that_is_not_there_is_made_once_with_its_head_and_rows(table: Table, fault: str) -> None:
    table.kit.save({"Людей": [["их", "данные"]]})
    assert table.service.check() == "таблица Google открыта, листа «Отчёты» ещё нет, мост создаст его"
    if fault:
        table.stand_ins.faults.add(fault, vendor="google_sheets", path="*spreadsheet-1:batchUpdate")
    table.evening()
    for _ in range(3):
        table.later()
    assert table.kit.sheets() == {
        "Людей": [["их", "данные"]],
        "Отчёты": [list(HEAD), [key(IVAN), *IVANS], [key(MARIA), *MARIAS]],
    }
    assert not table.job.is_put_off


def test_what_passes_by_itself_is_told_when_it_has_not_for_an_hour(table: Table) -> None:
    table.stand_ins.faults.add("limited", vendor=table.kit.stand_in_name, path=table.kit.faults[-1], count=None)
    table.evening()
    table.later()
    assert not any("не попадают в таблицу" in one for one in table.tasks)
    table.later(hours=1)
    table.later(hours=1)
    assert sum("не попадают в таблицу" in one for one in table.tasks) == 1


def test_nothing_is_ever_a_formula_and_a_quote_in_a_name_does_no_harm(table: Table) -> None:
    table.kit.keep("Отчёты д'Артаньяна")
    table.service.write(
        "Отчёты д'Артаньяна", ["ключ", "текст", "число"], [SheetRow("1", ["=1+1", 7])], lambda key: None
    )
    assert table.kit.sheets()["Отчёты д'Артаньяна"] == [["ключ", "текст", "число"], ["1", "=1+1", 7]]
    if isinstance(table.kit, GoogleKit):
        asked = [one.parameters.get("valueInputOption", "RAW") for one in table.kit.google.requests]
        assert set(asked) == {"RAW"}


def test_not_in_a_dry_run_and_not_of_long_ago(table: Table) -> None:
    table.agency.at(MONDAY_EVENING)
    table.agency.is_dry = True
    assert (table.later(), table.rows) == (0, [])
    table.agency.is_dry = False
    assert (table.later(days=70), table.rows) == (0, [])


def test_days_of_kpi_are_kept_in_a_sheet_of_their_own(table: Table) -> None:
    agency = table.agency
    table.kit.keep("Отчёты", "KPI")
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
    assert table.kit.sheets()["KPI"] == [list(KpiRows.head), ivans]
    table.kit.edit(lambda rows: rows[1].append("молодец"), "KPI")
    agency.call(NOON + timedelta(hours=1))
    tick(hours=7)
    assert table.kit.sheets()["KPI"][1] == [*ivans[:3], 2, 2, 2, *ivans[6:], "молодец"]
    table.kit.keep("Отчёты")
    tick(days=1)
    assert table.kpi.is_put_off == (not isinstance(table.kit, GoogleKit)), "Google's is made anew"
    assert not table.job.is_put_off, "one sheet that is gone does not stop the other"


def test_what_is_no_longer_so_does_not_stay_in_the_sheet(table: Table) -> None:
    agency = table.agency
    table.kit.keep("KPI")
    kept = KpiDays(agency.store, way_of(agency.rule_engine()))
    agency.call(NOON, MARIA)
    agency.clock.advance(timedelta(days=1))
    kept.keep_up(agency.clock.now())
    assert table.kpi.send() == 2
    assert [(row[2], row[10]) for row in table.kit.sheets()["KPI"][1:]] == [(IVAN, 1_000), (MARIA, 0)]
    agency.sell(NOON, 1_000, who=MARIA)
    agency.clock.advance(timedelta(hours=7))
    kept.keep_up(agency.clock.now())
    table.kpi.send()
    rows = table.kit.sheets()["KPI"]
    assert [(row[2], row[9], row[10]) for row in rows[1:]] == [(IVAN, 0, 0), (MARIA, 1, 1_000)]


def test_lost_deals_are_kept_in_a_sheet_of_their_own_as_they_are_now(table: Table) -> None:
    agency = table.agency
    table.kit.keep("Потери")
    for number in (41, 42):
        agency.lose(NOON, "Дорого", number)
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    KpiDays(agency.store, way_of(agency.rule_engine())).keep_up(agency.clock.now())
    job = table.job_of(LossRows(agency.store, f"{table.kit.vendor.section}_losses", "Потери"))
    assert job.send() == 1
    wanted = [f"{key(IVAN)} Дорого", "23.11.2026", IVAN, "Дорого", 2]
    assert table.kit.sheets()["Потери"] == [list(LossRows.head), wanted]
    agency.lose(NOON, "Дорого", 41, status=7)
    agency.lose(NOON, "Не отвечает", 42)
    agency.clock.advance(timedelta(days=4))
    job.send()
    rows = table.kit.sheets()["Потери"]
    assert [(row[3], row[4]) for row in rows[1:]] == [("Дорого", 0), ("Не отвечает", 1)]


def test_a_reason_with_another_name_leaves_no_old_figures(table: Table) -> None:
    """Nobody touches its deals when a reason is renamed; one that amoCRM no longer has, and a merged one, alike."""
    agency = table.agency
    agency.reasons = {1: "Дорого", 2: "Нет денег"}
    table.kit.keep("Потери")
    agency.lose(NOON, "Дорого", 41, number=1)
    agency.lose(NOON, "Нет денег", 42, number=2)
    agency.lose(NOON, "Другое", 43, number=3)
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    KpiDays(agency.store, way_of(agency.rule_engine())).keep_up(agency.clock.now())
    job = table.job_of(LossRows(agency.store, f"{table.kit.vendor.section}_losses", "Потери"))
    assert job.send() == 3
    agency.reasons = {1: "Слишком дорого", 2: "Слишком дорого"}
    agency.clock.advance(timedelta(minutes=2))
    job.send()
    found = {row[3]: row[4] for row in table.kit.sheets()["Потери"][1:]}
    assert found == {"Дорого": 0, "Нет денег": 0, "Другое": 1, "Слишком дорого": 2}
    agency.clock.advance(timedelta(minutes=2))
    assert job.send() == 0
    agency.lose(NOON, "Иное", 43, number=3)
    agency.clock.advance(timedelta(minutes=2))
    job.send()
    found = {row[3]: row[4] for row in table.kit.sheets()["Потери"][1:]}
    assert found == {"Дорого": 0, "Нет денег": 0, "Другое": 0, "Слишком дорого": 2, "Иное": 1}


@pytest.mark.parametrize("kind", ["google"])
def test_a_day_counted_again_while_it_is_written_is_written_again(table: Table) -> None:
    agency = table.agency
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
    table.kit.keep("KPI")
    agency.kpi = {"people": [MARIA]}
    agency.call(NOON)
    agency.clock.advance(timedelta(days=1))
    KpiDays(agency.store, way_of(agency.rule_engine())).keep_up(agency.clock.now())
    assert (table.kpi.send(), table.kit.sheets()["KPI"]) == (0, [])
    agency.clock.advance(timedelta(minutes=2))
    assert table.kpi.send() == 0


def test_kpi_needs_a_sheet_of_its_own() -> None:
    with pytest.raises(ValidationError, match="для KPI нужен свой"):
        GoogleSheetsSection(spreadsheet="1", daily_reports="Отчёты", kpi="отчёты")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"path": "disk:/Отчёты.xls"}, "не книга на Диске"),
        ({"path": "/Отчёты.xlsx"}, "не книга на Диске"),
        ({"path": "disk:/Отчёты.xlsx", "kpi": "KPI/месяц"}, "не имя листа"),
        ({"path": "disk:/Отчёты.xlsx", "kpi": "К" * 32}, "не имя листа"),
    ],
)
def test_a_workbook_has_a_place_and_sheets_that_there_can_be(keys: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        YandexTableSection(**keys)


@pytest.mark.parametrize(("is_reported", "kind"), list(product([True, False], KITS)))
def test_only_sheets_that_are_kept_have_to_be_there(table: Table, is_reported: bool) -> None:
    config = table.agency.rule_engine().config
    vendor = table.kit.vendor
    section = table.kit.section.model_copy(update={"kpi": "KPI"})
    config = replace(
        config,
        channels=replace(config.channels, **{vendor.section: section}),
        daily_report=config.daily_report if is_reported else None,
    )
    table.kit.keep("KPI")
    service = vendor.client_of(config, {vendor.secret: table.kit.word})
    if is_reported and isinstance(table.kit, GoogleKit):
        assert "листа «Отчёты» ещё нет" in service.check()
    elif is_reported:
        with pytest.raises(ChannelDown, match="листа «Отчёты» нет"):
            service.check()
    else:
        assert service.check() == f"{table.kit.opened}, на листе «KPI» строк: 0"
