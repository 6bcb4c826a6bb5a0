"""The first pages: a bridge without a config is led to one, in a browser, by whoever has the console's link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.local_crm import TOKEN, LocalCrm
from support.local_crm import served as crm_served
from support.provision_accounts import bare_account, crm_with

from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.runtime import connection
from amo_bridge.sandbox.account_file import SHIPPED
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import Store
from amo_bridge.web.auth.users import Links
from amo_bridge.web.start import Beginning, create_start_app


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LocalRateLimiter", lambda rate, **more: LocalRateLimiter(5000.0, **more))


class Visit:
    """The pages of one start. ``saved``: how often the bridge was told to start anew."""

    def __init__(self, folder: Path) -> None:
        self.saved = 0
        self.path = folder / "config.toml"
        self.beginning = Beginning(self.path, {}, self._save)
        self.app: Flask = create_start_app(self.beginning)

    def _save(self) -> None:
        self.saved += 1


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    return Visit(tmp_path / "bridge")


@contextmanager
def come_in(visit: Visit, browser: Browser, **how: object) -> Iterator[Page]:
    with served(visit.app) as url, opened(browser, url, **how) as context:
        page = context.new_page()
        page.goto(f"/start/{visit.beginning.key}")
        yield page


def connect(page: Page, crm: LocalCrm, token: str = TOKEN) -> None:
    page.get_by_label("Адрес аккаунта").fill(crm.url)
    page.get_by_label("Долгосрочный токен").fill(token)
    page.get_by_role("button", name="Подключить").click()


def looks_right(page: Page) -> None:
    assert fits_its_width(page)
    assert serious_findings(page) == []


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop, light", "phone, dark"]
)
def test_from_nothing_to_a_config_that_fits(
    visit: Visit, browser: Browser, tmp_path: Path, size: dict[str, int], scheme: str
) -> None:
    """A new account: its one pipeline is meant, the care department has none, all that is lacking is created."""
    with (
        crm_with(bare_account(SHIPPED["remote"]), tmp_path) as crm,
        come_in(visit, browser, viewport=size, color_scheme=scheme) as page,
    ):
        looks_right(page)
        connect(page, crm, token="another-token")
        expect(page.get_by_role("alert")).to_contain_text("токен не подошёл")
        connect(page, crm)
        expect(page.get_by_text("воронок 1, этапов в них 4")).to_be_visible()
        looks_right(page)
        page.get_by_label("Удалённые продажи и отдел заботы").check()
        page.get_by_role("button", name="Сверить имена").click()
        expect(page.get_by_label("воронка «Продажи»")).to_have_value("value:Воронка")
        page.get_by_label("воронка «Отдел заботы»").select_option("нет такого")
        looks_right(page)
        page.get_by_role("button", name="Дальше").click()
        expect(page.get_by_label("этап «Ждём оплату»")).to_have_value("none")
        page.get_by_role("button", name="Дальше").click()
        expect(page.get_by_role("heading", name="Итог")).to_be_visible()
        expect(page.get_by_text("в аккаунте нет: этап «Ждём оплату»").first).to_be_visible()
        page.get_by_role("button", name="Создать это в amoCRM").click()
        expect(page.get_by_text("Правил включено: 11, выключено: 0")).to_be_visible()
        page.get_by_role("button", name="Показать").click()
        expect(page.get_by_text("заведены учебные")).to_be_visible()
        looks_right(page)
        page.get_by_role("button", name="Записать и запустить мост").click()
        expect(page.get_by_role("heading", name="Записано, мост запускается")).to_be_visible()
        link = page.get_by_role("link", name="Открыть её сейчас").get_attribute("href") or ""
    assert visit.saved == 1
    config = load(visit.path, {})
    assert (config.bridge.dry_run, sum(rule.enabled for rule in config.rules)) == (True, 11)
    store = Store.at(config.bridge.database, config.data_folder)
    assert Links(store, SystemClock()).is_good("setup", link.removeprefix("/setup/")), "the next page is his"
    store.close()


def test_what_is_not_answered_is_asked_again(visit: Visit, browser: Browser) -> None:
    """Of several people nobody is taken by himself."""
    with crm_served(load_world(SHIPPED["smm"])) as crm, come_in(visit, browser) as page:
        connect(page, crm)
        page.get_by_label("Школа с вебинарами").check()
        page.get_by_role("button", name="Сверить имена").click()
        head = page.get_by_label("руководитель: ему эскалации", exact=False)
        expect(head).to_have_value("")
        client = visit.app.test_client()
        assert client.get("/start/names").status_code == 403, "somebody else has not come by the link"
        head.evaluate("one => one.form.noValidate = true")
        page.get_by_role("button", name="Дальше").click()
        expect(page.get_by_role("alert")).to_contain_text("Ответьте на всё отмеченное")
        expect(head).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("path", ["/", "/start", "/start/names", "/start/result", "/setup/x", "/api/v1/deals"])
def test_without_the_link_there_is_nothing_to_see(visit: Visit, path: str) -> None:
    answer = visit.app.test_client().get(path)
    assert answer.status_code == 403
    assert "Мост ещё не настроен" in answer.text
    assert answer.headers["Content-Security-Policy"]


def test_a_wrong_link_lets_nobody_in_and_health_says_so(visit: Visit) -> None:
    client = visit.app.test_client()
    assert client.get("/start/нет").status_code == 403
    assert client.get("/start").status_code == 403
    health = client.get("/health")
    assert (health.status_code, health.get_json()) == (503, {"status": "not configured"})


def test_who_skips_a_step_is_led_back_and_strangers_forms_are_refused(visit: Visit) -> None:
    client = visit.app.test_client()
    client.get(f"/start/{visit.beginning.key}")
    assert client.get("/start/result").headers["Location"] == "/start"
    assert client.post("/start/save").status_code == 400
    assert not visit.path.exists()


@pytest.mark.parametrize(
    ("fault", "words"), [("unpaid_402", "тариф не даёт доступа"), ("blocked_page", "вместо API пришла страница")]
)
def test_refusals_are_told_on_the_page(visit: Visit, sandbox: LocalCrm, fault: str, words: str) -> None:
    sandbox.fault(fault)
    client = visit.app.test_client()
    client.get(f"/start/{visit.beginning.key}")
    form = {"address": sandbox.url, "token": TOKEN, "csrf_token": _csrf(client.get("/start").text)}
    answer = client.post("/start", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert TOKEN not in answer.text


def test_a_regulation_is_rehearsed_before_anything_is_written(visit: Visit, sandbox: LocalCrm) -> None:
    """Its folder of scripts is not there yet."""
    client = visit.app.test_client()
    client.get(f"/start/{visit.beginning.key}")
    form = {"csrf_token": _csrf(client.get("/start").text)}
    client.post("/start", data={**form, "address": sandbox.url, "token": TOKEN})
    client.post("/start/regulation", data={**form, "regulation": "agency", "part:agency": "Воронка «Продажи»"})
    told = client.post("/start/rehearse", data=form, follow_redirects=True)
    assert told.status_code == 200
    assert "заведены учебные" in told.text
    assert "stage_creates_tasks.new_client" in told.text
    assert not visit.path.exists()


def test_what_broke_off_while_creating_is_created_once(visit: Visit, tmp_path: Path) -> None:
    with crm_with(bare_account(SHIPPED["remote"]), tmp_path) as crm:
        client, form = at_the_result(visit, crm)
        crm.fault("lost_answer", path="/api/v4/leads/pipelines", method="POST")
        assert client.post("/start/create", data=form).status_code == 502
        crm.good_weather()
        assert client.post("/start/create", data=form).status_code == 302
        assert sorted(row["name"] for row in crm.table("pipelines")) == ["Воронка", "Отдел заботы", "Продажи"]


def test_the_first_admins_link_is_shown_to_who_came_by_the_key_alone(visit: Visit, tmp_path: Path) -> None:
    """Between the writing and the bridge's start the address answers everybody."""
    with crm_with(bare_account(SHIPPED["remote"]), tmp_path) as crm:
        client, form = at_the_result(visit, crm)
        assert "/setup/" in client.post("/start/save", data=form).text
    assert "/setup/" in client.get("/start").text
    for path in ("/", "/start", "/start/result"):
        stranger = visit.app.test_client().get(path)
        assert (stranger.status_code, "/setup/" in stranger.text) == (403, False)


