"""«Тексты»: scripts by step, letters, series, texts of rules: tried on a deal, saved, put back; nothing is lost."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.browser import DESKTOP, PHONE, fits_its_width, serious_findings, window
from support.mail_server import post_office, section
from support.pages import Pages, Visit, agency, saved, words_of
from werkzeug.test import TestResponse

from amo_bridge.config.channels import MailSection
from amo_bridge.config.files import difference
from amo_bridge.config.loader import load
from amo_bridge.storage.tables import outbox
from amo_bridge.text.scripts import source_of
from amo_bridge.text.template_check import check
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services.config_texts import rule_texts, with_rule_text

SCRIPT = """Тема: Звонок: {{ сделка.название }}

# Узнать

Сколько готовы потратить?

[поле: Основной продукт]
[ответ: Дорого → Возразить]
[ответ: Согласен]

# Договориться

Спасибо!

# Возразить

[заметка: Что смущает]
"""
LETTER = "Тема: Проект «{{ сделка.название }}»\n\nЗдравствуйте!\n"
DEAL = 30000001


@pytest.fixture
def folder(pages: Pages) -> Path:
    """Where the config, scripts and letters of an account are; of a deal that is known."""
    pages.know_account(agency())
    pages.know_deal("Ромашка")
    config = pages.bridge.config
    mail = MailSection.model_validate({"host": "127.0.0.1", "from": "info@agency.example"})
    pages.bridge.config = replace(config, channels=replace(config.channels, mail=mail))
    made = config.path.parent
    for name, text in (("scripts/call.txt", SCRIPT), ("letters/ждём/бриф.txt", LETTER)):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text, "utf-8")
    return made


def marks(page: str) -> dict[str, str]:
    """The marks that the form carries."""
    return dict(re.findall(r'name="(mark\.\w+)" value="(\w*)"', page))


def send(visit: Visit, path: str, do: str, **fields: str) -> TestResponse:
    page = visit.get(path)
    return visit.post(path, {**marks(page.text), "do": do, **{key.replace("__", "."): v for key, v in fields.items()}})


def test_all_texts_are_listed_with_who_needs_them(folder: Path, admin: Visit) -> None:
    page = words_of(admin.get("/texts"))
    for words in ("call", "Звонок:", "ждём/бриф", "утепляющая", "stage_creates_tasks"):
        assert words in page
    found = words_of(admin.get("/texts?q=бриф"))
    assert "ждём/бриф" in found
    assert "Звонок:" not in found


def test_there_is_a_word_where_there_is_nothing(pages: Pages, admin: Visit) -> None:
    assert "Скриптов нет" in words_of(admin.get("/texts"))


def test_a_letter_is_tried_on_a_deal_and_saved(folder: Path, admin: Visit) -> None:
    path, file = "/texts/letters/ждём/бриф", folder / "letters/ждём/бриф.txt"
    text = LETTER + "\nЭтап: {{ сделка.этап }}, {{ клиент.имя }}\n"
    tried = send(admin, path, "check", text__txt=text, deal="Ромашка")
    assert "Этап: Продажи / Новый клиент" in words_of(tried) or "Этап: Новый клиент" in words_of(tried)
    assert "+Этап: {{ сделка.этап }}" in words_of(tried)
    assert file.read_text("utf-8") == LETTER, "trying writes nothing"
    assert send(admin, path, "save", text__txt=text).status_code == 302
    assert file.read_text("utf-8") == text
    assert "Изменено письмо «ждём/бриф»" in words_of(admin.get("/audit"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{{ клент.имя }}", "«клент» ничего не значит; может быть, «клиент»?"),
        ('{{ поле["Основной продуктт"] }}', "«Основной продукт»?"),
        ("{% if клиент.имя %}", "Jinja не понимает"),
        ("[впишите имя]", "не дописано"),
    ],
)
def test_a_mistake_is_told_beside_its_line_and_not_saved(folder: Path, admin: Visit, line: str, words: str) -> None:
    path = "/texts/letters/ждём/бриф"
    for do in ("check", "save"):
        page = send(admin, path, do, text__txt=f"{LETTER}\n{line}\n", deal=str(DEAL))
        assert page.status_code == 422
        assert words in words_of(page)
        assert 'data-line="' in page.text
    assert (folder / "letters/ждём/бриф.txt").read_text("utf-8") == LETTER


def test_what_was_changed_on_the_disk_meanwhile_is_not_overwritten(folder: Path, admin: Visit) -> None:
    path, file = "/texts/letters/ждём/бриф", folder / "letters/ждём/бриф.txt"
    opened = marks(admin.get(path).text)
    file.write_text(LETTER + "Чужая правка\n", "utf-8")
    late = admin.post(path, {**opened, "do": "save", "text.txt": LETTER + "Моя\n"})
    assert late.status_code == 409
    assert "файл изменился, пока вы правили" in words_of(late)
    assert "-Чужая правка" in words_of(late), "what saving now would do is shown"
    assert "Чужая правка" in file.read_text("utf-8")
    assert admin.post(path, {**marks(late.text), "do": "save", "text.txt": LETTER + "Моя\n"}).status_code == 302
    assert file.read_text("utf-8") == LETTER + "Моя\n"


def test_what_was_deleted_meanwhile_takes_nothing_typed_with_it(folder: Path, admin: Visit) -> None:
    path, file = "/texts/letters/ждём/бриф", folder / "letters/ждём/бриф.txt"
    opened = {**marks(admin.get(path).text), "text.txt": LETTER + "Моя\n"}
    file.unlink()
    late = admin.post(path, {**opened, "do": "save"})
    assert (late.status_code, "Моя" in late.text, file.exists()) == (409, True, False)
    assert admin.post(path, {**opened, **marks(late.text), "do": "save"}).status_code == 302
    assert file.read_text("utf-8") == LETTER + "Моя\n"
    file.unlink()
    assert admin.post(path, {"do": "remove", "mark.txt": "", "mark.html": ""}).status_code == 404


def test_a_version_before_is_looked_at_and_put_back(folder: Path, admin: Visit) -> None:
    path, file = "/texts/letters/ждём/бриф", folder / "letters/ждём/бриф.txt"
    send(admin, path, "save", text__txt=LETTER + "\nНовое\n")
    version = re.search(r'name="version" value="([^"]+)"', admin.get(path).text)
    assert version is not None
    shown = send(admin, path, "restore", version=version[1])
    assert "-Новое" in words_of(shown)
    assert admin.post(path, {**marks(shown.text), "do": "save", "text.txt": LETTER}).status_code == 302
    assert file.read_text("utf-8") == LETTER
    assert send(admin, path, "restore", version="../../config.toml").status_code == 404


def test_a_new_letter_and_a_letter_that_goes(folder: Path, admin: Visit) -> None:
    page = admin.post("/texts/letters/new", {"do": "save", "name": "новое письмо", "text.txt": LETTER})
    assert page.status_code == 302
    assert (folder / "letters/новое письмо.txt").read_text("utf-8") == LETTER
    taken = admin.post("/texts/letters/new", {"do": "save", "name": "новое письмо", "text.txt": LETTER})
    assert (taken.status_code, "уже есть" in words_of(taken)) == (409, True)
    assert send(admin, "/texts/letters/новое письмо", "remove").status_code == 302
    assert not (folder / "letters/новое письмо.txt").exists()


def test_a_letter_that_rules_send_can_not_go(folder: Path, admin: Visit) -> None:
    (folder / "letters/ждём бриф.txt").write_text(LETTER, "utf-8")
    refused = send(admin, "/texts/letters/ждём бриф", "remove")
    assert refused.status_code == 409
    assert "ссылаются" in words_of(refused)
    assert (folder / "letters/ждём бриф.txt").exists()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", ".x", "_x", "a/b/c", "x" * 90, "new", "", "a\\b"])
def test_a_text_stays_in_its_folder(folder: Path, admin: Visit, name: str) -> None:
    before = sorted(path for path in folder.rglob("*") if "data" not in path.parts)
    for kind in ("letters", "scripts"):
        page = admin.post(f"/texts/{kind}/new", {"do": "save", "name": name, "text.txt": LETTER})
        assert page.status_code == 422
    assert admin.get("/texts/letters/..%2F..%2Fconfig").status_code == 404
    assert sorted(path for path in folder.rglob("*") if "data" not in path.parts) == before


def test_a_file_that_can_not_be_read_is_named(folder: Path, admin: Visit) -> None:
    (folder / "scripts/old.txt").write_bytes("Тема: Старый\n".encode("cp1251"))
    page = admin.get("/texts/scripts/old")
    assert page.status_code == 409
    assert "Файл не открыть" in words_of(page)
    assert "old.txt не читается" in words_of(page)
    assert admin.get("/texts").status_code == 200


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, admin: Visit) -> None:
    (folder / "secret.txt").write_text("Тема: секрет\n", "utf-8")
    (folder / "letters/link.txt").symlink_to(folder / "secret.txt")
    assert "секрет" not in words_of(admin.get("/texts"))
    assert "секрет" not in words_of(admin.get("/texts/letters/link"))


@pytest.mark.parametrize(
    "harm",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        '{% set a = "aaaaaaaaaa" %}' + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        '{{ "".__class__.__mro__ }}',
        '{% include "../config.toml" %}',
        '{% include "secret.key" %}',
        '{% set name = "secret.key" %}{% include name %}',
    ],
    ids=["loops", "doubling", "depth", "classes", "files", "other files", "hidden names"],
)
def test_a_template_harms_nobody_but_itself(folder: Path, harm: str) -> None:
    (folder / "letters/secret.key").write_text("тайна", "utf-8")
    made = check(folder / "letters", "x", {"x.txt": f"Тема: a\n\n{harm}\n"}, {"поле": {}})
    assert made.rendered is None
    assert made.findings


@pytest.mark.parametrize(
    "harm",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        '{% if сделка.бюджет %}{{ сделка.бюджет }}{% else %}{{ "a" * 10**11 }}{% endif %}',
    ],
    ids=["loops", "where a field is empty"],
)
def test_a_text_that_would_hold_the_bridge_up_is_not_saved(folder: Path, admin: Visit, harm: str) -> None:
    page = send(admin, "/texts/scripts/call", "save", text__txt=f"{SCRIPT}\n{harm}\n")
    assert page.status_code == 422
    assert "слишком долго заполняется" in words_of(page)
    assert (folder / "scripts/call.txt").read_text("utf-8") == SCRIPT


def test_a_filter_that_does_not_fit_is_the_templates_own_mistake(folder: Path) -> None:
    made = check(folder / "letters", "x", {"x.txt": "Тема: a\n\n{{ 5 | dictsort }}\n"}, {"поле": {}})
    assert made.findings[0].line == 3
    assert "items" in made.words[0]


def test_a_letter_is_sent_to_oneself_and_to_nobody_else(folder: Path, pages: Pages, admin: Visit) -> None:
    path = "/texts/letters/ждём/бриф"
    with post_office() as post:
        config = pages.bridge.config
        pages.bridge.config = replace(config, channels=replace(config.channels, mail=section(post)))
        assert send(admin, path, "send", text__txt=LETTER, to="anna@agency.example").status_code == 422
        told = send(admin, path, "send", text__txt=LETTER, to="anna@agency.example", deal=str(DEAL))
        assert "почтовый сервер принял письмо" in words_of(told)
        (letter,) = post.letters
    assert "anna@agency.example" in str(letter)
    assert "Пробное письмо «ждём/бриф»" in words_of(admin.get("/audit"))


# --- scripts ----------------------------------------------------------------------------------------------------------


def form_of(text: str) -> dict[str, str]:
    """The constructor's fields for a script."""
    source = source_of(text)
    fields = {"shape": "steps", "title": source.title}
    for n, step in enumerate(source.steps):
        fields |= {f"title.{n}": step.title, f"body.{n}": step.body.replace("\n", "\r\n"), f"level.{n}": "1"}
        for m, (words, leads) in enumerate(step.answers):
            fields |= {f"answer.{n}.{m}": words, f"leads.{n}.{m}": leads}
        fields |= {f"field.{n}.{m}": name for m, name in enumerate(step.fields)}
        fields |= {f"note.{n}.{m}": words for m, words in enumerate(step.notes)}
    return fields


