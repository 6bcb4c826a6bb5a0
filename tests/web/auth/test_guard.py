"""The gate: who gets where, what a form needs, how large a request may be, what browsers are told."""

from __future__ import annotations

import pytest
from support.pages import Pages, Visit, words_of

from amo_bridge.web.auth.guard import MARK, USUAL_BYTES
from amo_bridge.web.auth.users import Role

OWN_LOCKS = {
    "bizon_hook.report_ready",
    "intake.take_in",
    "connect.begin",
    "connect.come_back",
    "hooks.amocrm",
    "hooks.disconnected",
    "live",
    "metrics.metrics",
    # Roistat proves itself by a login and a token.
    "roistat.orders",
    "ready",
    "static",
    "unsubscribe.ask",
    "unsubscribe.unsubscribe",
}
"""Open to whoever knows a secret, or to everybody; nothing of the pages is behind them."""
EVERYBODY = {
    "signing_in.log_in", "signing_in.log_out", "signing_in.set_up", "signing_in.set_password", "signing_in.settle",
}  # fmt: skip


def test_every_page_says_who_may_see_it(pages: Pages) -> None:
    marks = {name: getattr(view, MARK, "nothing said") for name, view in pages.app.view_functions.items()}
    assert {name for name, mark in marks.items() if mark == "nothing said"} <= OWN_LOCKS
    assert {name for name, mark in marks.items() if mark is None} == EVERYBODY


def test_a_page_that_says_nothing_is_the_admins(pages: Pages, viewer: Visit, admin: Visit) -> None:
    pages.app.view_functions["deal.show"] = lambda deal_id: "seen"
    assert viewer.get("/deals/7").status_code == 403
    assert admin.get("/deals/7").text == "seen"


@pytest.mark.parametrize(
    ("role", "code"), [(Role.VIEWER, 403), (Role.WEBINAR, 200), (Role.HEAD, 200), (Role.ADMIN, 200)]
)
def test_a_role_may_do_what_those_before_it_may(pages: Pages, role: Role, code: int) -> None:
    view = pages.app.view_functions["deal.show"]

    def for_webinars(**how: object) -> object:
        return "seen"

    setattr(for_webinars, MARK, Role.WEBINAR)
    pages.app.view_functions["deal.show"] = for_webinars
    assert view is not for_webinars
    answer = pages.visit(role).get("/deals/7")
    assert answer.status_code == code
    if code == 403:
        assert "нужна роль «Вебинары»" in words_of(answer)


def test_a_form_without_its_token_is_refused_in_words(admin: Visit) -> None:
    answer = admin.client.post("/settings/theme/dark")
    assert answer.status_code == 400
    assert "Форма устарела" in words_of(answer)


def test_a_form_with_somebody_elses_token_is_refused(admin: Visit, viewer: Visit) -> None:
    foreign = viewer.client.get("/").text.split('name="csrf_token" value="')[1].split('"')[0]
    assert admin.client.post("/settings/theme/dark", data={"csrf_token": foreign}).status_code == 400
    assert admin.client.post("/settings/theme/dark", headers={"X-CSRFToken": foreign}).status_code == 400


def test_webhooks_need_no_token(pages: Pages) -> None:
    assert pages.stranger().client.post("/hooks/amocrm/guessed").status_code == 503, "the bridge is not at work"
    assert pages.stranger().client.get("/health/live").status_code == 200


def test_what_no_database_keeps_is_refused_in_words(admin: Visit) -> None:
    for path in ("/upcoming?rule=x&rule=%00", "/rules/%00"):
        assert admin.get(path).status_code == 400
    answer = admin.post("/api/tokens", {"name": "\0", "role": "viewer"}, page="/api")
    assert answer.status_code == 400
    assert "Запрос не понят" in words_of(answer)


@pytest.mark.parametrize("told", [True, False], ids=["its length told", "chunked"])
def test_a_huge_form_is_refused_in_words(pages: Pages, told: bool) -> None:
    form = {"login": "я" * USUAL_BYTES, "password": "x"}
    answer = pages.stranger().post("/login", form, **({} if told else {"environ_overrides": {"CONTENT_LENGTH": ""}}))
    assert answer.status_code in ((413,) if told else (400, 413))


def test_browsers_are_told_to_be_strict(admin: Visit) -> None:
    for path in ("/", "/login", "/nowhere", "/static/app.css"):
        headers = admin.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert admin.get("/").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2fetc/passwd", "/deals/../../etc"],
)
def test_no_path_leads_out(admin: Visit, path: str) -> None:
    assert admin.get(path, follow_redirects=True).status_code == 404


DECISIONS = [
    "/failed/retry", "/failed/drop", "/violations/forgive", "/violations/restore", "/enquiries/retry",
    "/deals/7/steps/1/judge", "/deals/7/steps/1/carry-out", "/deals/7/steps/1/undo", "/dial/stop-all", "/dial/1/stop",
]  # fmt: skip


@pytest.mark.parametrize("path", DECISIONS)
def test_the_head_decides_about_what_was_done(pages: Pages, path: str) -> None:
    assert pages.visit(Role.HEAD).post(path, page="/failed").status_code != 403
    assert pages.visit(Role.WEBINAR).post(path, page="/failed").status_code == 403


@pytest.mark.parametrize("path", ["/config", "/users", "/api", "/audit", "/enquiries/addresses"])
def test_settings_and_people_are_not_the_heads(pages: Pages, path: str) -> None:
    assert pages.visit(Role.ADMIN).get(path).status_code != 403
    assert pages.visit(Role.HEAD).get(path).status_code == 403
