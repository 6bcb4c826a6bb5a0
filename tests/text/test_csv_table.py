"""CSV for people: nothing in it is run by Excel."""

from __future__ import annotations

import pytest

from amo_bridge.text.csv_table import as_csv, guarded


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+79161234567", "'+79161234567"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("Анна = хорошо", "Анна = хорошо"),
        (5, "5"),
        (None, ""),
    ],
)
def test_a_cell(cell: object, text: str) -> None:
    assert guarded(cell) == text


def test_russian_excel_opens_it_as_it_is() -> None:
    told = as_csv(["Имя", "Минут"], [["Анна; Мария", 5]])
    assert told == '\ufeffИмя;Минут\r\n"Анна; Мария";5\r\n'.encode()


def test_a_number_below_nothing_stays_a_number() -> None:
    """A sum of cells would leave a text out."""
    assert as_csv(["Сумма"], [[-5000], ["-5000"]]) == "\ufeffСумма\r\n-5000\r\n'-5000\r\n".encode()
