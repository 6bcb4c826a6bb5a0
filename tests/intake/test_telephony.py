"""Calls of Zadarma, Novofon and onlinePBX: ended, missed, hidden, our own, recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.vendor_requests import FORM, SECRETS, call_in, enquiry_in, form, post, reason_in, zadarma_signature

from amo_bridge.intake.model import Enquiry, PbxCall, Recording, enquiry_of_call
from amo_bridge.intake.reception import Reception
from amo_bridge.intake.telephony import NOVOFON_TEMPLATE, ZADARMA_SIGNED

END = {
    "event": "NOTIFY_END", "call_start": "2026-11-29 11:00:05", "pbx_call_id": "in_1", "caller_id": "+79000000101",
    "called_did": "74950000001", "internal": "100", "duration": "73", "disposition": "answered", "is_recorded": "1",
}  # fmt: skip
OUT = {
    "event": "NOTIFY_OUT_END", "call_start": "2026-11-29 11:05:00", "pbx_call_id": "out_1", "caller_id": "0",
    "internal": "100", "destination": "+79000000102", "duration": "0", "disposition": "no answer",
}  # fmt: skip


def zadarma(fields: dict[str, str], *, vendor: str = "zadarma", body: str = "", kind: str = "") -> Reception:
    text = "".join(fields.get(name, "") for name in ZADARMA_SIGNED.get(fields["event"], ("result",)))
    headers = {"Signature": zadarma_signature(SECRETS[f"{vendor}_secret"], text)}
    return post(vendor, body or form(**fields), headers=headers, kind=kind)


def noted(call: PbxCall) -> Enquiry:
    enquiry = enquiry_of_call(call)
    assert enquiry is not None
    return enquiry


@pytest.mark.parametrize("vendor", ["zadarma", "novofon"])
def test_the_end_of_a_call_is_an_enquiry(vendor: str) -> None:
    call = call_in(zadarma(END, vendor=vendor))
    assert (call.source, call.key, call.direction, call.phone) == (vendor, "in_1", "in", "+79000000101")
    assert (call.talked, call.duration, call.extension) == (True, 73, "100")
    assert noted(call).text == "Входящий звонок, разговор 73 с; на номер 74950000001; внутренний номер 100"


@pytest.mark.parametrize(
    ("disposition", "duration", "words"),
    [("no answer", "0", "не ответили"), ("busy", "0", "занято"), ("cancel", "3", "сброшен"), ("answered", "0", "")],
)
def test_a_missed_call_is_called_missed(disposition: str, duration: str, words: str) -> None:
    call = call_in(zadarma({**END, "disposition": disposition, "duration": duration}))
    assert (call.talked, call.duration) == (False, 0)
    assert noted(call).text.startswith("Пропущенный звонок")
    assert words in noted(call).text


def test_our_own_call_is_no_enquiry() -> None:
    call = call_in(zadarma(OUT))
    assert (call.direction, call.phone, call.talked, call.extension) == ("out", "+79000000102", False, "100")
    assert enquiry_of_call(call) is None


@pytest.mark.parametrize("caller", ["", "anonymous", "101"])
def test_a_hidden_number_and_an_extension_are_no_clients(caller: str) -> None:
    call = call_in(zadarma({**END, "caller_id": caller}))
    assert call.phone is None
    assert enquiry_of_call(call) is None


@pytest.mark.parametrize(
    "event", ["NOTIFY_START", "NOTIFY_INTERNAL", "NOTIFY_ANSWER", "NOTIFY_OUT_START", "NOTIFY_IVR"]
)
def test_a_call_that_goes_on_is_no_enquiry_yet(event: str) -> None:
    reception = zadarma({**END, "event": event, "destination": "100"})
    assert "по его концу" in reason_in(reception)
    assert reception.key != zadarma(END).key


def test_a_record_can_be_asked_for_later() -> None:
    (record,) = zadarma({"event": "NOTIFY_RECORD", "pbx_call_id": "in_1", "call_id_with_rec": "1796.75"}).outcomes
    assert isinstance(record, Recording)
    assert (record.call_key, record.record_id, record.wait) == ("in_1", "1796.75", 40)


@pytest.mark.parametrize("body", [
    form(**END).replace("%2B", "+"),
    "".join(f'--q\nContent-Disposition: form-data; name="{key}"\n\n{END[key]}\n' for key in END) + "--q--",
])  # fmt: skip
def test_bare_pluses_and_wrong_boundaries_are_understood(body: str) -> None:
    kind = "multipart/form-data; boundary=another" if body.startswith("--") else FORM
    assert call_in(zadarma(END, body=body, kind=kind)).phone == "+79000000101"


@pytest.mark.parametrize("field", ["caller_id", "called_did", "call_start"])
def test_every_signed_field_is_looked_at(field: str) -> None:
    assert zadarma(END, body=form(**{**END, field: f"{END[field]}1"})).kind == "refused"


def test_an_event_that_nobody_knows_makes_nothing() -> None:
    reception = post("zadarma", form(event="NOTIFY_NEW", pbx_call_id="1"))
    assert (reception.answer.status, "NOTIFY_NEW" in reason_in(reception)) == (200, True)


def test_an_sms_is_an_enquiry() -> None:
    result = json.dumps({"caller_id": "79000000101", "caller_did": "749500", "text": "Перезвоните"})
    enquiry = enquiry_in(zadarma({"event": "SMS", "result": result}))
    assert (enquiry.phones, enquiry.text) == (("+79000000101",), "SMS: Перезвоните")
    assert post("zadarma", form(event="SMS", result=result), headers={"Signature": "x"}).kind == "refused"


def test_the_same_sms_on_another_day_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = json.dumps({"caller_id": "79000000101", "caller_did": "749500", "text": "Перезвоните"})

    def key(at: float) -> str:
        monkeypatch.setattr("support.vendor_requests.RECEIVED_AT", at)
        return enquiry_in(zadarma({"event": "SMS", "result": result})).key

    assert key(1_796_000_000.0) == key(1_796_000_010.0)
    assert key(1_796_000_000.0) != key(1_796_086_400.0)


# --- onlinePBX ---------------------------------------------------------------------------------------------------

PBX = {"uuid": "6f1a", "event": "call_end", "direction": "inbound", "caller": "79000000111", "callee": "100",
       "gateway": "74950000002", "dialog_duration": 31, "hangup_cause": "NORMAL_CLEARING"}  # fmt: skip


@pytest.mark.parametrize("is_json", [True, False])
def test_a_call_as_json_or_as_a_form(is_json: bool) -> None:
    body: Any = PBX if is_json else form(**{key: str(value) for key, value in PBX.items()})
    call = call_in(post("onlinepbx", body))
    assert (call.key, call.phone, call.talked, call.duration) == ("6f1a", "+79000000111", True, 31)
    assert (call.extension, call.line) == ("100", "74950000002")


def test_an_end_and_a_miss_of_one_call_have_one_key() -> None:
    missed = {
        **PBX,
        "event": "call_missed",
        "callee": "74950000002",
        "dialog_duration": "0",
        "hangup_cause": "ORIGINATOR_CANCEL",
    }
    first, second = call_in(post("onlinepbx", missed)), call_in(post("onlinepbx", {**missed, "event": "call_end"}))
    assert (first.key, first.talked, first.extension) == (second.key, False, None)
    assert "клиент положил трубку" in noted(first).text


@pytest.mark.parametrize("number", ["79000000111", "89000000111", "+7 900 000-01-11"])
def test_our_own_call_through_onlinepbx(number: str) -> None:
    call = call_in(post("onlinepbx", {**PBX, "direction": "outbound", "caller": "100", "callee": number}))
    assert (call.direction, call.phone, call.extension) == ("out", "+79000000111", "100")


@pytest.mark.parametrize(("more", "words"), [
    ({"direction": "local", "caller": "101"}, "внутренний"), ({"event": "call_start"}, "по его концу"),
    ({"event": "call_answered"}, "по его концу"), ({"event": "new_event"}, "new_event"),
])  # fmt: skip
def test_what_is_no_enquiry_in_onlinepbx(more: dict[str, str], words: str) -> None:
    assert words in reason_in(post("onlinepbx", {**PBX, **more}))


# --- Novofon 2.0 -------------------------------------------------------------------------------------------------

NOVOFON = {"event": "CALL_END", "call_session_id": 12, "direction": "in", "contact_phone_number": "79000000121",
           "virtual_phone_number": "74950000003", "is_lost": False, "talk_time_duration": 55,
           "extension_phone_number": "100"}  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_numbers_may_come_as_text(as_text: bool) -> None:
    body = {key: str(value).lower() if as_text and key != "event" else value for key, value in NOVOFON.items()}
    call = call_in(post("novofon2", body))
    assert (call.source, call.key, call.phone) == ("novofon", "session:12", "+79000000121")
    assert (call.talked, call.duration, call.extension) == (True, 55, "100")


@pytest.mark.parametrize(
    "more", [{"is_lost": "true"}, {"is_lost": 1}, {"talk_time_duration": "0"}, {"event": "LOST_CALL"}]
)
def test_a_lost_call(more: dict[str, Any]) -> None:
    assert noted(call_in(post("novofon2", {**NOVOFON, **more}))).text.startswith("Пропущенный звонок")


@pytest.mark.parametrize("event", [{"event": "RECORD_CALL"}, {}])
def test_a_link_is_the_record_of_a_call(event: dict[str, str]) -> None:
    body = {**event, "call_session_id": "12", "call_record_file_info": {"file_link": "https://m/12.mp3"}}
    (record,) = post("novofon2", body).outcomes
    assert isinstance(record, Recording)
    assert (record.call_key, record.url) == ("session:12", "https://m/12.mp3")


def test_the_template_that_we_give_is_the_one_that_we_read() -> None:
    filled = NOVOFON_TEMPLATE
    for key, value in NOVOFON.items():
        filled = filled.replace("{{" + key + "}}", str(value).lower())
    assert call_in(post("novofon2", filled, kind="application/json")).duration == 55


@pytest.mark.parametrize("event", ["INCOMING_CALL", "CALL_START", "CALL_ANSWERED"])
def test_a_call_that_goes_on_in_novofon(event: str) -> None:
    assert "по его концу" in reason_in(post("novofon2", {**NOVOFON, "event": event}))
