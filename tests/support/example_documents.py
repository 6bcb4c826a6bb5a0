"""The Word templates beside examples/smm.toml's letters: «python tests/support/example_documents.py» writes them."""

from __future__ import annotations

from pathlib import Path

from docx import Document
from docx.document import Document as Made
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Pt

FOLDER = Path(__file__).parents[2] / "examples" / "smm" / "letters"
AGENCY = (
    ("Исполнитель", "{{ агентство.название }}"),
    ("БИН", "{{ агентство.БИН }}"),
    ("Адрес", "{{ агентство.адрес }}"),
    ("Банк", "{{ агентство.банк }}"),
    ("БИК", "{{ агентство.БИК }}"),
    ("ИИК", "{{ агентство.ИИК }}"),
)
SIGNED = "{{ агентство.подписант }}  ______________"


def invoice() -> Made:
    """«счёт»: to a company, for the next month."""
    made = _begun("Счёт на оплату № {{ документ.номер }} от {{ документ.дата }}")
    _pairs(made, *AGENCY, ("Заказчик", "{{ компания.название }}"), ("Контактное лицо", "{{ клиент.полное_имя }}"))
    table = made.add_table(rows=2, cols=4, style="Table Grid")
    rows = (
        ("№", "Услуга", "Период", "Сумма, тенге"),
        ("1", "Продвижение: {{ сделка.название }}", "1 месяц", "{{ сделка.бюджет | деньги }}"),
    )
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    made.add_paragraph()
    made.add_paragraph("Итого к оплате: {{ сделка.бюджет | деньги }} тенге.")
    made.add_paragraph('{{ сделка.бюджет | прописью("тенге") }}.')
    made.add_paragraph("Менеджер: {{ менеджер.имя }}, {{ менеджер.почта }}")
    made.add_paragraph(SIGNED)
    return made


def requisites() -> Made:
    """«реквизиты»: to a person, who pays from his own account."""
    made = _begun("Реквизиты для оплаты")
    made.add_paragraph("{{ клиент.полное_имя }}, за что: {{ сделка.название }}, следующий период.")
    made.add_paragraph(
        '{% if поле["Реквизиты для оплаты"] %}Оплата по реквизитам: {{ поле["Реквизиты для оплаты"] }}{% endif %}'
    )
    _pairs(made, *AGENCY, ("Назначение", "Оплата услуг, сделка № {{ сделка.номер }}"))
    made.add_paragraph('Сумма: {{ сделка.бюджет | деньги }} тенге ({{ сделка.бюджет | прописью("тенге") }}).')
    made.add_paragraph("Менеджер: {{ менеджер.имя }}, {{ менеджер.почта }}")
    return made


TEMPLATES = {"счёт": invoice, "реквизиты": requisites}


def _begun(title: str) -> Made:
    made = Document()
    made.styles["Normal"].font.name = "Arial"
    made.styles["Normal"].font.size = Pt(11)
    heading = made.add_paragraph()
    heading.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = heading.add_run(title)
    run.bold, run.font.size = True, Pt(14)
    return made


def _pairs(made: Made, *pairs: tuple[str, str]) -> None:
    table = made.add_table(rows=len(pairs), cols=2, style="Table Grid")
    for row, (name, value) in zip(table.rows, pairs, strict=True):
        row.cells[0].text, row.cells[1].text = name, value
    made.add_paragraph()


if __name__ == "__main__":
    for name, make in TEMPLATES.items():
        make().save(str(FOLDER / f"{name}.docx"))
