"""«Правила CRM»: written with a diff, acknowledged by the person himself, or by an admin who is not silent about it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.config.channels import PersonSection
from amo_bridge.config.model import PoliciesSection
from amo_bridge.engine.policies import Acknowledgement, Policies
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.tables import outbox
from amo_bridge.web.auth.users import Role

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
OLD = "# Звонки\n\n- Звонить в день заявки\n- Писать <итог>"
NEW = OLD.replace("в день заявки", "в течение часа")


@pytest.fixture
def office(pages: Pages) -> Pages:
    """«ivan» is how Ivan logs in; he and Maria have to acknowledge."""
    pages.meet_account()
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(NOW)
    pages.account.clock = pages.bridge.clock
    config = pages.bridge.config
    people = {UserName(IVAN): PersonSection(login="Ivan")}
    section = PoliciesSection(people=(UserName(IVAN), UserName(MARIA)))
    pages.bridge.config = replace(config, policies=section, channels=replace(config.channels, people=people))
    return pages


def policies(pages: Pages) -> Policies:
    return Policies(pages.account.account_store, pages.bridge.clock)


def publish(pages: Pages, text: str = OLD, *, is_file: bool = False) -> int:
    """Published, and everybody is asked as the bridge does it."""
    with pages.office.store.write() as connection:
        policies(pages).publish(connection, "правила", "Работа со сделками", text, "anna", is_file=is_file)
    (policy,) = policies(pages).all()
    with pages.office.store.write() as connection:
        people = [agency().user(name) for name in (IVAN, MARIA)]
        policies(pages).enrol(connection, policy, people, NOW, NOW + timedelta(days=2))
    return policy.number


def asked(pages: Pages, who: str) -> Acknowledgement:
    return next(one for one in policies(pages).readers(1) if one.person == who)


def notices(pages: Pages) -> list[dict[str, Any]]:
    with pages.office.store.read() as connection:
        return [json.loads(one)["body"] for one in connection.execute(select(outbox.c.payload)).scalars()]


def test_an_admin_writes_sees_the_change_and_publishes(office: Pages, admin: Visit) -> None:
    assert "Правил ещё нет" in words_of(admin.get("/policies"))
    form = {"title": "Работа  со сделками", "text": OLD.replace("\n", "\r\n")}
    review = admin.post("/policies/new", {**form, "do": "review"})
    assert "+- Звонить в день заявки" in words_of(review)
    assert policies(office).all() == []
    page = admin.post("/policies/new", {**form, "do": "publish"}, follow_redirects=True)
    assert "Опубликовано." in words_of(page)
    (policy,) = policies(office).all()
    assert (policy.current.title, policy.current.text, policy.current.who) == ("Работа со сделками", OLD, "Анна")
    address = f"/policies/{policy.number}/edit"
    review = admin.post(address, {"title": "Работа со сделками", "text": NEW, "do": "review"})
    assert "-- Звонить в день заявки +- Звонить в течение часа" in words_of(review)
    admin.post(address, {"title": "Работа со сделками", "text": NEW, "do": "publish"})
    same = admin.post(address, {"title": "Работа со сделками", "text": NEW, "do": "publish"}, follow_redirects=True)
    assert "Ничего не изменилось" in words_of(same)
    assert [one.version for one in policies(office).versions(policy.number)] == [2, 1]
    assert "+- Звонить в течение часа" in words_of(admin.get("/audit"))


@pytest.mark.parametrize(
    ("form", "mistake"),
    [
        ({"title": "", "text": "х"}, "Напишите название и текст."),
        ({"title": "х", "text": " \n"}, "Напишите название и текст."),
        ({"title": "х" * 161, "text": "х"}, "Слишком длинно"),
        ({"title": "х", "text": "х" * 100_001}, "Слишком длинно"),
    ],
)
def test_what_can_not_be_published(office: Pages, admin: Visit, form: dict[str, str], mistake: str) -> None:
    assert mistake in words_of(admin.post("/policies/new", {**form, "do": "publish"}))
    assert policies(office).all() == []


def test_the_text_is_shown_as_it_is_and_old_versions_stay(office: Pages, viewer: Visit) -> None:
    number = publish(office)
    publish(office, NEW)
    page = viewer.get(f"/policies/{number}")
    assert "<h2>Звонки</h2>" in page.text
    assert "<li>Писать &lt;итог&gt;</li>" in page.text
    words = words_of(page)
    assert "-- Звонить в день заявки +- Звонить в течение часа" in words
    assert "Отметить за него" not in words
    old = words_of(viewer.get(f"/policies/{number}?version=1"))
    assert "прежняя версия" in old
    assert "Звонить в день заявки" in old
    for nothing in (f"/policies/{number}?version=9", "/policies/99", f"/policies/{10**30}"):
        assert viewer.get(nothing).status_code == 404


def test_the_person_acknowledges_his_own(office: Pages) -> None:
    number = publish(office)
    ivan = office.visit(Role.VIEWER, "ivan")
    assert "прочитайте до 26.11.2026" in words_of(ivan.get("/policies"))
    form = {"number": asked(office, IVAN).number}
    page = ivan.post(f"/policies/{number}/read", form, page=f"/policies/{number}", follow_redirects=True)
    assert "Отмечено: прочитано." in words_of(page)
    page = ivan.post(f"/policies/{number}/read", form, page="/", follow_redirects=True)
    assert "Уже отмечено." in words_of(page)
    one = asked(office, IVAN)
    assert (one.read_by, one.read_at) == ("Иван Петров, ivan", NOW)
    assert "1 из 2" in words_of(ivan.get("/policies"))
    assert notices(office) == []


def test_nobody_acknowledges_for_another(office: Pages, viewer: Visit) -> None:
    number = publish(office)
    for visit in (office.visit(Role.WEBINAR, "ivan"), viewer):
        form = {"number": asked(office, MARIA).number}
        assert visit.post(f"/policies/{number}/read", form, page="/").status_code == 403
    assert asked(office, MARIA).read_at is None


def test_an_admin_may_and_the_person_is_told(office: Pages, admin: Visit) -> None:
    number = publish(office)
    form = {"number": asked(office, MARIA).number}
    for _ in range(2):
        admin.post(f"/policies/{number}/read", form, page=f"/policies/{number}")
    assert asked(office, MARIA).read_by == "Анна вместо: Мария Кузнецова"
    (notice,) = notices(office)
    assert notice["user_id"] == agency().user(MARIA).id
    assert "отмечены прочитанными за вас. Это сделал администратор Анна" in notice["text"]
    assert notice["url"].endswith(f"/policies/{number}")
    assert "отмечены прочитанными, вместо: Мария Кузнецова" in words_of(admin.get("/audit"))


def test_an_older_version_is_not_acknowledged_any_more(office: Pages) -> None:
    number = publish(office)
    old = asked(office, IVAN).number
    publish(office, NEW)
    ivan = office.visit(Role.VIEWER, "ivan")
    page = ivan.post(f"/policies/{number}/read", {"number": old}, page=f"/policies/{number}", follow_redirects=True)
    assert "Вышла новая версия: прочитайте её." in words_of(page)
    assert all(one.read_at is None for one in policies(office).readers(number))


def test_withdrawn_and_from_a_file(office: Pages, admin: Visit, viewer: Visit) -> None:
    number = publish(office)
    assert viewer.post(f"/policies/{number}/withdraw", page="/").status_code == 403
    admin.post(f"/policies/{number}/withdraw", page=f"/policies/{number}")
    assert policies(office).all() == []
    assert "больше не действуют" in words_of(admin.get(f"/policies/{number}"))
    page = viewer.get("/policies")
    assert "Отменённые правила Работа со сделками" in words_of(page)
    assert f"/policies/{number}" in page.get_data(as_text=True)
    assert f"Работа со сделками;1;{IVAN};" in viewer.get("/policies.csv").get_data(as_text=True)


def test_whoever_is_named_no_more_is_not_waited_for(office: Pages, admin: Visit) -> None:
    number = publish(office)
    left = asked(office, MARIA).number
    with office.office.store.write() as connection:
        policies(office).acknowledge(connection, asked(office, IVAN).number, "Иван")
        policies(office).set_aside(connection, left)
    assert "1 из 1" in words_of(admin.get("/policies"))
    page = words_of(admin.get(f"/policies/{number}"))
    assert f"{MARIA} 26.11.2026, 12:00 больше не спрашивают" in page
    assert "Отметить за него" not in page
    assert f"{MARIA};2026-11-26;больше не спрашивают;" in admin.get("/policies.csv").get_data(as_text=True)


def test_two_who_write_at_once_take_nothing_back_unseen(office: Pages, admin: Visit) -> None:
    number = publish(office)
    address = f"/policies/{number}/edit"
    form = {"title": "Работа со сделками", "text": f"{OLD}\n- Третье", "version": 1}
    admin.post(address, {**form, "do": "review"})
    publish(office, NEW)
    page = words_of(admin.post(address, {**form, "do": "publish"}))
    assert "Пока вы писали, вышла версия 2 (anna)" in page
    assert "-- Звонить в течение часа +- Звонить в день заявки" in page
    assert policies(office).all()[0].current.text == NEW
    admin.post(address, {**form, "version": 2, "do": "publish"})
    assert policies(office).all()[0].current.text.endswith("- Третье")


def test_a_files_text_is_changed_in_the_file(office: Pages, admin: Visit) -> None:
    number = publish(office, is_file=True)
    assert "Текст — в файле правила.md" in words_of(admin.get(f"/policies/{number}"))
    assert admin.get(f"/policies/{number}/edit").status_code == 404


def test_who_has_read_what_as_a_file(office: Pages, viewer: Visit) -> None:
    publish(office)
    table = viewer.get("/policies.csv").get_data().decode("utf-8-sig")
    assert f"Работа со сделками;1;{IVAN};2026-11-26;;" in table
    assert viewer.get("/policies.xlsx").get_data()[:2] == b"PK"


def test_only_admins_write_and_nothing_is_there_when_it_is_off(office: Pages, viewer: Visit, tmp_path: Path) -> None:
    assert viewer.get("/policies/new").status_code == 403
    assert "попросите администратора вписать ваше имя входа" in words_of(viewer.get("/policies"))
    new = Pages.in_folder(tmp_path / "new").visit(Role.ADMIN)
    assert "Ознакомление с правилами выключено" in words_of(new.get("/policies"))
    assert new.get("/policies/new").status_code == 404


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int]) -> None:
    number = publish(office)
    publish(office, NEW)
    office.add_user("ivan", Role.ADMIN)
    with served(office.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("ivan")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        for address in ("/policies", f"/policies/{number}", "/policies/new"):
            page.goto(address)
            assert serious_findings(page) == []
            assert fits_its_width(page)
        page.goto(f"/policies/{number}")
        page.get_by_role("button", name="Прочитано", exact=True).click()
        expect(page.get_by_text("Отмечено: прочитано.")).to_be_visible()
    assert asked(office, IVAN).read_at == NOW
