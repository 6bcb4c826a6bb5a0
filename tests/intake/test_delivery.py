"""What became of letters and SMS of ours; Pipedrive's news."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from support.vendor_requests import SECRETS, enquiry_in, post, reason_in, smsru_form, unisender_body

from amo_bridge.intake.channel_reports import settles_sms
from amo_bridge.intake.model import DeliveryStatus, Enquiry, NoEnquiry

PIPEDRIVE = {"Authorization": "Basic YnJpZGdlOnBhc3N3b3Jk"}


def letter(status: str, *, alone: bool = False) -> DeliveryStatus:
    data = {
        "job_id": "j1", "metadata": {"outbox_id": "501"}, "email": "Anna@example.com", "status": status,
        "event_time": "2026-11-29 09:00:00", "delivery_info": {"destination_response": "550 No such user"},
    }  # fmt: skip
    event = {"event_name": "transactional_email_status", "event_data": data}
    document = event if alone else {"events_by_user": [{"user_id": 4, "events": [event]}]}
    (outcome,) = post("unisender_go", unisender_body(SECRETS["unisender_go_key"], **document)).outcomes
    assert isinstance(outcome, DeliveryStatus)
    return outcome


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("told", "state"), [
    ("sent", "sent"), ("delivered", "delivered"), ("opened", "read"), ("clicked", "clicked"), ("spam", "spam"),
    ("hard_bounced", "bounced"), ("soft_bounced", "failed"), ("unsubscribed", "unsubscribed"),
])  # fmt: skip
def test_a_letters_state(told: str, state: str, alone: bool) -> None:
    status = letter(told, alone=alone)
    assert (status.state, status.outbox_id, status.vendor_id) == (state, "501", "j1")
    assert (status.address, status.reason) == ("anna@example.com", "550 No such user")


def test_each_state_of_a_letter_has_its_key() -> None:
    assert letter("sent").key != letter("delivered").key


def test_a_changed_body_is_refused() -> None:
    body = unisender_body(SECRETS["unisender_go_key"], events_by_user=[])
    assert post("unisender_go", body.replace(b"[]", b"[ ]"), kind="application/json").kind == "refused"


def test_all_entries_of_one_request_are_read_in_the_order_of_their_numbers() -> None:
    entries = {10: "sms_status\n3\n103\n1796008000", 2: "sms_status\n2\n104", 1: "sms_status\n1\n102\n1"}
    reception = post("smsru", smsru_form(SECRETS["smsru_api_id"], entries))
    states = [(one.vendor_id, one.state) for one in reception.outcomes if isinstance(one, DeliveryStatus)]
    assert states == [("1", "sent"), ("2", "failed"), ("3", "delivered")]
    assert reception.answer.body == "100"


@pytest.mark.parametrize("entry", ["test", "callcheck_status\n1\n401\n1", "sms_status\n1", "sms_status\n1\n777"])
def test_what_is_no_state_of_an_sms(entry: str) -> None:
    reception = post("smsru", smsru_form(SECRETS["smsru_api_id"], {0: entry}))
    assert reception.answer.body == "100"
    assert all(isinstance(one, NoEnquiry) for one in reception.outcomes)


def test_pipedrives_news_is_no_enquiry() -> None:
    body = {"meta": {"entity": "deal", "id": "a1"}, "data": {"id": 12, "status": "won"}}
    reception = post("pipedrive", body, headers=PIPEDRIVE)
    assert (reception.key, reason_in(reception)) == ("a1", "Pipedrive: сделка 12 выиграна, не обращение")


# --- SMSC -------------------------------------------------------------------------------------------------------------

SMSC = {"id": "501", "phone": "79000000001", "status": "1", "md5": "7fe748653848caf655869956e9b839c0"}


def test_smsc_tells_what_became_of_an_sms_and_proves_it() -> None:
    reception = post("smsc", urlencode(SMSC).encode())
    (status,) = reception.outcomes
    assert isinstance(status, DeliveryStatus)
    assert (status.state, status.vendor_id, status.key) == ("delivered", "501", "501:1")
    forged = post("smsc", urlencode({**SMSC, "status": "20"}).encode())
    assert (forged.kind, forged.answer.status) == ("refused", 403)


def test_a_client_who_answers_an_sms_is_an_enquiry() -> None:
    reception = post("smsc", urlencode({"id": "9", "phone": "79000000001", "mes": "Перезвоните"}).encode())
    (enquiry,) = reception.outcomes
    assert isinstance(enquiry, Enquiry)
    assert (enquiry.phones, enquiry.text) == (("+79000000001",), "SMS: Перезвоните")


def test_an_sms_without_a_number_is_told_apart_by_its_words_and_time() -> None:
    def key(**fields: str) -> str:
        return enquiry_in(post("smsc", urlencode({"phone": "79000000001", **fields}).encode())).key

    assert key(mes="Перезвоните", time="1") == key(mes="Перезвоните", time="1")
    assert len({key(mes="Перезвоните", time="1"), key(mes="Перезвоните", time="2"), key(mes="Да", time="1")}) == 3


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("clicked", "delivered"),
        ("failed", "failed"),
    ],
)
def test_an_sms_whose_link_was_opened_is_a_delivered_one(
    monkeypatch: pytest.MonkeyPatch, state: Any, told: str
) -> None:
    reports = []
    monkeypatch.setattr("amo_bridge.intake.channel_reports.report_sms", lambda *given: reports.append(given[4]))
    status = DeliveryStatus(source="smsc", key="1:4", state=state, vendor_id="1")
    settles_sms(None, None, status, 0.0)  # type: ignore[arg-type]
    assert [report.state for report in reports] == [told]
