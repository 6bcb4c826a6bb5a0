"""An account is connected and disconnected by OAuth, by the local amoCRM's own pages."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, SECRET, RunningBridge, wait_until

from amo_bridge import retry
from amo_bridge.config.model import Config
from amo_bridge.crm.oauth import authorize_url, is_of_account, is_signed
from amo_bridge.errors import CrmUnauthorized
from amo_bridge.runtime.oauth_flow import LIFE, Connecting, NotNow
from amo_bridge.storage.database import Store

CLIENT = "2f6b1c0e-7d43-4f7a-9a51-5b0f3d6e8c11"
KEYS = {"AMO_BRIDGE_CLIENT_ID": CLIENT, "AMO_BRIDGE_CLIENT_SECRET": "sandbox-secret"}
BY_OAUTH = {name: value for name, value in ENVIRONMENT.items() if name != "AMO_BRIDGE_TOKEN"} | KEYS


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    opened = Store.at(config.bridge.database, config.data_folder)
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def config(config: Config, sandbox: LocalCrm) -> Config:
    """With the public address that the integration knows."""
    client = sandbox.world.table("oauth_clients")[CLIENT]
    base = "https://bridge.example"
    sandbox.world.table("oauth_clients")[CLIENT] = {**client, "redirect_uri": f"{base}/connect/callback"}
    return replace(config, bridge=config.bridge.model_copy(update={"public_url": base}))


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connecting(config: Config, store: Store, clock: Clock) -> Connecting:
    return Connecting(config, BY_OAUTH, store, clock=clock)


def allow(page: str, decision: str = "allow") -> dict[str, str]:
    """An administrator's click in amoCRM: what the browser comes back with."""
    answer = requests.get(f"{page}&decision={decision}", allow_redirects=False, timeout=30)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def state_of(page: str) -> str:
    return parse_qs(urlsplit(page).query)["state"][0]


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_link_leads_to_amocrm_once(connecting: Connecting) -> None:
    link = connecting.new_link()
    assert connecting.follow(link + "x") is None
    page = connecting.follow(link)
    assert page is not None, "a wrong guess does not spoil the right one"
    assert connecting.follow(link) is None
    assert allow(page)["state"] == state_of(page)


def test_a_newer_link_replaces_the_older(connecting: Connecting) -> None:
    old, new = connecting.new_link(), connecting.new_link()
    assert connecting.follow(old) is None
    assert connecting.follow(new) is not None


def test_links_and_states_grow_old(connecting: Connecting, clock: Clock) -> None:
    link, state = connecting.new_link(), state_of(connecting.new_page())
    clock.now += LIFE + 1
    assert connecting.follow(link) is None
    assert not connecting.knows(state)


def test_a_state_counts_once(connecting: Connecting) -> None:
    state = state_of(connecting.new_page())
    assert not connecting.knows("")
    assert not connecting.knows(state[:-1])
    assert connecting.knows(state)
    assert not connecting.knows(state)


def test_without_keys_it_says_what_is_missing(config: Config, store: Store) -> None:
    with pytest.raises(NotNow, match="передайте AMO_BRIDGE_CLIENT_ID и AMO_BRIDGE_CLIENT_SECRET"):
        Connecting(config, ENVIRONMENT, store).new_link()
    nowhere = replace(config, bridge=config.bridge.model_copy(update={"public_url": None}))
    with pytest.raises(NotNow, match=r"задайте .* public_url или AMO_BRIDGE_REDIRECT_URI"):
        Connecting(nowhere, BY_OAUTH, store).new_page()


# --- what comes back -------------------------------------------------------------------------------------------------


def test_consent_connects(connecting: Connecting, config: Config, store: Store) -> None:
    revived: list[bool] = []
    mine = Connecting(config, BY_OAUTH, store, revived=lambda: revived.append(True))
    mine.come_back(allow(connecting.new_page()))
    assert revived == [True]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"referer": "other.amocrm.ru"}, r"в другом аккаунте \(other.amocrm.ru\)"),
        ({"referer": ""}, r"в другом аккаунте \(не назван\)"),
        ({"client_id": "another"}, "другой интеграции"),
        ({"code": ""}, "не передала код"),
    ],
)
def test_consent_to_something_else_is_refused(
    connecting: Connecting, sandbox: LocalCrm, changed: dict[str, str], words: str
) -> None:
    told = allow(connecting.new_page())
    sandbox.forget_requests()
    with pytest.raises(NotNow, match=words):
        connecting.come_back({**told, **changed})
    assert sandbox.requests() == {}, "the code goes to nobody"