SHIPPED = sorted(
    path
    for folder in ("scripts", "examples/smm/scripts")
    for path in (Path(__file__).parents[3] / folder).glob("*.txt")
)


@pytest.mark.parametrize("text", [SCRIPT, *(path.read_text("utf-8") for path in SHIPPED)])
def test_the_constructor_writes_the_file_as_a_person_would(folder: Path, admin: Visit, text: str) -> None:
    file = folder / "scripts/call.txt"
    file.write_text(text, "utf-8")
    page = admin.get("/texts/scripts/call")
    told = admin.post("/texts/scripts/call", {**marks(page.text), **form_of(text), "do": "save"})
    assert told.status_code == 302, words_of(told)
    assert file.read_text("utf-8") == text


def test_steps_are_added_moved_and_dropped(folder: Path, admin: Visit) -> None:
    fields = form_of(SCRIPT)
    moved = admin.post("/texts/scripts/call", {**fields, "do": "up.2"})
    assert moved.text.index('value="Возразить" maxlength') < moved.text.index('value="Договориться" maxlength')
    assert 'value="Договориться" maxlength' not in admin.post("/texts/scripts/call", {**fields, "do": "drop.1"}).text
    assert 'name="title.3"' in admin.post("/texts/scripts/call", {**fields, "do": "add"}).text
    as_text = admin.post("/texts/scripts/call", {**fields, "do": "text"})
    assert "[ответ: Дорого → Возразить]" in words_of(as_text)


