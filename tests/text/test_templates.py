"""Templates of letters: what they may say, and how a slip in one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.builders import deal

from amo_bridge.channels.mail import facts
from amo_bridge.crm.records import ContactRecord
from amo_bridge.text.names import normalise
from amo_bridge.text.templates import BadTemplate, Templates

SHIPPED = Path(__file__).parents[2] / "letters"
SMM = Path(__file__).parents[2] / "examples" / "smm" / "letters"
OLGA = ContactRecord(id=5, name="Ольга Смирнова", first_name="Ольга")
FIELDS = {normalise(name): name for name in ("Дата дедлайна", "Источник", "Комментарий")}
Write = Any


def known(unsubscribe: str = "https://b.example/u/abc", **of_deal: Any) -> dict[str, Any]:
    filled = {"Дата дедлайна": "31.12.2026", "Комментарий": "<b>скидка & бонус</b>"}
    return facts(deal(fields=filled, price=90_000, **of_deal), OLGA, FIELDS, unsubscribe)


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    return Templates(tmp_path)


def write(templates: Templates, text: str, name: str = "письмо.txt") -> None:
    path = templates.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_letter_takes_its_words_from_the_deal_and_the_client(templates: Templates) -> None:
    write(templates, 'Тема: {{ сделка.название }}\n\n{{ клиент.имя }}, ждём до {{ поле["дата дедлайна"] }}.\n')
    letter = templates.render("письмо", known())
    assert (letter.subject, letter.text, letter.html) == ("Ромашка", "Ольга, ждём до 31.12.2026.\n", None)


def test_an_empty_field_is_empty_and_may_be_asked_about(templates: Templates) -> None:
    write(templates, 'Тема: a\n{% if поле["Источник"] %}есть{% else %}пусто{% endif %}')
    assert templates.render("письмо", known()).text == "пусто\n"


def test_in_html_whatever_comes_from_the_deal_is_escaped(templates: Templates) -> None:
    write(templates, 'Тема: a\n{{ поле["Комментарий"] }}')
    write(templates, '<p>{{ поле["Комментарий"] }}</p>', "письмо.html")
    letter = templates.render("письмо", known())
    assert letter.text == "<b>скидка & бонус</b>\n", "plain text stays plain"
    assert letter.html == "<p>&lt;b&gt;скидка &amp; бонус&lt;/b&gt;</p>"


def test_a_subject_is_one_line_whatever_is_filled_in(templates: Templates) -> None:
    write(templates, "Тема: О проекте {{ сделка.название }}\n\nтекст")
    letter = templates.render("письмо", known(name="Ромашка\r\nBcc: all@client.example"))
    assert letter.subject == "О проекте Ромашка Bcc: all@client.example"
    assert letter.text == "текст\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Тема: a\n{{ клиент.имяя }}", "«имяя» ничего не значит; может быть, «имя»?"),
        ("Тема: a\n{{ клеент.имя }}", "«клеент» ничего не значит"),
        ('Тема: a\n{{ поле["Дата дедлайн"] }}', "«Дата дедлайн» ничего не значит; может быть, «Дата дедлайна»?"),
        ("Тема: a\n\n{% if %}", "строка 3: Jinja не понимает"),
        ('Тема: a\n{% include "подпись.txt" %}', "нет файла подпись.txt"),
        ("Здравствуйте!", "первая строка должна быть «Тема: …»"),
        ("Тема:\n\nтекст", "первая строка должна быть «Тема: …»"),
        ("Тема: a\n{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_a_slip_is_told_in_words(templates: Templates, text: str, words: str) -> None:
    write(templates, text)
    with pytest.raises(BadTemplate, match="письм") as told:
        templates.render("письмо", known())
    assert words in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "Тема: a\n{{ сделка.__class__.__mro__ }}",
        "Тема: a\n{{ клиент.update({'имя': 'x'}) }}",
        "Тема: a\n{{ ''.__class__.__base__.__subclasses__() }}",
        "Тема: a\n{% include '../тайна.txt' %}",
    ],
)
def test_a_template_reaches_nothing_but_its_words(templates: Templates, text: str) -> None:
    write(templates, text)
    (templates.folder.parent / "тайна.txt").write_text("пароль", "utf-8")
    with pytest.raises(BadTemplate):
        templates.render("письмо", known())


def test_an_unknown_template_is_told_with_those_that_are_there(templates: Templates) -> None:
    write(templates, "Тема: a\nb", "прогрев/1.txt")
    assert "есть: прогрев/1" in templates.problems_of("прогрев/2")[0]


@pytest.mark.parametrize(
    ("text", "html", "problem"),
    [
        ("Тема: a\n{{ клиент.имя }}", None, None),
        ("Тема: a\n{% for x in [1] %}{{ x }}{% endfor %}", None, None),
        ("Тема: a\n{{ менеджр.имя }}", None, "«менеджр» ничего не значит; может быть, «менеджер»?"),
        ("Тема: {{ сделк.название }}\nb", None, "«сделк» ничего не значит; может быть, «сделка»?"),
        ("Тема: a\nb", "{{ клент.имя }}", "«клент» ничего не значит; может быть, «клиент»?"),
        ("Тема: a\n{% endif %}", None, "строка 2: Jinja не понимает"),
    ],
)
def test_a_slip_is_seen_before_there_is_a_letter(
    templates: Templates, text: str, html: str | None, problem: str | None
) -> None:
    write(templates, text)
    if html is not None:
        write(templates, html, "письмо.html")
    told = templates.problems_of("письмо")
    assert problem is None or problem in told[0]
    assert bool(told) == bool(problem)


def test_the_fields_that_a_template_asks_for_are_known(templates: Templates) -> None:
    write(templates, 'Тема: {{ поле["Источник"] }}\n{{ поле["Дата дедлайна"] }}')
    assert templates.field_names_of("письмо") == ["Источник", "Дата дедлайна"]


@pytest.mark.parametrize(
    ("requisites", "told", "not_told"),
    [
        ("Карта 1111, Анастасия К.", "Карта 1111, Анастасия К.", "в прошлый раз"),
        ("", "в прошлый раз", "Реквизиты для оплаты:"),
    ],
)
def test_how_to_pay_is_told_by_the_deals_field_or_as_the_last_time(requisites: str, told: str, not_told: str) -> None:
    facts = known() | {"поле": {"Реквизиты для оплаты": requisites}}
    letter = Templates(SMM).render("реквизиты", facts).text
    assert told in letter
    assert not_told not in letter


@pytest.mark.parametrize("path", sorted(SHIPPED.rglob("*.txt")), ids=lambda path: path.stem)
def test_the_shipped_templates_make_letters(path: Path) -> None:
    name = str(path.relative_to(SHIPPED).with_suffix(""))
    if name == "отписка":
        return
    letter = Templates(SHIPPED).render(name, known())
    assert "Ольга" in letter.text
    assert "{" not in letter.text
    is_advertising = "утепляющая" in name or "приглашение" in name
    assert ("https://b.example/u/abc" in letter.text) is is_advertising


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Впишите сюда реквизиты для оплаты картой.", "Впишите сюда реквизиты для оплаты картой"),
        ("Здесь вставить ссылку на счёт", "Здесь вставить ссылку на счёт"),
        ("Здесь будут реквизиты", "Здесь будут реквизиты"),
        ("Переведите на карту [номер карты].", "[номер карты]"),
        ("Переведите на карту <номер карты>.", "<номер карты>"),
        ("Сумма: {сумма} ₽", "{сумма}"),
        ("Счёт № ____ от менеджера", "____"),
        ("Карта XXXX XXXX", "XXXX"),
        ("TODO: реквизиты", "TODO"),
        ("Замените этот текст своим", "Замените этот текст своим"),
    ],
)
def test_what_is_still_to_be_filled_in_is_found_with_its_line(templates: Templates, line: str, words: str) -> None:
    write(templates, f"Тема: a\n\n{{{{ клиент.имя }}}}, здравствуйте!\n{line}\n")
    assert templates.placeholders_of("письмо")[0] == f"письмо.txt, строка 4: «{words}»"
    with pytest.raises(BadTemplate, match="не дописан"):
        templates.render("письмо", known())


@pytest.mark.parametrize(
    "line",
    [
        "Впишите ответы в анкету и пришлите её нам.",
        "Напишите сюда, если остались вопросы.",
        "Впишите сюда свои ответы: https://forms.example/1",
        "Сноска [1], сайт [наш сайт](https://a.example).",
        "Почта: Агентство <info@agency.example>",
        "________",
        "Укажите свой номер телефона в ответе.",
        "{# впишите сюда реквизиты #}Спасибо.",
        "Размер XXL",
    ],
)
def test_words_for_the_client_are_no_placeholders(templates: Templates, line: str) -> None:
    write(templates, f"Тема: a\n\n{line}\n")
    assert templates.placeholders_of("письмо") == []


def test_the_subject_the_html_and_what_is_included_are_looked_at_too(templates: Templates) -> None:
    write(templates, 'Тема: Счёт [номер]\n\nТекст.\n{% include "подпись.txt" %}')
    write(templates, "<!-- [если надо] --><style>a[href] {}</style><p>[ссылка]</p>", "письмо.html")
    write(templates, "Впишите сюда телефон", "подпись.txt")
    found = " ".join(templates.placeholders_of("письмо"))
    for words in ("письмо.txt, строка 1: «[номер]»", "письмо.html, строка 1: «[ссылка]»", "подпись.txt, строка 1"):
        assert words in found
    assert "если надо" not in found


@pytest.mark.parametrize("name", [str(path.relative_to(SHIPPED).with_suffix("")) for path in SHIPPED.rglob("*.txt")])
def test_the_letters_that_come_along_are_finished(name: str) -> None:
    if name != "отписка":
        assert Templates(SHIPPED).placeholders_of(name) == []
