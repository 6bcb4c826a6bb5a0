"""The accounts of an installation by the API: their names and states, and under which path the API of each is."""

from __future__ import annotations

from support.api_client import Program
from support.pages import NOWHERE, Pages

from amo_bridge.web.auth.users import Role


def test_the_only_account_needs_no_prefix(pages: Pages, reader: Program) -> None:
    (told,) = reader.get("/accounts")["accounts"]
    assert (told["name"], told["url"]) == (pages.account.name, NOWHERE)
    assert (told["state"], told["is_ready"], told["api"]) == ("starting", False, "/api/v1")


def test_each_of_several_has_its_own_prefix(several: Pages) -> None:
    program = Program(several, Role.VIEWER)
    told = {one["name"]: one for one in program.get("/accounts")["accounts"]}
    assert list(told) == ["agency", "third", "школа"]
    assert told["third"]["state"] == "broken"
    assert (told["third"]["api"], told["third"]["problems"]) == ("", ["config.toml, строка 3: лишнее"])
    for name in ("agency", "школа"):
        path = told[name]["api"].removesuffix("/api/v1")
        answer = several.app.test_client().get(f"{path}/api/v1/connection", headers=program.headers)
        assert (answer.status_code, answer.json["account"]) == (200, told[name]["url"])


def test_which_account_is_meant_must_be_said(several: Pages) -> None:
    answer = Program(several, Role.VIEWER).ask("GET", "/state")
    assert answer.status_code == 404
    assert "/api/v1/accounts" in answer.json["detail"]