def test_a_script_that_the_form_has_no_room_for_is_shown_as_text(folder: Path, admin: Visit) -> None:
    for text in (
        "Тема: x\n" + "".join(f"\n# Шаг {n}\n" for n in range(61)),
        "Тема: x\n\n" + "".join(f"[ответ: {n}]\n" for n in range(25)),
    ):
        (folder / "scripts/call.txt").write_text(text, "utf-8")
        page = admin.get("/texts/scripts/call")
        assert 'name="text.txt"' in page.text
        assert 'name="title.0"' not in page.text


def test_a_text_that_is_too_long_is_told(folder: Path, admin: Visit) -> None:
    page = send(admin, "/texts/scripts/call?as=text", "check", text__txt="Тема: x\n" + "\n" * 150_000 + "конец")
    assert page.status_code == 422
    assert "длиннее 100000 знаков" in words_of(page)


def test_an_answer_that_leads_nowhere_is_told(folder: Path, admin: Visit) -> None:
    fields = form_of(SCRIPT) | {"leads.0.0": "Возражать"}
    page = admin.post("/texts/scripts/call", {**fields, "do": "check"})
    assert page.status_code == 422
    assert "ведёт на шаг «Возражать», а его нет" in words_of(page)


@pytest.mark.parametrize(
    ("name", "words"), [("Основной продуктт", "«Основной продукт»?"), ("utm_source", "не заполнить")]
)
def test_a_field_that_can_not_be_filled_is_told(folder: Path, admin: Visit, name: str, words: str) -> None:
    page = send(admin, "/texts/scripts/call?as=text", "check", text__txt=SCRIPT.replace("Основной продукт", name))
    assert page.status_code == 422
    assert words in words_of(page)


