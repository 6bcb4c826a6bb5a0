"""Reading of a file in a process of its own, with limits of memory and time: bytes → an export.

A small file may ask for any amount of memory: one cell in the last corner of a sheet, a million cells with one long
text, a row repeated a million times. A big one of honest rows takes a minute of processor time. So everything, from
the archive to the last cell of a person, is done where it can only harm itself; ``read_export`` starts it and waits.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, tzinfo
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from amo_bridge.logs import log
from amo_bridge.webinars.formats import guards, table_reader, vendor_exports
from amo_bridge.webinars.formats.blocks import Mappings
from amo_bridge.webinars.formats.guards import check_archive, check_bytes, check_cell, check_rows, check_size
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export, ExportError
from amo_bridge.webinars.formats.table_rows import Progress, ReadOptions
from amo_bridge.webinars.formats.tables import Table
from amo_bridge.webinars.formats.texts import decoded, rows_of

MEMORY_BYTES = 2 * 1024**3
TIMEOUT_SECONDS = 180
MOST_AT_ONCE = 2
"""Files that are read at the same time: each may take the memory above."""
MOST_CELLS = 3_000_000
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
NO_MAPPINGS: Mappings = {}

_START = "from amo_bridge.webinars.formats.reading_process import main; main()"
T = TypeVar("T")
_FREE = threading.BoundedSemaphore(MOST_AT_ONCE)
_EXPORTS = TypeAdapter(Export)
_EXPORT = b'{"export": '


# --- the process that asks --------------------------------------------------------------------------------------------


def read_export(
    name: str,
    content: bytes,
    *,
    zone: tzinfo = UTC,
    day_first: bool = False,
    mappings: Mappings = NO_MAPPINGS,
    held_on: date | None = None,
    progress: Progress | None = None,
    is_forked: bool = False,
) -> Export:
    """What the file says, by what is in it; what it is called says nothing.

    ``zone``: the webinar's wall clock, for formats that tell moments. ``day_first``: how the Zoom account writes
    dates (usually the month first). ``mappings``: columns as people named them before. ``held_on``: the webinar's day,
    as a person told it. ``progress``: is told (rows read, all rows) now and then.
    ``is_forked``: a command asks, which has one thread and nothing open that its copy could harm. Raises ExportError,
    ColumnsUnknown.
    """
    check_size(name, content)
    request = {
        "name": name, "zone": str(zone), "day_first": day_first, "most_rows": guards.MOST_ROWS,
        "mappings": {key: dict(named) for key, named in mappings.items()},
        "held_on": held_on.isoformat() if held_on else None,
    }  # fmt: skip
    return read_in_child(name, request, content, _EXPORTS, start=_START, progress=progress, is_forked=is_forked)


def read_in_child(
    name: str,
    request: Mapping[str, Any],
    content: bytes,
    answer: TypeAdapter[T],
    *,
    start: str,
    progress: Progress | None = None,
    is_forked: bool = False,
) -> T:
    """What a process that runs ``start`` (``serve``) makes of the file. Raises ExportError, ColumnsUnknown."""
    if not _FREE.acquire(timeout=TIMEOUT_SECONDS):
        raise ExportError(f"{name}: мост сейчас читает другие большие файлы; загрузите этот через несколько минут")
    try:
        reading = _Reading(name, progress, start, answer, is_forked=is_forked)
        return reading.run(json.dumps(request).encode() + b"\n" + content)
    finally:
        _FREE.release()


class _Reading(Generic[T]):
    """One file, being read by a child."""

    def __init__(
        self, name: str, progress: Progress | None, start: str, answer: TypeAdapter[T], *, is_forked: bool
    ) -> None:
        # A copy of several threads has one of them, and whatever the others held is held for ever.
        self._is_forked = is_forked and hasattr(os, "fork") and threading.active_count() == 1
        self._name = name
        self._progress = progress
        self._start = start
        self._answer = answer
        self._is_late = False
        self._export: T | None = None

    def run(self, told: bytes) -> T:
        """``told``: the request in a line, then the file."""
        child = _Copy(self._start) if self._is_forked else _started(self._start)
        clock = threading.Timer(TIMEOUT_SECONDS, self._stop, [child])
        clock.start()
        try:
            self._talk(child, told)
        finally:
            clock.cancel()
            # A thread that is still about to end would keep the next file from being read by a copy.
            clock.join()
            child.kill()
            code = child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if self._export is None:
            raise self._died(code)
        return self._export

    def _stop(self, child: Child) -> None:
        self._is_late = True
        child.kill()

    def _talk(self, child: Child, told: bytes) -> None:
        """The child listens to the end before it says anything."""
        assert child.stdin is not None
        assert child.stdout is not None
        # Who dies of a limit while listening is told by the way it ended.
        with suppress(BrokenPipeError), child.stdin as listening:
            listening.write(told)
        for line in child.stdout:
            if not line.endswith(b"\n"):
                # Killed in the middle of a line: how it ended says why.
                break
            if line.startswith(_EXPORT):
                self._export = self._answer.validate_json(line[len(_EXPORT) : -2])
            else:
                self._apply(json.loads(line))
        child.wait()

    def _apply(self, answer: Mapping[str, Any]) -> None:
        if "refused" in answer:
            raise ExportError(answer["refused"])
        if "unknown" in answer:
            unknown = answer["unknown"]
            samples = tuple(tuple(row) for row in unknown["samples"])
            raise ColumnsUnknown(
                unknown["message"], tuple(unknown["headers"]), unknown["signature"], samples, tuple(unknown["needs"])
            )
        if "fault" in answer:
            log.critical("file not read", file=self._name, error=answer["fault"])
            raise ExportError(
                f"{self._name}: файл не прочитан из-за ошибки моста, она записана в журнал сервера; "
                "сохраните таблицу как CSV и попробуйте ещё раз"
            )
        if self._progress is not None:
            self._progress(*answer["rows"])

    def _died(self, code: int) -> ExportError:
        """Why the child has not answered."""
        if self._is_late or code == -_TOO_MUCH_PROCESSOR:
            return ExportError(
                f"{self._name}: файл не прочитался за {TIMEOUT_SECONDS} с, это предел; разделите его на части и "
                "загрузите их вместе"
            )
        return ExportError(f"{self._name}: на файл не хватило отведённой памяти, это не похоже на выгрузку")


def _started(start: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", start], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


class _Copy:
    """The same by a copy of this process, which has imported everything already: a third of what a command that reads
    one file takes."""

    def __init__(self, start: str) -> None:
        told, self.stdin = _pipe()
        self.stdout, answer = _pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._read(start, told, answer)
        told.close()
        answer.close()

    def kill(self) -> None:
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        """As Popen's: the exit code, or the signal below zero."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    _code: int | None = None

    def _read(self, start: str, told: BinaryIO, answer: BinaryIO) -> NoReturn:
        """In the copy. What it inherits is let go without being written or closed: it is the other's."""
        code = 1
        try:
            self.stdin.close()
            self.stdout.close()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            sys.stdin, sys.stdout = io.TextIOWrapper(told), io.TextIOWrapper(answer)
            exec(start, {})
            sys.stdout.flush()
            code = 0
        finally:
            # MemoryError ends it by SystemExit, whose code nobody needs: without an answer that is what it means.
            os._exit(code)


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return open(reading, "rb"), open(writing, "wb")


