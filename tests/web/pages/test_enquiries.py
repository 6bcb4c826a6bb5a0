"""«Обращения»: who asked and what became of it, tried again, the addresses for vendors; by page and by API."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, words_of
from support.running_bridge import ENVIRONMENT

from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.model import Enquiry, PbxCall
from amo_bridge.intake.reception import VENDORS, settings_of
from amo_bridge.intake.repository import IntakeInbox, IntakeRequests
from amo_bridge.intake.trials import MAIL, TRIAL_VENDORS, trial_request
from amo_bridge.intake.vk_leads import READ_UNTIL
from amo_bridge.storage.accounts import Cursors
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services.enquiries import PASTE

NOW = datetime.now(UTC)
PHONE_NUMBER = "+79161234567"
DEAL = 30000001
SECRETS = {
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key",
    "AMO_BRIDGE_INTAKE_FORM_TOKEN": "word",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "c0de",
    "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET": "telegram-secret",
    "AMO_BRIDGE_INTAKE_MAX_SECRET": "max-secret",
}


def repository_of(pages: Pages) -> EnquiryRepository:
    return EnquiryRepository(pages.account.account_store, pages.account.clock)


@pytest.fixture
def asked(pages: Pages) -> Pages:
    """Three have asked: one has a deal, of one two contacts are known, and amoCRM refused the call from yesterday."""
    site = Enquiry(
        source="tilda", key="1", name="Анна Иванова", phones=(PHONE_NUMBER,), text=f"Сколько стоит? Мой {PHONE_NUMBER}"
    )
    chat = Enquiry(source="vk", key="2", name="Пётр", emails=("petr@example.com",), text="Хочу бриф")
    call = PbxCall(source="zadarma", key="3", direction="in", phone="+79031112233", talked=False)
    ends: list[dict[str, Any]] = [
        {"state": "done", "outcome": "сделка «Заявка: Анна»", "deal_id": DEAL, "contact_id": 7},
        {"state": "asked", "outcome": "задача «Кто это?»"},
        {"state": "refused", "error": "amoCRM отказала"},
    ]
    repository = repository_of(pages)
    with pages.office.store.write() as connection:
        for number, (days, outcome, end) in enumerate(zip((0, 0, 1), (site, chat, call), ends, strict=True), 1):
            at = (NOW - timedelta(days=days)).timestamp()
            repository.add(connection, outcome, request_id=None, received_at=at)
            repository.mark(connection, [number], **end)
    return pages


def states(pages: Pages) -> list[str]:
    """By number."""
    return [row.state for row in reversed(repository_of(pages).find(EnquiryFilter()))]


def test_an_export_of_leads_is_uploaded_once(pages: Pages) -> None:
    admin = pages.visit(Role.ADMIN)
    table = "Время лида;ID Кампании;ID Объявления;Имя;Телефон\n2026-11-29 11:00;1;2;Белла;89000000072\n".encode()

    def upload(content: bytes) -> str:
        form = {"file": (io.BytesIO(content), "лиды.csv")}
        admin.post("/enquiries/export", form, page="/enquiries/addresses", content_type="multipart/form-data")
        return words_of(admin.get("/enquiries/addresses"))

    assert "лидов в файле 1, новых 1" in upload(table)
    assert "этот файл уже загружали" in upload(table)
    assert "не выгрузка лидов" in upload("Товар;Цена\nСтол;5".encode())
    kept = IntakeRequests(pages.account.account_store).latest()
    assert [(one.vendor, one.state) for one in kept] == [("vkads", "new")]
    refused = pages.visit(Role.WEBINAR).client.post("/enquiries/export", data={})
    assert refused.status_code in (400, 403)


def test_the_page_says_how_far_the_list_of_leads_is_read(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = pages.visit(Role.ADMIN)
    assert "Список лидов прочитан" not in words_of(admin.get("/enquiries/addresses"))
    store = pages.account.account_store
    with store.write() as connection:
        Cursors(store).write(connection, READ_UNTIL, NOW.timestamp())
    assert "Список лидов прочитан" in words_of(admin.get("/enquiries/addresses"))
    monkeypatch.setattr(type(pages.bridge), "channel_outages", {"vkads": "VK Реклама: 404"})
    assert "список не читается VK Реклама: 404" in words_of(admin.get("/enquiries/addresses"))
    assert "Канал «VK Реклама, лид-формы» не работает: VK Реклама: 404" in words_of(admin.get("/"))


def test_who_asked_and_what_became_of_it(asked: Pages) -> None:
    page = asked.visit(Role.WEBINAR).get("/enquiries")
    words = words_of(page)
    assert "Анна Иванова +79161234567" in words
    assert "Тильда" in words
    assert "сделано сделка «Заявка: Анна»" in words
    assert "не вышло amoCRM отказала" in words
    assert f'href="/deals/{DEAL}"' in page.text
    assert "/contacts/detail/7" in page.text
    assert "Пропущенный звонок" in words
    assert "Ещё раз" not in words, "only an administrator decides"


def test_who_only_looks_reads_no_phones(asked: Pages, viewer: Visit, reader: Program, master: Program) -> None:
    words = words_of(viewer.get("/enquiries"))
    assert "Анна Иванова" in words
    told = reader.ask("GET", "/enquiries")
    for text in (words, told.text):
        assert PHONE_NUMBER not in text
        assert "petr@example.com" not in text
    assert told.json["total"] == 3
    assert master.get("/enquiries?text=%2B79161234567")["enquiries"][0]["phones"] == [PHONE_NUMBER]


def test_a_program_that_only_looks_reads_no_phones_in_names_either(pages: Pages, reader: Program) -> None:
    utm = {"utm_term": "petr@example.com"}
    site = Enquiry(source="tilda", key="1", name=f"Анна {PHONE_NUMBER}", phones=(PHONE_NUMBER,), utm=utm)
    with pages.office.store.write() as connection:
        repository_of(pages).add(connection, site, request_id=None, received_at=NOW.timestamp())
    told = reader.ask("GET", "/enquiries")
    assert told.json["enquiries"][0]["name"].startswith("Анна ")
    assert (PHONE_NUMBER in told.text, "petr@example.com" in told.text) == (False, False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("source=vk", {2}),
        ("state=refused", {3}),
        (f"day={NOW:%Y-%m-%d}", {1, 2}),
        ("text=8+916+123-45-67", {1}),
        ("text=сколько", {1}),
        ("text=бриф", {2}),
        ("text=100%25", set()),
        (f"deal={DEAL}", {1}),
        ("text=petr@example.com&state=done", set()),
    ],
)
def test_found_by(asked: Pages, admin: Visit, master: Program, query: str, expected: set[int]) -> None:
    page = admin.get(f"/enquiries?{query}").text
    assert {number for number in (1, 2, 3) if f'id="e{number}"' in page} == expected
    assert {one["id"] for one in master.get(f"/enquiries?{query}")["enquiries"]} == expected
    if not expected:
        assert "Таких обращений нет" in page


def test_nonsense_in_the_address_limits_nothing(asked: Pages, admin: Visit, master: Program) -> None:
    assert words_of(admin.get("/enquiries?state=x&day=9999-12-31&page=-1&deal=a")).count("№") >= 3
    assert master.ask("GET", "/enquiries?state=x").status_code == 422


def test_once_more(asked: Pages, admin: Visit, viewer: Visit) -> None:
    assert admin.client.post("/enquiries/retry", data={"number": "2"}).status_code == 400, "no token"
    assert viewer.post("/enquiries/retry", {"number": "2"}, page="/").status_code == 403
    assert states(asked) == ["done", "asked", "refused"]
    admin.post("/enquiries/retry?state=asked", {"number": "2"}, page="/enquiries")
    assert states(asked) == ["done", "new", "refused"]
    (deed,) = asked.office.audit.last(9)
    assert (deed.who, deed.deed) == ("Анна", "enquiry.retry")
    admin.post("/enquiries/retry", {"number": "1"}, page="/enquiries")
    assert "уже разобрано" in words_of(admin.get("/enquiries"))


def test_programs_try_again_and_are_told_why_not(asked: Pages, master: Program, reader: Program) -> None:
    assert reader.ask("POST", "/enquiries/retry", {"ids": [3]}).status_code == 403
    told = master.ask("POST", "/enquiries/retry", {"ids": [1, 3, 99]})
    assert [one["id"] for one in told.json["enquiries"]] == [3]
    assert told.json["errors"] == ["обращение № 1 уже разобрано: сделка «Заявка: Анна»", "обращения № 99 нет"]
    assert master.ask("POST", "/enquiries/retry", {"ids": [99]}).status_code == 409
    assert states(asked) == ["done", "asked", "new"]


def test_the_deal_leads_to_its_enquiries(asked: Pages, viewer: Visit) -> None:
    asked.know_deal("Заявка: Анна")
    page = viewer.get(f"/deals/{DEAL}")
    assert "1 обращение" in words_of(page)
    assert f'href="/enquiries?deal={DEAL}"' in page.text


def test_nobody_has_asked_yet(pages: Pages, admin: Visit, viewer: Visit) -> None:
    assert "Вставьте адрес моста в кабинет каждого сервиса" in words_of(admin.get("/enquiries"))
    assert 'href="/enquiries/addresses"' in admin.get("/enquiries").text
    assert viewer.get("/enquiries/addresses").status_code == 403, "the ends of the addresses are secret"


def test_each_vendor_has_its_address_and_its_last_request(
    pages: Pages, admin: Visit, master: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.bridge, "environment", {**ENVIRONMENT, "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret"})
    page = admin.get("/enquiries/addresses")
    for address in pages.bridge.intake_addresses.all():
        assert f'data-copy="http://localhost{address.path}"' in page.text
    assert "AMO_BRIDGE_INTAKE_VK_CONFIRMATION" in page.text
    assert "закрыто: нет секрета" in words_of(page)
    by_vendor = {one["vendor"]: one for one in master.get("/enquiries/addresses")["addresses"]}
    assert by_vendor["telegram"]["is_open"] is False
    assert (by_vendor["html"]["is_open"], by_vendor["html"]["last_at"]) == (True, None)


def test_a_secret_is_set_on_the_page_and_the_address_opens(pages: Pages, admin: Visit, viewer: Visit) -> None:
    pages.meet_account()
    variable, page = "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET", "/enquiries/addresses"
    assert variable in admin.get(page).text
    admin.post("/enquiries/secret", {"variable": variable, "secret": "never-shown"}, page=page)
    shown = admin.get(page)
    assert "Секрет задан, и мост уже работает с ним." in words_of(shown)
    assert "never-shown" not in shown.text
    assert pages.bridge.environment[variable] == "never-shown"
    assert f"Задан секрет {variable}" in words_of(admin.get("/audit"))
    admin.post("/enquiries/secret", {"variable": variable, "secret": ""}, page=page)
    assert variable not in pages.bridge.environment
    for other in ("AMO_BRIDGE_KEY", "PATH", ""):
        assert admin.post("/enquiries/secret", {"variable": other, "secret": "x"}, page=page).status_code == 404
    assert viewer.post("/enquiries/secret", {"variable": variable, "secret": "x"}, page="/").status_code == 403


def test_a_trial_is_taken_as_a_real_one(pages: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    store = pages.account.account_store
    inbox = IntakeInbox(store, pages.account.clock)
    monkeypatch.setattr(pages.bridge, "_intake", inbox)
    for _ in range(2):
        admin.post("/enquiries/trial", {"vendor": "html", "name": ""}, page="/enquiries/addresses")
    kept = IntakeRequests(store).latest()
    assert [(one.vendor, one.state) for one in kept] == [("html", "new")] * 2, "each is another one"
    assert MAIL.replace("@", "%40").encode() in kept[0].request.body
    assert "Последний запрос" in words_of(admin.get("/enquiries/addresses"))
    assert [deed.deed for deed in pages.office.audit.last(9)] == ["enquiry.trial"] * 2
    assert admin.post("/enquiries/trial", {"vendor": "zadarma"}, page="/enquiries/addresses").status_code == 404


@pytest.mark.parametrize("vendor", sorted(TRIAL_VENDORS))
def test_a_trial_is_proven_and_says_who_asks(pages: Pages, vendor: str) -> None:
    settings = settings_of(pages.bridge.config, vendor, SECRETS)
    _, reception = trial_request(VENDORS[vendor], settings, NOW)
    assert reception.kind == "accepted", reception.why
    (outcome,) = reception.outcomes
    assert isinstance(outcome, Enquiry), reception.why
    assert MAIL in outcome.emails or outcome.profile or outcome.name
    assert outcome.phones == ()
    assert "пробное" in outcome.text.casefold()


def test_every_vendor_has_a_word_about_where_to_paste_its_address() -> None:
    assert set(PASTE) == set(VENDORS)


@pytest.fixture
def site(asked: Pages) -> Iterator[str]:
    asked.add_user("Мария", Role.ADMIN)
    with served(asked.app) as url:
        yield url


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(asked: Pages, site: str, browser: Browser, size: dict[str, int]) -> None:
    with opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/enquiries")
        page.get_by_label("Имя").fill("Мария")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_text("Анна Иванова")).to_be_visible()
        expect(page.locator("canvas")).to_have_attribute("data-drawn", "yes")
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("button", name="Ещё раз: обращение № 3").click()
        expect(page.get_by_text("Разбирается ещё раз")).to_be_visible()
        assert states(asked) == ["done", "asked", "new"]
        page.goto("/enquiries/addresses")
        copy = page.locator("#html").get_by_role("button", name="Скопировать")
        copy.click()
        expect(page.locator("#html").get_by_role("button", name="Скопировано")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
