"""``amo-bridge connect``: what it prints, what it exchanges, and why it does not. ``check`` tells of a token's end."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import Result
from cryptography.fernet import Fernet
from support.local_crm import LocalCrm

from amo_bridge.sandbox import tokens as sandbox_tokens

CLIENT = "2f6b1c0e-7d43-4f7a-9a51-5b0f3d6e8c11"
BASE = "https://bridge.example"
Run = Callable[..., Result]


@pytest.fixture
def integration(sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch) -> LocalCrm:
    """The environment of a bridge that is to be connected by OAuth."""
    clients = sandbox.world.table("oauth_clients")
    clients[CLIENT] = {**clients[CLIENT], "redirect_uri": f"{BASE}/connect/callback"}
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", sandbox.url)
    monkeypatch.setenv("AMO_BRIDGE_PUBLIC_URL", BASE)
    monkeypatch.setenv("AMO_BRIDGE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AMO_BRIDGE_CLIENT_SECRET", "sandbox-secret")
    return sandbox


def test_it_prints_a_link_for_the_bridge_and_the_page_of_amocrm(
    integration: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_HOOK_SECRET", "unguessable")
    told = run("connect")
    assert told.exit_code == 0, told.output
    assert re.search(rf"{BASE}/connect\?key=[\w-]{{43}}\n", told.output)
    assert f"{BASE}/hooks/amocrm/unguessable/disconnect\n" in told.output
    (page,) = re.findall(rf"{integration.url}/oauth\?\S+", told.output)
    back = requests.get(f"{page}&auto=1", allow_redirects=False, timeout=30).headers["Location"]
    assert back.startswith(f"{BASE}/connect/callback?code=")
    assert parse_qs(urlsplit(back).query)["state"] == parse_qs(urlsplit(page).query)["state"]


def test_a_code_copied_by_hand_connects(integration: LocalCrm, run: Run) -> None:
    assert "ещё не подключён" in run("check").output
    page = f"{integration.url}/oauth?client_id={CLIENT}&auto=1"
    back = requests.get(page, allow_redirects=False, timeout=30).headers["Location"]
    (code,) = parse_qs(urlsplit(back).query)["code"]

    told = run("connect", "--code", code)
    assert (told.exit_code, "подключён" in told.output) == (0, True), told.output
    assert run("check").exit_code == 0

    again = run("connect", "--code", code)
    assert again.exit_code == 1
    assert "Код подключения уже использован: получите новый" in again.output


@pytest.mark.parametrize("arguments", [("connect",), ("connect", "--code", "x")])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AMO_BRIDGE_TOKEN": "long-lived"}, "задан AMO_BRIDGE_TOKEN: мост работает с долгосрочным токеном"),
        ({"AMO_BRIDGE_CLIENT_SECRET": ""}, "передайте AMO_BRIDGE_CLIENT_ID и AMO_BRIDGE_CLIENT_SECRET"),
        ({"AMO_BRIDGE_PUBLIC_URL": ""}, "задайте [bridge] public_url или AMO_BRIDGE_REDIRECT_URI"),
    ],
)
def test_what_is_missing_is_said(
    integration: LocalCrm,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    words: str,
    arguments: tuple[str, ...],
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    told = run(*arguments)
    assert told.exit_code == 1
    assert words in told.output


def test_wrong_keys_are_named(integration: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMO_BRIDGE_CLIENT_SECRET", "another")
    told = run("connect", "--code", "def50200")
    assert told.exit_code == 1
    assert "не принимает ключи интеграции" in told.output
    assert "another" not in told.output


def test_with_postgresql_it_wants_the_key_first(
    integration: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_DATABASE", postgres_url)
    told = run("connect")
    assert told.exit_code == 2
    assert "нужен ключ шифрования" in told.output
    monkeypatch.setenv("AMO_BRIDGE_KEY", Fernet.generate_key().decode())
    assert run("connect").exit_code == 0


# --- check -----------------------------------------------------------------------------------------------------------


def long_lived(ends: datetime) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(ends.timestamp())}).encode()).decode().rstrip("=")
    return f"e30.{claims}.signature"


@pytest.mark.parametrize(("days", "warned"), [(400, False), (5, True)])
def test_check_tells_of_a_tokens_end_days_ahead(
    connected: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch, days: int, warned: bool, tmp_path: Path
) -> None:
    token = long_lived(datetime.now(UTC) + timedelta(days=days, hours=1))
    known = next(iter(connected.world.table("tokens").values()))
    connected.world.table("tokens")[token] = {**known, "token": token}
    assert sandbox_tokens.valid_token(connected.world, token) is not None
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", token)
    told = run("check")
    assert told.exit_code == 0, told.output
    assert (f"доступ к amoCRM закончится через {days} дн." in told.output) == warned
