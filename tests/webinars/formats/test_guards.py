"""Whatever else people upload by mistake is refused in words, not asked about column by column."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pytest
from support.webinar_samples import SAMPLES

from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError

pytestmark = pytest.mark.usefixtures("files_read_here")

TEXT_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PAGE = "<!DOCTYPE html>\n<html><head><title>502</title></head><body>Bad, gateway; help@example.ru</body></html>\n"
LETTER = "Здравствуйте, Марина!\nФайл будет завтра, извините.\nС уважением, Олег\n"


def picture() -> bytes:
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk


NO_TABLES: dict[str, tuple[bytes, str]] = {
    "PDF": (TEXT_PDF, "это документ PDF, а не таблица"),
    "PNG": (picture(), "это картинка, а не таблица"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\x20" * 90, "это картинка"),
    "BMP": (b"BM\x36\0\0\0" + b"z" * 90, "это картинка"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 ", "картинка, звук или видео"),
    "MP4": (b"\0\0\0\x18ftypmp42" + b"\0" * 40, "картинка, звук или видео"),
    "RAR": (b"Rar!\x1a\x07\0" + b"a" * 40, "это архив"),
    "gzip": (b"\x1f\x8b\x08\0" + b"a" * 40, "это архив"),
    "RTF": (rb"{\rtf1\ansi hello}", "это документ RTF"),
    "a program": (b"MZ\x90\0" + b"a" * 90, "это программа"),
    "page": (PAGE.encode(), "это веб-страница (HTML)"),
    "page with a mark": (b"\xef\xbb\xbf\n  " + PAGE.encode(), "это веб-страница (HTML)"),
    "page in UTF-16": (PAGE.encode("utf-16"), "это веб-страница (HTML)"),
    "page in cp1251": ("<html><body>Ошибка входа, попробуйте позже".encode("cp1251"), "это веб-страница (HTML)"),
    "XML of Excel 2003": (b'<?xml version="1.0"?><Workbook>a</Workbook>', "сохраните её оттуда как XLSX"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "или XML, а не таблица"),
    "zeros": (b"\0" * 300, "не похоже ни на книгу Excel"),
    "noise without high bytes": (bytes(range(32)) * 20, "не похоже ни на книгу Excel"),
    "letter": (LETTER.encode(), "ни в одной ячейке нет ни почты, ни телефона"),
    "other table": ("Товар;Цена\nКнига;500\n".encode(), "ни в одной ячейке нет ни почты, ни телефона"),
}


@pytest.mark.parametrize("kind", NO_TABLES)
def test_it_is_refused_in_words(kind: str) -> None:
    content, words = NO_TABLES[kind]
    with pytest.raises(ExportError) as refused:
        read_export("участники.csv", content)
    assert not isinstance(refused.value, ColumnsUnknown), "there is nothing to ask about"
    assert str(refused.value).startswith("участники.csv: ")
    assert words in str(refused.value)


@pytest.mark.parametrize("size", [60, 300, 5_000, 200_000])
def test_noise_is_never_asked_about(size: int) -> None:
    rng = random.Random(size)
    for _ in range(25):
        with pytest.raises(ExportError) as refused:
            read_export("t.csv", rng.randbytes(size))
        assert not isinstance(refused.value, ColumnsUnknown)


@pytest.mark.parametrize(
    "table",
    [
        "Кто;Связь\nАнна;anna@example.ru\n",
        "Кто;Связь\nАнна;8 (916) 123-45-67\n",
        "BM;Связь\nАнна;anna@example.ru\n",
        "Кто;Связь\n" + "Гость;нет\n" * 1000 + "Анна;anna@example.ru\n",
        "Кто;Связь\nАн\x01на и очень длинное имя, которое набрали в чате вебинара и не поправили;anna@example.ru\n",
    ],
    ids=["mail", "phone", "a title like a picture's", "far below", "one odd sign"],
)
def test_a_table_of_people_is_asked_about(table: str) -> None:
    with pytest.raises(ColumnsUnknown):
        read_export("t.csv", table.encode())


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_samples_are_taken_as_before(path: Path) -> None:
    if path.name != "bizon_getlist.json":
        assert read_export(path.name, path.read_bytes()).visits
