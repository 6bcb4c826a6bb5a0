"""A known contact gets the mail that only the file has: the next webinar's file, with the mail alone, finds him."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, fill_contacts, school_config
from support.webinar_team import Team, deals, table

from amo_bridge.config.model import Config
from amo_bridge.crm import writes
from amo_bridge.crm.client import CrmClient
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.errors import CrmRefused
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.webinars.imports import steps
from amo_bridge.webinars.plan import Override

IGOR = "Игорь;igor@example.ru;+7 903 111-22-33;110;Баннер;13.09.2021"
IGOR_BY_MAIL = "Игорь;igor@example.ru;;70;;20.09.2021"
MAIL, PHONE = "igor@example.ru", "+7 903 111-22-33"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    config = school_config(sandbox.url, tmp_path / "data")
    assert config.webinar is not None
    webinar = config.webinar.model_copy(update=getattr(request, "param", {}))
    return replace(config, rules=(), webinar=webinar)


@pytest.fixture
def team(bridge, sandbox: LocalCrm) -> Iterator[Team]:
    fill_contacts(bridge, sandbox)
    team = Team(bridge)
    yield team
    team.store.close()


def card(office: CrmUser, contact: int) -> dict[str, list[tuple[str, str]]]:
    """The contact's phones and mails with their kinds."""
    row = office._ask("GET", f"/api/v4/contacts/{contact}")
    return {
        field["field_code"]: [(value["value"], value["enum_code"]) for value in field["values"]]
        for field in row["custom_fields_values"] or ()
    }  # fmt: skip


def write(office: CrmUser, contact: int, code: str, *lines: tuple[str, str]) -> None:
    """A person fills the contact's card."""
    values = [{"value": value, "enum_code": kind} for value, kind in lines] or None
    body = {"custom_fields_values": [{"field_code": code, "values": values}]}
    office._ask("PATCH", f"/api/v4/contacts/{contact}", body, person="Марина Котова")


def contact_of(team: Team, number: int, name: str = "Игорь") -> int:
    contact = team.person(number, name).contact_id
    assert contact is not None
    return contact


def test_the_next_file_finds_him_by_the_mail_that_the_first_one_told(team: Team, office: CrmUser) -> None:
    number = team.upload(table(IGOR))
    assert team.person(number, "Игорь").row.why == "контакт есть, новая сделка; добавить почту igor@example.ru"
    team.control.start(number)
    team.wait(number, "done")
    contact = contact_of(team, number)
    assert card(office, contact) == {"PHONE": [(PHONE, "WORK")], "EMAIL": [(MAIL, "WORK")]}
    again = team.load(table(IGOR_BY_MAIL))
    assert contact_of(team, again) == contact
    assert [deal["minutes"] for deal in deals(office).values()] == ["70"], "one deal, updated"


def test_what_people_have_on_the_card_stays(team: Team, office: CrmUser) -> None:
    number = team.upload(table(IGOR))
    contact = contact_of(team, number)
    write(office, contact, "EMAIL", ("home@example.ru", "PRIV"))
    team.control.start(number)
    team.wait(number, "done")
    assert card(office, contact)["EMAIL"] == [("home@example.ru", "PRIV"), (MAIL, "WORK")]
    team.control.undo(number)
    team.wait(number, "undone")
    assert card(office, contact)["EMAIL"] == [("home@example.ru", "PRIV")]


def test_an_undo_takes_it_off_and_he_is_not_known_by_it_any_more(team: Team, office: CrmUser) -> None:
    number = team.load(table(IGOR))
    contact = contact_of(team, number)
    team.control.undo(number)
    team.wait(number, "undone")
    assert card(office, contact) == {"PHONE": [(PHONE, "WORK")]}
    assert team.person(number, "Игорь").note == ""
    assert team.person(team.upload(table(IGOR_BY_MAIL)), "Игорь").row.standing == "new"


def test_an_undo_leaves_what_a_person_has_changed_on_the_card_and_says_so(team: Team, office: CrmUser) -> None:
    number = team.load(table(IGOR))
    contact = contact_of(team, number)
    write(office, contact, "EMAIL", ("igor.new@example.ru", "WORK"))
    team.control.undo(number)
    team.wait(number, "undone")
    assert card(office, contact)["EMAIL"] == [("igor.new@example.ru", "WORK")]
    kept = team.person(number, "Игорь")
    assert kept.note == "не убрали из контакта почту igor@example.ru: изменили после загрузки"
    assert office.stage_of(kept.deal_id or 0).endswith("Закрыто и не реализовано"), (
        "his deal is taken back all the same"
    )