def wanted_of(pages: Pages) -> list[tuple[str, dict[str, object]]]:
    with pages.office.store.read() as connection:
        rows = connection.execute(select(outbox.c.kind, outbox.c.payload).order_by(outbox.c.id)).all()
    return [(row.kind, json.loads(row.payload)["body"]) for row in rows]


TALK = {"answer.1": "0", "field.0": "Кофе", "was.0": "", "note.3.0": "цена", "comment": "звонить утром"}


def test_what_the_client_says_goes_into_the_deal_once(folder: Path, pages: Pages) -> None:
    manager = pages.visit(Role.WEBINAR)
    path = f"/deals/{DEAL}/scripts/call"
    for words in ("Записано в сделку", "второй раз не записан"):
        told = manager.post(path, {**TALK, "mark": "0123456789abcdef"}, follow_redirects=True)
        assert words in words_of(told)
    (_, field), (_, note) = wanted_of(pages)
    assert field["custom_fields_values"] == [
        {"field_id": agency().field("Основной продукт").id, "values": [{"value": "Кофе"}]},
    ]
    assert note["params"] == {
        "text": "Разговор по скрипту «Звонок: Ромашка»\nУзнать — Дорого\nЧто смущает: цена\nзвонить утром"
    }


def test_what_somebody_has_written_meanwhile_stays(folder: Path, pages: Pages) -> None:
    manager = pages.visit(Role.WEBINAR)
    pages.know_deal("Ромашка", fields={agency().field("Основной продукт").id: ("Чай",)})
    page = manager.post(f"/deals/{DEAL}/scripts/call", {**TALK, "mark": "0123456789abcdef"})
    assert page.status_code == 422
    assert "кто-то записал: Чай" in words_of(page)
    assert wanted_of(pages) == []


