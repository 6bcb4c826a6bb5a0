"""Guards against harmful files: limits of size, archives that swell, documents that fetch."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Sequence

from amo_bridge.webinars.formats import cells
from amo_bridge.webinars.formats.cells import Cell
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.tables import Table

MOST_BYTES = 20 * 1024 * 1024
MOST_UNPACKED = 200 * 1024 * 1024
MOST_PARTS = 2_000
MOST_ROWS = 100_000
MOST_COLUMNS = 1_000
LONGEST_CELL = 10_000
_PIECE = 1024 * 1024
# Long enough for a comment before the declaration; a document type must stand before the first element.
_HEAD = 64 * 1024


def check_size(name: str, content: bytes) -> None:
    """Raises ExportError for a file that is empty or too big."""
    if not content.strip():
        raise ExportError(f"{name}: файл пустой")
    if len(content) > MOST_BYTES:
        told = f"{len(content) / 1024 / 1024:.0f} МБ"
        raise ExportError(f"{name}: файл слишком большой ({told}), принимается до {MOST_BYTES // 1024 // 1024} МБ")


def check_rows(where: str, count: int, most: int) -> None:
    """Raises ExportError for a table with too many rows."""
    if count > most:
        raise ExportError(f"{where}: строк больше {most}, разделите файл на части")


def check_cell(where: str, text: str) -> str:
    """The text. Raises ExportError for one that no export of people has."""
    if len(text) > LONGEST_CELL:
        raise ExportError(f"{where}: в ячейке {len(text)} знаков, это не похоже на выгрузку")
    return text


def check_archive(name: str, content: bytes) -> None:
    """Unpack a book once, counting: the sizes that its directory tells may be lies. Raises ExportError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_parts(name, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ExportError(f"{name}: книга повреждена, сохраните её ещё раз в Excel и загрузите снова") from error


def _check_parts(name: str, archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if len(parts) > MOST_PARTS:
        raise ExportError(f"{name}: в книге слишком много частей ({len(parts)}), это не выгрузка вебинара")
    left = MOST_UNPACKED
    if sum(part.file_size for part in parts) > left:
        raise _swells(name)
    for part in parts:
        with archive.open(part) as opened:
            head = opened.read(_HEAD)
            if _declares_entities(head):
                words = "в книге объявлен DOCTYPE (так в неё прячут ссылки наружу), такие файлы не принимаются"
                raise ExportError(f"{name}: {words}")
            left -= len(head)
            while piece := opened.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise _swells(name)


def _swells(name: str) -> ExportError:
    return ExportError(
        f"{name}: в распакованном виде книга больше {MOST_UNPACKED // 1024 // 1024} МБ, такие файлы не принимаются"
    )


def _declares_entities(head: bytes) -> bool:
    plain = head.replace(b"\0", b"").upper()  # UTF-16 hides it from a plain look
    return b"<!DOCTYPE" in plain or b"<!ENTITY" in plain


# Files that are no table of people, whatever they are called: told by what they begin with, and said in words.

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


def check_bytes(name: str, content: bytes, wanted: str = WANTED) -> None:
    """Raises ExportError for a file that begins as no table does. ``wanted``: what is taken instead (Russian)."""
    if content[:4] == b"RIFF" or content[4:8] == b"ftyp":
        raise _no_table(name, "картинка, звук или видео", wanted)
    for kind, beginnings in _BEGINS:
        for beginning in beginnings:
            is_sure = len(beginning) > _TOO_SHORT or b"\0" in content[:_LOOKED_AT]
            if content.startswith(beginning) and is_sure:
                raise _no_table(name, kind, wanted)


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
    if not has_address(tables):
        raise ExportError(f"{tables[0].file}: ни в одной ячейке нет ни почты, ни телефона; {WANTED}")


def has_address(tables: Sequence[Table]) -> bool:
    """Whether any cell has a mail or a phone."""
    return any(_is_address(cell) for table in tables for row in table.rows[:_ROWS_LOOKED_AT] for cell in row)


def _is_address(cell: Cell) -> bool:
    written = cells.text(cell)
    return ("@" in written and bool(cells.mails(cell)[0])) or (
        len(written) <= cells.LONGEST_ADDRESSES
        and _LIKE_A_PHONE.search(written) is not None
        and bool(cells.phones(cell)[0])
    )


def not_a_text(name: str) -> ExportError:
    """For bytes that are no text."""
    return ExportError(f"{name}: не похоже ни на книгу Excel, ни на CSV, ни на JSON; выгрузите файл ещё раз")


def _no_table(name: str, kind: str, wanted: str) -> ExportError:
    return ExportError(f"{name}: это {kind}, а не таблица; {wanted}")
