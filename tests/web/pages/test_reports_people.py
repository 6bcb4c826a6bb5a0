"""Users invited, changed and sent away; failures decided; the connection shown."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from support.browser import opened, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.storage.tables import outbox
from amo_bridge.web.auth.users import Role


@pytest.fixture
def anna(pages: Pages, admin: Visit) -> Visit:
    """The admin, who has a password: without one an admin doesn't count as one."""
    me = next(user for user in pages.office.users.all() if user.login == "Анна")
    with pages.office.store.write() as connection:
        pages.office.users.set_password(connection, me.id, PASSWORD)
    admin.become(pages.office.users.sit_down(me.id))
    return admin


def test_somebody_is_invited_by_a_link_that_is_shown_once(pages: Pages, anna: Visit) -> None:
    page = anna.post("/users", {"login": "Вера", "role": "webinar"})
    link = re.search(r"http://localhost(/password/[\w-]+)", page.text)
    assert link is not None
    assert "/password/" not in anna.get("/users").text
    vera = pages.stranger()
    vera.post(link[1], {"password": "совершенно новый", "again": "совершенно новый"})
    assert vera.get("/").status_code == 200
    assert vera.get("/users").status_code == 403
    assert [deed.words for deed in pages.office.audit.last(2)] == [
        "Вера: пароль задан",
        "Приглашён Вера, роль «Вебинары»",
    ]


def test_a_link_never_stands_in_the_audit(pages: Pages, anna: Visit) -> None:
    page = anna.post("/users", {"login": "Вера", "role": "viewer"})
    secret = re.search(r"/password/([\w-]+)", page.text)
    assert secret is not None
    assert secret[1] not in anna.get("/audit").text


@pytest.mark.parametrize(
    ("login", "role", "told"), [("анна", "viewer", "Такое имя уже есть"), ("", "viewer", "Введите имя")]
)
def test_what_is_wrong_with_an_invitation_is_said(anna: Visit, login: str, role: str, told: str) -> None:
    assert told in words_of(anna.post("/users", {"login": login, "role": role}))


def test_an_unknown_role_is_refused(pages: Pages, anna: Visit) -> None:
    anna.post("/users", {"login": "Вера", "role": "root"})
    assert [user.login for user in pages.office.users.all()] == ["Анна"]
    vera = pages.add_user("Вера", Role.VIEWER)
    assert anna.post(f"/users/{vera}/role", {"role": "root"}, page="/users").status_code == 400


def test_a_role_counts_from_the_next_click_on(pages: Pages, anna: Visit) -> None:
    vera = pages.add_user("Вера", Role.VIEWER)
    visit = pages.stranger()
    visit.become(pages.office.users.sit_down(vera))
    assert visit.get("/audit").status_code == 403
    anna.post(f"/users/{vera}/role", {"role": "admin"}, page="/users")
    anna.client.set_cookie("language", "en")
    anna.post(f"/users/{vera}/role", {"role": "admin"}, page="/users")
    assert visit.get("/audit").status_code == 200
    assert pages.office.audit.last(1)[0].words == "Вера: роль «Администратор»", "it is Russian, whoever looks"


def test_somebody_disabled_is_out(pages: Pages, anna: Visit) -> None:
    vera = pages.add_user("Вера", Role.VIEWER)
    visit = pages.stranger()
    visit.become(pages.office.users.sit_down(vera))
    anna.post(f"/users/{vera}/disable", page="/users")
    assert visit.get("/").location == "/login"
    anna.post(f"/users/{vera}/enable", page="/users")
    assert "Вера: включён" in words_of(anna.get("/audit"))


def test_the_last_admin_can_not_lock_everybody_out(pages: Pages, anna: Visit) -> None:
    me = next(user.id for user in pages.office.users.all())
    anna.post(f"/users/{me}/disable", page="/users")
    assert "Это последний администратор" in words_of(anna.get("/users"))
    assert not pages.office.audit.last(1)


def test_the_audit_turns_its_pages(pages: Pages, admin: Visit) -> None:
    for number in range(60):
        pages.office.audit.write("Анна", "test", f"дело № {number}.")
    first = admin.get("/audit")
    assert "дело № 59." in words_of(first)
    assert "дело № 9." not in words_of(first)
    older = re.search(r'href="(/audit\?before=\d+)"', first.text)
    assert older is not None
    assert "дело № 9." in words_of(admin.get(older[1]))