def test_a_lost_answer_adds_nothing_twice(team: Team, office: CrmUser, sandbox: LocalCrm) -> None:
    fault = sandbox.fault("lost_answer", method="PATCH", path="/api/v4/contacts", count=1)
    number = team.load(table(IGOR))
    assert sandbox.struck(fault) == 1
    contact = contact_of(team, number)
    assert card(office, contact)["EMAIL"] == [(MAIL, "WORK")]
    team.control.undo(number)
    team.wait(number, "undone")
    assert "EMAIL" not in card(office, contact), "what was there before is known, though the answer was lost"


def test_a_refused_address_does_not_cost_the_deal(team: Team, office: CrmUser, monkeypatch) -> None:
    write = writes.write

    def refusing(client: CrmClient, kind: str, objects: Any) -> Any:
        if kind == "patch_contact":
            raise CrmRefused("нельзя", method="PATCH", path="/api/v4/contacts")
        return write(client, kind, objects)

    monkeypatch.setattr(writes, "write", refusing)
    number = team.load(table(IGOR))
    kept = team.person(number, "Игорь")
    assert (kept.state, kept.deal_id is not None) == ("done", True)
    assert kept.note.startswith("контакт не дополнен: ")


def test_two_people_of_one_contact_are_both_added(team: Team, office: CrmUser) -> None:
    """Somebody says that both are him: one request would be the end of one of the two mails."""
    number = team.upload(table(IGOR, "Игорь Второй;second@example.ru;;5;;13.09.2021"))
    contact = contact_of(team, number)
    place = team.person(number, "Игорь Второй").number
    team.control.say(number, place, Override(contact_id=contact))
    team.control.start(number)
    team.wait(number, "done")
    assert {mail for mail, _kind in card(office, contact)["EMAIL"]} == {MAIL, "second@example.ru"}


@pytest.mark.parametrize("config", [{"complete_contacts": False}], indirect=True)
def test_it_can_be_switched_off(team: Team, office: CrmUser, sandbox: LocalCrm) -> None:
    number = team.load(table(IGOR))
    assert "EMAIL" not in card(office, contact_of(team, number))
    assert not [path for path in sandbox.requests() if path.startswith("PATCH")]
    again = team.load(table(IGOR_BY_MAIL))
    assert contact_of(team, again) == contact_of(team, number), "the first import is remembered all the same"


def test_a_decision_about_somebody_in_doubt_holds_for_the_next_webinar(team: Team, office: CrmUser) -> None:
    number = team.upload(table("Олена;;+380501234567;15;;13.09.2021"))
    row = team.person(number, "Олена").row
    team.control.say(number, 1, Override(contact_id=row.candidates[0]))
    team.control.start(number)
    team.wait(number, "done")
    again = team.person(team.upload(table("Олена;;+380501234567;15;;20.09.2021")), "Олена").row
    assert (again.standing, again.contact_id) == ("known", row.candidates[0])


def test_whoever_took_the_mail_off_again_is_not_overruled(team: Team, office: CrmUser, bridge, sandbox) -> None:
    number = team.load(table(IGOR))
    write(office, contact_of(team, number), "EMAIL")
    bridge.settle(sandbox)
    again = team.upload(table(IGOR_BY_MAIL))
    assert team.person(again, "Игорь").row.standing == "new"


def test_what_people_change_within_the_second_of_the_import_counts(
    team: Team, office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm
) -> None:
    """amoCRM dates by whole seconds: the import's write, its echo and all that people do then have one time."""
    sandbox.control("POST", "clock", {"freeze": True})
    number = team.load(table(IGOR))
    contact = contact_of(team, number)
    bridge.settle(sandbox)
    for lines, standing in (((), "new"), (((MAIL, "WORK"),), "known"), ((("igor.new@example.ru", "WORK"),), "new")):
        write(office, contact, "EMAIL", *lines)
        bridge.settle(sandbox)
        assert team.person(team.upload(table(IGOR_BY_MAIL)), "Игорь").row.standing == standing


