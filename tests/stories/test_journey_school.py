"""A webinar client from the webinar to the course by the shipped example alone: W4, W5, W9 to W11, W13, W14."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_crm import LocalCrm
from support.office_day import OfficeDay
from support.running_bridge import RunningBridge
from support.shipped_examples import example, stopped_at
from support.webinar_samples import ACCOUNT, ACTIVE, LONG, REPEAT, SHORT, fill_contacts

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser

HEAD, SUPPORT, NATALIA, SERGEY = "Марина Котова", "Дарья Зимина", "Наталья Белова", "Сергей Лукин"
THINKS, LATER = "Вебинары / Думает (поговорили)", "Вебинары / Перенос звонка"
WON, LOST = "Вебинары / Успешно реализовано", "Вебинары / Закрыто и не реализовано"
MOVE_ON = "Перевести сделку по воронке: с клиентом поговорили"
GIST = "Записать в примечание суть разговора"
AGREED = "Связаться с клиентом, как договорились"
TEST_TASK = "Тестовое задание"
# A Monday noon in Moscow; on Tuesday everybody works too.
MONDAY, EVENING, TUESDAY = "2026-10-05T12:00", "2026-10-05T19:30", "2026-10-06T19:30"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with stopped_at(MONDAY, ACCOUNT) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return example("webinar", sandbox, tmp_path)


@pytest.fixture
def day(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> OfficeDay:
    return OfficeDay(office, bridge, sandbox)


def client(day: OfficeDay, owner: str = NATALIA, on: str = LONG, phone: str = "+79165554433") -> int:
    return day.deal(owner, "anna@example.ru, Анна", on, day.contact(HEAD, "Анна", PHONE=phone))


def test_from_the_webinar_to_the_course(day: OfficeDay) -> None:
    deal = client(day, owner=HEAD, on=ACTIVE)
    day.assign(NATALIA, deal, NATALIA)
    day.call(NATALIA, deal, seconds=95)
    assert day.tasks_of(deal, NATALIA) == [GIST]
    day.note(NATALIA, deal, "Хочет посоветоваться с мужем, ждёт до среды")
    assert day.move(NATALIA, deal, THINKS) == THINKS
    day.at(EVENING)
    assert day.tasks_of(deal, NATALIA) == [AGREED], "it was moved, so nobody asks for that"
    assert day.move(NATALIA, deal, LATER) == LATER
    assert day.move(NATALIA, deal, WON) == LATER
    assert "дождитесь полной оплаты" in day.explained(deal)
    day.fill(NATALIA, deal, Оплачено=10_000)
    assert (day.move(NATALIA, deal, WON), day.tasks(deal)) == (WON, {})


@pytest.mark.parametrize("stage", [ACTIVE, LONG, SHORT])
def test_after_a_talk_the_deal_is_moved_or_asked_for_every_evening(day: OfficeDay, stage: str) -> None:
    deal = client(day, on=stage)
    day.call(NATALIA, deal, seconds=95)
    day.note(NATALIA, deal, "Думает до четверга, советуется с мужем")
    day.at(EVENING)
    assert day.tasks(deal) == {MOVE_ON: (NATALIA, "05.10 20:00")}
    day.finish(NATALIA, deal, MOVE_ON)
    day.at(TUESDAY)
    assert day.tasks_of(deal, NATALIA) == [MOVE_ON], "it was finished, and the deal stands where it stood"
    day.move(NATALIA, deal, THINKS)
    assert day.tasks_of(deal, NATALIA) == [AGREED]


def test_whom_nobody_has_talked_to_is_not_asked_for(day: OfficeDay) -> None:
    untouched, missed = client(day), client(day, on=SHORT, phone="+79165554434")
    day.office.call(NATALIA, missed, seconds=0)
    day.at(EVENING)
    assert (day.tasks(untouched), MOVE_ON in day.tasks(missed)) == ({}, False)


@pytest.mark.parametrize(
    ("person", "passes"), [(NATALIA, False), (SUPPORT, True), (HEAD, True)], ids=["manager", "support", "head"]
)
def test_a_test_task_is_for_support_and_the_head(day: OfficeDay, person: str, passes: bool) -> None:
    """W14."""
    deal = client(day)
    assert day.lose(person, deal, TEST_TASK) == (LOST if passes else LONG)
    assert (TEST_TASK in day.explained(deal)) != passes


@pytest.mark.parametrize(("stage", "passes"), [(LONG, False), (REPEAT, True)])
def test_without_a_reason_only_the_stage_that_is_cleared_weekly_is_left(
    day: OfficeDay, stage: str, passes: bool
) -> None:
    """W10: the eight reasons, and «Без причины» where the document has it."""
    deal = client(day, on=stage)
    assert day.lose(NATALIA, deal, "Без причины") == (LOST if passes else stage)
    assert ("«Без причины»" in day.explained(deal)) != passes


def test_a_colleague_s_work_on_any_card_of_the_person_counts(day: OfficeDay) -> None:
    """W4: another card has his phone, and a colleague's task stands on a deal of it that is closed."""
    deal = client(day, owner=HEAD)
    twin = day.contact(HEAD, "Аня", PHONE="8 (916) 555-44-33")
    old = day.deal(SERGEY, "Прошлый вебинар", THINKS, twin)
    fill_contacts(day.bridge, day.crm)
    day.assign(NATALIA, deal, NATALIA)
    assert day.owner(deal) == HEAD
    assert any("её ведёт Сергей Лукин: «Прошлый вебинар»" in text for text in day.tasks_of(deal, NATALIA))
    assert day.lose(SERGEY, old, "Не одобрена рассрочка") == LOST
    own = day.office.new_task(SERGEY, old, "Вернуть аванс")
    day.assign(NATALIA, deal, NATALIA)
    assert day.owner(deal) == HEAD
    assert any("«Вернуть аванс»" in text for text in day.tasks_of(deal, NATALIA))
    day.office.change_task(SERGEY, own, is_completed=True)
    day.settle()
    day.assign(NATALIA, deal, NATALIA)
    assert day.owner(deal) == NATALIA
