"""Several exports of one webinar, one after another: what one of them does not know the next does not take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm, served
from support.webinar_samples import ACCOUNT, ACTIVE, LONG, REPEAT, fill_contacts, school_config
from support.webinar_team import Team, deals, table

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.webinars.imports.service import PlanChanged
from amo_bridge.webinars.plan import Override

REPORT, ZOOM = "bizon_report.xlsx", "zoom_attendee_report.csv"
IGOR, ANJELIKA = "igor@example.ru, Игорь", "ang.test@example.ru, Анжелика"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return replace(school_config(sandbox.url, tmp_path / "data"), rules=())


@pytest.fixture
def team(bridge, sandbox: LocalCrm) -> Iterator[Team]:
    fill_contacts(bridge, sandbox)
    team = Team(bridge)
    yield team
    team.store.close()


def buttons(office: CrmUser, name: str) -> str | None:
    value: str | None = office.value(deals(office)[name]["id"], "Нажатые кнопки")
    return value


@pytest.mark.parametrize(
    "poorer",
    [
        ZOOM,
        table("Игорь;igor@example.ru;;70;13.09.2021", header="Имя;Почта;Телефон;Минут;Дата"),
        table("Игорь;igor@example.ru;;70;;13.09.2021"),
        table("Игорь;;+7 903 111-22-33;70;;13.09.2021"),
    ],
    ids=["zoom", "no buttons column", "empty buttons", "by phone alone"],
)
def test_a_poorer_file_leaves_the_buttons_and_the_stage(poorer, team: Team, office: CrmUser) -> None:
    team.load(REPORT)
    assert buttons(office, IGOR) == "Баннер, рассрочка"
    number = team.upload(poorer)
    assert team.person(number, "Игорь").row.standing == "loaded"
    team.control.start(number)
    team.wait(number, "done")
    assert buttons(office, IGOR) == "Баннер, рассрочка"
    assert deals(office)[IGOR]["stage"] == ACTIVE


def test_a_poorer_file_does_not_forget_activity_of_somebody_sent_to_watch_again(
    team: Team, office: CrmUser, bridge, sandbox
) -> None:
    team.load(REPORT)
    office.move("Марина Котова", deals(office)[IGOR]["id"], REPEAT)
    sandbox.later()
    bridge.settle(sandbox)
    team.load(table("Игорь;igor@example.ru;;70;;13.09.2021"))
    assert deals(office)[IGOR]["stage"] == ACTIVE


def test_the_same_kind_of_file_corrects_what_it_told(team: Team, office: CrmUser) -> None:
    team.load(table("Игорь;igor@example.ru;+7 903 111-22-33;110;Баннер;13.09.2021"))
    number = team.upload(table("Игорь;igor@example.ru;+7 903 111-22-33;120;;13.09.2021"))
    why = team.person(number, "Игорь").row.why
    assert why.startswith("загрузка № 1 была с другими данными (минут 110 → 120; кнопки: Баннер → нет); ")
    team.control.start(number)
    team.wait(number, "done")
    assert buttons(office, IGOR) is None
    assert deals(office)[IGOR]["minutes"] == "120"


def test_a_second_webinar_without_buttons_leaves_those_of_the_first(team: Team, office: CrmUser) -> None:
    team.load(REPORT)
    team.load(table("Анжелика;ang.test@example.ru;;90;20.09.2021", header="Имя;Почта;Телефон;Минут;Дата"))
    assert buttons(office, ANJELIKA) == "Баннер, Служба заботы о клиентах"
    assert deals(office)[ANJELIKA]["minutes"] == "90"


def test_minutes_that_nobody_counted_are_not_written(team: Team, office: CrmUser) -> None:
    team.load(table("Анжелика;ang.test@example.ru;;68;;13.09.2021"))
    number = team.load(table("Анжелика;ang.test@example.ru;;abc;;13.09.2021"))
    assert team.person(number, "Анжелика").row.why == "уже загружен: загрузка № 1"
    assert (deals(office)[ANJELIKA]["minutes"], deals(office)[ANJELIKA]["stage"]) == ("68", LONG)


def test_a_decision_about_somebody_in_doubt_is_remembered(team: Team, office: CrmUser) -> None:
    first = team.upload(REPORT)
    olena = team.person(first, "Олена")
    chosen, other = olena.row.candidates
    team.control.say(first, olena.number, Override(contact_id=chosen))
    team.control.start(first)
    team.wait(first, "done")
    deal = team.person(first, "Олена").deal_id
    again = team.upload(REPORT)
    olena = team.person(again, "Олена")
    assert (olena.row.standing, olena.row.why) == ("loaded", "уже загружен: загрузка № 1")
    team.control.say(again, olena.number, Override(contact_id=other))
    assert team.person(again, "Олена").row.remarks == (
        f"уже загружен (загрузка № 1, сделка {deal}): это будет вторая сделка",
    )


def test_an_old_draft_shows_its_new_plan_before_it_is_begun(team: Team, office: CrmUser) -> None:
    old = team.upload(REPORT)
    team.load(table("Анжелика;ang.test@example.ru;;68;;13.09.2021"))
    assert team.person(old, "Анжелика").row.standing == "new"
    with pytest.raises(PlanChanged, match=r"\(Анжелика: новый → уже загружен\)"):
        team.control.start(old)
    assert team.book.get(old).state == "draft"
    assert team.person(old, "Анжелика").row.standing == "loaded"
    team.control.start(old)
    team.wait(old, "done")
    assert list(deals(office)).count(ANJELIKA) == 1


def test_nobody_looks_at_what_is_begun_at_once(team: Team) -> None:
    old = team.upload(REPORT)
    team.load(table("Анжелика;ang.test@example.ru;;68;;13.09.2021"))
    team.control.start(old, as_shown=False)
    team.wait(old, "done")


def test_a_file_that_is_in_a_draft_already_says_so(team: Team) -> None:
    first, second = team.upload(REPORT), team.upload(REPORT)
    (digest,) = (file["digest"] for file in team.book.get(first).files)
    job = team.book.get(second)
    assert team.drafting.drafts_beside(job) == {digest: first}
    team.control.drop(first)
    assert team.drafting.drafts_beside(job) == {}
    other_day = team.upload(table("Игорь;igor@example.ru;;70;;20.09.2021"))
    assert team.drafting.drafts_beside(team.book.get(other_day)) == {}
