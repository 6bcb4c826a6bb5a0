"""A rule by form: from the catalogue to the file, its mistakes in place, its block in TOML beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from support.pages import Pages, Visit, agency, saved, words_of
from support.rule_form import fields_of, sent
from werkzeug.test import TestResponse

from amo_bridge.config.blocks import values_of
from amo_bridge.config.loader import load
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.registry import shipped
from amo_bridge.web.auth.users import Role

NEW = "/rules/new/stage_creates_tasks"
LADDER = "/rules/stage_ladder.brief_awaited/form"
FILLED = {
    "o__says": "Новая сделка → позвонить",
    "o__clause": "B1",
    "o__stages__0": "Продажи / Новый клиент",
    "o__tasks__0__text": "Позвонить",
    "o__tasks__0__to": "manager",
    "o__tasks__0__due": "1 рабочий час",
}
OWN = '''"""Клиенту исполнился год → подарок."""

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import Options, Skip, StageName, Text, handler


class DealGetsGift(Options):
    stages: tuple[StageName, ...] = Field(title="Где дарить")
    gift: Text = Text("Кружка")


@handler(on=StageEntered, options=DealGetsGift)
def deal_gets_gift(event, deal, options):
    return Skip("подарков нет")
'''


@pytest.fixture
def known(pages: Pages) -> Pages:
    pages.know_account(agency())
    return pages


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Of tests that save nothing: one for all."""
    made = Pages.in_folder(tmp_path_factory.mktemp("looked_at") / "data")
    made.meet_account()
    made.know_account(agency())
    yield made
    made.close()


@pytest.fixture(scope="module")
def asker(looked_at: Pages) -> Visit:
    return looked_at.visit(Role.ADMIN, "Анна")


def text_of(pages: Pages) -> str:
    return pages.bridge.config.path.read_text("utf-8")


def rule_of(pages: Pages, name: str) -> Rule:
    return next(rule for rule in load(pages.bridge.config.path, {}).rules if rule.name == name)


def mistakes_in(page: TestResponse) -> dict[str, str]:
    """The field's name → the words beside it."""
    found = {}
    for id_, words in re.findall(
        r'id="([\w-]+)-told" class="notes">\s*<small class="mistake">(.*?)</small>', page.text, re.DOTALL
    ):
        found[id_] = words
    return found


def test_the_catalogue_has_every_kind_with_its_examples(known: Pages, admin: Visit) -> None:
    page = admin.get("/rules/new")
    words = words_of(page)
    assert "Когда Сделка пришла на этап → Где на этапах, которые вы назовёте → Если подходит ваше условие" in words
    assert "→ Тогда ставятся задачи." in words
    assert "В настройке 5 таких правил" in words
    assert page.text.count('class="card kind"') == len(shipped("handlers")) + len(shipped("schedules"))
    assert "Куда идёт потерянная сделка" in words
    found = words_of(admin.get("/rules/new?q=оплаты"))
    assert "На этап — после полной оплаты" in found
    assert "Недозвон" not in found
    assert "Такого вида правил нет" in words_of(admin.get("/rules/new?q=такогонет"))


def test_a_rule_is_made_from_an_empty_form(known: Pages, admin: Visit) -> None:
    before = text_of(known)
    review = sent(admin, NEW, admin.get(NEW), **FILLED)
    assert "Что изменится" in words_of(review)
    assert text_of(known) == before
    assert "Сохранено" in words_of(admin.get(saved(admin, review).location))
    after = text_of(known)
    assert after.startswith(before.rstrip("\n"))
    assert after[len(before.rstrip("\n")) :] == (
        "\n\n# B1: Новая сделка → позвонить\n[handlers.stage_creates_tasks.novaya_sdelka_pozvonit]\nenabled = true\n"
        'dry_run = true\nclause = "B1"\nsays = "Новая сделка → позвонить"\nstages = ["Продажи / Новый клиент"]\n'
        'tasks = [{ text = "Позвонить", to = "manager", due = "1 рабочий час" }]\n'
    )
    rule = rule_of(known, "stage_creates_tasks.novaya_sdelka_pozvonit")
    assert (rule.enabled, rule.dry_run) == (True, True)
    assert "Добавлено: stage_creates_tasks.novaya_sdelka_pozvonit" in words_of(admin.get("/audit"))
    assert "Вернуть…" in words_of(admin.get("/config"))


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"o__stages__0": "Продажи / Новый клинт"}, "o-stages-0", "может быть, «Продажи / Новый клиент»?"),
        ({"o__tasks__0__due": "завтре"}, "o-tasks-0-due", "завтре"),
        ({"o__tasks__0__to": "начальник"}, "o-tasks-0-to", "роли «начальник» нет"),
        ({"o__tasks__0__text": ""}, "o-tasks-0-text", "обязательно: заполните"),
        ({"o__stages__0": ""}, "o-stages", "обязательно: заполните"),
        ({"o__when": "+", "o__when__field": "Тип клиента", "o__when__is": "Никто"}, "o-when-is", "Никто"),
        (
            {"o__when": "+", "o__when__field": "Тип клиента"},
            "o-when",
            "нужно одно из: «Поле» вместе с «Равно», «Не равно»",
        ),
        ({"o__most_per_hour": "много"}, "o-most_per_hour", "нужно целое число"),
    ],
)
def test_mistakes_stand_beside_their_fields(
    looked_at: Pages, asker: Visit, changes: dict[str, str], where: str, words: str
) -> None:
    before = text_of(looked_at)
    page = sent(asker, NEW, asker.get(NEW), **{**FILLED, **changes})
    assert page.status_code == 422
    found = mistakes_in(page)
    assert where in found, found
    assert words in found[where].replace("&#34;", '"')
    assert text_of(looked_at) == before