@pytest.mark.parametrize("path", ["/api/v4/contacts", "/api/v4/leads"])
def test_an_undo_that_begins_before_a_lost_answer_was_looked_for_ends(
    path: str, team: Team, office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm, start_bridge: Any
) -> None:
    """A patch may be in amoCRM and may not: both are judged by a fresh read, and nothing is left over."""
    first = team.load(table("Игорь;;+7 903 111-22-33;5;;13.09.2021"))
    contact, deal = contact_of(team, first), team.person(first, "Игорь").deal_id
    fault = sandbox.fault("lost_answer", method="PATCH", path=path, count=1)
    number = team.upload(table("Игорь;igor@example.ru;+7 903 111-22-33;70;;20.09.2021"))
    team.control.start(number)
    wait_until(lambda: sandbox.struck(fault) == 1, "the answer is lost")
    bridge.stop()
    team.control.pause(number)
    team.control.undo(number)
    start_bridge(bridge.config).wait_ready()
    team.wait(number, "undone")
    assert "EMAIL" not in card(office, contact)
    assert office.value(deal or 0, "Минут на вебинаре") == "5"
    assert team.person(number, "Игорь").note == ""


def test_whom_a_person_takes_for_a_new_one_is_made_anew(team: Team, office: CrmUser) -> None:
    """Two people with one phone: the contact that has it is not the one who came."""
    number = team.upload(table(IGOR))
    known = contact_of(team, number)
    team.control.say(number, 1, Override(as_new=True))
    team.control.start(number)
    team.wait(number, "done")
    kept = team.person(number, "Игорь")
    assert (kept.made_contact, kept.note) == (True, "")
    assert kept.contact_id != known


def test_a_family_with_one_phone_is_several_contacts_whatever_the_batches(
    team: Team, office: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "BATCH_SIZE", 1)
    people = (f"{name};{mail}@example.ru;+79035550011;70;;13.09.2021" for name, mail in (("Пётр", "p"), ("Вера", "v")))
    number = team.load(table(*people))
    rows = team.book.rows(number)
    assert [(kept.made_contact, kept.note) for kept in rows] == [(True, ""), (True, "")]
    assert len({kept.contact_id for kept in rows}) == len({kept.deal_id for kept in rows}) == 2


@pytest.mark.parametrize("settled", [True, False], ids=["known to the bridge", "not yet"])
def test_what_people_changed_after_the_preview_is_theirs_and_told(
    team: Team, office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm, settled: bool
) -> None:
    team.load(table("Игорь;igor@example.ru;;30;;13.09.2021", "Анна;anna@example.ru;;30;;13.09.2021"))
    found = deals(office)
    igor = next(deal["id"] for name, deal in found.items() if "Игорь" in name)
    number = team.upload(table("Игорь;igor@example.ru;;40;;20.09.2021", "Анна;anna@example.ru;;40;;20.09.2021"))
    held_before = office.value(igor, "Дата вебинара")
    office.fill("Марина Котова", igor, "Минут на вебинаре", "77")
    if settled:
        bridge.settle(sandbox)
    team.control.start(number)
    team.wait(number, "done")
    assert (
        team.person(number, "Игорь").note
        == "поле «Минут на вебинаре» изменили после предпросмотра, оно осталось как есть"
    )
    assert (team.person(number, "Анна").state, team.person(number, "Анна").note) == ("done", "")
    assert {name[-5:]: deal["minutes"] for name, deal in deals(office).items()} == {"Игорь": "77", " Анна": "40"}
    assert team.person(number, "Игорь").state == "done", "the webinar's day is written"
    assert office.value(igor, "Дата вебинара") != held_before


def test_what_another_import_wrote_after_the_preview_is_no_person_s_change(team: Team, office: CrmUser) -> None:
    team.load(table("Анна;anna@example.ru;;30;;13.09.2021"))
    last = team.upload(table("Анна;anna@example.ru;;50;;27.09.2021"))
    team.load(table("Анна;anna@example.ru;;40;;20.09.2021"))
    team.control.start(last, as_shown=False)
    team.wait(last, "done")
    assert (team.person(last, "Анна").note, [deal["minutes"] for deal in deals(office).values()]) == ("", ["50"])


def test_an_address_that_people_replaced_after_the_preview_gets_no_second_one(team: Team, office: CrmUser) -> None:
    first = team.load(table(IGOR))
    contact = contact_of(team, first)
    number = team.upload(table("Игорь;igor@example.ru;+7 903 999-88-77;70;;20.09.2021"))
    assert "+79039998877" in team.person(number, "Игорь").row.adds
    write(office, contact, "PHONE", ("+7 903 000-00-00", "WORK"))
    team.control.start(number, as_shown=False)
    team.wait(number, "done")
    assert card(office, contact)["PHONE"] == [("+7 903 000-00-00", "WORK")]
    assert "контакт не дополнен: телефон изменили после предпросмотра" in team.person(number, "Игорь").note
