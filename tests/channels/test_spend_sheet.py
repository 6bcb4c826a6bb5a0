"""Clients' money left, read from people's table: what gets into deals, and what is told instead of guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from support.fakes import ACCOUNT, BRIEF, LOST, MEETING, NOON, agency, clock, record, rule_engine
from support.sheet_kits import KITS, Rows

from amo_bridge.channels.jobs import spend_sheet_job
from amo_bridge.channels.registry import ChannelContext
from amo_bridge.channels.spend_sheet import SpendSheetJob, Unreadable, amount_of, day_of
from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.advertising import SpendSheetSection
from amo_bridge.config.loader import readable
from amo_bridge.crm.account import Field
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

LEFT, PER_DAY, ON = "Остаток средств", "Расход в день", "Дата дедлайна"
HEAD = ["Клиент", "Менеджер", "Остаток", "Расход в день", "На дату"]
TODAY = "23.11.2026"
SERIAL = 46349
"""The 23rd of November 2026, as tables keep it."""
SECTION: dict[str, Any] = {
    "service": "google", "sheet": "Траты", "per_day": "Расход в день", "on": "На дату",
    "left_field": LEFT, "per_day_field": PER_DAY, "on_field": ON,
}  # fmt: skip


class Spending:
    """An agency with a table of spending and deals in the mirror. Noon of a Monday."""

    def __init__(self, store: Store, stand_ins: StandIns, kind: str) -> None:
        self.stand_ins, self.kit = stand_ins, KITS[kind](stand_ins)
        self.store, self.clock, self.dry_run = AccountStore(store, ACCOUNT), clock(), False
        self.options = {**SECTION, "service": kind}
        more = (Field(9_001, LEFT, None, "numeric", (), "leads"), Field(9_002, PER_DAY, None, "numeric", (), "leads"))
        self.account = replace(agency(), all_fields=(*agency().all_fields, *more))
        self.begin()

    def begin(self) -> None:
        """The process starts, or starts again."""
        self.job = SpendSheetJob(self.kit.service(), self.store, self.rule_engine, self.clock, self.clock)

    def rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        bridge = engine.config.bridge.model_copy(
            update={"dry_run": self.dry_run, "tell": "Иван Петров", "opt_out_tag": "без робота"}
        )
        channels = replace(engine.config.channels, spend_sheet=SpendSheetSection.model_validate(self.options))
        config = replace(engine.config, channels=channels, bridge=bridge)
        return RuleEngine.of(config, self.account, self.clock, Mirror(self.store).record)

    def deal(self, deal_id: int = 7, name: str = "Ромашка", on: str = BRIEF, **changed: Any) -> None:
        ids = {field.name: field.id for field in self.account.fields()}
        fields = {ids[key]: values for key, values in changed.pop("fields", {}).items()}
        made = record(on, deal_id, (self.clock.now() - NOON).total_seconds(), name=name, **changed)
        made = replace(made, fields=fields)
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(made, made.updated_at)], self.clock.now())

    def sheet(self, *rows: list[Any], head: list[Any] | None = None) -> None:
        table: Rows = [["Траты клиентов"], [], head or HEAD, *rows]
        self.kit.save({"Отчёты": [], "Траты": table})

    def read(self, **later: float) -> str:
        """What a round says is wrong; empty if nothing."""
        self.clock.advance(timedelta(**later))
        try:
            self.job.send()
        except BridgeError as error:
            return str(error)
        return ""

    @property
    def written(self) -> dict[int, dict[str, Any]]:
        """Deal → field → what is to be in it, of what waits for amoCRM."""
        names = {field.id: field.name for field in self.account.fields()}
        with self.store.read() as connection:
            query = select(outbox.c.deal_id, outbox.c.payload).where(
                outbox.c.rule == "spend_sheet", outbox.c.state == "ready"
            )
            rows = connection.execute(query.order_by(outbox.c.id)).all()
        return {
            row.deal_id: {
                names[one["field_id"]]: one["values"][0]["value"]
                for one in json.loads(row.payload)["body"]["custom_fields_values"]
            }
            for row in rows
        }

    def sent(self) -> None:
        with self.store.write() as connection:
            connection.execute(update(outbox).values(state="done"))

    @property
    def alerts(self) -> list[str]:
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.payload).where(outbox.c.rule == "bridge.alarm")).scalars()
            return [json.loads(row)["body"]["text"] for row in rows]


@pytest.fixture(params=KITS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def spending_of(store: Store, kind: str) -> Iterator[Spending]:
    stand_ins = StandIns(["google_sheets", "yandex_disk"], live=False)
    with serving(stand_ins):
        yield Spending(store, stand_ins, kind)


@pytest.fixture
def both(store: Store, kind: str) -> Iterator[Spending]:
    """By each service."""
    yield from spending_of(store, kind)


@pytest.fixture
def spending(store: Store) -> Iterator[Spending]:
    yield from spending_of(store, "google")


DAY = 1795381200
"""Midnight of the 23rd of November 2026 in Moscow."""


def test_figures_of_a_row_get_into_the_deals_fields(both: Spending) -> None:
    both.deal(7)
    both.deal(8, "Василёк")
    both.sheet(["ромашка", "Антон", 12000.5, "800 ₽", SERIAL], [], [8, "", "-1 500", 700, TODAY])
    assert both.read() == ""
    assert both.written == {
        7: {LEFT: 12000.5, PER_DAY: 800, ON: DAY},
        8: {LEFT: -1500, PER_DAY: 700, ON: DAY},
    }
    entry = Journal(both.store).of_deal(7)[0]
    assert (entry.what, entry.reason[:25]) == ("таблица трат", "таблица трат, строка 4: п")
    assert both.alerts == []


def test_the_same_sheet_is_read_once_a_day_and_writes_nothing_twice(both: Spending) -> None:
    both.deal(7)
    both.sheet(["Ромашка", "", 12000, 800, TODAY])
    both.read()
    for _ in range(3):
        both.begin()
        both.read(minutes=10)
    assert len(both.written) == 1
    both.sent()
    both.deal(7, fields={LEFT: ("12000",), PER_DAY: ("800.00",), ON: (DAY,)})
    both.read(days=1)
    assert both.written == {}, "already so"
    both.sheet(["Ромашка", "", 11200, 800, "24.11.2026"])
    both.read(days=1)
    assert both.written == {7: {LEFT: 11200, ON: DAY + 86_400}}, "only what has changed"


def test_what_was_read_last_is_in_amocrm_before_more_is_read(spending: Spending) -> None:
    spending.deal(7)
    spending.sheet(["Ромашка", "", 12000, 800, TODAY])
    spending.read()
    spending.sheet(["Ромашка", "", 11000, 800, TODAY])
    spending.read(days=1)
    assert spending.written[7][LEFT] == 12000
    spending.sent()
    spending.read(minutes=1)
    assert spending.written[7][LEFT] == 11000


CLIENTS = [
    pytest.param(7, "", id="number"),
    pytest.param("№ 7", "", id="number with a sign"),
    pytest.param("https://agency.amocrm.ru/leads/detail/7?tab_id=1", "", id="link"),
    pytest.param("«РОМАШКА»", "", id="name in another spelling"),
    pytest.param("https://other.amocrm.ru/leads/detail/7", "такой сделки нет", id="link to another account"),
    pytest.param("Ромашки", "такой сделки нет", id="unknown name"),
    pytest.param("77", "такой сделки нет", id="unknown number"),
    pytest.param("Закрытая", "такой сделки нет", id="closed deal by name"),
    pytest.param("9", "", id="closed deal by number"),
    pytest.param("Двойник", "таких сделок несколько: 10, 11", id="two deals"),
    pytest.param("Удалённая", "такой сделки нет", id="deleted deal"),
]


@pytest.mark.parametrize(("client", "why"), CLIENTS)
def test_a_client_is_one_deal_or_is_told(spending: Spending, client: Any, why: str) -> None:
    spending.deal(7)
    spending.deal(8, "Другая")
    spending.deal(9, "Закрытая", LOST)
    spending.deal(10, "Двойник")
    spending.deal(11, "Двойник", MEETING)
    spending.deal(12, "Удалённая", is_deleted=True)
    spending.sheet([client, "", 100, 10, TODAY], ["Другая", "", 200, 20, TODAY])
    told = spending.read()
    assert why in told
    assert bool(told) == bool(why)
    assert set(spending.written) == ({8} if why else {8, 9} if client == "9" else {7, 8}), "other rows go on"


def test_a_name_counts_on_the_sections_stages_alone(spending: Spending) -> None:
    spending.deal(10, "Двойник")
    spending.deal(11, "Двойник", MEETING)
    spending.options["stages"] = [MEETING]
    spending.sheet(["Двойник", "", 100, 10, TODAY])
    assert spending.read() == ""
    assert set(spending.written) == {11}


ROWS = [
    pytest.param(["Ромашка", "", "около 5 тыс.", 10, TODAY], "остаток «около 5 тыс.» не прочесть", id="sum"),
    pytest.param(["Ромашка", "", "12,345", 10, TODAY], "остаток «12,345» можно понять двояко", id="sum in two ways"),
    pytest.param(["Ромашка", "", 100, "-5", TODAY], "расход в день меньше нуля", id="negative spending"),
    pytest.param(["Ромашка", "", 100, 10, "вчера"], "дату остатка «вчера» не прочесть", id="date"),
    pytest.param(["Ромашка", "", 100, 10, 5], "дату остатка «5", id="number for a date"),
    pytest.param(["Ромашка", "", 100, 10, "24.11.2026"], "ещё не наступила", id="date to come"),
    pytest.param(["Ромашка", "", 100, 10, ""], "не сказано, на какую дату", id="no date"),
]


@pytest.mark.parametrize(("row", "why"), ROWS)
def test_a_row_that_cannot_be_read_is_told_once_and_others_go_on(both: Spending, row: list[Any], why: str) -> None:
    both.deal(7)
    both.deal(8, "Другая")
    both.sheet(row, ["Другая", "", 200, 20, TODAY])
    assert why in both.read()
    assert both.job.is_put_off
    assert set(both.written) == {8}
    both.sent()
    both.deal(8, "Другая", fields={LEFT: ("200",), PER_DAY: ("20",), ON: (DAY,)})
    both.sheet(["Ещё", "", "", "", ""], row, ["Другая", "", 200, 20, TODAY])
    assert why in both.read(days=1) or "24.11" in str(row)
    assert len(both.alerts) == 1, "a row that has moved is the same row"
    both.sheet(["Другая", "", 200, 20, TODAY])
    assert both.read(days=1) == ""
    assert not both.job.is_put_off


def test_two_rows_about_one_deal_are_told_and_neither_is_taken(spending: Spending) -> None:
    spending.deal(7)
    spending.sheet(["Ромашка", "", 100, 10, TODAY], [7, "", 200, 10, TODAY])
    assert spending.read().count("об этой сделке несколько строк") == 2
    assert spending.written == {}


def test_an_empty_cell_leaves_its_field_and_an_empty_row_is_nothing(spending: Spending) -> None:
    spending.deal(7, fields={LEFT: ("5",)})
    spending.sheet(["Ромашка", "", "", 10, ""], ["Итого"], ["", "", 999, 9, TODAY], ["Никто", "Антон", " "])
    assert spending.read() == ""
    assert spending.written == {7: {PER_DAY: 10}}


def test_without_a_column_of_dates_a_sum_is_of_the_day_it_was_first_read(spending: Spending) -> None:
    spending.options["on"] = None
    spending.deal(7)
    spending.sheet(["Ромашка", "", 100, 10])
    spending.read()
    assert spending.written == {7: {LEFT: 100, PER_DAY: 10, ON: DAY}}
    spending.sent()
    spending.deal(7, fields={LEFT: ("100",), PER_DAY: ("10",), ON: (DAY,)})
    spending.read(days=1)
    assert spending.written == {}, "nobody has renewed it: the end of the money does not move on"
    spending.sheet(["Ромашка", "", 90, 10])
    spending.read(days=1)
    assert spending.written == {7: {LEFT: 90, ON: DAY + 2 * 86_400}}


HEADS = [
    pytest.param(["Клиенты", "Остаток", "Расход в день", "На дату"], "нет столбца «Клиент»", id="no client"),
    pytest.param(["Клиент", "Остаток", "На дату"], "нет столбца «Расход в день»: поправьте per_day", id="missing"),
    pytest.param([*HEAD, "остаток"], "два столбца «Остаток»", id="doubled"),
]


@pytest.mark.parametrize(("head", "why"), HEADS)
def test_columns_that_cannot_be_told_stop_the_reading(both: Spending, head: list[Any], why: str) -> None:
    both.deal(7)
    both.sheet(["Ромашка", "", 100, 10, TODAY], head=head)
    for _ in range(3):
        assert why in both.read(minutes=30)
    assert both.written == {}
    (told,) = both.alerts
    assert why in told
    both.sheet(["Ромашка", "", 100, 10, TODAY])
    both.read(hours=2)
    assert set(both.written) == {7}, "it is tried again the same day"


def test_a_sheet_that_is_gone_and_an_outage_are_told_after_a_while(both: Spending) -> None:
    both.kit.save({"Отчёты": []})
    assert "листа «Траты» нет" in both.read()
    assert both.alerts == []
    assert "листа «Траты» нет" in both.read(minutes=11)
    assert len(both.alerts) == 1
    assert both.written == {}


@pytest.mark.parametrize("fault", ["lost_answer", "refuse_before", "broken", "limited"])
def test_an_outage_that_passes_writes_each_once_and_is_told_to_nobody(both: Spending, fault: str) -> None:
    both.deal(7)
    both.sheet(["Ромашка", "", 100, 10, TODAY])
    both.stand_ins.faults.add(fault, vendor=both.kit.stand_in_name)
    assert both.read()
    assert both.job.is_put_off
    assert both.read(minutes=5) == ""
    assert set(both.written) == {7}
    assert both.alerts == []


def test_rows_that_could_not_be_taken_are_still_said_after_a_restart(spending: Spending) -> None:
    spending.deal(7)
    spending.sheet(["Ромашка", "", "около 5 тыс.", 10, TODAY])
    told = spending.read()
    assert "около 5 тыс." in told
    for _ in range(2):
        spending.begin()
        assert spending.read(minutes=5) == told
        assert spending.job.is_put_off, "the page shows it until the sheet is read without it"
        assert spending.read(minutes=5) == "", "said once"
    spending.sheet(["Ромашка", "", 5000, 10, "24.11.2026"])
    spending.begin()
    assert spending.read(hours=13) == told, "also before the next morning"
    assert spending.read(hours=11) == ""
    assert not spending.job.is_put_off
    spending.begin()
    assert spending.read(minutes=5) == ""
    assert len(spending.alerts) == 1


def test_nothing_is_read_before_its_hour_on_days_off_and_in_a_dry_run(spending: Spending) -> None:
    spending.deal(7)
    spending.sheet(["Ромашка", "", 100, 10, TODAY])
    spending.read(hours=-3)
    assert spending.written == {}, "nine in the morning in Moscow"
    spending.read(days=-1, hours=3)
    assert spending.written == {}, "a Sunday"
    spending.dry_run = True
    spending.read(days=1)
    assert spending.written == {}
    spending.dry_run = False
    spending.read()
    assert set(spending.written) == {7}


def test_an_opted_out_deal_is_left_alone(spending: Spending) -> None:
    spending.deal(7, tags=("без робота",))
    spending.sheet(["Ромашка", "", 100, 10, TODAY])
    assert spending.read() == ""
    assert spending.written == {}


AMOUNTS = [
    ("12 345,67 ₽", "12345.67"), ("12,345.67", "12345.67"), ("12.345,67", "12345.67"), ("1 234 567", "1234567"),
    ("1,234,567", "1234567"), ("-500", "-500"), ("− 500 руб.", "-500"), ("12\u00a0345", "12345"), ("0", "0"),
    ("5,5", "5.5"), ("5.50", "5.5"), ("1000", "1000"), (0.1 + 0.2, "0.3"), (12, "12"), ("12'345.6", "12345.6"),
    ("100 р.", "100"), ("12 345 ₸", "12345"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "amount"), AMOUNTS)
def test_sums_are_read_as_people_type_them(cell: Any, amount: str) -> None:
    assert amount_of(cell, "остаток") == Decimal(amount)


@pytest.mark.parametrize(
    "cell", ["12,345", "12.345", "1 23", "12 34,5", "5%", "пять", "1.2.3", "—", "#REF!", True, "1,2345", "₽"]
)
def test_what_is_no_sure_sum_is_not_guessed(cell: Any) -> None:
    with pytest.raises(Unreadable):
        amount_of(cell, "остаток")


@pytest.mark.parametrize("cell", [TODAY, "23.11.26", "2026-11-23", SERIAL, SERIAL + 0.75, "23.11.2026 г."])
def test_days_are_read_as_people_type_them(cell: Any) -> None:
    assert day_of(cell, "дату") == date(2026, 11, 23)


@pytest.mark.parametrize("cell", ["23/11/2026", "11.23.2026", "23.11", "вчера", 5, -1, True, 20261123])
def test_what_is_no_sure_day_is_not_guessed(cell: Any) -> None:
    with pytest.raises(Unreadable):
        day_of(cell, "дату")


@pytest.mark.parametrize("empty", ["", "  ", "\u00a0"])
def test_an_empty_cell_is_not_known(empty: str) -> None:
    assert (amount_of(empty, "остаток"), day_of(empty, "дату")) == (None, None)


WRONG = [
    ({"per_day_field": None}, "только вместе"),
    ({"on": "остаток"}, "разные заголовки"),
    ({"per_day_field": "остаток средств"}, "одно поле"),
    ({"service": "excel"}, "service"),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_a_section_that_cannot_be_meant_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SpendSheetSection.model_validate(SECTION | change)


CONFIG = """
[account]
url = "https://agency.amocrm.ru"
[bridge]
[google_sheets]
spreadsheet = "one"
[spend_sheet]
service = "google"
sheet = "Траты"
left_field = "Остаток средств"
on_field = "Остаток на дату"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ""),
        ('service = "google"', 'service = "yandex"', "нужен раздел [yandex_table]"),
        ('sheet = "Траты"', 'sheet = "отчёты"', "мост ведёт сам ([google_sheets])"),
    ],
)
def test_the_section_needs_its_service_and_a_sheet_of_peoples(old: str, new: str, words: str) -> None:
    found = readable(Path("config.toml"), CONFIG.replace(old, new), {})
    assert all(words in problem for problem in found.problems)
    assert bool(found.problems) == bool(words)


