"""A report is ready at Bizon365 → the bridge fetches it, makes a draft, tells the team; a person decides (W1, W2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect
from support.api_client import Program
from support.bizon_server import HTML, TOKEN, WEBINAR, BizonVendor, bizon_server
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings
from support.local_crm import LocalCrm, served
from support.mail_server import Post, post_office
from support.pages import PASSWORD, Visit
from support.running_bridge import UNHURRIED, RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, SCHOOL, fill_contacts

from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime.worker import BIZON
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from amo_bridge.webinars.bizon import BizonReports, BizonSettings, Report
from amo_bridge.webinars.imports.repository import ImportRepository


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def vendor() -> Iterator[BizonVendor]:
    with bizon_server() as server:
        yield server


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


class School:
    """The bridge with its second door open."""

    def __init__(self, bridge: RunningBridge, office: CrmUser) -> None:
        self.office = office
        self.bridge = bridge
        key = known_key(bridge._store, bridge.config.account.url)
        assert key is not None
        self.reports = BizonReports(AccountStore(bridge._store, key), SystemClock())
        self.book = ImportRepository(AccountStore(bridge._store, key), SystemClock())
        self.settings = BizonSettings(bridge.config, bridge.bridge.environment)
        pages = bridge.app.extensions[EXTENSION]
        self.admin = self.visit(pages, "Марина", Role.ADMIN)
        self.member = self.visit(pages, "Дарья", Role.WEBINAR)

    def visit(self, pages: Any, name: str, role: Role) -> Visit:
        visit = Visit(self.bridge.app.test_client())
        visit.become(pages.users.sit_down(pages.users.add(name, role).id))
        return visit

    def hook(self, secret: str = "", **body: Any) -> int:
        told = {"event": "report_ready", "webinarId": WEBINAR, "len": 118} | body
        url = f"{self.bridge.url}/hooks/bizon/{secret or self.settings.hook_secret}"
        return requests.post(url, json=told, timeout=30).status_code

    def report(self, state: str = "taken") -> Report:
        """The only one, when it is so."""
        wait_until(lambda: [one.state for one in self.reports.all()] == [state], f"the report is {state}")
        return self.reports.all()[0]

    def trouble(self) -> str:
        wait_until(lambda: any(one.trouble for one in self.reports.all()), "the trouble is told")
        return self.reports.all()[0].trouble

    @property
    def deals(self) -> int:
        return sum(len(self.office.deals_on(stage)) for stage in self.office.stages)


def config_with(crm: LocalCrm, vendor: BizonVendor, post: Post, folder: Path, what_then: str) -> Config:
    """The example with its second door open and a mail server for notices."""
    text = SCHOOL.read_text("utf-8")
    bizon = f"""
[webinar.bizon]
import = "{what_then}"
tell = ["support"]
api = "{vendor.url}"

