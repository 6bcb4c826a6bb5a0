"""A deal made together with its contact, whose answer was lost: found again, or a person decides; never made twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import NEW, agency, client_of, on_stage, user
from support.local_crm import LocalCrm

from amo_bridge.crm.lost_writes import LostSearch, LostWrite
from amo_bridge.crm.writes import find_lost, write
from amo_bridge.demo.crm_user import CrmUser

IVAN = "Иван Петров"
PHONE, MAIL = "+7 921 555-01-02", "anna@client.test"
Change = Callable[[CrmUser, int, int], object]


def addresses(**lines: str) -> list[dict[str, Any]]:
    return [
        {"field_id": agency().field(code, "contacts").id, "values": [{"value": value, "enum_code": "WORK"}]}
        for code, value in lines.items()
    ]


def client_deal(name: str = "Анна, Тильда", contact: str = "Анна", **lines: str) -> dict[str, Any]:
    person: dict[str, Any] = {"name": contact, "responsible_user_id": user(IVAN)}
    if lines:
        person["custom_fields_values"] = addresses(**lines)
    return {"name": name, **on_stage(NEW), "responsible_user_id": user(IVAN), "_embedded": {"contacts": [person]}}


KNOWN = client_deal(PHONE=PHONE, EMAIL=MAIL)
NAMELESS = client_deal()


def of_contact(**changed: Any) -> Change:
    return lambda office, deal, contact: office._ask("PATCH", "/api/v4/contacts", [{"id": contact, **changed}], IVAN)


def of_deal(**changed: Any) -> Change:
    return lambda office, deal, contact: office._ask("PATCH", "/api/v4/leads", [{"id": deal, **changed}], IVAN)


def replaced(office: CrmUser, deal: int, contact: int) -> None:
    """Somebody has found the client's older card and hung it on instead."""
    older = office.new_contact(IVAN, "Анна Иванова")
    link = {"to_entity_id": older, "to_entity_type": "contacts"}
    office._ask("POST", f"/api/v4/leads/{deal}/link", [link], IVAN)
    taken_off(office, deal, contact)


def taken_off(office: CrmUser, deal: int, contact: int) -> None:
    link = {"to_entity_id": contact, "to_entity_type": "contacts"}
    office._ask("POST", f"/api/v4/leads/{deal}/unlink", [link], IVAN)


def both(*changes: Change) -> Change:
    return lambda office, deal, contact: [change(office, deal, contact) for change in changes]


def nothing(office: CrmUser, deal: int, contact: int) -> None:
    """Nobody touches it."""


def looked_for(crm: LocalCrm, bodies: dict[int, dict[str, Any]], *taken: int) -> LostSearch:
    since = crm.control("GET", "clock")["now"] - 60
    lost = {number: LostWrite(body, since, agency().current_user_id) for number, body in bodies.items()}
    return find_lost(client_of(crm.url), "create_client_deal", lost, lambda ids: set(taken))


FOUND = [
    pytest.param(KNOWN, nothing, id="untouched"),
    pytest.param(KNOWN, of_contact(name="Анна Иванова"), id="the contact's name"),
    pytest.param(KNOWN, of_contact(custom_fields_values=addresses(PHONE="+7 900 000-00-00")), id="one address"),
    pytest.param(KNOWN, both(of_contact(name="Анна Ива"), of_deal(name="Ромашка")), id="both names"),
    pytest.param(NAMELESS, nothing, id="no address, untouched"),
    pytest.param(NAMELESS, of_deal(price=500), id="no address, the deal"),
]
UNSURE = [
    pytest.param(KNOWN, of_contact(custom_fields_values=addresses(PHONE="+7 900 1", EMAIL="a@b.test")), id="addresses"),
    pytest.param(KNOWN, replaced, id="another contact"),
    pytest.param(NAMELESS, of_contact(name="Анна Иванова"), id="no address, the contact's name"),
    pytest.param(NAMELESS, taken_off, id="no address, no contact"),
]


@pytest.mark.parametrize(("body", "change"), FOUND)
def test_a_client_s_deal_is_found_whatever_people_changed(
    sandbox: LocalCrm, office: CrmUser, body: dict[str, Any], change: Change
) -> None:
    made = write(client_of(sandbox.url), "create_client_deal", {1: body})[1]
    sandbox.later()
    change(office, made.id, made.contact_id or 0)
    search = looked_for(sandbox, {1: body})
    assert (search.found[1].id, search.found[1].contact_id, search.ambiguous) == (made.id, made.contact_id, {})


@pytest.mark.parametrize(("body", "change"), UNSURE)
def test_what_is_beyond_recognition_is_for_a_person_and_not_made_again(
    sandbox: LocalCrm, office: CrmUser, body: dict[str, Any], change: Change
) -> None:
    made = write(client_of(sandbox.url), "create_client_deal", {1: body})[1]
    sandbox.later()
    change(office, made.id, made.contact_id or 0)
    search = looked_for(sandbox, {1: body})
    assert (search.found, dict(search.ambiguous)) in [({}, {1: [made.id]}), ({}, {1: (made.contact_id,)})]


@pytest.mark.parametrize("body", [KNOWN, NAMELESS], ids=["known", "nameless"])
def test_another_s_deal_is_not_taken_for_it(sandbox: LocalCrm, office: CrmUser, body: dict[str, Any]) -> None:
    """Of the same name, and the bridge's: untouched, or known to be another write's."""
    client = client_of(sandbox.url)
    assert looked_for(sandbox, {1: body}) == ({}, {})
    write(client, "create_client_deal", {1: client_deal(contact="Борис", PHONE="+7 900 3")})
    earlier = write(client, "create_client_deal", {1: body})[1]
    sandbox.later()
    of_contact(name="Ольга", custom_fields_values=addresses(PHONE="+7 900 4", EMAIL="c@d.test"))(
        office, earlier.id, earlier.contact_id or 0
    )
    assert looked_for(sandbox, {1: body}, earlier.id) == ({}, {})


def test_two_of_one_name_are_told_apart_by_their_contacts_names(sandbox: LocalCrm) -> None:
    bodies = {1: client_deal("ВКонтакте", "Анна"), 2: client_deal("ВКонтакте", "Борис")}
    made = write(client_of(sandbox.url), "create_client_deal", bodies)
    assert {number: written.id for number, written in looked_for(sandbox, bodies).found.items()} == {
        number: written.id for number, written in made.items()
    }