Child = subprocess.Popen[bytes] | _Copy


# --- the process that reads -------------------------------------------------------------------------------------------

_TOO_MUCH_PROCESSOR = 24  # SIGXCPU; Windows has no such signal to import
_ROWS_BETWEEN = 2_000


def main() -> None:
    """Reads an export of a webinar's people."""
    serve(_EXPORTS, lambda request, content: read_content(request["name"], content, _options(request)))


def serve(answer: TypeAdapter[T], read: Callable[[Mapping[str, Any], bytes], T]) -> None:
    """Takes the request and the file on stdin; writes progress, then an answer, as lines of JSON."""
    _limit()
    request = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    try:
        export = read(request, content)
    except ColumnsUnknown as error:
        unknown = {
            "message": str(error), "headers": error.headers, "signature": error.signature, "samples": error.samples,
            "needs": error.needs,
        }  # fmt: skip
        _say({"unknown": unknown})
    except ExportError as error:
        _say({"refused": str(error)})
    except MemoryError:
        # Without an answer: that is what its end means.
        sys.exit(1)
    except Exception:  # noqa: BLE001 - told to whoever asked, who writes it down
        _say({"fault": traceback.format_exc(limit=-8)})
    else:
        sys.stdout.buffer.write(_EXPORT + answer.dump_json(export) + b"}\n")


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # At the hard limit the kernel kills without a word; at the soft one it says SIGXCPU, which ``_died`` knows.
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_SECONDS, TIMEOUT_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _options(request: Mapping[str, Any]) -> ReadOptions:
    said = 0

    def progress(count: int, whole: int) -> None:
        nonlocal said
        if count - said >= _ROWS_BETWEEN:
            said = count
            _say({"rows": [count, whole]})

    return ReadOptions(
        zone=ZoneInfo(request["zone"]),
        zoom_order="day first" if request["day_first"] else "month first",
        mappings=request["mappings"],
        held_on=date.fromisoformat(request["held_on"]) if request["held_on"] else None,
        most_rows=request["most_rows"],
        progress=progress,
    )


