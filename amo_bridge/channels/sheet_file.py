"""XLSX file whose rows are changed in place; whatever is not changed stays byte for byte.

Only the changed sheet is written anew, and of that only the changed cells: formats, formulas, pictures, charts, pivot
tables of people are not understood here and therefore not lost. Formulas are reckoned anew by whoever opens the file.
Files come from people: parts are read up to a limit, whatever the archive says of them, and no document type is taken.
"""

from __future__ import annotations

import io
import lzma
import posixpath
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from amo_bridge.lazy.dataclasses import dataclass

MOST_PARTS = 2_000
MOST_PART_BYTES = 64 * 1024 * 1024
MOST_UNPACKED = 256 * 1024 * 1024
MOST_ROWS = 200_000
MOST_CELLS = 2_000_000
LAST_ROW = 1_048_576
LONGEST_TEXT = 32_767
"""Of a cell, as Excel counts: UTF-16 units."""
BROKEN = "это не книга XLSX, или она повреждена"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TAG = re.compile(rb"""<[^\s/>]+(?:[^>"']|"[^"]*"|'[^']*')*>""")
_PREFIX = re.compile(rb"<([^\s/>:]+:)")
_SPANS = re.compile(rb"""\sspans=(?:"[^"]*"|'[^']*')""")
_FULL_CALC = re.compile(rb"""\sfullCalcOnLoad=(?:"[^"]*"|'[^']*')""")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
# An underscore that would begin an escape; what ends one may begin another.
_LIKE_ESCAPED = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}(?:_|{_NOT_XML.pattern}))")
_BEFORE_CALC = frozenset(
    {
        "fileVersion", "fileSharing", "workbookPr", "workbookProtection", "bookViews", "sheets", "functionGroups",
        "externalReferences", "definedNames",
    }
)  # fmt: skip
# ValueError: of places before the beginning, and of names.
_NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError)
Value = str | int


class BadSheetFile(ValueError):
    """The file can't be read or must not be written; the text (Russian) says why."""


@dataclass
class Cell:
    """``column``: from 0. ``start``, ``end``: its bytes in the sheet. ``style``: number of its format."""

    column: int
    start: int
    style: str
    kind: str
    end: int = 0
    text: str = ""
    has_formula: bool = False


@dataclass
class Row:
    """``number``: from 1. ``inner``: where its cells begin, ``close``: where they end; ``end`` of all of it."""

    number: int
    start: int
    inner: int
    is_closed: bool
    close: int = 0
    end: int = 0
    cells: list[Cell] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """By column, without gaps."""
        found = [""] * (self.cells[-1].column + 1 if self.cells else 0)
        for cell in self.cells:
            found[cell.column] = cell.text
        return found

    @property
    def is_empty(self) -> bool:
        return not any(cell.text or cell.has_formula for cell in self.cells)


def column_name(column: int) -> str:
    """«A» for 0, «AA» for 26."""
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


