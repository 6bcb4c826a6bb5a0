"""Roles in some accounts of an installation: every page and every endpoint of the API, for every role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from support.pages import PASSWORD, Pages, Visit, words_of

from amo_bridge.web.auth.guard import BY_TOKEN, COMMON, MARK
from amo_bridge.web.auth.users import LastAdmin, Role

OWN, OTHER, BROKEN = "agency", "школа", "third"
ROLES = list(Role)


def views(pages: Pages, by_token: bool) -> Iterator[tuple[str, str, Role, bool]]:
    """(method, path, role, common to all accounts) of everything that the guard stands before."""
    for rule in pages.app.url_map.iter_rules():
        view = pages.app.view_functions[rule.endpoint]
        needed = getattr(view, MARK, None)
        if needed is None or getattr(view, BY_TOKEN, False) is not by_token:
            continue
        path = re.sub(r"<any\(\W*(\w+)[^>]*>", r"\1", rule.rule)
        path = re.sub(r"<int:\w+>", "1", re.sub(r"<(?!int)[^>]+>", "x", path))
        for method in sorted(rule.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            yield method, path, needed, getattr(view, COMMON, False)


def person(pages: Pages, roles: dict[str, Role] | None, role: Role = Role.VIEWER) -> Visit:
    user = pages.office.users.add(f"кто-то {roles} {role}", role, roles)
    assert user is not None
    visit = pages.stranger()
    visit.become(pages.office.users.sit_down(user.id))
    return visit


def under(account: str | None) -> str:
    return f"/accounts/{quote(account)}" if account else ""


class Asking:
    """A person, or a program, with a role in some accounts."""

    def __init__(self, pages: Pages, by_token: bool, roles: dict[str, Role] | None, role: Role = Role.VIEWER) -> None:
        self.headers = {}
        if by_token:
            self._client = pages.app.test_client()
            # The first one is for whoever revokes number 1.
            pages.office.api_tokens.issue("чужая", Role.VIEWER, "Анна")
            secret = pages.office.api_tokens.issue("программа", role, "Анна", roles)
            self.headers = {"Authorization": f"Bearer {secret}"}
        else:
            self._client = person(pages, roles, role).client

    def code(self, method: str, path: str) -> tuple[int, str]:
        answer = self._client.open(path, method=method, headers=self.headers)
        # Some answers are files.
        return answer.status_code, answer.get_data().decode("utf-8", "replace")


kinds = pytest.mark.parametrize("by_token", [False, True], ids=["pages", "api"])
roles = pytest.mark.parametrize("role", ROLES)


@kinds
@roles
def test_in_its_own_account_a_role_opens_what_it_opens_and_nothing_common(
    several: Pages, by_token: bool, role: Role
) -> None:
    asking, seen = Asking(several, by_token, {OWN: role}), 0
    for method, path, needed, common in views(several, by_token):
        if path in ("/logout",):
            continue
        code, text = asking.code(method, under(OWN) + path)
        opens = role.covers(needed) and not common
        assert (code not in (401, 403)) is opens, f"{method} {path}: {code}"
        assert OTHER not in text, f"{method} {path} tells of another account"
        seen += opens
    assert seen > {Role.MANAGER: -1, Role.VIEWER: 5}.get(role, 10)


@kinds
@roles
@pytest.mark.parametrize("account", [OTHER, BROKEN, "none"])
def test_another_account_is_as_if_there_were_none(several: Pages, by_token: bool, role: Role, account: str) -> None:
    asking = Asking(several, by_token, {OWN: role})
    for method, path, _, _ in views(several, by_token):
        code, text = asking.code(method, under(account) + path)
        assert code == 404, f"{method} {path}: {code}"
        for echoed in (under(account), f"/accounts/{account}"):
            text = text.replace(echoed, "")
        assert account == "none" or account not in text, f"{method} {path}"


@kinds
@roles
def test_without_an_account_in_the_address_only_its_own_are_named(several: Pages, by_token: bool, role: Role) -> None:
    asking = Asking(several, by_token, {OWN: role})
    for method, path, needed, common in views(several, by_token):
        code, text = asking.code(method, path)
        assert (code in (401, 403)) is (common or not role.covers(needed)), f"{method} {path}: {code}"
        assert OTHER not in text, f"{method} {path}"
        assert BROKEN not in text, f"{method} {path}"


@kinds
@roles
def test_a_role_everywhere_is_as_before(several: Pages, by_token: bool, role: Role) -> None:
    asking = Asking(several, by_token, None, role)
    for account in (OWN, OTHER):
        for method, path, needed, _ in views(several, by_token):
            code, _ = asking.code(method, under(account) + path)
            assert (code not in (401, 403)) is role.covers(needed), f"{method} {path}: {code}"


def test_different_roles_in_different_accounts(several: Pages) -> None:
    visit = person(several, {OWN: Role.VIEWER, OTHER: Role.ADMIN})
    assert visit.get(f"{under(OWN)}/config").status_code == 403
    assert visit.get(f"{under(OTHER)}/config").status_code == 200
    assert "Файл настройки" not in words_of(visit.get(f"{under(OWN)}/rules"))
    page = words_of(visit.get(f"{under(OTHER)}/rules"))
    assert "Файл настройки" in page
    assert "Пользователи" not in page


def test_with_one_account_its_name_is_what_counts(pages: Pages) -> None:
    (name,) = pages.office.names
    assert person(pages, {name: Role.ADMIN}).get("/rules").status_code == 200
    assert person(pages, {"former": Role.ADMIN}).get("/rules").status_code == 404


def test_the_list_of_accounts_has_its_own_only(several: Pages) -> None:
    asking = Asking(several, True, {OWN: Role.VIEWER, BROKEN: Role.VIEWER})
    client = several.app.test_client()
    told = client.get("/api/v1/accounts", headers=asking.headers).json
    assert [one["name"] for one in told["accounts"]] == [OWN, BROKEN]


def test_somebody_is_invited_into_some_accounts_by_the_page(several: Pages) -> None:
    several.add_user("Борис", Role.ADMIN)
    admin = several.visit(Role.ADMIN, "Анна")
    page = admin.post("/users", {"login": "Вера", "role": "admin", f"at:{OTHER}": "webinar", f"at:{OWN}": ""})
    assert page.status_code == 200
    vera = several.office.users.by_login("Вера")
    assert vera is not None
    assert (vera.role, vera.accounts) == (Role.VIEWER, {OTHER: Role.WEBINAR})
    assert several.office.audit.last(1)[0].words == "Приглашён Вера, только в аккаунтах: школа — «Вебинары»"
    changed = admin.post(f"/users/{vera.id}/role", {"role": "viewer", f"at:{OWN}": "admin"}, page="/users")
    assert changed.status_code == 302
    vera = several.office.users.by_login("Вера")
    assert vera is not None
    assert vera.accounts == {OWN: Role.ADMIN}
    admin.post(f"/users/{vera.id}/role", {"role": "webinar"}, page="/users")
    vera = several.office.users.by_login("Вера")
    assert vera is not None
    assert (vera.role, vera.accounts) == (Role.WEBINAR, None)
    assert admin.post("/users", {"login": "Зоя", "role": "viewer", f"at:{OWN}": "root"}).status_code == 400


def test_a_token_for_some_accounts_by_the_page(several: Pages) -> None:
    admin = several.visit(Role.ADMIN, "Анна")
    admin.post("/api/tokens", {"name": "витрина", "role": "viewer", f"at:{OTHER}": "viewer"}, page="/api")
    (token,) = several.office.api_tokens.all()
    assert token.accounts == {OTHER: Role.VIEWER}
    assert "школа: Наблюдатель" in words_of(admin.get("/api"))


def test_the_same_by_the_api(several: Pages) -> None:
    several.add_user("Борис", Role.ADMIN)
    client, headers = several.app.test_client(), Asking(several, True, None, Role.ADMIN).headers

    def ask(method: str, path: str, body: object) -> tuple[int, dict[str, object]]:
        answer = client.open(f"/api/v1{path}", method=method, headers=headers, json=body)
        return answer.status_code, answer.json or {}

    code, vera = ask("POST", "/users", {"login": "Вера", "accounts": {OWN: "admin"}})
    assert (code, vera["accounts"]) == (200, {OWN: "admin"})
    path = f"/users/{vera['id']}"
    assert ask("PATCH", path, {"role": "viewer"})[1]["accounts"] == {OWN: "admin"}, "left out: as before"
    assert ask("PATCH", path, {"role": "viewer", "accounts": {OTHER: "viewer"}})[1]["accounts"] == {OTHER: "viewer"}
    code, told = ask("PATCH", path, {"role": "webinar", "accounts": None})
    assert (code, told["role"], told["accounts"]) == (200, "webinar", None)
    for wrong in ({"nobody": "viewer"}, {}, {OWN: "root"}, "agency"):
        assert ask("POST", "/users", {"login": "Зоя", "accounts": wrong})[0] == 422, wrong
        assert ask("POST", "/tokens", {"name": "x", "role": "viewer", "accounts": wrong})[0] == 422, wrong
    code, token = ask("POST", "/tokens", {"name": "витрина", "role": "viewer", "accounts": {OTHER: "viewer"}})
    assert (code, token["accounts"]) == (200, {OTHER: "viewer"})


def test_an_admin_of_some_accounts_is_not_the_last_admin(several: Pages) -> None:
    anna = several.add_user("Анна", Role.ADMIN)
    boris = several.add_user("Борис", Role.ADMIN, PASSWORD)
    several.office.users.set_role(boris, Role.ADMIN, {OWN: Role.ADMIN})
    with pytest.raises(LastAdmin):
        several.office.users.set_role(anna, Role.ADMIN, {OWN: Role.ADMIN})
    with pytest.raises(LastAdmin):
        several.office.users.disable(anna)