def read_content(name: str, content: bytes, options: ReadOptions) -> Export:
    """What the file says, read here and now. Raises ExportError, ColumnsUnknown."""
    check_bytes(name, content)
    if content.startswith((ZIP, OLE)):
        export = _of_tables(tables_in(name, content, options.most_rows), options)
    elif content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        export = _of_json(name, content, options.zone)
    else:
        export = _of_tables(tables_in(name, content, options.most_rows), options)
    check_rows(name, len(export.visits), options.most_rows)
    if not export.visits:
        raise ExportError(f"{name}: {export.source}, но ни одного участника в нём нет")
    return _with_oddities(export)


def _with_oddities(export: Export) -> Export:
    """Says how many rows hold what can't be read; which they are is said of each person."""
    count = sum(1 for visit in export.visits if visit.odd or visit.unreadable)
    remarks = (f"Строк, где что-то не читается: {count}; у кого и что, сказано в таблице",) if count else ()
    return replace(export, remarks=(*export.remarks, *remarks))


def _of_tables(tables: list[Table], options: ReadOptions) -> Export:
    if vendor_exports.is_bizon_report(tables):
        return vendor_exports.read_bizon_report(tables, options)
    return table_reader.read(tables, options)


def tables_in(name: str, content: bytes, most_rows: int) -> list[Table]:
    """The sheets of a book, or the one table of a text file. Raises ExportError."""
    if content.startswith((ZIP, OLE)):
        return _book(name, content, most_rows)
    return [Table(name, "", tuple(rows_of(name, content, most_rows)))]


def _book(name: str, content: bytes, most_rows: int) -> list[Table]:
    """The sheets of a book (XLSX, XLS, ODS)."""
    if content.startswith(ZIP):
        check_archive(name, content)
    try:
        tables = list(_sheets(name, content, most_rows))
    except CalamineError as error:
        raise ExportError(
            f"{name}: это не книга Excel или она повреждена; сохраните её ещё раз как XLSX или CSV"
        ) from error
    for table in tables:
        for number, row in enumerate(table.rows):
            for cell in row:
                if isinstance(cell, str):
                    check_cell(table.place(number), cell)
    return tables


def _sheets(name: str, content: bytes, most_rows: int) -> Iterator[Table]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    left = MOST_CELLS
    for about in book.sheets_metadata:
        if about.typ not in (SheetTypeEnum.WorkSheet, SheetTypeEnum.Vba):
            continue
        sheet = book.get_sheet_by_name(about.name)
        left -= sheet.total_height * sheet.total_width
        if sheet.total_height > most_rows or left < 0:
            raise ExportError(
                f"{name}, лист «{about.name}»: слишком много строк или ячеек, принимается до {most_rows} строк"
            )
        rows = tuple(tuple(row) for row in sheet.to_python(skip_empty_area=False))
        yield Table(name, about.name, rows, about.visible != SheetVisibleEnum.Visible)


def _of_json(name: str, content: bytes, zone: tzinfo) -> Export:
    told = _parsed(name, decoded(name, content))
    if vendor_exports.is_bizon_viewers(told):
        return vendor_exports.read_bizon_viewers(name, told, zone)
    if vendor_exports.is_mts_link_statistics(told):
        return vendor_exports.read_mts_link_statistics(name, told, zone)
    if isinstance(told, Mapping) and ("list" in told or "report" in told):
        raise ExportError(
            f"{name}: это список вебинаров или отчёт Бизон365 без зрителей; нужен ответ webinars/reports/getviewers "
            "или Excel-отчёт"
        )
    raise ExportError(f"{name}: JSON незнакомого вида; понятны списки зрителей Бизон365 и статистика МТС Линк")


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ExportError(f"{name}: JSON вложен слишком глубоко, это не выгрузка") from error
    except ValueError as error:
        raise ExportError(f"{name}: JSON не читается ({error}); выгрузите файл ещё раз") from error