class SheetFile:
    """A workbook. Raises BadSheetFile, here and in every method."""

    def __init__(self, content: bytes) -> None:
        self._parts = _unpacked(content)
        root = self._targets("_rels/.rels", "")
        self._book = next((one.path for one in root.values() if one.kind.endswith("/officeDocument")), "")
        if self._book not in self._parts:
            raise BadSheetFile(BROKEN)
        folder, name = posixpath.split(self._book)
        targets = self._targets(posixpath.join(folder, "_rels", f"{name}.rels"), folder)
        self._sheets: dict[str, str] = {}
        elements = _elements(self._part(self._book))
        self.counts_from_1904 = any(keys.get("date1904") in ("1", "true") for _, keys in elements)
        for keys in (keys for name_, keys in elements if name_ == "sheet"):
            number = next((value for key, value in keys.items() if key.endswith(":id")), "")
            if number in targets:
                self._sheets[keys.get("name", "")] = targets[number].path
        texts = next((one.path for one in targets.values() if one.kind.endswith("/sharedStrings")), "")
        self._shared = _shared_texts(self._part(texts)) if texts in self._parts else []

    def sheet(self, name: str) -> SheetPart | None:
        """None if there is none of that name."""
        path = next((path for own, path in self._sheets.items() if own.casefold() == name.casefold()), None)
        return None if path is None else SheetPart(self._part(path), self._shared)

    def replace(self, name: str, content: bytes) -> None:
        """The changed sheet in the place of the old one; formulas are to be reckoned anew."""
        path = next(path for own, path in self._sheets.items() if own.casefold() == name.casefold())
        self._parts[path] = (self._parts[path][0], content)
        info, book = self._parts[self._book]
        self._parts[self._book] = (info, _with_full_calc(book))

    def packed(self) -> bytes:
        """The whole file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for info, content in self._parts.values():
                kept = zipfile.ZipInfo(info.filename, info.date_time)
                kept.external_attr = info.external_attr
                kept.compress_type = info.compress_type
                archive.writestr(kept, content)
        return buffer.getvalue()

    def _part(self, path: str) -> bytes:
        if path not in self._parts:
            raise BadSheetFile(BROKEN)
        return self._parts[path][1]

    def _targets(self, path: str, folder: str) -> dict[str, _Target]:
        """Id → what a list of relations leads to."""
        found: dict[str, _Target] = {}
        for name, keys in _elements(self._part(path)):
            if name == "Relationship" and keys.get("TargetMode") != "External":
                target = keys.get("Target", "")
                whole = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
                found[keys.get("Id", "")] = _Target(posixpath.normpath(whole), keys.get("Type", ""))
        return found


@dataclass(frozen=True)
class _Target:
    path: str
    kind: str


class SheetPart:
    """One sheet. ``rows``: those that the file has, in their order."""

    def __init__(self, content: bytes, shared: Sequence[str]) -> None:
        self._content = content
        reader = _SheetReader(content, shared)
        self.rows = reader.rows
        self._prefix = reader.prefix
        self._data = reader.data
        self._dimension = reader.dimension
        self._by_number = {row.number: row for row in self.rows}
        self._splices: list[tuple[int, int, bytes]] = []
        self._first_column, self._last_column = sys.maxsize, 0
        self._first_row, self._last_row = sys.maxsize, 0

    @property
    def next_row(self) -> int:
        """The number of the first row behind all that holds anything."""
        return max((row.number for row in self.rows if not row.is_empty), default=0) + 1

    def put(self, number: int, values: Mapping[int, Value], like: int | None = None) -> None:
        """Column → what stands there then, in a row that nothing was put in yet. ``like``: the row whose formats new
        cells get. A cell that says so already is left alone. Raises BadSheetFile for a formula in one of the cells."""
        if number > LAST_ROW:
            raise BadSheetFile(f"на листе больше {LAST_ROW} строк не бывает")
        row = self._by_number.get(number)
        known = {cell.column: cell for cell in row.cells} if row else {}
        styles = {cell.column: cell.style for cell in self._by_number[like].cells} if like in self._by_number else {}
        changed: dict[int, bytes] = {}
        for column, value in sorted(values.items()):
            cell = known.get(column)
            place = f"{column_name(column)}{number}"
            if cell is not None and cell.has_formula:
                raise BadSheetFile(f"в ячейке {place} формула, а там место моста: перенесите её в свой столбец")
            if cell is not None and cell.text == _clean(value) and (cell.kind in ("n", "")) == isinstance(value, int):
                continue
            if value == "" and (cell is None or not cell.text):
                continue
            style = cell.style if cell is not None else styles.get(column, "")
            changed[column] = self._rendered(place, style, value)
        if not changed:
            return
        self._first_column = min(self._first_column, *changed)
        self._last_column = max(self._last_column, *changed)
        self._first_row, self._last_row = min(self._first_row, number), max(self._last_row, number)
        if row is None:
            self._add_row(number, b"".join(changed.values()))
        else:
            self._change_row(row, changed, known)

    def changed(self) -> bytes | None:
        """The sheet as it is then; None if nothing has changed."""
        if not self._splices:
            return None
        splices = [*self._splices, *self._grown()]
        out, at = list[bytes](), 0
        for start, end, content in sorted(splices, key=lambda one: one[:2]):
            out += (self._content[at:start], content)
            at = end
        return b"".join([*out, self._content[at:]])

    def _add_row(self, number: int, cells: bytes) -> None:
        name = f"{self._prefix}row"
        row = f'<{name} r="{number}">'.encode() + cells + f"</{name}>".encode()
        after = next((one.start for one in self.rows if one.number > number), None)
        start, close, is_closed = self._data
        if after is not None:
            self._splices.append((after, after, row))
        elif not is_closed:
            self._splices.append((close, close, row))
        else:
            self._open(start, close, f"{self._prefix}sheetData", row)

    def _open(self, start: int, end: int, name: str, inner: bytes) -> None:
        """``<name …/>`` becomes ``<name …>inner</name>``, or its inner part grows if that was done before."""
        closing = f"</{name}>".encode()
        for index, (at, _, content) in enumerate(self._splices):
            if at == start and content.endswith(closing):
                self._splices[index] = (start, end, content[: -len(closing)] + inner + closing)
                return
        tag = self._content[start:end].rstrip(b">").rstrip(b"/").rstrip()
        self._splices.append((start, end, tag + b">" + inner + closing))

    def _change_row(self, row: Row, changed: Mapping[int, bytes], known: Mapping[int, Cell]) -> None:
        new = {column: cell for column, cell in changed.items() if column not in known}
        tag = self._content[row.start : row.inner]
        if row.is_closed:
            opened = _SPANS.sub(b"", tag).rstrip(b">").rstrip(b"/").rstrip() + b">"
            closing = f"</{self._prefix}row>".encode()
            self._splices.append((row.start, row.end, opened + b"".join(new.values()) + closing))
            return
        if new:
            self._splices.append((row.start, row.inner, _SPANS.sub(b"", tag)))
        for column, cell in changed.items():
            if column in known:
                self._splices.append((known[column].start, known[column].end, cell))
        behind: dict[int, bytes] = {}
        for column, cell in new.items():
            at = next((one.start for one in row.cells if one.column > column), row.close)
            behind[at] = behind.get(at, b"") + cell
        self._splices += [(at, at, cells) for at, cells in behind.items()]

    def _rendered(self, place: str, style: str, value: Value) -> bytes:
        name, keys = f"{self._prefix}c", f' r="{place}"' + (f" s={quoteattr(style)}" if style else "")
        if isinstance(value, int):
            return f"<{name}{keys}><{self._prefix}v>{value}</{self._prefix}v></{name}>".encode()
        text = _clean(value)
        if not text:
            return f"<{name}{keys}/>".encode()
        coded = _NOT_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", _LIKE_ESCAPED.sub("_x005F_", text))
        inner = f'<{self._prefix}t xml:space="preserve">{escape(coded)}</{self._prefix}t>'
        return f'<{name}{keys} t="inlineStr"><{self._prefix}is>{inner}</{self._prefix}is></{name}>'.encode()

    def _grown(self) -> Iterator[tuple[int, int, bytes]]:
        """The sheet's own word of how big it is, as far as it has one."""
        if self._dimension is None:
            return
        start, end, told = self._dimension
        found = re.fullmatch(r"([A-Z]{1,3})(\d+)(?::([A-Z]{1,3})(\d+))?", told)
        if found is None:
            return
        column = max(_column_number(found[3] or found[1]), self._last_column)
        row = max(int(found[4] or found[2]), self._last_row)
        first = f"{column_name(min(_column_number(found[1]), self._first_column))}{min(int(found[2]), self._first_row)}"
        ref = f"{first}:{column_name(column)}{row}"
        yield start, end, f'<{self._prefix}dimension ref="{ref}"/>'.encode()


