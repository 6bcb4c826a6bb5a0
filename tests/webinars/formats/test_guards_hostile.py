"""Books made to do harm are refused in words, and nothing of them is kept."""

from __future__ import annotations

import io
import zipfile

import pytest
import xlsxwriter
from support.webinar_samples import SAMPLES

from amo_bridge.webinars.formats import guards, read_export
from amo_bridge.webinars.formats.model import ExportError

REPORT = SAMPLES / "bizon_report.xlsx"


def rebuilt(**parts: bytes) -> bytes:
    """The sample book with some of its parts put in anew (dots for slashes can't be keywords)."""
    out = io.BytesIO()
    with zipfile.ZipFile(REPORT) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name.rpartition("/")[2].replace(".", "_"), old.read(name)))
    return out.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(ExportError) as refused:
        read_export("book.xlsx", content)
    return str(refused.value)


def test_a_zip_bomb() -> None:
    bomb = rebuilt(sharedStrings_xml=b" " * (guards.MOST_UNPACKED + 1))
    assert len(bomb) < guards.MOST_BYTES
    assert "в распакованном виде" in refusal(bomb)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_that_fetches_from_outside(encoding: str) -> None:
    evil = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><sst>&f;</sst>'
    assert "ссылки наружу" in refusal(rebuilt(sharedStrings_xml=evil.encode(encoding)))


def test_a_cell_in_the_last_corner_takes_the_reader_s_memory_and_nobody_else_s() -> None:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("Лист")
    sheet.write(0, 0, "Имя")
    sheet.write(1_048_575, 16_383, "x")
    book.close()
    told = refusal(out.getvalue())
    assert "памяти" in told or "слишком много" in told


def test_a_book_that_is_cut_short() -> None:
    assert "повреждена" in refusal(REPORT.read_bytes()[:3000])


def test_a_zip_that_is_no_book() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "hello")
    assert "не книга Excel" in refusal(out.getvalue())


def test_a_file_that_is_too_big() -> None:
    assert "слишком большой" in refusal(b"a" * (guards.MOST_BYTES + 1))


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MOST_ROWS", 10)
    rows = "Имя;Почта;Минут;Дата\n" + "Анна;a@example.ru;5;13.09.2021\n" * 20
    with pytest.raises(ExportError, match="строк больше 10"):
        read_export("t.csv", rows.encode())