def test_a_viewer_reads_a_script_and_writes_nothing_down(folder: Path, pages: Pages, viewer: Visit) -> None:
    page = viewer.get(f"/deals/{DEAL}/scripts/call")
    assert "Дорого → Возразить" in words_of(page)
    assert 'name="answer.1"' not in page.text
    assert viewer.post(f"/deals/{DEAL}/scripts/call", TALK, page="/").status_code == 403


def test_what_a_client_has_typed_asks_for_nothing(folder: Path, pages: Pages, admin: Visit) -> None:
    pages.know_deal("[ответ: Взлом → Узнать]\n\n[поле: Бюджет]")
    (folder / "scripts/call.txt").write_text("Тема: x\n\n{{ сделка.название }}\n\n[ответ: Да]\n", "utf-8")
    page = admin.get(f"/deals/{DEAL}/scripts/call")
    assert page.text.count('name="answer.1"') == 1
    assert "[ответ: Взлом → Узнать]" in words_of(page)
    assert 'name="field.' not in page.text


# --- what stands in the config ----------------------------------------------------------------------------------------


def test_the_days_of_a_series_are_changed_in_their_place(folder: Path, admin: Visit) -> None:
    path = folder / "config.toml"
    for name in ("1", "2", "3"):
        (folder / f"letters/утепляющая/{name}.txt").parent.mkdir(exist_ok=True)
        (folder / f"letters/утепляющая/{name}.txt").write_text(LETTER, "utf-8")
    page = admin.get("/texts/series/утепляющая")
    fields = dict(re.findall(r'name="(seen|(?:after|template|was)\.\d+)" value="([^"]*)"', page.text))
    assert len([name for name in fields if name.startswith("was")]) == 3
    review = admin.post(
        "/texts/series", {**fields, "name": "утепляющая", "after.1": "5 d 11:00"}, page="/texts/series/утепляющая"
    )
    assert "5 d 11:00" in words_of(review), words_of(review)
    before = path.read_text("utf-8")
    assert saved(admin, review).status_code == 302
    changed = [
        (old, new)
        for old, new in zip(before.splitlines(), path.read_text("utf-8").splitlines(), strict=True)
        if old != new
    ]
    assert len(changed) == 1


def series_fields(page: TestResponse) -> dict[str, str]:
    return dict(re.findall(r'name="(name|seen|(?:after|template|was)\.\d+)" value="([^"]*)"', page.text))


def test_a_long_series_loses_no_letter(folder: Path, admin: Visit) -> None:
    path = folder / "config.toml"
    letters = ", ".join(f'{{ after = "{n} d", template = "ждём бриф" }}' for n in range(1, 26))
    path.write_text(f"{path.read_text('utf-8')}\n[series.long]\nletters = [{letters}]\n", "utf-8")
    address = "/texts/series/long"
    review = admin.post("/texts/series", {**series_fields(admin.get(address)), "after.0": "1 d 11:00"}, page=address)
    assert saved(admin, review).status_code == 302
    kept = tomllib.loads(path.read_text("utf-8"))["series"]["long"]["letters"]
    assert [one["after"] for one in kept] == ["1 d 11:00", *(f"{n} d" for n in range(2, 26))]
    back = admin.post("/texts/series", {**series_fields(admin.get(address)), "after.0": "2 d", "do": "show"})
    assert 'name="after.24" value="25 d"' in back.text


def test_a_letter_that_somebody_has_added_meanwhile_stays(folder: Path, admin: Visit) -> None:
    path = folder / "config.toml"
    one = '{ after = "1 d", template = "ждём бриф" }'
    before = path.read_text("utf-8")
    path.write_text(f"{before}\n[series.common]\nletters = [{one}]\n", "utf-8")
    fields = series_fields(admin.get("/texts/series/common"))
    path.write_text(f"{before}\n[series.common]\nletters = [{one}, {one.replace('1 d', '5 d')}]\n", "utf-8")
    late = admin.post("/texts/series", {**fields, "after.0": "3 d"}, page="/texts/series/common")
    assert late.status_code == 409
    assert 'name="after.0" value="3 d"' in late.text