def new_file(sheets: Sequence[str]) -> bytes:
    """A workbook with these sheets, all of them empty."""
    numbers = range(1, len(sheets) + 1)
    content_types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_TYPES}.worksheet+xml"/>'
        for number in numbers
    )
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, sheets, strict=True)
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>{content_types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}relationships">{relations}</Relationships>',
    } | {f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{_MAIN}"><sheetData/></worksheet>' for n in numbers}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(path, _XML + text)
    return buffer.getvalue()


# --- reading ----------------------------------------------------------------------------------------------------------


def _unpacked(content: bytes) -> dict[str, tuple[zipfile.ZipInfo, bytes]]:
    """Path → its part, in the archive's order."""
    found: dict[str, tuple[zipfile.ZipInfo, bytes]] = {}
    left = MOST_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_PARTS:
                raise BadSheetFile(f"в книге больше {MOST_PARTS} частей")
            for info in entries:
                if info.flag_bits & 1 or info.filename in found:
                    raise BadSheetFile(BROKEN)
                with archive.open(info) as opened:
                    most = min(MOST_PART_BYTES, left)
                    part = opened.read(most + 1)
                if len(part) > most:
                    raise BadSheetFile("книга внутри слишком большая: начните новую")
                left -= len(part)
                found[info.filename] = (info, part)
    except _NO_ARCHIVE as error:
        raise BadSheetFile(BROKEN) from error
    return found


def _parser(content: bytes) -> expat.XMLParserType:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:4]:
        raise BadSheetFile(BROKEN)
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "us-ascii"):
            raise BadSheetFile(BROKEN)

    def typed(*_: object) -> None:
        raise BadSheetFile(BROKEN)

    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = typed
    return parser


