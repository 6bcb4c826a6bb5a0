"""How much a file may hold, and the refusal of files made to do harm: archives that swell, documents that fetch."""

from __future__ import annotations

import io
import zipfile
import zlib

from amo_bridge.webinars.exports import ExportError

MOST_BYTES = 20 * 1024 * 1024
MOST_UNPACKED = 200 * 1024 * 1024
MOST_PARTS = 2_000
MOST_ROWS = 100_000
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


def check_rows(where: str, count: int) -> None:
    """Raises ExportError for a table with too many rows."""
    if count > MOST_ROWS:
        raise ExportError(f"{where}: строк больше {MOST_ROWS}, разделите файл на части")


def check_cell(where: str, text: str) -> str:
    """The text. Raises ExportError for one that no export of people has."""
    if len(text) > LONGEST_CELL:
        raise ExportError(f"{where}: в ячейке {len(text)} знаков, это не похоже на выгрузку участников")
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