def test_a_start_that_could_not_write_everything_is_begun_again(visit: Visit, sandbox: LocalCrm) -> None:
    """The config comes last: half a start would look like a whole one."""
    client, form = at_the_result(visit, sandbox, "agency", "Воронка «Продажи»")
    letters = visit.path.parent / "letters"
    letters.parent.mkdir()
    letters.write_text("", "utf-8")
    assert client.post("/start/save", data=form).status_code == 409
    assert not visit.path.exists()
    letters.unlink()
    assert client.post("/start/save", data=form).status_code == 200
    assert load(visit.path, {}).rules


def test_what_another_window_has_changed_is_looked_at_before_it_is_done(visit: Visit, tmp_path: Path) -> None:
    with crm_with(bare_account(SHIPPED["remote"]), tmp_path) as crm:
        client, seen = at_the_result(visit, crm)
        _, other = at_the_result(visit, crm, part="Продажа")
        crm.forget_requests()
        for path in ("/start/create", "/start/save"):
            answer = client.post(path, data=seen)
            assert (answer.status_code, "изменились в другом окне" in answer.text) == (409, True)
            assert other["mark"] in answer.text
        assert [path for path in crm.requests() if path.startswith("POST")] == []
        assert not visit.path.exists()


def at_the_result(
    visit: Visit, crm: LocalCrm, regulation: str = "remote", part: str = "Отдел заботы"
) -> tuple[FlaskClient, dict[str, str]]:
    """Somebody who said «нет такого» to everything that was asked, and the form that the pages send."""
    client = visit.app.test_client()
    client.get(f"/start/{visit.beginning.key}")
    form = {"csrf_token": _csrf(client.get("/start").text)}
    client.post("/start", data={**form, "address": crm.url, "token": TOKEN})
    client.post("/start/regulation", data={**form, "regulation": regulation, f"part:{regulation}": part})
    start = visit.beginning.start
    assert start is not None
    start.settle()
    found = re.search(r'name="mark" value="([^"]+)"', client.get("/start/result").text)
    assert found is not None
    return client, {**form, "mark": found[1]}


def _csrf(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_everything_is_asked_in_english_too(visit: Visit) -> None:
    client = visit.app.test_client()
    client.set_cookie("language", "en")
    client.get(f"/start/{visit.beginning.key}")
    assert "Address of the account" in client.get("/start").text