def states(pages: Pages) -> list[str]:
    with pages.office.store.read() as connection:
        return [row.state for row in connection.execute(outbox.select().order_by(outbox.c.id))]


@pytest.mark.parametrize(
    ("decision", "state", "deed"), [("retry", "ready", "Возвращено в работу: F1"), ("drop", "dropped", "Снято: F1")]
)
def test_a_failure_is_decided(pages: Pages, admin: Visit, decision: str, state: str, deed: str) -> None:
    pages.refuse(error="amoCRM: поле занято")
    pages.refuse(kind="add_note")
    assert "amoCRM: поле занято" in words_of(admin.get("/failed"))
    admin.post(f"/failed/{decision}", {"name": "F1"}, page="/failed")
    assert states(pages) == [state, "failed"]
    assert pages.office.audit.last(1)[0].words == deed


def test_what_somebody_else_decided_sooner_is_said(pages: Pages, admin: Visit) -> None:
    pages.refuse()
    pages.refuse(kind="add_note")
    admin.post("/failed/drop", {"name": "F1"}, page="/failed")
    admin.post("/failed/retry", {"name": "F1"}, page="/failed")
    assert "кто-то решил это раньше" in words_of(admin.get("/failed"))
    assert states(pages) == ["dropped", "failed"]


def test_nothing_ticked_changes_nothing(pages: Pages, admin: Visit) -> None:
    pages.refuse()
    admin.post("/failed/drop", page="/failed")
    assert states(pages) == ["failed"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("responsible_user_id", "Сотрудник, на которого это ставят, отключён или его нет."),
        ("status_id", "Такого этапа или такой воронки в amoCRM нет."),
        ("custom_fields_values.0.field_id", "Такого поля в amoCRM нет."),
        ("custom_fields_values.0.values.0.enum_id", "Такого значения у поля в amoCRM нет."),
        ("note_type", ""),
    ],
)
def test_amocrms_words_are_explained_where_they_can_be(pages: Pages, viewer: Visit, path: str, words: str) -> None:
    refused = f"{path}: The value you selected is not a valid choice. (NotSupportedChoice)"
    pages.refuse(error=refused, rule="stage_creates_tasks.new_client")
    told = words_of(viewer.get("/failed"))
    assert (words or "amoCRM этого не приняла; причина — её словами.") in told
    assert f"F1 · A10 stage_creates_tasks.new_client {refused}" in told


def test_a_failure_is_dropped_after_a_question(pages: Pages, browser: Browser) -> None:
    pages.refuse()
    pages.add_user("Ольга", Role.ADMIN)
    with served(pages.app) as url, opened(browser, url) as context:
        page = context.new_page()
        page.goto("/login?next=/failed")
        page.get_by_label("Имя").fill("Ольга")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.get_by_label("Отметить F1").check()
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Снять отмеченное").click()
        assert states(pages) == ["failed"]
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Снять отмеченное").click()
        expect(page.get_by_text("Снято.")).to_be_visible()
    assert states(pages) == ["dropped"]


def test_a_viewer_sees_failures_and_decides_none(pages: Pages, viewer: Visit) -> None:
    pages.refuse()
    assert "Повторить отмеченное" not in words_of(viewer.get("/failed"))
    assert viewer.post("/failed/drop", {"name": "F1"}, page="/").status_code == 403
    assert states(pages) == ["failed"]


def test_no_failures(viewer: Visit) -> None:
    assert "Всё выполнено" in words_of(viewer.get("/failed"))


def test_the_connection_tells_what_the_plan_allows_and_no_secret(pages: Pages, viewer: Visit) -> None:
    pages.know_account(agency())
    page = viewer.get("/connection")
    words = words_of(page)
    assert f"№ {agency().id}" in words
    assert "Фильтрация по API" in words
    assert "долгосрочный токен" in words
    for secret in pages.bridge.environment.values():
        assert secret not in page.text


def test_the_connection_of_an_account_that_was_never_met(pages: Pages, viewer: Visit) -> None:
    assert "Мост ещё не знакомился с аккаунтом" in words_of(viewer.get("/connection"))
