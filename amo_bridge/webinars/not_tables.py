"""Files that are no table of people, whatever they are called: told by what they begin with, and said in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from amo_bridge.webinars import cells
from amo_bridge.webinars.cells import Cell
from amo_bridge.webinars.exports import ExportError
from amo_bridge.webinars.tables import Table

_BEGINS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("документ PDF", (b"%PDF-",)),
    ("картинка", (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")),
    ("звук или видео", (b"ID3", b"OggS", b"\x1aE\xdf\xa3", b"fLaC")),
    ("архив", (b"Rar!\x1a", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh")),
    ("документ RTF", (b"{\\rtf",)),
    ("программа", (b"MZ", b"\x7fELF")),
)
# «BM» or «ID3» might begin a title of a column: so few bytes tell nothing of a file without zeros in it.
_TOO_SHORT = 3
_MARKUP = re.compile(r"\s*<[!?/a-zA-Z]")
# Tabs, ends of lines and pages, the old end of a file are in texts too; of these one may slip into a name.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_FEW_IN = 100
_LOOKED_AT = 64 * 1024
_ROWS_LOOKED_AT = 5_000
_LIKE_A_PHONE = re.compile(r"(?:\d\D{0,3}){10}")
WANTED = "нужна выгрузка участников: книга Excel, CSV или JSON"


def check_bytes(name: str, content: bytes) -> None:
    """Raises ExportError for a file that begins as no export of people does."""
    if content[:4] == b"RIFF" or content[4:8] == b"ftyp":
        raise _not_people(name, "картинка, звук или видео")
    for kind, beginnings in _BEGINS:
        for beginning in beginnings:
            is_sure = len(beginning) > _TOO_SHORT or b"\0" in content[:_LOOKED_AT]
            if content.startswith(beginning) and is_sure:
                raise _not_people(name, kind)


def check_text(name: str, text: str) -> None:
    """Raises ExportError for a page of the web, and for bytes that only look like letters."""
    if _MARKUP.match(text):
        raise ExportError(
            f"{name}: это веб-страница (HTML) или XML, а не таблица: возможно, вместо файла сохранилась страница входа "
            "или ошибки. Если Excel её открывает, сохраните её оттуда как XLSX или CSV"
        )
    begins = text[:_LOOKED_AT]
    if len(_CONTROL.findall(begins)) * _FEW_IN > len(begins):
        raise not_a_text(name)


def check_people(tables: Sequence[Table]) -> None:
    """Raises ExportError when no cell has a mail or a phone: then there is nothing to ask about the columns."""
    if not any(_is_address(cell) for table in tables for row in table.rows[:_ROWS_LOOKED_AT] for cell in row):
        raise ExportError(f"{tables[0].file}: ни в одной ячейке нет ни почты, ни телефона; {WANTED}")


def _is_address(cell: Cell) -> bool:
    written = cells.text(cell)
    return ("@" in written and bool(cells.mails(cell))) or (
        _LIKE_A_PHONE.search(written) is not None and bool(cells.phones(cell)[0])
    )


def not_a_text(name: str) -> ExportError:
    """For bytes that are no text."""
    return ExportError(f"{name}: не похоже ни на книгу Excel, ни на CSV, ни на JSON; выгрузите файл ещё раз")


def _not_people(name: str, kind: str) -> ExportError:
    return ExportError(f"{name}: это {kind}, а не таблица; {WANTED}")
