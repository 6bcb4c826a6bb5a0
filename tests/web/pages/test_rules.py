"""The rules' page and the config's: seen by everybody, changed by the admin, shown before it is written."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import insert
from support.pages import Pages, Visit, agency, saved, words_of
from werkzeug.test import TestResponse

from amo_bridge.config.loader import load
from amo_bridge.rules.ladders import AWAITS_ITS_STEPS
from amo_bridge.storage.tables import deals

RULE = "stage_creates_tasks.new_client"
PAGE = f"/rules/{RULE}"


@pytest.fixture
def path(pages: Pages) -> Path:
    return pages.bridge.config.path


@pytest.fixture
def known(pages: Pages) -> Pages:
    pages.know_account(agency())
    return pages


def is_on(path: Path) -> bool:
    return next(rule.enabled for rule in load(path, {}).rules if rule.name == RULE)


def asked(admin: Visit, key: str = "state", value: str = "off") -> TestResponse:
    return admin.post(f"{PAGE}/switch", {"key": key, "value": value}, page=PAGE)


def test_every_rule_with_its_words_and_what_it_did_last(known: Pages, viewer: Visit) -> None:
    known.say("acts")
    for _ in range(3):
        known.say("skipped", reason="не тот этап")
    stage = agency().stage("Продажи / Новый клиент")
    rows = [
        {"account": known.account.key, "deal_id": number,
         "pipeline_id": stage.pipeline_id, "status_id": stage.status_id,
         "stage_since": 0, "updated_at": 0, "read_at": 0, "record": "{}"}
        for number in range(7)
    ]  # fmt: skip
    with known.office.store.write() as connection:
        connection.execute(insert(deals), rows)
    page = viewer.get("/rules")
    words = words_of(page)
    for rule in known.bridge.config.rules:
        assert rule.words in words
    assert "stage_needs_fields.client_known включено 7 " in words, "a gate at the way out counts whom it guards"
    assert re.search(r"stage_needs_fields\.\w+ включено срабатывает, когда сделку переводят на этап: заранее", words)
    assert "file_is_stored.documents включено срабатывает по событию, а не по этапу" in words
    line = words[words.index(f"{RULE} вк") :][:160]
    assert re.match(rf"{RULE} включено 7 \d\d\.\d\d\.\d{{4}}, \d\d:\d\d не тот этап ×3", line)


@pytest.mark.parametrize(
    ("query", "found"), [("q=A10", True), ("q=связаться", True), ("q=нет такого", False), ("only=off", False)]
)
def test_rules_are_found_by_clause_and_word(pages: Pages, viewer: Visit, query: str, found: bool) -> None:
    assert (RULE in viewer.get(f"/rules?{query}").text) is found


def test_a_rule_shows_its_own_lines_of_the_file(pages: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get(PAGE))
    assert "[handlers.stage_creates_tasks.new_client] enabled = true" in words
    assert "[handlers.stage_needs_fields" not in words
    assert "A40: на «Встреча назначена»" not in words, "the comment above the next block is the next block's"


def test_a_rule_that_is_not_there(viewer: Visit) -> None:
    assert viewer.get("/rules/no.such").status_code == 404


def test_switched_off_after_a_look_at_what_changes(pages: Pages, path: Path, admin: Visit) -> None:
    before = path.read_text("utf-8")
    review = asked(admin)
    assert is_on(path), "nothing is written yet"
    assert [unescape(line) for line in re.findall(r'<span class="(?:plus|minus)">([^<]*)</span>', review.text)] == [
        "-enabled = true",
        "+enabled = false",
    ]
    answer = saved(admin, review)
    assert answer.location == PAGE
    assert not is_on(path)
    assert len(path.read_text("utf-8")) == len(before) + 1, "one word, comments kept"
    assert not next(rule.enabled for rule in pages.bridge.config.rules if rule.name == RULE), "in force at once"
    page = words_of(admin.get(PAGE))
    assert "Мост уже работает по-новому" in page
    assert "выключено" in page
    (deed,) = pages.office.audit.last(1)
    assert (deed.who, deed.words) == ("Анна", f"Выключено: {RULE}")
    assert "+enabled = false" in deed.details


def test_put_back_from_the_versions_before(pages: Pages, path: Path, admin: Visit) -> None:
    before = path.read_bytes()
    saved(admin, asked(admin))
    name = re.search(r"/config/backups/([\w.]+)", admin.get("/config").text)
    assert name is not None
    saved(admin, admin.post(f"/config/backups/{name[1]}", page="/config"))
    assert path.read_bytes() == before
    told = pages.office.audit.last(1)[0].words
    assert re.fullmatch(rf"Возвращена версия, заменённая [\d.]+, [\d:]+\. Включено: {re.escape(RULE)}", told)


def test_a_save_pressed_twice_is_one_save(pages: Pages, path: Path, admin: Visit) -> None:
    review = asked(admin)
    assert [saved(admin, review).status_code for _ in range(2)] == [302, 302]
    assert not is_on(path)
    assert len(pages.office.audit.last(9)) == 1


def test_versions_before_say_who_replaced_them_and_by_what(pages: Pages, path: Path, admin: Visit) -> None:
    saved(admin, asked(admin))
    pages.account.file.save(path.read_text("utf-8") + "# с сервера\n", pages.account.file.read().mark)
    saved(admin, asked(admin, value="live"))
    newest, by_nobody, oldest = rows_of_versions(admin)
    moment = r"[\d.]+, [\d:]+ "
    assert re.fullmatch(rf"{moment}Включено: {re.escape(RULE)} Анна Вернуть…", newest)
    assert re.fullmatch(rf"{moment}Вернуть…", by_nobody)
    assert re.fullmatch(rf"{moment}Выключено: {re.escape(RULE)} Анна Вернуть…", oldest)


def rows_of_versions(admin: Visit) -> list[str]:
    """What each row of the versions before says."""
    table = admin.get("/config").text.partition("Прежние версии")[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in table.split("</tr>") if "<td" in row]


@pytest.mark.parametrize("name", ["..%2fconfig.toml", "config.2026.toml", "lock"])
def test_nothing_but_a_version_before_is_put_back(admin: Visit, name: str) -> None:
    assert admin.post(f"/config/backups/{name}", page="/config").status_code == 404


def test_an_edit_of_somebody_else_meanwhile_is_not_lost(path: Path, admin: Visit) -> None:
    review = asked(admin)
    path.write_text(path.read_text("utf-8") + "# чужое\n", "utf-8")
    answer = saved(admin, review)
    assert answer.status_code == 409
    assert "файл изменился, пока вы правили его" in words_of(answer)
    assert "# чужое" in path.read_text("utf-8")
    assert is_on(path)


def test_a_text_that_is_wrong_is_not_saved_and_what_is_wrong_is_said(path: Path, admin: Visit) -> None:
    text = path.read_text("utf-8")
    answer = admin.post("/config/check", {"text": text.replace("\nenabled = true", "\nenabled = 1", 1)}, page="/config")
    assert answer.status_code == 422
    assert re.search(r"config\.toml, строка \d+", words_of(answer))
    assert "enabled = 1" in answer.text, "what was typed is not thrown away"
    forced = admin.post("/config/save", {"text": "[extra]\n", "mark": "x"}, page="/config")
    assert forced.status_code == 422
    assert path.read_text("utf-8") == text


def test_a_stage_that_the_account_does_not_have_is_told(known: Pages, path: Path, admin: Visit) -> None:
    known.bridge.role = "web"
    text = path.read_text("utf-8").replace(
        'stages = ["Продажи / Новый клиент"]', 'stages = ["Продажи / Новый клинт"]', 1
    )
    answer = admin.post("/config/check", {"text": text}, page="/config")
    assert answer.status_code == 422
    assert "Новый клиент" in words_of(answer)


def test_a_broken_file_is_told_with_its_place_and_can_be_mended_here(pages: Pages, path: Path, admin: Visit) -> None:
    good = path.read_text("utf-8")
    path.write_text(good + "\n[extra]\n", "utf-8")
    pages.bridge.watch.look()
    place = f"config.toml, строка {len(good.splitlines()) + 2} [extra]: такого раздела нет"
    assert f"Настройка в файле сломана, действует прежняя: {place}" in words_of(admin.get("/"))
    for where in ("/rules", PAGE):
        page = admin.get(where)
        assert f"Настройка в файле сломана; правила работают по прежней {place}" in words_of(page)
        assert 'href="/config">К настройке' in page.text
    page = words_of(admin.get("/config"))
    assert "мост работает по прежней настройке" in page
    assert "такого раздела нет" in page
    saved(admin, admin.post("/config/check", {"text": good, "mark": mark_in(admin)}, page="/config"))
    assert pages.bridge.watch.state.problems == ()


def mark_in(admin: Visit) -> str:
    found = re.search(r'name="mark" value="(\w+)"', admin.get("/config").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("where", [f"{PAGE}/switch", "/config/check", "/config/save", "/config/backups/x"])
def test_only_the_admin_changes_anything(path: Path, viewer: Visit, where: str) -> None:
    before = path.read_bytes()
    assert viewer.post(where, {"key": "state", "value": "off", "text": "", "mark": ""}, page="/").status_code == 403
    assert path.read_bytes() == before
    assert "Вхолостую" not in words_of(viewer.get(PAGE))


def test_of_a_broken_file_the_first_mistake_is_told_and_how_many_there_are(
    pages: Pages, path: Path, admin: Visit, viewer: Visit
) -> None:
    path.write_text(path.read_text("utf-8") + "\n[extra]\n[more]\n", "utf-8")
    pages.bridge.watch.look()
    assert "(и ещё 1)" in words_of(admin.get("/"))
    told = viewer.get("/rules")
    assert "(и ещё 1)" in words_of(told)
    assert "К настройке" not in words_of(told)


def test_a_deal_that_has_come_onto_a_ladder_awaits_its_steps_and_was_not_passed_by(pages: Pages, viewer: Visit) -> None:
    ladder = "stage_ladder.warming"
    pages.say("skipped", rule=ladder, reason=AWAITS_ITS_STEPS)
    words = words_of(viewer.get(f"/rules/{ladder}"))
    assert "ждёт срока" in words
    assert "Почему чаще всего не подходило" not in words
    pages.say("skipped", rule=ladder, reason="сделка пришла не с этапа этого правила")
    assert "Почему чаще всего не подходило сделка пришла не с этапа" in words_of(viewer.get(f"/rules/{ladder}"))
    assert "ждёт срока" in words_of(viewer.get("/deals/30000001"))


def test_what_a_rule_did_is_shown_without_what_it_skipped(pages: Pages, viewer: Visit) -> None:
    assert "Правило ещё ничего не делало" in words_of(viewer.get(f"{PAGE}?only=acted"))
    pages.say("acts", actions='["задача «Связаться»"]')
    for _ in range(60):
        pages.say("skipped", reason="не тот этап", what="сделка переведена назад")
    assert "задача «Связаться»" not in words_of(viewer.get(PAGE)), "the last fifty are others"
    words = words_of(viewer.get(f"{PAGE}?only=acted"))
    assert "задача «Связаться»" in words
    assert "сделка переведена назад" not in words


def test_a_rule_that_is_off_is_switched_on_dry(path: Path, admin: Visit) -> None:
    saved(admin, asked(admin))
    saved(admin, asked(admin, value="dry"))
    rule = next(rule for rule in load(path, {}).rules if rule.name == RULE)
    assert (rule.enabled, rule.dry_run) == (True, True)
    assert "вхолостую" in words_of(admin.get(PAGE))


def test_an_unknown_switch_is_refused(admin: Visit) -> None:
    assert asked(admin, key="most_per_hour").status_code == 400
    assert asked(admin, value="on").status_code == 400


def test_the_switch_has_three_ways_and_writes_only_what_changes(pages: Pages, path: Path, admin: Visit) -> None:
    before = path.read_text("utf-8")
    assert "Ничего не изменится" in words_of(asked(admin, value="live"))
    for way, lines in (("off", ["enabled = false"]), ("dry", ["enabled = true", "dry_run = true"])):
        saved(admin, asked(admin, value=way))
        (rule,) = [one for one in load(path, {}).rules if one.name == RULE]
        assert set(lines) <= set(pages.account.file.read().text.splitlines())
        pressed = re.findall(r'value="(\w+)" aria-pressed="true"', admin.get(PAGE).text)
        assert pressed == [way]
        assert (rule.enabled, rule.dry_run) == (way != "off", way == "dry")
    saved(admin, asked(admin, value="live"))
    assert path.read_text("utf-8") == before.replace(
        "[handlers.stage_creates_tasks.new_client]\nenabled = true\n",
        "[handlers.stage_creates_tasks.new_client]\nenabled = true\ndry_run = false\n",
    )


def test_after_saving_one_is_never_led_elsewhere(admin: Visit) -> None:
    answer = saved(admin, asked(admin), back="//evil.example")
    assert answer.location == "/config"


OWN = '''"""{words}"""
from pydantic import Field
from amo_bridge.events import StageEntered
from amo_bridge.rules import Options, Skip, handler
class Gift(Options):
    over: int = Field(title="Дороже чего", description="Бюджет сделки")
@handler(on=StageEntered, options=Gift)
def {name}(event, deal, options):
    return Skip("нет")
'''


def test_a_broken_file_of_ones_own_is_told_with_its_line(pages: Pages, admin: Visit, viewer: Visit) -> None:
    path = pages.bridge.config.path
    folder = path.parent / "mine"
    folder.mkdir()
    (folder / "gives_gift.py").write_text(OWN.format(name="gives_gift", words="Дарит подарок"), "utf-8")
    (folder / "breaks.py").write_text(OWN.format(name="breaks", words="Ломается").replace("int =", "Itn ="), "utf-8")
    line = "breaks.py: строка 6: Python не исполнил файл: NameError: name 'Itn' is not defined"
    text = path.read_text("utf-8")
    broken = text.replace('# own_handlers = "my_handlers"', 'own_handlers = "mine"', 1)
    for page in (
        admin.post("/config/check", {"text": broken}, page="/config"),
        admin.post("/config/save", {"text": broken, "mark": "", "back": "/config"}, page="/config"),
    ):
        assert (page.status_code, line in words_of(page)) == (422, True)
    # It was good when the bridge read it.
    config = pages.bridge.config
    pages.bridge.config = replace(config, bridge=config.bridge.model_copy(update={"own_handlers": "mine"}))
    assert line in words_of(admin.get("/rules"))
    assert "NameError" not in words_of(viewer.get("/rules"))
    catalogue = words_of(admin.get("/rules/new"))
    assert line in catalogue
    assert "Дарит подарок" in catalogue, "one that is broken takes no other down"
    assert "Дороже чего" in words_of(admin.get("/rules/new/gives_gift"))
