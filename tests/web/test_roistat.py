"""``/roistat``: Roistat takes states and sums itself, with the login and token of the account that it asks for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from flask import Flask
from support.pages import Pages, agency

from amo_bridge.config.advertising import ROISTAT_PASSWORD, RoistatSection
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.web import roistat

TOKEN = hashlib.md5(b"roistatsecret", usedforsecurity=False).hexdigest()


@pytest.fixture
def asked(pages: Pages) -> Pages:
    config = pages.bridge.config
    section = RoistatSection(project=12345, login="roistat")
    pages.bridge.config = replace(config, channels=replace(config.channels, roistat=section))
    pages.bridge.environment = {**pages.bridge.environment, ROISTAT_PASSWORD: "secret"}
    pages.know_account(agency())
    pages.know_deal("Ромашка", id=7, fields={agency().field("roistat").id: ("100500",)})
    pages.know_deal("Без визита", id=8)
    return pages


def test_it_gets_the_deals_that_came_from_a_visit(asked: Pages) -> None:
    told = asked.app.test_client().get(f"/roistat?action=export&user=roistat&token={TOKEN}&date=0")
    assert told.status_code == 200
    assert [(one["id"], one["roistat"]) for one in told.json["orders"]] == [("7", "100500")]
    assert told.json["statuses"]


@pytest.mark.parametrize("query", ["", f"user=other&token={TOKEN}", "user=roistat&token=wrong", "user=roistat&token=ё"])
def test_nobody_else_gets_anything(asked: Pages, query: str) -> None:
    assert asked.app.test_client().get(f"/roistat?{query}").status_code == 403


@pytest.mark.parametrize("missing", ["password", "login", "section"])
def test_what_is_not_set_up_lets_nobody_in(asked: Pages, missing: str) -> None:
    config = asked.bridge.config
    if missing == "password":
        asked.bridge.environment = {}
    else:
        section = RoistatSection(project=1) if missing == "login" else None
        asked.bridge.config = replace(config, channels=replace(config.channels, roistat=section))
    empty = hashlib.md5(b"", usedforsecurity=False).hexdigest()
    for user, token in (("roistat", TOKEN), ("", empty)):
        assert asked.app.test_client().get(f"/roistat?user={user}&token={token}").status_code == 403


def test_a_date_that_is_none_is_told(asked: Pages) -> None:
    assert asked.app.test_client().get(f"/roistat?user=roistat&token={TOKEN}&date=x").status_code == 400


def test_it_gets_page_by_page_what_it_asks_without_a_date(asked: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roistat, "MOST_DEALS", 2)
    visit = {agency().field("roistat").id: ("100500",)}
    for number in (9, 10, 11):
        asked.know_deal(f"Сделка {number}", id=number, fields=visit)
    client, found = asked.app.test_client(), []
    for query in ("", "&offset=2&limit=100500", "&offset=4", f"&offset={10**40}"):
        told = client.get(f"/roistat?user=roistat&token={TOKEN}{query}").json
        assert told["pagination"] == {"total_count": 5, "limit": 2}
        found.append([one["id"] for one in told["orders"]])
    assert sorted(number for page in found for number in page) == ["10", "11", "7", "9"]
    assert all(len(page) <= 2 for page in found)
    assert client.get(f"/roistat?user=roistat&token={TOKEN}&limit=1").json["pagination"]["limit"] == 1


@pytest.mark.parametrize("query", ["limit=x", "offset=1.5"])
def test_a_page_that_is_none_is_told(asked: Pages, query: str) -> None:
    assert asked.app.test_client().get(f"/roistat?user=roistat&token={TOKEN}&{query}").status_code == 400


def test_a_dry_run_hands_out_nothing(asked: Pages) -> None:
    config = asked.bridge.config
    asked.bridge.config = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    told = asked.app.test_client().get(f"/roistat?user=roistat&token={TOKEN}")
    assert (told.status_code, "dry_run" in told.json["error"]) == (503, True)


def test_a_field_that_is_gone_is_told(asked: Pages) -> None:
    config = asked.bridge.config
    section = RoistatSection.model_validate({"project": 1, "login": "roistat", "visit_field": "Удалённое поле"})
    asked.bridge.config = replace(config, channels=replace(config.channels, roistat=section))
    told = asked.app.test_client().get(f"/roistat?user=roistat&token={TOKEN}")
    assert (told.status_code, "«Удалённое поле» нет в аккаунте" in told.json["error"]) == (503, True)


def test_an_account_whose_password_cannot_be_read_is_passed_over(asked: Pages, tmp_path: Path) -> None:
    missing = {f"{ROISTAT_PASSWORD}_FILE": str(tmp_path / "none")}
    bad = SimpleNamespace(config=asked.bridge.config, environment=missing)
    app = Flask("roistat")
    app.register_blueprint(roistat.blueprint(lambda: [cast(AccountRuntime, bad)]))
    assert app.test_client().get(f"/roistat?user=roistat&token={TOKEN}").status_code == 403
