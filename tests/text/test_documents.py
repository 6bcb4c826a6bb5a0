"""Word files as templates: filled from cards; whatever is missing is told at once, and nothing is made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from support.example_documents import FOLDER, TEMPLATES

from amo_bridge.text.documents import NEEDED, Card, DocumentTemplates, number_in_words
from amo_bridge.text.templates import BadTemplate


def facts(**changed: Any) -> dict[str, Any]:
    fields = Card("компания", {"ИНН": "7701234567"}, {"инн": "ИНН", "кпп": "КПП"})
    found: dict[str, Any] = {
        "сделка": Card("сделка", {"название": "Ромашка", "бюджет": "50000"}),
        "компания": Card("компания", {"название": "ООО «Ромашка & Ко»", "поле": fields}),
        "поле": Card("сделка", {"Договор": "№ 5"}, {"договор": "Договор", "дата": "Дата"}),
        "документ": Card("документ", {"номер": "7-1", "дата": "29.11.2026"}),
    }
    return found | changed


def template(folder: Path, *paragraphs: str, header: str = "", runs: tuple[str, ...] = ()) -> DocumentTemplates:
    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if runs:
        split = document.add_paragraph()
        for run in runs:
            split.add_run(run)
    if header:
        document.sections[0].header.paragraphs[0].text = header
    document.save(str(folder / "счёт.docx"))
    return DocumentTemplates(folder)


def text_of(content: bytes) -> str:
    document = Document(BytesIO(content))
    lines = [paragraph.text for section in document.sections for paragraph in section.header.paragraphs]
    return "\n".join([*lines, *(paragraph.text for paragraph in document.paragraphs)]).strip()


def rendered(folder: Path, *paragraphs: str, given: Mapping[str, Any] | None = None, **more: Any) -> str:
    return text_of(template(folder, *paragraphs, **more).render("счёт", given or facts()))


def test_it_is_filled_with_the_cards(tmp_path: Path) -> None:
    told = rendered(
        tmp_path, "Счёт № {{ документ.номер }} от {{ документ.дата }}",
        '{{ компания.название }}, ИНН {{ компания.поле["ИНН"] }}',
        "Итого {{ сделка.бюджет | деньги }} ({{ сделка.бюджет | прописью }})", header="{{ поле.Договор }}",
    )  # fmt: skip
    assert told.split("\n") == [
        "№ 5",
        "Счёт № 7-1 от 29.11.2026",
        "ООО «Ромашка & Ко», ИНН 7701234567",
        "Итого 50\u00a0000,00 (Пятьдесят тысяч рублей 00 копеек)",
    ]


def test_words_own_quotation_marks_and_split_words_are_understood(tmp_path: Path) -> None:
    assert rendered(tmp_path, "ИНН {{ компания.поле[«ИНН»] }}") == "ИНН 7701234567"
    assert rendered(tmp_path, runs=("Счёт {", "{ документ.", "номер }", "}")) == "Счёт 7-1"


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    templates = template(
        tmp_path, "{{ сделка.бюджет | деньги }} {{ сделка.бюджетт }}", '{{ компания.поле["КПП"] }} {{ поле["Дата"] }}',
        '{{ компания.поле["ИНННН"] }}',
    )  # fmt: skip
    with pytest.raises(BadTemplate) as told:
        templates.render("счёт", facts(сделка=Card("сделка", {"бюджет": ""})))
    words = str(told.value)
    for one in ("сделка, «бюджет»", "«бюджетт» ничего не значит; может быть, «бюджет»?", "компания, «КПП»",
                "сделка, «Дата»", "«ИНННН» ничего не значит; может быть, «ИНН»?"):  # fmt: skip
        assert one in words
    assert "Заполните это в карточке и повторите письмо" in words


def test_what_may_be_empty_stands_within_a_condition(tmp_path: Path) -> None:
    told = rendered(tmp_path, '{% if компания.поле["КПП"] %}КПП {{ компания.поле["КПП"] }}{% endif %}Итого')
    assert told == "Итого"


@pytest.mark.parametrize(
    ("paragraph", "words"),
    [
        ("{{ кампания.название }}", "«кампания» ничего не значит; может быть, «компания»?"),
        ("{{ отписка }}", "«отписка» ничего не значит"),
        ("{% if %}", "Jinja не понимает"),
    ],
)
def test_a_slip_is_told_before_there_is_anything_to_fill_in(tmp_path: Path, paragraph: str, words: str) -> None:
    assert words in template(tmp_path, paragraph).problems_of("счёт")[0]


def test_what_the_agency_has_not_written_yet_is_told(tmp_path: Path) -> None:
    templates = template(tmp_path, "Р/с [номер счёта] в банке, итого {{ сделка.бюджет }}")
    assert templates.placeholders_of("счёт") == ["«[номер счёта]»"]
    with pytest.raises(BadTemplate, match="не дописан"):
        templates.render("счёт", facts())


def test_the_fields_that_are_asked_for_are_known_by_whose_they_are(tmp_path: Path) -> None:
    templates = template(
        tmp_path, '{{ поле["Дата"] }} {{ компания.поле.ИНН }} {{ клиент.поле["Паспорт"] }} {{ агентство.БИК }}'
    )
    known = {name: sorted(fields) for name, fields in templates.field_names_of("счёт").items()}
    assert known == {"": ["Дата"], "компания": ["ИНН"], "клиент": ["Паспорт"], "агентство": ["БИК"]}


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template(tmp_path, "a")
    monkeypatch.setitem(sys.modules, "docxtpl", None)
    assert DocumentTemplates(tmp_path).problems_of("счёт") == [NEEDED]


def test_no_file_or_no_document_is_told(tmp_path: Path) -> None:
    template(tmp_path, "a")
    templates = DocumentTemplates(tmp_path)
    assert "нужен файл" in templates.problems_of("счет-фактура")[0]
    assert "есть: счёт" in templates.problems_of("счет-фактура")[0]
    assert "имя" not in templates.problems_of("счёт")
    (tmp_path / "счёт.docx").write_bytes(b"not a zip")
    assert "не документ Word" in templates.problems_of("счёт")[0]
    with pytest.raises(BadTemplate, match="нужен файл"):
        templates.render("../счёт", facts())


@pytest.mark.parametrize("value", ["сто", "-5", "1" + "0" * 12])
def test_what_is_no_sum_is_told(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadTemplate, match="не сумма"):
        template(tmp_path, "{{ сделка.бюджет | прописью }}").render("счёт", facts(сделка={"бюджет": value}))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "ноль"),
        (1, "один"),
        (19, "девятнадцать"),
        (1_000, "одна тысяча"),
        (2_345, "две тысячи триста сорок пять"),
        (11_000, "одиннадцать тысяч"),
        (21_100, "двадцать одна тысяча сто"),
        (1_000_001, "один миллион один"),
        (5_002_000_090, "пять миллиардов два миллиона девяносто"),
    ],
)
def test_a_number_in_words(number: int, words: str) -> None:
    assert number_in_words(number) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("1", "Один рубль 00 копеек"),
        ("102,01", "Сто два рубля 01 копейка"),
        ("11.22", "Одиннадцать рублей 22 копейки"),
        ("1 111", "Одна тысяча сто одиннадцать рублей 00 копеек"),
        ("10.999", "Одиннадцать рублей 00 копеек"),
        (str(0.29 * 100), "Двадцать девять рублей 00 копеек"),
    ],
)
def test_a_sum_in_words(tmp_path: Path, amount: str, words: str) -> None:
    assert rendered(tmp_path, "{{ сделка.бюджет | прописью }}", given=facts(сделка={"бюджет": amount})) == words


def test_figures_and_words_are_of_one_sum(tmp_path: Path) -> None:
    text = "{{ сделка.бюджет | деньги }} {{ сделка.бюджет | прописью }}"
    told = rendered(tmp_path, text, given=facts(сделка={"бюджет": "28.995"}))
    assert told == "29,00 Двадцать девять рублей 00 копеек"


def test_what_people_paste_from_word_does_not_break_a_document(tmp_path: Path) -> None:
    given = facts(сделка={"бюджет": "1", "название": "ООО\x0bРога\x00"})
    assert "ООО Рога" in rendered(tmp_path, "{{ сделка.название }}", header="{{ сделка.название }}", given=given)


def test_a_sum_in_another_currency(tmp_path: Path) -> None:
    given = facts(сделка={"бюджет": "51000"})
    words = rendered(tmp_path, '{{ сделка.бюджет | прописью("тенге") }}', given=given)
    assert words == "Пятьдесят одна тысяча тенге 00 тиынов"
    with pytest.raises(BadTemplate, match="рубль, тенге, а не «иена»"):
        rendered(tmp_path, '{{ сделка.бюджет | прописью("иена") }}', given=given)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_examples_templates_are_what_makes_them(name: str, tmp_path: Path) -> None:
    TEMPLATES[name]().save(str(tmp_path / f"{name}.docx"))
    made, shipped = (DocumentTemplates(folder)._sources(name) for folder in (tmp_path, FOLDER))
    assert made == shipped, "python tests/support/example_documents.py writes them"
    assert DocumentTemplates(FOLDER).problems_of(name) == DocumentTemplates(FOLDER).placeholders_of(name) == []


def test_the_examples_invoice_can_be_filled() -> None:
    names = ("название", "БИН", "адрес", "банк", "БИК", "ИИК", "подписант")
    card = Card("любая", {**dict.fromkeys(names, "есть"), "полное_имя": "Ольга", "имя": "Иван", "почта": "a@b.kz"})
    given = facts(
        агентство=card, клиент=card, менеджер=card, сделка=Card("сделка", {"название": "SMM", "бюджет": "90000"})
    )
    document = Document(BytesIO(DocumentTemplates(FOLDER).render("счёт", given)))
    assert "Девяносто тысяч тенге 00 тиынов." in [paragraph.text for paragraph in document.paragraphs]
    assert [cell.text for cell in document.tables[1].rows[1].cells] == [
        "1",
        "Продвижение: SMM",
        "1 месяц",
        "90\u00a0000,00",
    ]
