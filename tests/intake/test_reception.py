"""Every vendor: proven or refused, checked at set-up, answered in its own way whatever came."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from support.vendor_requests import (
    PATH,
    SECRETS,
    Body,
    form,
    hmac_sha256,
    post,
    smsru_form,
    unisender_body,
    zadarma_signature,
)

from amo_bridge.config.loader import load
from amo_bridge.intake.reception import VENDORS, outcomes_of, settings_of
from amo_bridge.intake.request import VendorRequest, VendorSettings

WORDS = (
    *("event_name", "visitor", "chat", "messages", "message", "type", "object", "answers", "answer", "key", "value"),
    *("entry", "changes", "messaging", "update_id", "from", "contact", "update_type", "body", "attachments", "payload"),
    *("event", "uuid", "direction", "caller", "call_session_id", "resource", "data", "items", "contact_info", "events"),
    *("events_by_user", "event_data", "metadata", "meta", "field_data", "values", "name", "phone", "sender", "text"),
)
ROOT = Path(__file__).parents[2]
META = json.dumps({"object": "page", "entry": []}).encode()
VIBER = json.dumps({"event": "seen", "message_token": 5800000000000000001}).encode()
CALL = {"event": "NOTIFY_START", "caller_id": "+79000000101", "called_did": "749500", "call_start": "2026-11-29 11:00"}
CALL_TEXT = "+79000000101749500" + "2026-11-29 11:00"


def signed(vendor: str) -> tuple[Body, Mapping[str, str]]:
    """A request of each vendor that has a proof of its own: body and headers."""
    return {
        "tilda": (form(Phone="89000000001", tranid="1:1", api=SECRETS["tilda_key"]), {}),
        "vk": ({"type": "group_join", "secret": SECRETS["vk_secret"]}, {}),
        "telegram": ({"update_id": 1}, {"X-Telegram-Bot-Api-Secret-Token": SECRETS["telegram_secret_token"]}),
        "max": ({"update_type": "bot_stopped"}, {"X-Max-Bot-Api-Secret": SECRETS["max_secret"]}),
        "telegram_staff": (
            {"update_id": 1},
            {"X-Telegram-Bot-Api-Secret-Token": SECRETS["telegram_staff_secret_token"]},
        ),
        "max_staff": ({"update_type": "bot_stopped"}, {"X-Max-Bot-Api-Secret": SECRETS["max_staff_secret"]}),
        "meta_leadgen": (META, {"X-Hub-Signature-256": f"sha256={hmac_sha256(SECRETS['meta_app_secret'], META)}"}),
        "messenger": (META, {"X-Hub-Signature-256": f"sha256={hmac_sha256(SECRETS['meta_app_secret'], META)}"}),
        "viber": (VIBER, {"X-Viber-Content-Signature": hmac_sha256(SECRETS["viber_token"], VIBER)}),
        "zadarma": (form(**CALL), {"Signature": zadarma_signature(SECRETS["zadarma_secret"], CALL_TEXT)}),
        "novofon": (form(**CALL), {"Signature": zadarma_signature(SECRETS["novofon_secret"], CALL_TEXT)}),
        "unisender_go": (unisender_body(SECRETS["unisender_go_key"], events_by_user=[]), {}),
        "smsru": (smsru_form(SECRETS["smsru_api_id"], {0: "sms_status\n1\n103"}), {}),
        "smsc": ({"id": "501", "phone": "79000000001", "status": "1", "md5": "7fe748653848caf655869956e9b839c0"}, {}),
        "pipedrive": ({"meta": {}}, {"Authorization": f"Basic {base64.b64encode(b'bridge:password').decode()}"}),
    }[vendor]


SIGNED = (
    *("telegram_staff", "max_staff"),
    *("tilda", "vk", "telegram", "max", "meta_leadgen", "messenger", "viber", "zadarma", "novofon"),
    *("unisender_go", "smsru", "smsc", "pipedrive"),
)
BY_ADDRESS = ("jivo", "vkads", "novofon2", "onlinepbx", "elementor", "cf7", "html", "mapped")


def test_every_vendor_is_proven_by_something_of_these() -> None:
    assert {*SIGNED, *BY_ADDRESS} == set(VENDORS)


@pytest.mark.parametrize("vendor", SIGNED)
def test_the_right_proof_lets_in(vendor: str) -> None:
    body, headers = signed(vendor)
    reception = post(vendor, body, headers=headers)
    assert (reception.kind, reception.answer.status) == ("accepted", 200)


@pytest.mark.parametrize("vendor", SIGNED)
def test_a_wrong_proof_is_refused(vendor: str) -> None:
    body, headers = signed(vendor)
    wrong = {name: f"{value}x" for name, value in SECRETS.items()}
    reception = post(vendor, body, headers=headers, secrets=wrong)
    assert reception.kind == "refused"
    assert reception.answer.status == (401 if vendor == "pipedrive" else 403)
    assert not reception.outcomes


@pytest.mark.parametrize(
    "vendor", [vendor for vendor in SIGNED if vendor not in ("unisender_go", "smsru", "smsc", "vk", "tilda")]
)
def test_no_proof_at_all_is_refused(vendor: str) -> None:
    assert post(vendor, signed(vendor)[0]).kind == "refused"


@pytest.mark.parametrize("vendor", SIGNED)
def test_without_a_secret_it_is_closed(vendor: str) -> None:
    body, headers = signed(vendor)
    reception = post(vendor, body, headers=headers, secrets={}, path_secret="" if vendor == "tilda" else PATH)
    assert (reception.kind, reception.answer.status) == ("closed", 404)


@pytest.mark.parametrize("vendor", ["jivo", "vkads", "novofon2", "onlinepbx"])
def test_without_a_secret_address_it_is_closed(vendor: str) -> None:
    assert post(vendor, {}, path_secret="").answer.status == 404


@pytest.mark.parametrize("vendor", BY_ADDRESS)
def test_another_secret_address_is_refused(vendor: str) -> None:
    assert post(vendor, {}, path_secret="another").answer.status == 403


ANSWERS = {"jivo": '{"result": "ok"}', "smsru": "100", "html": '{"ok": true}', "mapped": '{"ok": true}'}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\x00", b"", b"[]", b"null", b'"text"', b"\x00" * 50, b"{}" * 3])
def test_a_broken_body_gets_the_vendors_own_thanks(vendor: str, body: bytes) -> None:
    """An error would make the vendor switch its webhook off, or show a visitor a failed form."""
    staff = "_staff" if vendor.endswith("_staff") else ""
    headers = {
        "X-Telegram-Bot-Api-Secret-Token": SECRETS[f"telegram{staff}_secret_token"],
        "X-Max-Bot-Api-Secret": SECRETS[f"max{staff}_secret"],
        "X-Hub-Signature-256": f"sha256={hmac_sha256(SECRETS['meta_app_secret'], body)}",
        "X-Viber-Content-Signature": hmac_sha256(SECRETS["viber_token"], body),
        "Authorization": f"Basic {base64.b64encode(b'bridge:password').decode()}",
        "X-Api-Key": SECRETS["tilda_key"],
    }
    reception = post(vendor, body, headers=headers, kind="application/json")
    assert (reception.answer.status, reception.answer.body) == (200, ANSWERS.get(vendor, "ok"))
    assert reception.why


@pytest.mark.parametrize(
    ("vendor", "document"),
    [
        ("jivo", {"event_name": "chat_finished", "visitor": [], "chat": "x", "session": 5, "page": None}),
        ("jivo", {"event_name": {"a": 1}}),
        ("vk", {"type": "message_new", "secret": "vk-secret", "object": []}),
        ("vk", {"type": "lead_forms_new", "secret": "vk-secret", "object": {"answers": {"key": 1}, "user_id": "a"}}),
        ("vkads", {"resource": 5, "data": [], "id": None}),
        ("vkads", {"items": [1, None, {"contact_info": []}]}),
        ("telegram", {"update_id": [], "message": {"chat": [], "from": 1}}),
        ("max", {"update_type": "message_created", "message": {"sender": None, "body": 7}}),
        ("novofon2", {"call_session_id": {"a": 1}, "contact_phone_number": [1]}),
        ("onlinepbx", {"event": "call_end", "direction": "inbound", "caller": None, "dialog_duration": "много"}),
        ("cf7", {"your-name": {"a": {"b": [[[]]]}}}),
    ],
)
def test_another_shape_than_the_vendors_breaks_nothing(vendor: str, document: dict[str, Any]) -> None:
    headers = {
        "X-Telegram-Bot-Api-Secret-Token": SECRETS["telegram_secret_token"],
        "X-Max-Bot-Api-Secret": SECRETS["max_secret"],
    }
    reception = post(vendor, document, headers=headers)
    assert reception.answer.status == 200
    assert "сбой моста" not in reception.why


@pytest.mark.parametrize(
    ("vendor", "body", "method", "query", "answer"),
    [
        ("tilda", form(test="test", api=SECRETS["tilda_key"]), "POST", "", "ok"),
        ("vk", {"type": "confirmation", "group_id": 1}, "POST", "", "c0de"),
        ("meta_leadgen", b"", "GET", "hub.mode=subscribe&hub.challenge=77&hub.verify_token=meta-verify", "77"),
        ("messenger", b"", "GET", "hub.mode=subscribe&hub.challenge=78&hub.verify_token=meta-verify", "78"),
        ("zadarma", b"", "GET", "zd_echo=abc123XYZ", "abc123XYZ"),
        ("novofon", b"", "GET", "zd_echo=abc", "abc"),
        ("unisender_go", b"", "GET", "", ""),
        ("html", b"", "GET", "", ""),
    ],
)
def test_the_set_up_check_is_answered_and_nothing_is_kept(
    vendor: str, body: Body, method: str, query: str, answer: str
) -> None:
    reception = post(vendor, body, method=method, query=query)
    assert (reception.kind, reception.answer.status, reception.answer.body) == ("checked", 200, answer)
    assert not reception.key


def test_vibers_check_is_signed_as_everything_else() -> None:
    body = json.dumps({"event": "webhook", "message_token": 1}).encode()
    proof = {"X-Viber-Content-Signature": hmac_sha256(SECRETS["viber_token"], body)}
    assert post("viber", body, headers=proof).kind == "checked"
    assert post("viber", body).kind == "refused"


@pytest.mark.parametrize("vendor", ["meta_leadgen", "messenger"])
def test_a_wrong_token_of_the_check_gets_no_challenge(vendor: str) -> None:
    reception = post(vendor, b"", method="GET", query="hub.mode=subscribe&hub.challenge=7&hub.verify_token=no")
    assert (reception.answer.status, "7" in reception.answer.body) == (403, False)


def test_vks_confirmation_needs_its_string_and_its_group() -> None:
    body = {"type": "confirmation", "group_id": 1}
    assert post("vk", body, secrets={"vk_secret": "s"}).kind == "closed"
    assert post("vk", body, group=2).kind == "refused"
    assert post("vk", {**body, "secret": "wrong"}).kind == "refused"


def test_events_of_another_community_are_refused() -> None:
    body = {"type": "group_join", "group_id": 1, "secret": SECRETS["vk_secret"]}
    assert post("vk", body, group=1).kind == "accepted"
    assert post("vk", body, group=2).kind == "refused"


@pytest.mark.parametrize("vendor", ["jivo", "vkads", "elementor"])
def test_a_browser_that_looks_at_the_address_sees_that_it_is_not_for_it(vendor: str) -> None:
    assert post(vendor, b"", method="GET").answer.status == 405


def test_too_large_a_body_is_not_read() -> None:
    assert post("jivo", b"x" * (VENDORS["jivo"].largest + 1)).answer.status == 413
    assert VENDORS["html"].largest == 15 * 1024 * 1024


def test_a_form_leads_to_the_page_of_the_config_and_to_no_other() -> None:
    body = form(name="Вера", phone="89000000041", thanks="https://evil.example")
    answer = post("html", body, thanks="https://agency.example/thanks").answer
    assert (answer.status, dict(answer.headers or {})) == (303, {"Location": "https://agency.example/thanks"})


def test_vkads_wants_nothing_but_200() -> None:
    assert post("vkads", {"resource": "LEAD", "data": {"id": 1}}).answer.status == 200


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("vendor", VENDORS)
@settings_of_hypothesis(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200) | JSONS.map(lambda document: json.dumps(document).encode()))
def test_no_body_at_all_is_a_fault_of_the_bridge(vendor: str, body: bytes) -> None:
    parse = VENDORS[vendor].parse
    for kind in ("", "application/json", "multipart/form-data; boundary=b"):
        _, why = outcomes_of(parse, VendorRequest("POST", body, headers={"Content-Type": kind}), VendorSettings())
        assert "сбой моста" not in why


# --- keys of repeats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_same_request_has_the_same_key(vendor: str) -> None:
    body, headers = signed(vendor) if vendor in SIGNED else ({"name": "Вера", "phone": "89000000041"}, {})
    first, second = (post(vendor, body, headers=headers) for _ in range(2))
    assert first.key == second.key != ""


def test_another_request_has_another_key() -> None:
    keys = {
        post("jivo", {"event_name": "offline_message", "offline_message_id": n, "message": "а"}).key for n in range(3)
    }
    assert len(keys) == 3


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_config_says_what_a_parser_may_know(tmp_path: Path) -> None:
    example = (ROOT / "config.example.toml").read_text("utf-8")
    path = tmp_path / "config.toml"
    path.write_text(example.replace("[intake.vk]", "[intake.vk]\ngroup = 7"), "utf-8")
    config = load(path, {})
    (tmp_path / "key").write_text("from a file\n", "utf-8")
    told = {"AMO_BRIDGE_INTAKE_VK_SECRET": "s", "AMO_BRIDGE_INTAKE_VK_CONFIRMATION_FILE": str(tmp_path / "key")}
    settings = settings_of(config, "vk", told)
    assert (settings.group, settings.secrets) == (7, {"vk_secret": "s", "vk_confirmation": "from a file"})
    site = settings_of(config, "html", {})
    assert (site.origins, site.honeypot, site.home) == (("https://agency.example",), ("website",), "RU")
