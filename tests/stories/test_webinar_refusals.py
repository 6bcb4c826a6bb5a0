"""amoCRM refuses one of an import: the others go, the reason is told, and what has failed is repeated when mended."""

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
from amo_bridge.errors import Complaint, CrmRefused
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.webinars.imports.repository import NotNow

PEOPLE = tuple(f"Гость {number};g{number}@example.ru;;{60 + number};;13.09.2021" for number in range(1, 6))


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return replace(school_config(sandbox.url, tmp_path / "data"), rules=())


@pytest.fixture
def team(bridge: RunningBridge, sandbox: LocalCrm) -> Iterator[Team]:
    fill_contacts(bridge, sandbox)
    team = Team(bridge)
    yield team
    team.store.close()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """(kind of write, a word in the object) → the path that amoCRM complains about; "" for the object as a whole."""
    wanted: dict[str, Any] = {}
    write = writes.write

    def refusing(client: CrmClient, kind: str, bodies: Any) -> Any:
        bad = {
            str(number): find(body)
            for number, body in bodies.items()
            if kind == wanted.get("kind") and wanted["word"] in str(body) and (find := wanted["find"])(body) is not None
        }
        if bad:
            complaints = {number: [Complaint(path, "NotSupportedChoice", "")] for number, path in bad.items() if path}
            words = dict.fromkeys(bad, "Bad value")
            raise CrmRefused("Bad", method="POST", path="/", bad_items=words, complaints=complaints)
        return write(client, kind, bodies)

    monkeypatch.setattr(writes, "write", refusing)
    return wanted


def states(team: Team, number: int) -> dict[str, str]:
    return {kept.row.person.name: kept.state for kept in team.book.rows(number)}


@pytest.mark.parametrize("kind", ["create_contact", "create_deal"])
def test_one_refused_does_not_take_the_others_down_and_is_repeated(
    kind: str, team: Team, office: CrmUser, refused: dict[str, Any]
) -> None:
    refused.update(kind=kind, word="g3@example.ru", find=lambda body: "")
    number = team.load(table(*PEOPLE))
    assert states(team, number) == {f"Гость {n}": "failed" if n == 3 else "done" for n in range(1, 6)}
    assert "Bad value" in team.person(number, "Гость 3").note, "told with amoCRM's reason"
    with pytest.raises(NotNow, match="повторять нечего: таких, у кого не вышло, нет"):
        team.control.repeat(number, 1)
    refused.clear()
    assert team.control.repeat(number) == 1
    wait_until(lambda: states(team, number)["Гость 3"] == "done", "the one is worked on again")
    team.wait(number, "done")
    assert len(deals(office)) == 5
    assert team.person(number, "Гость 3").note == ""
    team.control.undo(number)
    team.wait(number, "undone")
    assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == 5


def test_what_has_failed_once_more_is_told_once_more(team: Team, refused: dict[str, Any]) -> None:
    refused.update(kind="create_contact", word="g3@example.ru", find=lambda body: "")
    number = team.load(table(*PEOPLE))
    assert team.control.repeat(number, 3) == 1
    team.wait(number, "done")
    assert team.person(number, "Гость 3").state == "failed"


def test_somebody_who_was_loaded_meanwhile_is_not_made_twice(
    team: Team, office: CrmUser, refused: dict[str, Any]
) -> None:
    refused.update(kind="create_contact", word="g3@example.ru", find=lambda body: "")
    number = team.load(table(*PEOPLE))
    refused.clear()
    other = team.load(table(PEOPLE[2]))
    with pytest.raises(NotNow, match=f"этим участником уже занималась загрузка № {other}"):
        team.control.repeat(number)
    assert len(deals(office)) == 5


def _minutes_of_the_third(body: Any) -> str | None:
    for place, field in enumerate(body.get("custom_fields_values") or ()):
        if any(str(value["value"]) in ("63", "163") for value in field["values"] or ()):
            return f"custom_fields_values.{place}.values.0.value"
    return None


@pytest.mark.parametrize("kind", ["create_deal", "patch_deal"])
def test_a_field_that_amocrm_does_not_take_costs_neither_the_deal_nor_the_others(
    kind: str, team: Team, office: CrmUser, refused: dict[str, Any]
) -> None:
    people = PEOPLE
    if kind == "patch_deal":
        team.load(table(*PEOPLE))
        people = tuple(person.replace(";;6", ";;16").replace("13.09.2021", "20.09.2021") for person in PEOPLE)
    refused.update(kind=kind, word="", find=_minutes_of_the_third)
    number = team.load(table(*people))
    assert set(states(team, number).values()) == {"done"}
    note = team.person(number, "Гость 3").note
    assert note.startswith("записано без части «поле Минут на вебинаре»")
    assert not any(team.person(number, f"Гость {n}").note for n in (1, 2, 4, 5))
    told = deals(office)
    assert len(told) == 5
    usual = {"create_deal": None, "patch_deal": "63"}[kind]
    assert [deal["minutes"] for name, deal in told.items() if "g3@" in name] == [usual]
    assert [deal["minutes"] for name, deal in told.items() if "g4@" in name] == [people[3].split(";")[3]]


def test_a_deal_that_went_out_without_a_part_is_found_when_the_answer_is_lost(
    team: Team, office: CrmUser, sandbox: LocalCrm, refused: dict[str, Any]
) -> None:
    refused.update(kind="create_deal", word="", find=_minutes_of_the_third)
    fault = sandbox.fault("lost_answer", method="POST", path="/api/v4/leads", count=1)
    number = team.load(table(PEOPLE[2]))
    assert sandbox.struck(fault) == 1
    (kept,) = team.book.rows(number)
    assert (kept.state, kept.note[:20]) == ("done", "записано без части «")
    assert [row["id"] for stage in office.stages for row in office.deals_on(stage)] == [kept.deal_id]
