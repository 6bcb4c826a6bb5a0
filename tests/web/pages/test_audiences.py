"""«Аудитории»: sizes, who waits for what and why somebody is not let in; the file for upload by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.channels.audience_services import Digests
from amo_bridge.config.advertising import AudienceList, AudiencesSection, VkAdsSection
from amo_bridge.storage.tables import audience_holds, audience_lists, audience_members, audience_sizes
from amo_bridge.web.auth.users import Role

NOW = datetime.now(UTC)


@pytest.fixture
def audiences(pages: Pages) -> Pages:
    """VK with one in, one queued and one refused; a file with one queued."""
    config = pages.bridge.config
    lists = {"VK": AudienceList(service="vk"), "Google Ads": AudienceList()}
    section = AudiencesSection(consent=agency().fields("contacts")[0].name, lists=lists)  # type: ignore[arg-type]
    channels = replace(config.channels, audiences=section, vkads=VkAdsSection(client_id="id"))
    pages.bridge.config = replace(config, channels=channels)
    pages.know_account(agency())
    told = [
        ("VK", 1, "in", ""),
        ("VK", 2, "queued", ""),
        ("VK", 3, "refused", "нет согласия"),
        ("Google Ads", 4, "queued", ""),
    ]
    for name, contact, state, words in told:
        deal = pages.know_deal(f"Ромашка {contact}", id=30000000 + contact)
        member = {"audience": name, "contact_id": contact, "state": state, "words": words, "since": NOW.timestamp()}
        add(pages, audience_members, **member, digests=Digests(("hash-7916",)).to_json(), checked_at=1.0, seen_at=1.0)
        hold = {"audience": name, "deal_id": deal.id, "contact_id": contact, "rule": "r", "since": NOW.timestamp()}
        add(pages, audience_holds, **hold, seen_at=1.0)
    add(pages, audience_lists, audience="VK", service="vk", words="в очереди 1 из 25", list_ref="7001")
    add(pages, audience_sizes, audience="VK", day=NOW.date().isoformat(), size=1, waiting=1)
    return pages


def add(pages: Pages, table: Any, **values: Any) -> None:
    with pages.office.store.write() as connection:
        connection.execute(insert(table).values(account=pages.account.key, **values))


def states(pages: Pages, audience: str) -> dict[str, int]:
    return AudienceLog(pages.account.account_store).counts(audience)[audience]


def test_it_shows_sizes_and_what_waits_for_what(audiences: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/audiences"))
    assert "в очереди 1 из 25" in words
    assert "скачайте файл и загрузите его в рекламный кабинет" in words
    words = words_of(viewer.get("/audiences/VK"))
    assert "нет согласия" in words
    assert "30000001" in words
    assert "Начать список заново" not in words, "a viewer decides nothing"
    assert "hash-7916" not in viewer.get("/audiences/VK").text
    assert viewer.get("/audiences/Нет").status_code == 404


def test_without_the_section_it_says_what_to_do(pages: Pages, viewer: Visit) -> None:
    pages.know_account(agency())
    assert "Аудитории не подключены" in words_of(viewer.get("/audiences"))
    assert 'href="/audiences"' not in viewer.get("/").text


def test_a_viewer_downloads_and_begins_nothing(audiences: Pages, viewer: Visit) -> None:
    for address in ("/audiences/Google Ads/file", "/audiences/Google Ads/uploaded", "/audiences/VK/restart"):
        assert viewer.post(address, page="/").status_code == 403
    assert states(audiences, "Google Ads") == {"queued": 1}


def test_the_admin_downloads_the_file_and_says_that_it_is_uploaded(audiences: Pages, admin: Visit) -> None:
    told = admin.post("/audiences/Google Ads/file")
    assert told.text == "phone,email\nhash-7916,\n"
    assert "attachment" in told.headers["Content-Disposition"]
    assert "Google" in told.headers["Content-Disposition"], "two lists' files have names of their own"
    assert states(audiences, "Google Ads") == {"queued": 1}
    admin.post("/audiences/Google Ads/uploaded")
    assert states(audiences, "Google Ads") == {"in": 1}
    assert "Подтверждать нечего" in words_of(admin.post("/audiences/Google Ads/uploaded", follow_redirects=True))
    assert admin.post("/audiences/VK/file").status_code == 404


def test_the_admin_begins_a_list_anew_and_tries_again(audiences: Pages, admin: Visit) -> None:
    log = AudienceLog(audiences.account.account_store)
    with audiences.office.store.write() as connection:
        log.set_list(connection, "VK", "vk", trouble="VK Реклама: 404", trouble_at=1.0, retry_at=NOW.timestamp() + 999)
    assert "VK Реклама: 404" in words_of(admin.get("/audiences"))
    admin.post("/audiences/VK/retry")
    assert log.list_of("VK").retry_at is None
    admin.post("/audiences/VK/restart")
    assert (log.list_of("VK").list_ref, states(audiences, "VK")) == ("", {"queued": 2, "refused": 1})


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser_it_fits_and_draws(audiences: Pages, browser: Browser, size: dict[str, int]) -> None:
    audiences.add_user("Анна", Role.ADMIN)
    with served(audiences.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/audiences")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Аудитории")).to_be_visible()
        expect(page.locator("canvas[data-drawn]")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("link", name="Google Ads").click()
        with page.expect_download():
            page.get_by_role("button", name="Скачать файл").click()
        page.reload()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("button", name="Файл загружен").click()
        expect(page.get_by_text("Записано: кто был в файле")).to_be_visible()


def test_programs_see_them_too(audiences: Pages, master: Program) -> None:
    told = {one["name"]: one for one in master.get("/audiences")["audiences"]}
    assert (told["VK"]["size"], told["VK"]["queued"], told["VK"]["refused"]) == (1, 1, 1)
    details = master.get("/audiences/VK")
    assert details["sizes"][0]["size"] == 1
    assert {(one["contact_id"], one["state"]) for one in details["members"]} == {
        (1, "in"),
        (2, "queued"),
        (3, "refused"),
    }
    assert "hash" not in str(details)
    assert master.ask("POST", "/audiences/Google Ads/uploaded").status_code == 409
    assert master.ask("GET", "/audiences/Нет").status_code == 404
    channel = next(one for one in master.get("/channels")["channels"] if one["channel"] == "audiences")
    assert (channel["vendor"], channel["waiting"]) == ("vkads", 2)
