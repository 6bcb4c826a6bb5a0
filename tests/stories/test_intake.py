"""Vendors post what clients ask for: who is let in, what is kept, and what is said when it can't be."""

from __future__ import annotations

import http.client
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge, config_for
from support.vendor_requests import FORM, form, smsru_form, zadarma_signature

from amo_bridge.config.model import Config
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.repository import IntakeRequests, KeptRequest
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore

SECRETS = {
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "c0de",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "zadarma-secret",
}
SITE = "https://agency.example"
OFFLINE = {"event_name": "offline_message", "offline_message_id": 5, "message": "Ответьте", "visitor": {"name": "А"}}


class Vendors:
    """Whoever posts to the bridge, and what the bridge has kept of it."""

    def __init__(self, bridge: RunningBridge) -> None:
        self.bridge = bridge
        self.paths = {one.vendor.name: one.path for one in bridge.bridge.intake_addresses.all()}

    def post(self, vendor: str, body: Any = b"", *, path: str = "", **more: Any) -> requests.Response:
        how = {"json": body} if isinstance(body, dict) else {"data": body}
        headers = {"Content-Type": FORM, **more.pop("headers", {})} if "data" in how else more.pop("headers", {})
        url = f"{self.bridge.url}{path or self.paths[vendor]}"
        return requests.post(url, **how, headers=headers, timeout=30, allow_redirects=False, **more)

    def kept(self) -> list[KeptRequest]:
        store = self.bridge.bridge.resources.store
        key = known_key(store, self.bridge.config.account.url)
        assert key is not None
        return IntakeRequests(AccountStore(store, key)).latest()


@pytest.fixture
def vendors(config: Config, start_bridge: Callable[..., RunningBridge]) -> Vendors:
    return Vendors(start_bridge(config, environment={**ENVIRONMENT, **SECRETS}).wait_ready())


def test_what_is_proven_is_kept_as_it_came_and_thanked_for_in_the_vendors_way(vendors: Vendors) -> None:
    thanked = vendors.post("jivo", OFFLINE)
    assert (thanked.status_code, thanked.json()) == (200, {"result": "ok"})
    event = {"type": "message_new", "event_id": "e1", "secret": "vk-secret", "object": {"message": {"from_id": 3}}}
    said = vendors.post("vk", event, headers={"X-Retry-Counter": "2", "X-Other": "private"})
    assert (said.status_code, said.content) == (200, b"ok")
    vk, jivo = vendors.kept()
    assert (jivo.vendor, jivo.key, jivo.state) == ("jivo", "offline:5", "new")
    assert (vk.vendor, vk.key, b'"e1"' in vk.request.body) == ("vk", "e1", True)
    assert vk.request.headers == {"Content-Type": "application/json", "X-Retry-Counter": "2"}


def test_a_repeat_is_thanked_for_and_kept_once(vendors: Vendors) -> None:
    for _ in range(3):
        assert vendors.post("jivo", OFFLINE).json() == {"result": "ok"}
    (kept,) = vendors.kept()
    assert kept.repeats == 2


