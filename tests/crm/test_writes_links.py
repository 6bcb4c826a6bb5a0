"""What hangs on a deal's card: linked, and looked for when the answer was lost."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import client_of
from support.local_crm import LocalCrm

from amo_bridge.crm.lost_writes import LostWrite, Written
from amo_bridge.crm.writes import WRITE_KINDS, find_lost, write
from amo_bridge.demo.crm_user import CrmUser

IVAN = "Иван Петров"


@pytest.fixture
def deal(office: CrmUser) -> int:
    return office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Анна"), 1)


def link(deal: int, contact: int) -> dict[str, Any]:
    return {"entity_id": deal, "to_entity_id": contact, "to_entity_type": "contacts"}


def found(crm: LocalCrm, kind: str, bodies: dict[int, dict[str, Any]]) -> dict[int, Written]:
    lost = {number: LostWrite(body) for number, body in bodies.items()}
    return find_lost(client_of(crm.url), kind, lost, lambda ids: set()).found


def test_contacts_are_linked_in_one_request_and_found_afterwards(sandbox: LocalCrm, office: CrmUser, deal: int) -> None:
    bodies = {number: link(deal, office.new_contact(IVAN, f"Блогер {number}")) for number in range(3)}
    assert found(sandbox, "link_contact", bodies) == {}
    sandbox.forget_requests()
    assert write(client_of(sandbox.url), "link_contact", bodies) == dict.fromkeys(bodies, Written(deal))
    assert sandbox.requests() == {"POST /api/v4/leads/link": 1}
    assert set(found(sandbox, "link_contact", bodies)) == set(bodies)
    linked = office.deal(deal)["_embedded"]["contacts"]
    assert len(linked) == 4
    assert [one["is_main"] for one in linked].count(True) == 1


def test_contacts_are_unlinked_in_one_request_and_found_gone(sandbox: LocalCrm, office: CrmUser, deal: int) -> None:
    bodies = {number: link(deal, office.new_contact(IVAN, f"Блогер {number}")) for number in range(2)}
    write(client_of(sandbox.url), "link_contact", bodies)
    assert found(sandbox, "unlink_contact", bodies) == {}
    sandbox.forget_requests()
    assert write(client_of(sandbox.url), "unlink_contact", bodies) == dict.fromkeys(bodies, Written(deal))
    assert sandbox.requests() == {"POST /api/v4/leads/unlink": 1}
    assert set(found(sandbox, "unlink_contact", bodies)) == set(bodies)
    assert len(office.deal(deal)["_embedded"]["contacts"]) == 1


def test_files_are_attached_and_found_afterwards(sandbox: LocalCrm, office: CrmUser, deal: int) -> None:
    office.attach(IVAN, deal, "Договор.pdf")
    notes = sandbox.control("GET", "state?kind=notes")["tables"]["notes"].values()
    (uuid,) = [note["params"]["file_uuid"] for note in notes if note["note_type"] == "attachment"]
    other = office.new_deal(IVAN, "Проект", "Реализация / Тайминг", office.new_contact(IVAN, "Анна"), 1)
    bodies = {5: {"entity_id": str(other), "file_uuids": [uuid]}}
    assert found(sandbox, "attach_files", bodies) == {}
    assert write(client_of(sandbox.url), "attach_files", bodies) == {5: Written(other)}
    assert found(sandbox, "attach_files", bodies) == {5: Written(other)}


def test_files_go_deal_by_deal() -> None:
    sizes = [WRITE_KINDS[kind].batch_size for kind in ("attach_files", "link_contact", "create_task")]
    assert sizes == [1, 250, 250]