def test_without_the_account_names_are_taken_as_they_are(pages: Pages, admin: Visit) -> None:
    page = admin.get(NEW)
    assert "Мост ещё не знает аккаунта" in words_of(page)
    assert 'value="manager" label="manager — ответственный за сделку"' in page.text
    assert 'label="pr — кто в поле «PR-менеджер»"' in page.text
    assert 'value="Продажи / Новый клиент"' in page.text, "the config's own names are offered"
    assert sent(admin, NEW, page, **{**FILLED, "o__stages__0": "Иной этап"}).status_code == 200


def test_an_opened_rule_changes_one_key_and_keeps_its_comments(known: Pages, admin: Visit) -> None:
    before = text_of(known)
    page = admin.get(LADDER)
    unchanged = sent(admin, LADDER, page)
    assert "Ничего не изменится" in words_of(unchanged)
    review = sent(admin, LADDER, page, o__steps__1__after="4 d", state="dry")
    saved(admin, review)
    after = text_of(known)
    changed = before.replace(
        '{ after = "5 d", letter = { template = "ждём бриф" } }',
        '{ after = "4 d", letter = { template = "ждём бриф" } }',
    )
    place = "[schedules.stage_ladder.brief_awaited]\nenabled = true\n"
    assert after == changed.replace(place, place + "dry_run = true\n")


def test_rows_and_parts_come_by_buttons_and_what_is_written_stays(known: Pages, admin: Visit) -> None:
    page = sent(admin, NEW, admin.get(NEW), "add:o.tasks", **FILLED)
    page = sent(admin, NEW, page, "add:o.when")
    page = sent(admin, NEW, page, "add:o.tasks.1.until", o__tasks__1__text="Вторая")
    fields = fields_of(page)
    assert fields["o.tasks.0.text"] == "Позвонить"
    assert fields["o.tasks.1.text"] == "Вторая"
    assert {"o.when.field", "o.tasks.1.until.0"} <= fields.keys()
    page = sent(admin, NEW, page, "up:o.tasks.1")
    assert fields_of(page)["o.tasks.0.text"] == "Вторая"
    page = sent(admin, NEW, page, "remove:o.tasks.0")
    assert "o.tasks.0.text" not in fields_of(page)
    assert sent(admin, NEW, page, "remove:../etc").status_code == 400


def test_toml_goes_into_the_form_and_out_of_it(known: Pages, admin: Visit) -> None:
    typed = 'enabled = false\nstages = ["Продажи / Бриф получен"]\ntasks = [{ text = "А", to = "head", due = "today" }]'
    page = admin.client.post(
        NEW, data={"do": "toml", "toml": typed, "csrf_token": fields_of(admin.get(NEW))["csrf_token"]}
    )
    fields = fields_of(page)
    assert fields["o.stages.0"] == "Продажи / Бриф получен"
    assert fields["o.tasks.0.to"] == "head"
    assert fields["state"] == "off"
    told = sent(admin, NEW, page, "text").text
    assert 'tasks = [{ text = "А", to = "head", due = "today" }]' in told
    assert "enabled = false" in told
    page = sent(admin, NEW, page, "toml", toml="stages = [")
    assert page.status_code == 422
    assert "не читается" in words_of(page)
    assert "stages = [" in page.text