def test_refusal_is_told(connecting: Connecting) -> None:
    with pytest.raises(NotNow, match="нажали «Отказать»"):
        connecting.come_back(allow(connecting.new_page(), "deny"))


def test_a_code_works_once_and_says_so(connecting: Connecting) -> None:
    code = allow(connecting.new_page())["code"]
    connecting.exchange(f" {code}\n")
    with pytest.raises(CrmUnauthorized, match="уже использован"):
        connecting.exchange(code)


# --- a running bridge ------------------------------------------------------------------------------------------------


@pytest.fixture
def unconnected(
    config: Config, start_bridge: Callable[..., RunningBridge], monkeypatch: pytest.MonkeyPatch
) -> RunningBridge:
    """A bridge that waits for being connected, for hours if nobody says that it may go on."""
    monkeypatch.setattr(retry, "SOON", 3600.0)
    monkeypatch.setattr("amo_bridge.retry.FIRST", 3600.0)
    bridge = start_bridge(config, environment=BY_OAUTH)
    wait_until(lambda: "ещё не подключён" in bridge.bridge.state, "the bridge waits")
    return bridge


def go(bridge: RunningBridge, path: str, **told: Any) -> requests.Response:
    return requests.get(f"{bridge.url}{path}", params=told, allow_redirects=False, timeout=60)


def through_the_browser(bridge: RunningBridge, connecting: Connecting) -> requests.Response:
    """The administrator's way: the printed link, amoCRM's page, and back."""
    there = go(bridge, "/connect", key=connecting.new_link())
    assert there.status_code == 302
    return go(bridge, "/connect/callback", **allow(there.headers["Location"]))


def test_an_administrator_connects_in_the_browser(unconnected: RunningBridge, config: Config, store: Store) -> None:
    assert unconnected.health().status_code == 503
    answer = through_the_browser(unconnected, Connecting(config, BY_OAUTH, store))
    assert (answer.status_code, "подключён" in answer.text) == (200, True)
    unconnected.wait_ready()
    assert unconnected.hook().status_code == 204
    assert unconnected.health().json()["token_warning"] == ""
    assert unconnected.health().json()["token_ends_at"] is not None


@pytest.mark.parametrize("path", ["/connect", "/connect?key=guess", "/connect/callback", "/connect/callback?state=x"])
def test_a_stranger_can_not_begin(unconnected: RunningBridge, sandbox: LocalCrm, path: str) -> None:
    sandbox.forget_requests()
    answer = go(unconnected, path)
    assert answer.status_code == 403
    assert "amo-bridge connect" in answer.text
    assert sandbox.requests() == {}


def test_what_the_browser_gets_is_not_kept_anywhere(unconnected: RunningBridge, config: Config, store: Store) -> None:
    connecting = Connecting(config, BY_OAUTH, store)
    answers = [go(unconnected, "/connect", key=connecting.new_link()), go(unconnected, "/connect", key="guess")]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_pages_say_why_in_russian_and_show_nothing_raw(
    unconnected: RunningBridge, config: Config, store: Store
) -> None:
    connecting = Connecting(config, BY_OAUTH, store)
    told = allow(connecting.new_page())
    answer = go(unconnected, "/connect/callback", **{**told, "referer": "<script>alert(1)</script>"})
    assert (answer.status_code, "<script>" in answer.text) == (403, False)
    assert "в другом аккаунте" in answer.text

    told = allow(connecting.new_page())
    answer = go(unconnected, "/connect/callback", **{**told, "code": "not-a-code"})
    assert (answer.status_code, "скопирован не целиком или от другой интеграции" in answer.text) == (502, True)


# --- the end -------------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(unconnected: RunningBridge, config: Config, store: Store) -> RunningBridge:
    through_the_browser(unconnected, Connecting(config, BY_OAUTH, store))
    return unconnected.wait_ready()


