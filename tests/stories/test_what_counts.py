"""What counts as a touch, an answer, a fulfilled condition; over HTTP, by the agency's shipped example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import EXAMPLE, UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER

APPROVED, OFFER = "Продажи / Утвержденный проект", "Продажи / Согласование КП"
BRIEF, BACK = "Продажи / Бриф получен", "Продажи / Получение брифа"
WAITING = "Работа с потерянными / Потерянные"
PREPAYMENT, ANSWERED = "Запросить подтверждение оплаты", "Клиент откликнулся: связаться"


def open_tasks(office: CrmUser, deal: int) -> list[str]:
    return sorted(row["text"] for row in office.tasks(deal) if not row["is_completed"])


def letter(sandbox: LocalCrm, kind: str, card: int, subject: str, summary: str = "…", sender: str = "a@b.test") -> None:
    sandbox.control(
        "POST", "ui/incoming_mail",
        {"user_id": 0, "entity_type": kind, "entity_id": card, "from_email": sender, "subject": subject,
         "summary": summary},
    )  # fmt: skip


class Office:
    """The agency's people and the bridge; after each deed the bridge is let finish what follows from it."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> None:
        self.crm = sandbox
        self.office = office
        self.bridge = bridge

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def found(self, what: Callable[[], object]) -> None:
        """Minutes pass, and what no webhook told of is found."""
        self.bridge.settle_at(self.crm, advance=360)
        wait_until(what, "the letter is found in the events list")
        self.settle()

    def deal(self, on: str, name: str = "Анна") -> tuple[int, int]:
        """A deal and its contact."""
        contact = self.office.new_contact(MANAGER, name, "anna@client.test")
        return self.another(on, contact), contact

    def another(self, on: str, contact: int) -> int:
        deal = self.office.new_deal(MANAGER, "Ромашка", on, contact, 1000)
        self.settle()
        return deal

    def fill(self, deal: int, field: str, value: Any) -> None:
        self.office.fill(MANAGER, deal, field, value)
        self.settle()

    def attach(self, deal: int, name: str) -> None:
        self.office.attach(MANAGER, deal, name)
        self.settle()

    def reasons(self, deal: int, rule: str) -> list[str]:
        return [entry.reason for entry in self.bridge.journal(deal) if entry.rule == rule and entry.reason]


@pytest.fixture
def agency(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> Office:
    return Office(office, bridge, sandbox)


# --- a condition that is met later --------------------------------------------------------------------------------


def test_a_contract_that_came_before_the_way_of_payment_was_known_counts_once_it_is(agency: Office) -> None:
    deal, _ = agency.deal(APPROVED)
    agency.attach(deal, "Договор Ромашка.pdf")
    assert PREPAYMENT not in open_tasks(agency.office, deal)
    (why,) = agency.reasons(deal, "file_sets_tasks.prepayment")
    assert "правило ждёт, пока сделка на этапе «Утвержденный проект»" in why
    agency.fill(deal, "Клиент (бренд)", "Ромашка")
    assert PREPAYMENT not in open_tasks(agency.office, deal)
    agency.fill(deal, "Тип оплаты", "Предоплата")
    assert open_tasks(agency.office, deal).count(PREPAYMENT) == 1
    agency.fill(deal, "Тип оплаты", "Постоплата")
    agency.fill(deal, "Тип оплаты", "Предоплата")
    assert open_tasks(agency.office, deal).count(PREPAYMENT) == 1


def test_the_waiting_survives_a_restart(
    office: CrmUser, sandbox: LocalCrm, config: Config, start_bridge: Callable[..., RunningBridge]
) -> None:
    agency = Office(office, start_bridge(config).wait_ready(), sandbox)
    deal, _ = agency.deal(APPROVED)
    agency.attach(deal, "Счет 17.pdf")
    agency.bridge.stop()
    office.fill(MANAGER, deal, "Тип оплаты", "Предоплата")
    sandbox.later()
    again = start_bridge(config).wait_ready()
    again.settle(sandbox)
    wait_until(lambda: PREPAYMENT in open_tasks(office, deal), "what was filled meanwhile is found")


def test_the_waiting_ends_when_the_deal_leaves(agency: Office) -> None:
    deal, _ = agency.deal(APPROVED)
    agency.attach(deal, "Договор Ромашка.pdf")
    agency.office.move(MANAGER, deal, OFFER)
    agency.settle()
    agency.fill(deal, "Тип оплаты", "Предоплата")
    for name in ("Реквизиты клиента", "Реквизиты подрядчика"):
        agency.office.fill(MANAGER, deal, name, "ООО «Ромашка»")
    agency.office.move(MANAGER, deal, APPROVED)
    agency.settle()
    assert agency.office.stage_of(deal) == APPROVED
    agency.fill(deal, "Клиент (бренд)", "Ромашка")
    assert PREPAYMENT not in open_tasks(agency.office, deal)


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "subject", "summary"),
    [
        ("anna@client.test", "Автоответ: Re: Специальное предложение", "Я в отпуске до 15 числа"),
        ("mailer-daemon@client.test", "Undelivered Mail Returned to Sender", "550"),
        ("", "Re: Специальное предложение", "Да"),
    ],
    ids=["out of office", "bounce", "nobody"],
)
def test_a_machine_s_letter_brings_nobody_back(agency: Office, sender: str, subject: str, summary: str) -> None:
    deal, contact = agency.deal(WAITING)
    living, _ = agency.deal(WAITING, "Борис")
    letter(agency.crm, "leads", deal, subject, summary, sender)
    letter(agency.crm, "contacts", contact, subject, summary, sender)
    agency.crm.later()
    letter(agency.crm, "leads", living, "Re: Специальное предложение", "Да, позвоните")
    agency.found(lambda: agency.office.stage_of(living) == BACK)
    assert agency.office.stage_of(deal) == WAITING
    assert ANSWERED not in open_tasks(agency.office, deal)
    why = agency.reasons(deal, "client_answer_starts_deeds.won_back")
    assert len(why) == 2
    assert all("а не клиент" in one or "без отправителя" in one for one in why)


