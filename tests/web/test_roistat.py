"""``/roistat``: Roistat takes states and sums itself, with the login and token of the account that it asks for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from support.pages import Pages, agency

from amo_bridge.config.advertising import ROISTAT_PASSWORD, RoistatSection

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