def disconnect(sandbox: LocalCrm, bridge: RunningBridge) -> Any:
    url = f"{bridge.url}/hooks/amocrm/{SECRET}/disconnect"
    return sandbox.control("POST", "ui/disconnect", {"url": url})


def test_a_disconnected_integration_stops_at_once_and_says_why(connected: RunningBridge, sandbox: LocalCrm) -> None:
    assert disconnect(sandbox, connected)["hook_status"] == 204
    wait_until(lambda: "Интеграция отключена в amoCRM" in connected.bridge.trouble, "the worker says why it stopped")
    assert connected.health().status_code == 503
    sandbox.forget_requests()
    assert connected.hook(b"leads[add][0][id]=1&account[id]=1").status_code == 204, "hooks are still kept"
    assert sandbox.requests() == {}


def test_and_goes_on_when_it_is_connected_again(
    connected: RunningBridge, sandbox: LocalCrm, config: Config, store: Store
) -> None:
    disconnect(sandbox, connected)
    wait_until(lambda: "Интеграция отключена" in connected.bridge.trouble, "the worker says why it stopped")
    assert through_the_browser(connected, Connecting(config, BY_OAUTH, store)).status_code == 200
    wait_until(lambda: connected.bridge.is_ready, "the worker works again")


def signed(account_id: object, client: str = CLIENT, secret: str = "sandbox-secret") -> str:
    return hmac.new(secret.encode(), f"{client}|{account_id}".encode(), hashlib.sha256).hexdigest()


def test_nobody_else_can_disconnect(connected: RunningBridge, sandbox: LocalCrm) -> None:
    account = sandbox.world.account["id"]
    path = f"/hooks/amocrm/{SECRET}/disconnect"
    good = {"account_id": account, "client_uuid": CLIENT, "signature": signed(account)}
    for changed in (
        {"signature": ""},
        {"signature": signed(account, secret="another")},
        {"account_id": account + 1},
        {"account_id": account + 1, "signature": signed(account + 1)},
        {"client_uuid": "another", "signature": signed(account, "another")},
    ):
        assert go(connected, path, **{**good, **changed}).status_code == 403, changed
    assert go(connected, path).status_code == 403
    assert go(connected, "/hooks/amocrm/guess/disconnect", **good).status_code == 404
    assert connected.bridge.is_ready
    by_another_name = {"account_id": account, "client_id": CLIENT, "signature": signed(account)}
    assert go(connected, path, **by_another_name).status_code == 204


def test_with_a_long_lived_token_the_hook_stops_the_bridge_too(
    config: Config, sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge]
) -> None:
    bridge = start_bridge(config, environment={**ENVIRONMENT, **KEYS}).wait_ready()
    assert disconnect(sandbox, bridge)["hook_status"] == 204
    wait_until(lambda: "Интеграция отключена" in bridge.bridge.trouble, "the worker says why it stopped")


# --- small parts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "page"),
    [
        ("https://acme.amocrm.ru", "https://www.amocrm.ru/oauth?client_id=id&state=s%26t"),
        ("https://acme.kommo.com", "https://www.kommo.com/oauth?client_id=id&state=s%26t"),
        ("https://acme.amocrm.com", "https://www.kommo.com/oauth?client_id=id&state=s%26t"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/oauth?client_id=id&state=s%26t"),
        ("https://amocrm.ru.evil.example", "https://amocrm.ru.evil.example/oauth?client_id=id&state=s%26t"),
    ],
)
def test_the_page_that_asks_the_administrator(account: str, page: str) -> None:
    assert authorize_url(account, "id", "s&t") == page


def test_the_referer_is_the_accounts_host() -> None:
    assert is_of_account("ACME.amocrm.ru", "https://acme.amocrm.ru")
    assert is_of_account("127.0.0.1:8090", "http://127.0.0.1:8090")
    for other in ("", "acme2.amocrm.ru", "acme.amocrm.ru.evil.example", "https://acme.amocrm.ru"):
        assert not is_of_account(other, "https://acme.amocrm.ru")


def test_a_signature_of_nothing_is_none() -> None:
    assert not is_signed({}, "secret")
    assert not is_signed({"signature": "ё"}, "secret")