[mail]
host = "127.0.0.1"
port = {post.port}
tls = "none"
from = "Школа <info@school.example>"
templates = "{SCHOOL.parent.parent / "letters"}"
"""
    path = folder / "config.toml"
    path.write_text(text + bizon, "utf-8")
    config = load(path, {"AMO_BRIDGE_ACCOUNT_URL": crm.url, "AMO_BRIDGE_DATA": str(folder / "data")})
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


@pytest.fixture
def open_school(
    sandbox: LocalCrm,
    vendor: BizonVendor,
    post: Post,
    office: CrmUser,
    tmp_path: Path,
    start_bridge: Callable[..., RunningBridge],
) -> Callable[..., School]:
    def opened(what_then: str = "ask", token: str = TOKEN) -> School:
        bridge = start_bridge(config_with(sandbox, vendor, post, tmp_path, what_then)).wait_ready()
        fill_contacts(bridge, sandbox)
        school = School(bridge, office)
        if token:
            school.settings.keep_token(token)
        return school

    return opened


def test_a_ready_report_becomes_a_draft_and_the_team_is_told(
    open_school: Callable[..., School], vendor: BizonVendor, post: Post
) -> None:
    school = open_school()
    assert school.hook() == 204
    assert school.report().imports == (1,)
    job, counts = school.book.get(1), school.book.counts(1)
    assert (job.state, job.made_by, f"{job.held_on:%d.%m.%Y}") == ("draft", "Бизон365", "13.09.2021")
    assert counts.interest["active"] > 0
    wait_until(lambda: post.taken, "the team is told")
    assert post.to == ["zimina@school.example"]
    letter = " ".join(post.letters[0].get_content().split())
    assert f"участников {counts.all}: посмотрите и загрузите {school.bridge.url}/webinars/1" in letter
    assert school.deals == 0, "nothing is written until a person says so"
    assert 'href="/webinars/1"' in school.member.get("/webinars").text


def test_told_twice_it_is_fetched_once(open_school: Callable[..., School], vendor: BizonVendor) -> None:
    school = open_school()
    school.hook()
    school.report()
    asked = len(vendor.asked)
    assert school.hook() == 204
    school.bridge.bridge.request_job(BIZON)
    assert school.report().imports == (1,)
    assert len(vendor.asked) == asked
    assert len(school.book.all()) == 1


def test_a_draft_that_was_thrown_away_can_be_fetched_again(open_school: Callable[..., School]) -> None:
    school = open_school()
    school.hook()
    school.report()
    assert "Забрать снова" in school.member.get("/webinars").text
    school.book.drop(1)
    school.member.post("/webinars/bizon/again", {"webinar": WEBINAR}, page="/webinars")
    wait_until(lambda: [one.imports for one in school.reports.all()] == [(2,)], "there is a new draft")
    school.member.post("/webinars/bizon/again", {"webinar": WEBINAR}, page="/webinars")
    assert school.report().imports == (2,)
    assert [job.id for job in school.book.all()] == [2], "one that is there still is not made anew"


def test_at_once_means_at_once(open_school: Callable[..., School]) -> None:
    school = open_school("at once")
    school.hook()
    school.report()
    wait_until(lambda: school.book.get(1).state == "done", "the import is over")
    assert school.deals > 0


@pytest.mark.parametrize(
    ("answer", "told"), [(HTML, "похоже на страницу"), ((502, "bad gateway"), "(502)"), ((429, ""), "спрашивать реже")]
)
def test_a_vendor_in_trouble_is_asked_again(
    answer: tuple[int, str], told: str, open_school: Callable[..., School], vendor: BizonVendor
) -> None:
    school = open_school()
    vendor.answers.append(answer)
    school.hook()
    assert told in school.trouble()
    page = school.member.get("/webinars").text
    assert told in page
    assert "Попробовать сейчас" in page
    assert school.member.post("/webinars/bizon/again", {"webinar": WEBINAR}, page="/webinars").status_code == 302
    assert school.report().imports == (1,)


def test_a_dead_token_is_replaced_on_the_page_and_never_shown(
    open_school: Callable[..., School], vendor: BizonVendor
) -> None:
    school = open_school(token="old-token")
    school.hook()
    assert "не принял токен" in school.trouble()
    assert school.member.post("/webinars/bizon/token", {"token": TOKEN}, page="/webinars").status_code == 403
    assert school.admin.post("/webinars/bizon/token", {"token": TOKEN}, page="/webinars").status_code == 302
    assert school.report().imports == (1,)
    for path in ("/webinars", "/audit"):
        page = school.admin.get(path).text
        assert TOKEN not in page
        assert "old-token" not in page
    kept = b"".join(file.read_bytes() for file in school.bridge.config.data_folder.rglob("*") if file.is_file())
    assert TOKEN.encode() not in kept, "encrypted on disk"


def test_nobody_gets_in_by_another_path_or_with_nothing_to_say(open_school: Callable[..., School]) -> None:
    school = open_school()
    assert school.hook(secret="guess") == 404
    assert school.hook(webinarId="") == 400
    assert school.reports.all() == []


def test_the_door_is_shut_unless_the_config_opens_it(
    sandbox: LocalCrm, tmp_path: Path, start_bridge: Callable[..., RunningBridge]
) -> None:
    config = load(SCHOOL, {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    bridge = start_bridge(config).wait_ready()
    secret = BizonSettings(config, bridge.bridge.environment).hook_secret
    told = requests.post(f"{bridge.url}/hooks/bizon/{secret}", json={"webinarId": WEBINAR}, timeout=30)
    assert told.status_code == 404
    assert "[webinar.bizon]" in Program(bridge, Role.WEBINAR).ask("GET", "/webinars/bizon").json["detail"]


def test_programs_see_the_reports_and_have_one_tried_again(
    open_school: Callable[..., School], vendor: BizonVendor
) -> None:
    school = open_school(token="")
    team, master = (Program(school.bridge, role) for role in (Role.WEBINAR, Role.ADMIN))
    school.hook()
    assert "токен Бизон365 не задан" in school.trouble()
    told = team.get("/webinars/bizon")
    (report,) = told["reports"]
    assert (report["webinar_id"], report["state"], report["imports"]) == (WEBINAR, "waiting", [])
    assert (told["has_token"], "токен Бизон365 не задан" in report["trouble"]) == (False, True)
    assert told["address"].endswith(f"/hooks/bizon/{school.settings.hook_secret}")
    vendor.answers.append((502, "bad gateway"))
    told = master.ask("PUT", "/webinars/bizon/token", {"token": TOKEN})
    assert (told.json["has_token"], TOKEN in told.text) == (True, False)
    wait_until(lambda: "(502)" in team.get("/webinars/bizon")["reports"][0]["trouble"], "it was asked, in vain")
    assert team.ask("POST", "/webinars/bizon/again", {"webinar_id": "no such"}).status_code == 404
    assert team.ask("POST", "/webinars/bizon/again", {"webinar_id": WEBINAR}).status_code == 200
    assert school.report().imports == (1,)
    assert team.get("/webinars/bizon")["reports"][0]["imports"] == [1]
    audit = school.bridge.app.extensions[EXTENSION].audit.last(9)
    assert [one.deed for one in audit] == ["bizon.again", "bizon.token"]


def test_an_empty_field_is_no_wish_to_remove_the_token(open_school: Callable[..., School]) -> None:
    school = open_school()
    school.admin.post("/webinars/bizon/token", {"token": " "}, page="/webinars")
    assert school.settings.token == TOKEN
    assert school.member.post("/webinars/bizon/token/forget", page="/webinars").status_code == 403
    school.admin.post("/webinars/bizon/token/forget", page="/webinars")
    assert not school.settings.token


@pytest.mark.parametrize("token", ["a\nb", "x" * 501, None])
def test_a_token_that_is_none_is_not_kept(token: str | None, open_school: Callable[..., School]) -> None:
    school = open_school()
    told = Program(school.bridge, Role.ADMIN).ask("PUT", "/webinars/bizon/token", {"token": token})
    assert told.status_code == 422
    assert school.settings.token == TOKEN


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_it(
    size: dict[str, int], browser: Browser, open_school: Callable[..., School], vendor: BizonVendor
) -> None:
    school = open_school(token="")
    school.hook()
    assert "токен Бизон365 не задан" in school.trouble()
    pages = school.bridge.app.extensions[EXTENSION]
    admin = pages.users.add("Мария", Role.ADMIN)
    with pages.store.write() as connection:
        pages.users.set_password(connection, admin.id, PASSWORD)
    with opened(browser, school.bridge.url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/webinars")
        page.get_by_label("Имя").fill("Мария")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_text("токена нет")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_label("Токен API Бизон365").fill(TOKEN)
        page.get_by_role("button", name="Сохранить токен").click()
        expect(page.get_by_text("токен задан")).to_be_visible()
    assert school.report().imports == (1,)