def _parse(parser: expat.XMLParserType, content: bytes) -> None:
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise BadSheetFile(BROKEN) from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _elements(content: bytes) -> list[tuple[str, dict[str, str]]]:
    """Name without its prefix, attributes; of a small part."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser(content)
    parser.StartElementHandler = lambda name, keys: found.append((_local(name), keys))
    _parse(parser, content)
    return found


class _Texts:
    """Collects the text of a string item; what stands there to be read aloud (``rPh``) is not of it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._is_open = False
        self._is_aloud = False

    def start(self, name: str) -> None:
        self._is_aloud = self._is_aloud or name == "rPh"
        self._is_open = name in ("t", "v") and not self._is_aloud

    def end(self, name: str) -> None:
        self._is_open = False
        self._is_aloud = self._is_aloud and name != "rPh"

    def add(self, text: str) -> None:
        if self._is_open:
            self._parts.append(text)

    def take(self) -> str:
        text, self._parts = "".join(self._parts), []
        return text


def _decoded(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _shared_texts(content: bytes) -> list[str]:
    found: list[str] = []
    texts = _Texts()

    def end(name: str) -> None:
        texts.end(_local(name))
        if _local(name) == "si":
            found.append(_decoded(texts.take()))

    parser = _parser(content)
    parser.StartElementHandler = lambda name, keys: texts.start(_local(name))
    parser.EndElementHandler = end
    parser.CharacterDataHandler = texts.add
    _parse(parser, content)
    return found


class _SheetReader:
    """Rows of a sheet with the places of their bytes."""

    def __init__(self, content: bytes, shared: Sequence[str]) -> None:
        self.rows: list[Row] = []
        self.prefix = ""
        self.data = (0, 0, True)
        self.dimension: tuple[int, int, str] | None = None
        self._content = content
        self._shared = shared
        self._texts = _Texts()
        self._cells = 0
        self._has_data = False
        self._is_in_data = False
        self._row: Row | None = None
        self._cell: Cell | None = None
        self._is_cell_closed = False
        self._parser = _parser(content)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._texts.add
        _parse(self._parser, content)
        if not self._has_data:
            raise BadSheetFile(BROKEN)

    def _tag(self) -> tuple[int, int, bool]:
        """Where the start tag begins, where it ends, and whether it is closed at once."""
        start = self._parser.CurrentByteIndex
        found = _TAG.match(self._content, start)
        if found is None:
            raise BadSheetFile(BROKEN)
        return start, found.end(), found[0].endswith(b"/>")

    def _closing(self) -> int:
        return self._content.index(b">", self._parser.CurrentByteIndex) + 1

    def _start(self, name: str, keys: dict[str, str]) -> None:
        local = _local(name)
        if self._cell is not None:
            self._texts.start(local)
            self._cell.has_formula = self._cell.has_formula or local == "f"
        elif local == "c" and self._row is not None:
            self._start_cell(self._row, keys)
        elif local == "row" and self._is_in_data:
            self._start_row(keys)
        elif local == "sheetData":
            self.data = self._tag()
            self.prefix = name.removesuffix(local)
            self._has_data = self._is_in_data = True
        elif local == "dimension":
            start, end, is_closed = self._tag()
            if is_closed:
                self.dimension = (start, end, keys.get("ref", ""))

    def _start_row(self, keys: Mapping[str, str]) -> None:
        start, inner, is_closed = self._tag()
        before = self.rows[-1].number if self.rows else 0
        number = _whole(keys["r"]) if "r" in keys else before + 1
        if number <= before or len(self.rows) >= MOST_ROWS:
            raise BadSheetFile(BROKEN if number <= before else f"на листе больше {MOST_ROWS} строк: начните новый")
        self._row = Row(number, start, inner, is_closed)
        self.rows.append(self._row)

    def _start_cell(self, row: Row, keys: Mapping[str, str]) -> None:
        start, end, self._is_cell_closed = self._tag()
        before = row.cells[-1].column if row.cells else -1
        column = _column_number(keys["r"].rstrip("0123456789")) if "r" in keys else before + 1
        self._cells += 1
        if column <= before or self._cells > MOST_CELLS:
            raise BadSheetFile(BROKEN if column <= before else "на листе слишком много ячеек: начните новый")
        self._cell = Cell(column, start, keys.get("s", ""), keys.get("t", ""), end)

    def _end(self, name: str) -> None:
        local = _local(name)
        if self._cell is not None:
            self._texts.end(local)
            if local == "c" and self._row is not None:
                self._end_cell(self._row, self._cell)
        elif local == "row" and self._row is not None:
            row, self._row = self._row, None
            row.close = self._parser.CurrentByteIndex
            row.end = row.inner if row.is_closed else self._closing()
        elif local == "sheetData":
            self._is_in_data = False
            if not self.data[2]:
                self.data = (self.data[0], self._parser.CurrentByteIndex, False)

    def _end_cell(self, row: Row, cell: Cell) -> None:
        if not self._is_cell_closed:
            cell.end = self._closing()
        text = self._texts.take()
        if cell.kind == "s" and text:
            number = _whole(text.strip())
            if number >= len(self._shared):
                raise BadSheetFile(BROKEN)
            cell.text = self._shared[number]
        else:
            cell.text = _decoded(text) if cell.kind in ("inlineStr", "str") else text
        row.cells.append(cell)
        self._cell = None


def _with_full_calc(book: bytes) -> bytes:
    """The workbook's part, saying that formulas are to be reckoned anew: their kept results are old."""
    places: list[tuple[int, int]] = []
    calc: list[tuple[int, int]] = []
    names: list[str] = []
    parser = _parser(book)

    def start(name: str, keys: dict[str, str]) -> None:
        names.append(_local(name))
        found = _TAG.match(book, parser.CurrentByteIndex)
        if len(names) == 2 and found is not None:
            span = (found.start(), found.end())
            (calc if names[-1] == "calcPr" else places if names[-1] in _BEFORE_CALC else []).append(span)

    def end(name: str) -> None:
        if len(names) == 2 and names[-1] in _BEFORE_CALC and not book[: places[-1][1]].endswith(b"/>"):
            places[-1] = (places[-1][0], book.index(b">", parser.CurrentByteIndex) + 1)
        names.pop()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    _parse(parser, book)
    if calc:
        at, until = calc[0]
        tag = _FULL_CALC.sub(b"", book[at:until])
        name = tag[1:].split()[0].rstrip(b"/>")
        return book[:at] + b"<" + name + b' fullCalcOnLoad="1"' + tag[1 + len(name) :] + book[until:]
    if not places:
        return book
    at = places[-1][1]
    prefixed = _PREFIX.match(book, places[-1][0])
    return book[:at] + b"<" + (prefixed[1] if prefixed else b"") + b'calcPr fullCalcOnLoad="1"/>' + book[at:]


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,7}", text):
        raise BadSheetFile(BROKEN)
    return int(text)


def _column_number(letters: str) -> int:
    """0 for «A»."""
    if not re.fullmatch("[A-Z]{1,3}", letters):
        raise BadSheetFile(BROKEN)
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _clean(value: Value) -> str:
    text = str(value)
    if len(text) <= LONGEST_TEXT // 2:
        return text
    return text.encode("utf-16-le", "surrogatepass")[: 2 * LONGEST_TEXT].decode("utf-16-le", "ignore")
