"""«Реклама»: figures against norms, an export from the form to the list, «Проверено», what is wrong said plainly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.mirror.ad_statistics import AdStatistics, CampaignDay
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay
from amo_bridge.web.auth.users import Role

TUESDAY = datetime(2026, 11, 24, 9, tzinfo=UTC)
YESTERDAY = date(2026, 11, 23)
FIELD = 990
NORMS = [{"metric": "CPC", "placement": "Stories", "most": 1.5}, {"metric": "CPL", "most": 40}]
GOOD = "Дата;Кампания;Место размещения;Показы;Клики;Расход, ₽;Лиды\n23.11.2026;Ромашка;Stories;10000;100;210;10\n"


@pytest.fixture
def ads(pages: Pages) -> Pages:
    """Tuesday noon in Moscow; «Ромашка» and «Лютик» have campaigns, two deals claim «Пион»."""
    section = AdsSection.model_validate({"norms": NORMS})
    pages.bridge.config = replace(pages.bridge.config, ads=section)
    known = agency()
    row = {"id": FIELD, "name": "Название рекламной кампании", "type": "text"}
    fields = {**known.source["fields"], "leads": [*known.source["fields"]["leads"], row]}
    pages.know_account(replace(known, source={**known.source, "fields": fields}))
    pages.bridge.clock = FixedClock(TUESDAY)
    pages.account.clock = pages.bridge.clock
    for number, name in enumerate(("Ромашка", "Лютик", "Пион", "Пион")):
        pages.know_deal(f"Сделка {number}", id=30000001 + number, fields={FIELD: (name,)})
    return pages


def keep(pages: Pages, campaign: str, **figures: object) -> None:
    told = {"day": YESTERDAY, "shows": 10_000, "clicks": 100, "cost": 21_000, "placement": "Stories", "leads": 10}
    day = AdDay(**(told | figures))  # type: ignore[arg-type]
    with pages.office.store.write() as connection:
        AdStatistics(pages.account.account_store).keep(connection, [CampaignDay(campaign, day)], "f.csv", TUESDAY)


def upload(visit: Visit, content: str | bytes, **more: str) -> str:
    body = content.encode() if isinstance(content, str) else content
    form = {"service": "vk", "file": (BytesIO(body), "отчёт.csv"), **more}
    visit.post("/ads/file", form, page="/ads", content_type="multipart/form-data")
    return words_of(visit.get("/ads"))


@pytest.fixture
def manager(pages: Pages) -> Visit:
    return pages.visit(Role.WEBINAR)


def test_a_file_becomes_figures_against_norms(ads: Pages, manager: Visit) -> None:
    words = upload(manager, GOOD)
    assert "Загружено: кампаний 1, строк 1, из них заменено 0; расход 210,00 ₽." in words
    assert "Ромашка Сделка 0 выше нормы CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories) CPL 21,00 ₽ за лид" in words
    assert "VK Реклама: по 23.11.2026 (отчёт.csv" in words
    assert "из них заменено 1" in upload(manager, GOOD)


def test_a_campaign_of_no_deal_and_one_of_two_are_told(ads: Pages, manager: Visit) -> None:
    words = upload(manager, GOOD + "23.11.2026;Пион;;1;1;1;1\n23.11.2026;Чужая;;1;1;1;1\n")
    assert "Без своей сделки кампаний: 2" in words
    assert "Пион Сделка 2 , Сделка 3 в нескольких сделках" in words
    assert "Чужая ни в одной открытой сделке такого названия нет нет сделки" in words
    assert "чья она, мост не решает" in words_of(manager.get("/ads/campaign?name=пион"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a;b\n1;2\n", "Ничего не загружено. отчёт.csv: заголовков статистики не нашлось"),
        (GOOD + "x;А;;1;1;1;1\n", "строка 3, столбец «Дата»: «x» — не дата"),
    ],
)
def test_a_broken_file_takes_nothing(ads: Pages, manager: Visit, content: str, words: str) -> None:
    told = upload(manager, content)
    assert words in told
    assert "Откуда цифры" not in told


def test_a_media_plan_that_can_not_be_read_is_told_without_norms_too(ads: Pages, manager: Visit) -> None:
    section = AdsSection.model_validate({"plan": {"CPC": "Название рекламной кампании"}})
    ads.bridge.config = replace(ads.bridge.config, ads=section)
    keep(ads, "Ромашка")
    for address in ("/ads", "/ads/campaign?name=ромашка"):
        assert "«Ромашка» — не цена в RUB, медиаплан не сравнивается" in words_of(manager.get(address))


def test_a_day_for_a_file_without_days(ads: Pages, manager: Visit) -> None:
    content = "Кампания;Показы;Клики;Расход\nРомашка;1000;100;210\n"
    assert "укажите день на странице" in upload(manager, content)
    assert "Загружено" in upload(manager, content, day="2026-11-23")


def test_whoever_has_looked_says_so_once(ads: Pages, manager: Visit) -> None:
    form = {"name": "Лютик", "day": YESTERDAY.isoformat()}
    assert "Лютик Сделка 1 нет статистики — Проверено" in words_of(manager.get("/ads"))
    for _ in range(2):
        manager.post("/ads/checked", form, page="/ads")
    words = words_of(manager.get("/ads"))
    assert "кампания «Лютик» проверена" in words
    assert "Лютик Сделка 1 нет статистики — проверено" in words


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "Лютик", "day": "вчера"}, 400),
        ({"name": "Лютик", "day": "2026-11-24"}, 400),
        ({"name": "Лютик", "day": "2020-01-01"}, 400),
        ({"name": "нет такой", "day": "2026-11-23"}, 404),
    ],
)
def test_nonsense_is_refused(ads: Pages, manager: Visit, form: dict[str, str], status: int) -> None:
    assert manager.post("/ads/checked", form, page="/ads").status_code == status
    assert manager.post("/ads/file", {"service": "чужой"}, page="/ads").status_code == 400


def test_a_viewer_changes_nothing(ads: Pages, viewer: Visit) -> None:
    assert "Загрузить статистику" not in words_of(viewer.get("/ads"))
    for path in ("/ads/file", "/ads/checked"):
        assert viewer.post(path, page="/").status_code == 403


def test_a_campaign_by_days(ads: Pages, viewer: Visit) -> None:
    keep(ads, "Ромашка")
    keep(ads, "Ромашка", day=YESTERDAY - timedelta(days=1), clicks=0, leads=None, cost=0)
    words = words_of(viewer.get("/ads/campaign?name=ромашка"))
    assert "22.11.2026 — 0,00 — 10 000 0 — 0,00 ₽ 23.11.2026 2,10 21,00 21,00 10 000 100 10 210,00 ₽" in words
    assert viewer.get("/ads/campaign?name=нет").status_code == 404


def test_a_field_that_was_renamed_in_amocrm_still_names_the_campaigns(ads: Pages, viewer: Visit) -> None:
    keep(ads, "Ромашка")
    known = ads.account.crm_account
    assert known is not None
    ads.know_account_renamed(known, "Название рекламной кампании", "Кампания")
    assert "Ромашка Сделка 0 выше нормы" in words_of(viewer.get("/ads"))


def test_a_lost_field_is_told_and_figures_stay(ads: Pages, viewer: Visit) -> None:
    keep(ads, "Ромашка")
    ads.know_account(agency())
    words = words_of(viewer.get("/ads"))
    assert "«Название рекламной кампании»" in words
    assert "Ромашка ни в одной" in words


def test_before_there_is_anything(ads: Pages, pages: Pages, viewer: Visit, tmp_path: Path) -> None:
    new = Pages.in_folder(tmp_path / "new")
    assert "Статистика рекламы не включена" in words_of(new.visit(Role.VIEWER).get("/ads"))
    new.bridge.config = replace(new.bridge.config, ads=AdsSection())
    words = words_of(new.visit(Role.WEBINAR).get("/ads"))
    assert "Кампаний пока нет Загрузите выгрузку" in words
    assert "Норм нет: впишите их в раздел [ads]" in words
    new.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("address", ["/ads", "/ads/campaign?name=Ромашка"])
def test_in_a_browser(ads: Pages, browser: Browser, size: dict[str, int], address: str) -> None:
    for back in range(5):
        keep(ads, "Ромашка", day=YESTERDAY - timedelta(days=back))
    ads.add_user("Анна", Role.WEBINAR)
    with served(ads.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.goto(address)
        expect(page.get_by_text("CPC 2,10", exact=False).first).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