def test_a_storm_of_repeats_from_several_vendors_is_kept_once_each(vendors: Vendors) -> None:
    def post(number: int) -> int:
        if number % 2:
            return vendors.post("jivo", {**OFFLINE, "offline_message_id": number // 4}).status_code
        body = form(Name="Анна", Phone="89000000001", tranid=f"1:{number // 4}")
        return vendors.post("tilda", body, headers={"X-Key": "tilda-key"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(post, range(80))) == {200}
    kept = vendors.kept()
    assert (len(kept), sum(one.repeats for one in kept)) == (40, 40)


def test_a_set_up_check_is_answered_and_not_kept(vendors: Vendors) -> None:
    assert vendors.post("vk", {"type": "confirmation", "group_id": 1}).content == b"c0de"
    assert vendors.post("tilda", form(test="test", k="tilda-key")).status_code == 200
    echoed = requests.get(f"{vendors.bridge.url}{vendors.paths['zadarma']}?zd_echo=abc", timeout=30)
    assert echoed.text == "abc"
    assert vendors.kept() == []


def test_strangers_learn_nothing_and_leave_nothing(vendors: Vendors) -> None:
    wrong = vendors.post("vk", {"type": "message_new", "event_id": "e", "secret": "wrong", "object": {}})
    guessed = vendors.post("jivo", OFFLINE, path="/in/jivo/in-0000000000000000000000000000000000000000")
    borrowed = vendors.post("jivo", OFFLINE, path=vendors.paths["jivo"].replace("/jivo/", "/vkads/"))
    assert [one.status_code for one in (wrong, guessed, borrowed)] == [403, 403, 403]
    assert vendors.post("", OFFLINE, path="/in/smsru/in-x").status_code == 404, "this vendor is off"
    assert vendors.post("", OFFLINE, path="/in/nobody/in-x").status_code == 404
    assert vendors.post("telegram", {"update_id": 1}).status_code == 404, "its secret is not given"
    assert vendors.kept() == []


def test_a_broken_body_is_thanked_for_and_kept_to_be_looked_at(vendors: Vendors) -> None:
    assert vendors.post("jivo", b"{", headers={"Content-Type": "application/json"}).json() == {"result": "ok"}
    (kept,) = vendors.kept()
    assert (kept.state, kept.why) == ("broken", "тело не читается: в теле не JSON")


def test_what_nobody_sends_is_not_even_read(vendors: Vendors) -> None:
    with closing(http.client.HTTPConnection(urlsplit(vendors.bridge.url).netloc, timeout=30)) as connection:
        connection.putrequest("POST", vendors.paths["jivo"])
        connection.putheader("Content-Length", str(VENDORS["jivo"].largest + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
    assert vendors.kept() == []


def test_when_nothing_can_be_kept_whoever_repeats_is_asked_to(vendors: Vendors, tmp_path: Path) -> None:
    headers = {"X-Key": "tilda-key"}
    body = form(Name="Анна", Phone="89000000001", tranid="1:1")
    with closing(sqlite3.connect(tmp_path / "data" / "amo-bridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        repeats, forgets = vendors.post("tilda", body, headers=headers), vendors.post("jivo", OFFLINE)
        other.execute("ROLLBACK")
    assert (repeats.status_code, repeats.headers.get("Retry-After")) == (503, "60")
    assert (forgets.status_code, forgets.headers.get("Retry-After")) == (503, None)
    assert vendors.post("tilda", body, headers=headers).status_code == 200
    assert "1:1" in [kept.key for kept in vendors.kept()]


def test_a_form_of_the_site_may_be_sent_by_a_script_of_it_and_of_no_other(vendors: Vendors) -> None:
    body = form(name="Вера", phone="89000000041")
    own = vendors.post("html", body, headers={"Origin": SITE})
    assert (own.status_code, own.headers["Access-Control-Allow-Origin"]) == (200, SITE)
    asked = requests.options(f"{vendors.bridge.url}{vendors.paths['html']}", headers={"Origin": SITE}, timeout=30)
    assert (asked.status_code, asked.headers["Access-Control-Allow-Methods"]) == (204, "POST")
    other = vendors.post("html", body, headers={"Origin": "https://evil.example"})
    assert (other.status_code, "Access-Control-Allow-Origin" in other.headers) == (403, False)


def test_one_address_may_send_a_few_forms_a_minute(vendors: Vendors) -> None:
    sent = [vendors.post("html", form(name="Вера", phone=f"8900000{number:04}")) for number in range(12)]
    assert [one.status_code for one in sent] == [200] * 10 + [429] * 2
    assert sent[-1].headers["Retry-After"]
    assert len(vendors.kept()) == 10


def test_metrics_count_by_vendor_and_logs_hold_no_secret(vendors: Vendors, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        vendors.post("jivo", OFFLINE)
    vendors.post("jivo", OFFLINE, path="/in/jivo/in-guessed")
    told = requests.get(f"{vendors.bridge.url}/metrics", timeout=30).text
    counted = [line for line in told.splitlines() if line.startswith("amo_bridge_intake_total")]
    assert [(line.partition('kind="')[2].partition('"')[0], line[-3:]) for line in sorted(counted)] == [
        ("refused", "1.0"), ("accepted", "1.0"), ("repeated", "1.0"),
    ]  # fmt: skip
    assert all('vendor="jivo"' in line for line in counted)
    assert vendors.paths["jivo"].rpartition("/")[2] not in "".join(capsys.readouterr())


def test_addresses_stay_over_restarts_and_differ(
    config: Config, start_bridge: Callable[..., RunningBridge], vendors: Vendors
) -> None:
    before = dict(vendors.paths)
    vendors.bridge.stop()
    assert Vendors(start_bridge(config).wait_ready()).paths == before
    assert len({path.rpartition("/")[2] for path in before.values()}) == len(before)


def test_the_beginning_of_the_addresses_and_other_forms_are_the_configs(
    sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge], tmp_path: Path
) -> None:
    config = config_for(sandbox.url, tmp_path / "data")
    assert config.intake is not None
    section = config.intake.model_validate(
        {"prefix": "/leads/in", "mapped": {"quiz": {"fields": {"phone": "client.tel"}}, "other": {}}, "smsru": {}}
    )
    secrets = {**ENVIRONMENT, "AMO_BRIDGE_INTAKE_SMSRU_ID": "sms-id"}
    vendors = Vendors(start_bridge(replace(config, intake=section), environment=secrets).wait_ready())
    paths = {one.name: one.path for one in vendors.bridge.bridge.intake_addresses.all()}
    assert all(path.startswith("/leads/in/") for path in paths.values())
    assert vendors.post("", {"client": {"tel": "89000000001"}}, path=paths["quiz"]).status_code == 200
    assert vendors.post("smsru", smsru_form("sms-id", {0: "sms_status\n1\n103"})).content == b"100"
    assert [(kept.vendor, kept.name) for kept in vendors.kept()] == [("smsru", ""), ("mapped", "quiz")]
    assert vendors.post("", OFFLINE, path="/in/jivo/in-x").status_code == 404


def test_a_signed_call_is_kept(vendors: Vendors) -> None:
    call = {"event": "NOTIFY_END", "caller_id": "+79000000101", "called_did": "7495", "call_start": "2026-11-29 11:00"}
    signature = zadarma_signature("zadarma-secret", "+7900000010174952026-11-29 11:00")
    assert vendors.post("zadarma", form(**call), headers={"Signature": signature}).status_code == 200
    assert (
        vendors.post("zadarma", form(**{**call, "caller_id": "1"}), headers={"Signature": signature}).status_code == 403
    )
    assert len(vendors.kept()) == 1