def test_the_text_of_a_task_is_tried_and_changed_in_its_place(folder: Path, admin: Visit) -> None:
    rule = "stage_creates_tasks.new_client"
    path = f"/texts/rules/{rule}/0"
    page = admin.get(path)
    was = unescape(re.search(r'name="was"[^>]*>\n(.*?)</textarea>', page.text, re.S)[1])  # type: ignore[index]
    tried = admin.post(path, {"was": was, "text": "Позвонить: {Название}", "deal": "Ромашка", "do": "try"})
    assert "Позвонить: Ромашка" in words_of(tried)
    bad = admin.post(path, {"was": was, "text": "Позвонить: {Название", "do": "review"})
    assert (bad.status_code, "скобка лишняя" in words_of(bad)) == (422, True)
    review = admin.post(path, {"was": was, "text": "Позвонить: {Название}", "do": "review"})
    before = (folder / "config.toml").read_text("utf-8")
    assert saved(admin, review).status_code == 302
    after = (folder / "config.toml").read_text("utf-8")
    assert after != before
    assert after.replace("Позвонить: {Название}", was) == before


def test_a_text_that_stands_for_a_whole_table_is_changed_too(folder: Path) -> None:
    config = load(folder / "config.toml", {})
    known = next(one for one in rule_texts(config) if one.place == "steps[3].sms.text")
    source = (folder / "config.toml").read_text("utf-8")
    text = 'Здравствуйте! Про "ваш" \\ проект'
    after = with_rule_text(source, known, text)
    (folder / "config.toml").write_text(after, "utf-8")
    assert text in [one.text for one in rule_texts(load(folder / "config.toml", {}))]
    assert len([line for line in difference(source, after) if line[0] in "+-"]) == 2


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_head_writes_scripts_and_an_admin_the_rest(folder: Path, pages: Pages) -> None:
    head = pages.visit(Role.HEAD)
    assert send(head, "/texts/scripts/call", "save", text__txt=SCRIPT + "\nЕщё\n").status_code == 302
    for path in ("/texts/letters/ждём/бриф", "/texts/series/утепляющая", "/texts/letters/new"):
        assert head.get(path).status_code == 403
    assert pages.visit(Role.WEBINAR).get("/texts").status_code == 403


def test_without_its_token_a_form_changes_nothing(folder: Path, admin: Visit) -> None:
    sent = admin.client.post("/texts/scripts/call", data={"do": "save", "text.txt": "Тема: x\n"})
    assert sent.status_code == 400
    assert (folder / "scripts/call.txt").read_text("utf-8") == SCRIPT


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_everybody_can_write_a_script_and_go_by_it(
    folder: Path, pages: Pages, browser: Browser, size: dict[str, int], theme: str
) -> None:
    found: list[str] = []
    with window(pages, browser, "/texts", viewport=size, color_scheme=theme) as page:
        for path in (
            "/texts", "/texts/scripts/call?as=text", "/texts/letters/ждём/бриф", "/texts/series/утепляющая",
            "/texts/rules/stage_creates_tasks.new_client/0", "/texts/scripts/call",
        ):  # fmt: skip
            page.goto(path)
            found += [f"{path}: {one}" for one in serious_findings(page)]
            found += [] if fits_its_width(page) else [f"{path}: wider than the screen"]
        page.get_by_label("Что сказать").first.fill("{{ клент.имя }}, сколько готовы потратить?")
        page.get_by_role("button", name="Проверить и показать").click()
        expect(page.get_by_role("alert")).to_contain_text("«клент» ничего не значит; может быть, «клиент»?")
        found += serious_findings(page)
        page.get_by_label("Что сказать").first.fill("Сколько готовы вложить?")
        page.get_by_label("На какой сделке показать").fill("Ромашка")
        page.get_by_role("button", name="Проверить и показать").click()
        expect(page.get_by_role("heading", name="Как выйдет: Ромашка")).to_be_visible()
        page.get_by_role("button", name="Сохранить").click()
        expect(page.get_by_text("Сохранено. Мост уже берёт новый текст.")).to_be_visible()
        page.goto(f"/deals/{DEAL}/scripts/call")
        found += serious_findings(page)
        assert fits_its_width(page)
        page.get_by_label("Дорого").check()
        expect(page.get_by_role("heading", name="Возразить")).to_be_focused()
        page.get_by_label("Что смущает").fill("цена")
        page.get_by_role("button", name="Записать в сделку").click()
        expect(page.get_by_text("Записано в сделку")).to_be_visible()
    assert found == []
    ((_, note),) = wanted_of(pages)
    assert "Узнать — Дорого" in str(note)
