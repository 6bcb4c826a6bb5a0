"""C5: what is left of a client's money stands in the table of spending; the task to invoice comes on the right day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.office_day import OfficeDay
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.sheet_kits import GoogleKit
from support.shipped_examples import example, stopped_at

from amo_bridge.config.advertising import SpendSheetSection
from amo_bridge.config.channels import GOOGLE_SHEETS_KEY, GoogleSheetsSection
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_file import CLIENTS
from amo_bridge.standins.server import StandIns, serving

ANTON = "Антон Зуев"
INVOICE = "Средства кончаются: выставить счёт"
HEAD = ["Клиент", "Остаток", "Расход", "На дату"]
SECTION = SpendSheetSection.model_validate(
    {
        "service": "google", "sheet": "Траты", "per_day": "Расход", "on": "На дату", "pipelines": ["Клиенты"],
        "left_field": "Остаток средств", "per_day_field": "Расход в день", "on_field": "Остаток на дату",
    }
)  # fmt: skip


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The client department's amoCRM, early on a Monday."""
    with stopped_at("2026-03-16T08:00", CLIENTS) as crm:
        yield crm


@pytest.fixture
def google() -> Iterator[GoogleKit]:
    stand_ins = StandIns(["google_sheets"], live=False)
    with serving(stand_ins):
        yield GoogleKit(stand_ins)


@pytest.fixture
def config(sandbox: LocalCrm, google: GoogleKit, tmp_path: Path) -> Config:
    config = example("client_department", sandbox, tmp_path)
    assert isinstance(google.section, GoogleSheetsSection)
    return replace(config, channels=replace(config.channels, google_sheets=google.section, spend_sheet=SECTION))


@pytest.fixture
def bridge(config: Config, google: GoogleKit, start_bridge: type[RunningBridge]) -> RunningBridge:
    return start_bridge(config, environment={**ENVIRONMENT, GOOGLE_SHEETS_KEY: google.word}).wait_ready()


def test_money_left_in_the_sheet_sets_the_task_to_invoice_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, google: GoogleKit
) -> None:
    """12,000 left on the 16th, 800 a day: spent by the 31st; seven working days before is the 20th."""
    day = OfficeDay(office, bridge, sandbox)
    deal = day.deal(ANTON, "Ромашка", "Клиенты / Запущен")

    def morning(moment: str, left: object, on: str) -> None:
        google.save({"Траты": [HEAD, ["Ромашка", left, "800 ₽", on], ["Итого", 99, 9, on]]})
        day.at(moment)
        wait_until(lambda: str(office.value(deal, "Остаток средств")) == str(left), f"{left} left")
        day.settle()

    def tasks() -> int:
        return sum(text.startswith(INVOICE) for text in day.tasks(deal))

    morning("2026-03-16T09:40", 12_000, "16.03.2026")
    assert str(office.value(deal, "Расход в день")) == "800"
    assert tasks() == 0
    day.at("2026-03-19T18:00")
    assert tasks() == 0
    morning("2026-03-20T10:30", 8_800, "20.03.2026")
    day.at("2026-03-20T10:40")
    assert tasks() == 1
    morning("2026-03-23T10:30", 6_400, "23.03.2026")
    assert tasks() == 1
    day.finish(ANTON, deal, INVOICE)
    morning("2026-03-24T10:30", 5_600, "24.03.2026")
    day.at("2026-03-25T10:30")
    assert tasks() == 0, "the end is the same one: no second task"
    assert any("«Итого»: такой сделки нет" in row["text"] for row in sandbox.table("tasks")), "told, and others go on"
    assert any("таблица трат" in entry.what for entry in bridge.journal(deal))