def test_a_letter_of_which_nobody_can_tell_is_given_to_a_person(agency: Office) -> None:
    deal, _ = agency.deal(WAITING)
    letter(agency.crm, "leads", deal, "Re: Предложение", "Я в отпуске до 15 числа, отвечу по возвращении")
    agency.found(lambda: open_tasks(agency.office, deal))
    assert [text.partition(":")[0] for text in open_tasks(agency.office, deal)] == ["Прочитать письмо клиента"]
    assert agency.office.stage_of(deal) == WAITING


def test_of_two_lost_deals_the_newer_comes_back(agency: Office) -> None:
    older, contact = agency.deal(WAITING)
    newer = agency.another(WAITING, contact)
    letter(agency.crm, "contacts", contact, "Re: Предложение", "Да, позвоните")
    agency.found(lambda: agency.office.stage_of(newer) == BACK)
    assert agency.office.stage_of(older) == WAITING
    assert "о более новой сделке" in agency.reasons(older, "client_answer_starts_deeds.won_back")[-1]


def test_none_comes_back_while_a_sale_is_open(agency: Office) -> None:
    older, contact = agency.deal(WAITING)
    newer = agency.another(WAITING, contact)
    sale = agency.another(OFFER, contact)
    letter(agency.crm, "contacts", contact, "Re: Предложение", "Да, позвоните")
    agency.found(lambda: any(ANSWERED in text for text in open_tasks(agency.office, sale)))
    assert [agency.office.stage_of(deal) for deal in (older, newer)] == [WAITING, WAITING]
    assert len([text for text in open_tasks(agency.office, sale) if ANSWERED in text]) == 1


# --- touches ------------------------------------------------------------------------------------------------------

QUIET = """
[schedules.stage_ladder.quiet]
enabled = true
stages = ["Продажи / Бриф получен"]
steps = [{ after = "3 d", touched = false, task = { text = "3 дня без движения", to = "head", due = "1 d" } }]
"""


@pytest.fixture
def watchful(office: CrmUser, sandbox: LocalCrm, tmp_path: Path, start_bridge: Callable[..., RunningBridge]) -> Office:
    """The agency with one more rule: three days without work are told."""
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8") + QUIET, "utf-8")
    told = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")}
    config = load(path, told)
    config = replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))
    return Office(office, start_bridge(config).wait_ready(), sandbox)


@pytest.mark.parametrize(
    ("call", "is_told"),
    [
        pytest.param(None, True, id="nobody called"),
        pytest.param({"duration": 0, "call_status": 6}, True, id="missed"),
        pytest.param({"duration": 45, "call_status": 6}, True, id="rang for 45 s"),
        pytest.param({"duration": 95, "call_status": 4}, False, id="talked"),
    ],
)
def test_a_deal_that_a_person_put_there_is_without_work_until_somebody_works(
    watchful: Office, call: dict[str, Any] | None, is_told: bool
) -> None:
    """The arriving move is no work on the deal, and a call that nobody answered is none either."""
    deal, _ = watchful.deal(BACK)
    watchful.office.move(MANAGER, deal, BRIEF)
    watchful.settle()
    watchful.bridge.settle_at(watchful.crm, advance=3600)
    if call:
        params = {"uniq": "8f52d38a-17", "phone": "+79161234567", "source": "АТС"} | call
        note = {"note_type": "call_out", "params": params}
        watchful.office._ask("POST", f"/api/v4/leads/{deal}/notes", [note], MANAGER)
        watchful.settle()
    watchful.bridge.settle_at(watchful.crm, advance=3 * 86_400)
    assert ("3 дня без движения" in open_tasks(watchful.office, deal)) == is_told