def test_a_key_that_nobody_knows_is_shown_and_told(known: Pages, admin: Visit) -> None:
    path = known.bridge.config.path
    path.write_text(
        text_of(known).replace('enabled = true\nclause = "A10"\n', 'enabled = true\ncolour = "red"\nclause = "A10"\n'),
        "utf-8",
    )
    address = "/rules/stage_creates_tasks.new_client/form"
    page = admin.get(address)
    assert fields_of(page)["o.colour"] == '"red"'
    told = sent(admin, address, page, "check")
    assert "такого ключа нет" in mistakes_in(told)["o-colour"]
    review = sent(admin, address, page, o__colour="")
    saved(admin, review)
    assert "colour" not in text_of(known)


def test_two_rules_that_are_at_odds_are_told_before_saving(known: Pages, admin: Visit) -> None:
    address = "/rules/new/file_moves_deal"
    filled = {
        "o__from_stages__0": "Продажи / Бриф получен",
        "o__to_stage": "Продажи / Встреча назначена",
        "o__name_starts_with__0": "Коммерческое предложение",
    }
    page = sent(admin, address, admin.get(address), "check", **filled)
    words = words_of(page)
    assert "ждут одного и того же" in words
    assert "вернуть её оттуда может stage_needs_fields.meeting_date" in words


def test_what_it_would_have_done_or_why_nobody_can_tell(pages: Pages, admin: Visit) -> None:
    nobody = words_of(sent(admin, NEW, admin.get(NEW), "would", **FILLED))
    assert "Мост ещё не знает аккаунта и его сделок" in nobody
    pages.know_account(agency())
    assert "Таких событий мост в последние дни не видел" in words_of(
        sent(admin, NEW, admin.get(NEW), "would", **FILLED)
    )
    wrong = words_of(sent(admin, NEW, admin.get(NEW), "would", o__says="слова"))
    assert "Сначала поправьте отмеченное" in wrong
    ladder = words_of(sent(admin, LADDER, admin.get(LADDER), "would"))
    assert "Таких, у которых по этому правилу есть шаги, нет" in ladder


def test_a_rule_is_taken_out_only_after_it_was_shown(known: Pages, admin: Visit) -> None:
    before = text_of(known)
    review = admin.post(
        "/rules/stage_creates_tasks.approve_offer/remove", page="/rules/stage_creates_tasks.approve_offer"
    )
    assert "[handlers.stage_creates_tasks.approve_offer]" in words_of(review)
    assert text_of(known) == before
    saved(admin, review)
    assert values_of(text_of(known), ("handlers", "stage_creates_tasks", "approve_offer")) is None
    assert "Удалено: stage_creates_tasks.approve_offer" in words_of(admin.get("/audit"))


def test_who_was_overtaken_is_told_and_nothing_is_lost(known: Pages, admin: Visit) -> None:
    review = sent(admin, NEW, admin.get(NEW), **FILLED)
    path = known.bridge.config.path
    path.write_text(text_of(known) + "# чужое\n", "utf-8")
    assert saved(admin, review).status_code == 409
    assert text_of(known).endswith("# чужое\n")


def carried(page: TestResponse, address: str) -> dict[str, str]:
    """The rule's form that a page leads back to."""
    body = page.text.partition(f'<form method="post" action="{address}">')[2].partition("</form>")[0]
    assert body, "it leads back to the form"
    return {
        name: unescape(text) for name, text in re.findall(r'<input type="hidden" name="([\w.]+)" value="([^"]*)"', body)
    }


@pytest.mark.parametrize("address", [NEW, LADDER])
def test_who_was_overtaken_at_saving_goes_back_to_the_form(known: Pages, admin: Visit, address: str) -> None:
    """At the review as at the refusal of saving nothing of the form is lost."""
    review = sent(admin, address, admin.get(address), **(FILLED if address == NEW else {"o__clause": "Z1"}))
    known.bridge.config.path.write_text(text_of(known) + "# чужое\n", "utf-8")
    fields = {**carried(review, address), "text": text_in(review), "mark": "старая", "rule_form": address}
    refused = admin.client.post("/config/save", data=fields)
    assert refused.status_code == 409
    for page in (review, refused):
        again = admin.client.post(address, data={**carried(page, address), "do": "show"})
        assert fields_of(again)["o.clause"] == ("B1" if address == NEW else "Z1")
    elsewhere = admin.client.post("/config/save", data={**fields, "rule_form": "//evil.example"})
    assert "evil" not in elsewhere.text


