"""The connection by the API: how it stands, without a secret in it; begun anew by an administrator."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from support.api_client import Program
from support.pages import Pages, agency
from support.running_bridge import ENVIRONMENT

from amo_bridge.runtime.oauth_flow import Connecting

KEYS = {
    "AMO_BRIDGE_CLIENT_ID": "id-of-ours",
    "AMO_BRIDGE_CLIENT_SECRET": "secret of ours",
    "AMO_BRIDGE_REDIRECT_URI": "https://bridge.example/connect/callback",
}


def test_how_it_stands(pages: Pages, reader: Program) -> None:
    told = reader.get("/connection")
    assert (told["account"], told["by"], told["is_ready"]) == (pages.bridge.config.account.url, "token", False)
    assert (told["known"], told["ends_at"], told["hook_checked_age"]) == (None, None, None)
    pages.know_account(agency())
    known = reader.get("/connection")["known"]
    assert (known["name"], known["timezone"]) == (agency().name, agency().timezone)
    assert known["stages"] == len(agency().stages)
    assert known["can_filter"] is agency().is_api_filter_enabled
    assert ENVIRONMENT["AMO_BRIDGE_TOKEN"] not in reader.ask("GET", "/connection").text


def test_the_tokens_end_is_told_in_good_time(pages: Pages, reader: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_at = pages.account.clock.now() + timedelta(days=3, hours=1)
    monkeypatch.setattr(pages.bridge, "_work", SimpleNamespace(token_ends_at=ends_at.timestamp(), worker=None))
    told = reader.get("/connection")
    assert told["ends_at"].startswith(f"{ends_at:%Y-%m-%dT%H:%M}")
    assert "через 3 дн." in told["warning"]


def test_connecting_leads_to_amocrms_page(pages: Pages, master: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    config, environment = pages.bridge.config, {**ENVIRONMENT, **KEYS}
    monkeypatch.setattr(pages.bridge, "_connecting", Connecting(config, environment, pages.office.store))
    answer = master.ask("POST", "/connection/begin")
    assert answer.status_code == 200, answer.text
    assert "client_id=id-of-ours" in answer.json["page"]
    assert KEYS["AMO_BRIDGE_CLIENT_SECRET"] not in answer.text
    (deed,) = pages.office.audit.last(9)
    assert (deed.deed, deed.words) == ("connect.begin", "Начато подключение аккаунта")


def test_why_it_can_not_be_begun(pages: Pages, master: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = master.ask("POST", "/connection/begin")
    assert (refused.status_code, refused.json["detail"]) == (409, "мост запускается")
    without = Connecting(pages.bridge.config, ENVIRONMENT, pages.office.store)
    monkeypatch.setattr(pages.bridge, "_connecting", without)
    refused = master.ask("POST", "/connection/begin")
    assert (refused.status_code, "Нет ключей интеграции" in refused.json["detail"]) == (409, True)
    assert pages.office.audit.last(9) == []