@pytest.mark.parametrize("is_on", [True, False])
def test_the_switch(spending: Spending, is_on: bool) -> None:
    config = spending.rule_engine().config
    section = config.channels.spend_sheet
    assert section is not None
    channels = replace(
        config.channels, google_sheets=spending.kit.section, spend_sheet=section.model_copy(update={"enabled": is_on})
    )
    told = replace(config, channels=channels)
    client: Any = None
    context = ChannelContext(
        told, {}, spending.store, client, spending.rule_engine, spending.clock, spending.clock
    )  # fmt: skip
    assert (spend_sheet_job(context) is not None) == is_on


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"left_field": ON}, "поле «Дата дедлайна» — не число (его тип date); поля с числом: "),
        ({"on_field": LEFT}, "поле «Остаток средств» — не дата"),
        ({"left_field": "Остатки средств"}, "может быть, «Остаток средств»?"),
        ({"stages": ["Продажи / Бриф палучен"]}, "может быть, «Продажи / Бриф получен»?"),
    ],
)
def test_check_compares_its_names_with_the_account(spending: Spending, change: dict[str, Any], words: str) -> None:
    spending.options |= {"service": "google", **change}
    found = [one for one in unknown_names(spending.rule_engine().config, spending.account) if "[spend_sheet]" in one]
    assert len(found) == bool(words)
    assert all(words in problem for problem in found)


def test_check_looks_for_the_sheet(both: Spending) -> None:
    both.sheet(["Ромашка"])
    engine = both.rule_engine()
    channels = replace(engine.config.channels, **{both.kit.vendor.section: both.kit.section})
    told = replace(engine.config, channels=channels, daily_report=None)
    environment = {both.kit.vendor.secret: both.kit.word}
    assert "на листе «Траты» строк: " in both.kit.vendor.client_of(told, environment).check()
    both.kit.save({"Отчёты": []})
    with pytest.raises(BridgeError, match="листа «Траты» нет"):
        both.kit.vendor.client_of(told, environment).check()