def text_in(review: TestResponse) -> str:
    found = re.search(r'<textarea name="text"[^>]*>\n(.*?)</textarea>', review.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def test_of_two_tabs_the_second_keeps_what_the_first_has_saved(known: Pages, admin: Visit) -> None:
    first, second, third = (admin.get(LADDER) for _ in range(3))
    saved(admin, sent(admin, LADDER, first, o__clause="Z1", state="off"))
    review = sent(admin, LADDER, second, o__says="Свои слова")
    changes = [line for line in re.findall(r'<span class="(?:plus|minus)">(.*?)</span>', review.text) if line[0] == "+"]
    assert changes == ["+says = &#34;Свои слова&#34;"], "nothing of the first tab is undone"
    saved(admin, review)
    at_odds = sent(admin, LADDER, third, o__says="Иные слова", o__clause="Z3")
    assert at_odds.status_code == 409
    assert "Взято из файла: Как работает." in words_of(at_odds)
    assert "Изменено и там, и у вас: Пункт регламента, Правило словами." in words_of(at_odds)
    assert fields_of(at_odds)["state"] == "off"
    saved(admin, sent(admin, LADDER, at_odds))
    rule = rule_of(known, "stage_ladder.brief_awaited")
    assert (rule.enabled, rule.clause, rule.says) == (False, "Z3", "Иные слова"), "who was told has decided"


def test_a_rule_that_was_removed_meanwhile_is_written_anew_only_by_who_was_told(known: Pages, admin: Visit) -> None:
    page = admin.get(LADDER)
    saved(admin, admin.post("/rules/stage_ladder.brief_awaited/remove", page="/rules/stage_ladder.brief_awaited"))
    told = sent(admin, LADDER, page, o__clause="Z1")
    assert told.status_code == 409
    assert "это правило удалили" in words_of(told)
    saved(admin, sent(admin, "/rules/new/stage_ladder", told))
    assert rule_of(known, "stage_ladder.brief_awaited").clause == "Z1"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("x = " + "[" * 3000 + "]" * 3000, "слишком глубоко"),
        ("x = " + "[" * 200 + "]" * 200, "слишком глубоко"),
        (".".join("a" * 50_000) + " = 1", "слишком глубоко"),
        (f"stages = {['а'] * 5000}", "больше 4000 полей"),
    ],
    ids=["recursion", "deep", "a key of many parts", "many"],
)
def test_what_would_keep_the_bridge_busy_is_refused(asker: Visit, toml: str, words: str) -> None:
    token = fields_of(asker.get(NEW))["csrf_token"]
    page = asker.client.post(NEW, data={"do": "toml", "toml": toml, "csrf_token": token})
    assert (page.status_code, words in words_of(page)) == (422, True)
    odd = asker.client.post(NEW, data={"do": "check", "o.odd": toml.removeprefix("x = "), "csrf_token": token})
    assert odd.status_code == 422


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("due", "1 рабочий час", "Сейчас это было бы: "),
        ("due", "поле: Дата оплаты + 2 d", "Считается от поля «Дата оплаты»"),
        ("due", "когда-нибудь", "когда-нибудь"),
        ("recurrence", "пн 10:00", "Ближайший раз: "),
        ("offset", "- 5 d", "Если дата — сегодня: "),
    ],
)
def test_a_due_phrase_is_shown_as_a_date(asker: Visit, kind: str, text: str, words: str) -> None:
    assert words in asker.get(f"/rules/form/comes-to/{kind}?o.x={text.replace('+', '%2B')}").text


def test_the_choices_of_a_field_are_offered(asker: Visit) -> None:
    offered = asker.get("/rules/form/options?o.when.field=тип клиента").text
    assert 'value="Прямой клиент"' in offered
    assert "Instagram" not in offered


