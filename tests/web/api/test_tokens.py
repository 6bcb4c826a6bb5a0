"""Tokens by the API: told once, listed without their secret, revoked for good."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_client import Program
from support.pages import Pages

from amo_bridge.web.auth.users import Role


def test_a_token_is_told_once_and_works_until_it_is_revoked(pages: Pages, master: Program) -> None:
    made = master.ask("POST", "/tokens", {"name": " Отчёты  склада ", "role": "viewer"}).json
    assert (made["name"], made["role"]) == ("Отчёты склада", "viewer")
    assert (made["created_by"], made["used_at"]) == ("API: admin программа", None)
    assert made["secret"] not in master.ask("GET", "/tokens").text
    other = Program(pages, None)
    other.headers = {"Authorization": f"Bearer {made['secret']}"}
    other.get("/state")
    left = master.ask("DELETE", f"/tokens/{made['id']}").json["tokens"]
    assert [one["name"] for one in left] == ["admin программа"]
    assert other.ask("GET", "/state").status_code == 401
    assert master.ask("DELETE", f"/tokens/{made['id']}").status_code == 404
    said = [(one.deed, one.words) for one in pages.office.audit.last(2)]
    assert said == [
        ("token.revoke", "Отозван токен API: Отчёты склада"),
        ("token.add", "Новый токен API: Отчёты склада, роль «Наблюдатель»"),
    ]


@pytest.mark.parametrize("more", [{"role": "manager"}, {"role": "viewer", "accounts": {"x": "manager"}}])
def test_a_token_that_would_open_nothing_is_refused(pages: Pages, master: Program, more: dict[str, Any]) -> None:
    answer = master.ask("POST", "/tokens", {"name": "x", **more})
    assert (answer.status_code, "ничего не открывает" in answer.json["detail"]) == (422, True)
    assert 'value="manager"' not in pages.visit(Role.ADMIN).get("/api").text
    assert len(pages.office.api_tokens.all()) == 1


@pytest.mark.parametrize("body", [{"name": " ", "role": "viewer"}, {"name": "x" * 81, "role": "viewer"}, {"name": "x"}])
def test_a_token_needs_a_name_and_a_role(pages: Pages, master: Program, body: dict[str, Any]) -> None:
    assert master.ask("POST", "/tokens", body).status_code == 422
    assert len(pages.office.api_tokens.all()) == 1
