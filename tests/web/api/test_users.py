"""Users by the API: invited with a link that works once, promoted, sent away; the last admin stays."""

from __future__ import annotations

from typing import Any

import pytest
from support.api_client import Program
from support.pages import PASSWORD, Pages

from amo_bridge.web.auth.users import Role


def test_somebody_is_invited_and_comes_in(pages: Pages, master: Program) -> None:
    made = master.ask("POST", "/users", {"login": "  Вера ", "role": "webinar"}).json
    assert (made["login"], made["role"], made["has_password"]) == ("Вера", "webinar", False)
    path = made["link"].removeprefix("http://localhost")
    form = {"password": PASSWORD, "again": PASSWORD}
    assert pages.stranger().post(path, form).status_code == 302
    assert pages.stranger().get(path).status_code == 403, "it works once"
    assert master.get(f"/users/{made['id']}")["has_password"]
    assert "link" not in master.get("/users")["users"][0]
    said = [(one.deed, one.who, one.words) for one in pages.office.audit.last(9) if one.deed == "user.add"]
    assert said == [("user.add", "API: admin программа", "Приглашён Вера, роль «Вебинары»")]


def test_a_new_link_ends_the_one_before(pages: Pages, master: Program) -> None:
    first = master.ask("POST", "/users", {"login": "Вера"}).json
    second = master.ask("POST", f"/users/{first['id']}/link").json
    paths = [one["link"].removeprefix("http://localhost") for one in (first, second)]
    assert [pages.stranger().get(path).status_code for path in paths] == [403, 200]


def test_a_role_changes_and_somebody_is_out_and_in_again(pages: Pages, master: Program) -> None:
    pages.add_user("Анна", Role.ADMIN)
    number = pages.add_user("Вера", Role.VIEWER)
    assert master.ask("PATCH", f"/users/{number}", {"role": "admin"}).json["role"] == "admin"
    assert master.ask("POST", f"/users/{number}/disable").json["is_disabled"]
    assert not master.ask("POST", f"/users/{number}/enable").json["is_disabled"]
    said = [one.words for one in pages.office.audit.last(3)]
    assert said == ["Вера: включён", "Вера: отключён", "Вера: роль «Администратор»"]


def test_the_last_admin_stays(pages: Pages, master: Program) -> None:
    number = pages.add_user("Анна", Role.ADMIN)
    for method, path, body in (("PATCH", "", {"role": "viewer"}), ("POST", "/disable", None)):
        refused = master.ask(method, f"/users/{number}{path}", body)
        assert refused.status_code == 409
        assert "последний администратор" in refused.json["detail"]
    (user,) = pages.office.users.all()
    assert user.may(Role.ADMIN)
    assert pages.office.audit.last(1) == []


@pytest.mark.parametrize("body", [{"login": " "}, {"login": "x" * 81}, {"login": "Вера", "role": "root"}, {}])
def test_who_can_not_be_invited(pages: Pages, master: Program, body: dict[str, Any]) -> None:
    assert master.ask("POST", "/users", body).status_code == 422
    assert pages.office.users.all() == []


def test_a_name_is_taken_once_and_nobody_is_made_up(pages: Pages, master: Program) -> None:
    pages.add_user("Вера", Role.VIEWER)
    assert master.ask("POST", "/users", {"login": "вера"}).status_code == 409
    assert master.ask("PATCH", "/users/99", {"role": "viewer"}).status_code == 404
    assert master.ask("POST", "/users/99/link").status_code == 404


def test_an_invitation_is_withdrawn(pages: Pages, master: Program) -> None:
    made = master.ask("POST", "/users", {"login": "Опечатка"}).json
    assert master.ask("DELETE", f"/users/{made['id']}").json == {"users": []}
    assert master.ask("DELETE", f"/users/{made['id']}").status_code == 404
    number = pages.add_user("Анна", Role.ADMIN)
    refused = master.ask("DELETE", f"/users/{number}")
    assert (refused.status_code, "можно только отключить" in refused.json["detail"]) == (409, True)
    assert pages.office.audit.last(1)[0].words == "Приглашение отозвано: Опечатка"


# Tokens by the API: told once, listed without their secret, revoked for good.


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