def test_own_handlers_have_forms_and_a_broken_one_is_told_with_its_line(pages: Pages) -> None:
    path = pages.bridge.config.path
    folder = path.parent / "mine"
    folder.mkdir()
    (folder / "deal_gets_gift.py").write_text(OWN, "utf-8")
    path.write_text(path.read_text("utf-8").replace("[bridge]\n", '[bridge]\nown_handlers = "mine"\n', 1), "utf-8")
    made = Pages.of(load(path, {}))
    try:
        visit = made.visit(Role.ADMIN)
        words = words_of(visit.get("/rules/new"))
        assert (
            "Deal gets gift свой Когда Клиенту исполнился год → Где на этапах, которые вы назовёте → Тогда подарок."
            in words
        )
        address = "/rules/new/deal_gets_gift"
        page = visit.get(address)
        assert "Где дарить" in words_of(page)
        assert fields_of(page)["o.gift"] == "Кружка"
        review = sent(visit, address, page, o__stages__0="Продажи / Новый клиент", o__says="Год с нами")
        assert "[handlers.deal_gets_gift.god_s_nami]" in words_of(review)
        (folder / "deal_gets_gift.py").write_text(OWN.replace("from pydantic", "from pidantic"), "utf-8")
        assert re.search(r"deal_gets_gift\.py: строка 3: ", words_of(visit.get("/rules/new")))
    finally:
        made.close()


def test_a_viewer_neither_sees_nor_changes(pages: Pages, viewer: Visit) -> None:
    assert viewer.get("/rules/new").status_code == 403
    assert viewer.get(LADDER).status_code == 403
    assert viewer.post(NEW, {"do": "check"}, page="/").status_code == 403
    assert "Добавить правило" not in words_of(viewer.get("/rules"))


def test_a_form_without_its_token_is_refused(pages: Pages, admin: Visit) -> None:
    admin.get(NEW)
    assert admin.client.post(NEW, data={"do": "check"}).status_code == 400


@pytest.mark.parametrize("address", ["/rules/new/no_such", f"{NEW}?like=no.such", "/rules/stage_ladder.none/form"])
def test_what_is_not_there(asker: Visit, address: str) -> None:
    assert asker.get(address).status_code == 404


TYPICAL: dict[str, tuple[str, list[str], dict[str, str], int, int]] = {
    "task on a stage": (
        "stage_creates_tasks",
        [],
        {
            "o.stages.0": "Продажи / Бриф получен",
            "o.tasks.0.text": "Прочитать бриф",
            "o.tasks.0.to": "manager",
            "o.tasks.0.due": "1 рабочий час",
        },
        4,
        4,
    ),
    "gate with a field": (
        "stage_needs_fields",
        [],
        {"o.entering.0": "Продажи / Бриф получен", "o.fields.0": "Бюджет"},
        4,
        2,
    ),
    "file moves the deal": (
        "file_moves_deal",
        [],
        {
            "o.from_stages.0": "Продажи / Бриф получен",
            "o.to_stage": "Продажи / Согласование КП",
            "o.name_starts_with.0": "Смета",
        },
        4,
        3,
    ),
    "lost deal": (
        "lost_deal_is_routed",
        ["add:o.tag_by_reason"],
        {
            "o.pipelines.0": "Реализация",
            "o.to_stage": "Работа с потерянными / Клиент ответил",
            "o.tag_by_reason.0.key": "Дорого",
            "o.tag_by_reason.0.value": "дорого",
        },
        5,
        4,
    ),
    "inactivity": (
        "stage_ladder",
        ["add:o.steps.0.task", "add:o.steps", "add:o.steps.1.escalate"],
        {
            "o.stages.0": "Продажи / Бриф получен",
            "o.steps.0.after": "3 дня",
            "o.steps.0.task.0.text": "Позвонить",
            "o.steps.0.task.0.to": "manager",
            "o.steps.0.task.0.due": "today",
            "o.steps.1.after": "7 дней",
            "o.steps.1.escalate.text": "Неделя без движения",
        },
        7,
        7,
    ),
}


@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_rule_takes_few_clicks_and_fields(known: Pages, admin: Visit, name: str) -> None:
    """The catalogue, the empty form, what the form asks for, «проверить», «сохранить»: docs/rules-by-form.md tells."""
    kind, buttons, fields, clicks, filled = TYPICAL[name]
    address = f"/rules/new/{kind}"
    page = admin.get(address)
    for button in buttons:
        page = sent(admin, address, page, button)
    assert fields.keys() <= fields_of(page).keys(), "all of them are there to be filled in"
    review = sent(admin, address, page, **{key.replace(".", "__"): value for key, value in fields.items()})
    assert "Что изменится" in words_of(review), mistakes_in(review)
    saved(admin, review)
    assert any(rule.handler.name == kind and rule.dry_run for rule in load(known.bridge.config.path, {}).rules)
    assert (len(buttons) + 4, len(fields)) == (clicks, filled)


def test_a_hint_leads_to_the_document_that_it_names(asker: Visit) -> None:
    assert '<a href="/help/due-dates">docs/due-dates.md</a>' in asker.get(NEW).text
