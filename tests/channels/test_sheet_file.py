"""A workbook of people, changed in place: what is not ours stays byte for byte, what is no workbook is not touched."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from support.sheet_kits import book_of, sheets_of
from xlsxwriter import Workbook

from amo_bridge.channels import sheet_file
from amo_bridge.channels.sheet_file import BadSheetFile, SheetFile, column_name, new_file

SHEET = "xl/worksheets/sheet1.xml"


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def put(content: bytes, number: int, values: dict[int, str | int], like: int | None = None, sheet: str = "A") -> bytes:
    book = SheetFile(content)
    part = book.sheet(sheet)
    assert part is not None
    part.put(number, values, like)
    changed = part.changed()
    assert changed is not None
    book.replace(sheet, changed)
    return book.packed()


def of_xml(inner: str, before: str = "", after: str = "", prefix: str = "") -> bytes:
    """A workbook whose only sheet has this for its rows."""
    content = parts(new_file(["A"]))
    name, at = (f"{prefix}:", f":{prefix}") if prefix else ("", "")
    main = f'xmlns{at}="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    content[SHEET] = f"<{name}worksheet {main}>{before}{inner}{after}</{name}worksheet>".encode()
    return packed(content)


@pytest.fixture
def office() -> bytes:
    """With what people make: formats, a chart, bars, notes, a filter, a rule of colours, a second sheet."""
    buffer = io.BytesIO()
    with Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet("A")
        bold, money = book.add_format({"bold": True}), book.add_format({"num_format": "# ##0 ₽"})
        page.write_row(0, 0, ["Ключ", "Сумма", "Заметка"], bold)
        page.write_row(1, 0, ["1", 100], money)
        page.write_rich_string(1, 2, "моло", bold, "дец")
        page.write_formula(0, 4, "=SUM(B2:B100)", None, 100)
        page.write_comment(1, 1, "проверить")
        page.autofilter(0, 0, 1, 2)
        page.conditional_format("B2:B9", {"type": "data_bar", "data_bar_2010": True})
        page.data_validation("C2:C9", {"validate": "list", "source": ["да", "нет"]})
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=A!$B$2:$B$9"})
        page.insert_chart("G2", chart)
        book.add_worksheet("Мой").write_formula(0, 0, "=A!B2*2")
        book.define_name("Итого", "=A!$E$1")
    return buffer.getvalue()


def test_all_but_our_cells_stays_byte_for_byte(office: bytes) -> None:
    after = put(put(office, 2, {0: "1", 1: 250}), 3, {0: "2", 1: 7, 3: "=1+1"}, like=2)
    old, new = parts(office), parts(after)
    assert list(old) == list(new)
    assert {name for name in old if old[name] != new[name]} == {SHEET, "xl/workbook.xml"}
    assert b'<calcPr fullCalcOnLoad="1"' in new["xl/workbook.xml"]
    cells = sheets_of(after)["A"]
    assert cells[1:] == [["1", 250, "молодец"], ["2", 7, "", "=1+1"]]
    head, _, rest = old[SHEET].partition(b'<row r="2"')
    assert new[SHEET].startswith(head.replace(b"A1:E2", b"A1:E3"))
    assert new[SHEET].endswith(rest.partition(b"</sheetData>")[2])
    assert CalamineWorkbook.from_filelike(io.BytesIO(after)).sheet_names == ["A", "Мой"]


def test_a_new_row_gets_the_formats_of_the_row_it_is_like(office: bytes) -> None:
    xml = parts(put(office, 3, {0: "2", 1: 7}, like=2))[SHEET].decode()
    styles = {place: xml.split(f'<c r="{place}" s="')[1].split('"')[0] for place in ("A2", "B2", "A3", "B3")}
    assert (styles["A3"], styles["B3"]) == (styles["A2"], styles["B2"])


def test_a_formula_in_our_place_is_not_written_over(office: bytes) -> None:
    with pytest.raises(BadSheetFile, match="в ячейке E1 формула"):
        put(office, 1, {4: 5})


ROWS = [
    '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>k</t></is></c><c r="B1"><v>1</v></c></row></sheetData>',
    '<sheetData><row><c t="str"><v>k</v></c><c><v>1</v></c></row></sheetData>',
    "<sheetData>\n <row r='1' spans='1:2' x='>'><c r='A1' t='str'><v>k</v></c><c r='B1'><v>1</v></c></row></sheetData>",
]


@pytest.mark.parametrize("inner", ROWS)
@pytest.mark.parametrize("number", [1, 2, 5])
def test_rows_are_written_however_the_file_was(inner: str, number: int) -> None:
    content = of_xml(inner, before='<dimension ref="A1:B1"/>', after="<controls><from><row>7</row></from></controls>")
    after = put(content, number, {0: "ключ & <я>", 1: 2, 3: "новое"})
    rows = sheets_of(after)["A"]
    assert rows[number - 1] == ["ключ & <я>", 2, "", "новое"]
    assert number == 1 or rows[0] == ["k", 1]
    assert f'<dimension ref="A1:D{number}"/>'.encode() in parts(after)[SHEET]
    assert b"spans" not in parts(after)[SHEET] or number != 1


def test_a_prefix_of_the_file_is_kept() -> None:
    content = of_xml('<x:sheetData><x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c></x:row></x:sheetData>', prefix="x")
    after = put(put(content, 1, {0: 2, 1: "a"}), 2, {0: "b"})
    assert sheets_of(after)["A"] == [[2, "a"], ["b"]]


@pytest.mark.parametrize(
    "inner", ["<sheetData/>", "<sheetData></sheetData>", '<sheetData><row r="2" s="1"/></sheetData>']
)
def test_an_empty_sheet_is_filled_row_by_row(inner: str) -> None:
    book = SheetFile(of_xml(inner))
    part = book.sheet("a")
    assert part is not None
    assert part.next_row == 1
    for number in (1, 2, 3):
        part.put(number, {0: f"{number}", 1: number})
    changed = part.changed()
    assert changed is not None
    book.replace("A", changed)
    assert sheets_of(book.packed())["A"] == [["1", 1], ["2", 2], ["3", 3]]


def test_rows_that_only_have_a_format_are_not_what_the_sheet_ends_with() -> None:
    inner = '<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="900"><c r="A900" s="1"/></row></sheetData>'
    part = SheetFile(of_xml(inner)).sheet("A")
    assert part is not None
    assert part.next_row == 2


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=30))
def test_any_text_comes_back(text: str) -> None:
    content = put(of_xml("<sheetData/>"), 1, {0: "k", 1: text})
    part = SheetFile(content).sheet("A")
    assert part is not None
    assert [*part.rows[0].texts, ""][1] == text


@pytest.mark.parametrize(
    "text", ["_x0041_", "_x0041_x0042_", "_x0041\x01", "a\x01x0041_", "_x005F_x0041_", "]]>", "=1+1", "a\r\n\tb "]
)
def test_what_looks_like_an_escape_comes_back(text: str) -> None:
    part = SheetFile(put(of_xml("<sheetData/>"), 1, {0: text})).sheet("A")
    assert part is not None
    assert part.rows[0].texts == [text]


@pytest.mark.parametrize(("letter", "most"), [("а", sheet_file.LONGEST_TEXT), ("😀", sheet_file.LONGEST_TEXT // 2)])
def test_a_text_is_no_longer_than_a_cell_takes(letter: str, most: int) -> None:
    """Excel counts UTF-16 units, and repairs a file whose cells have more."""
    (row,) = sheets_of(put(of_xml("<sheetData/>"), 1, {0: letter * 40_000}))["A"]
    assert row[0] == letter * most


def test_the_sheets_size_begins_where_the_first_cell_stands() -> None:
    content = of_xml('<sheetData><row r="3"><c r="C3"><v>1</v></c></row></sheetData>', before='<dimension ref="C3"/>')
    assert b'<dimension ref="A2:C3"/>' in parts(put(content, 2, {0: "a"}))[SHEET]


CALC = [
    ("<workbook><sheets/></workbook>", '<sheets/><calcPr fullCalcOnLoad="1"/>'),
    ("<workbook><sheets></sheets><definedNames><d/></definedNames><pivotCaches/></workbook>",
     '</definedNames><calcPr fullCalcOnLoad="1"/><pivotCaches/>'),
    ('<workbook><sheets/><calcPr calcId="5" fullCalcOnLoad="0"/></workbook>',
     '<calcPr fullCalcOnLoad="1" calcId="5"/>'),
    ("<x:workbook xmlns:x='1'><x:sheets/></x:workbook>", '<x:sheets/><x:calcPr fullCalcOnLoad="1"/>'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CALC)
def test_formulas_are_reckoned_anew_when_the_file_is_opened(before: str, after: str) -> None:
    assert after in sheet_file._with_full_calc(before.encode()).decode()


def without(name: str) -> bytes:
    return packed({key: value for key, value in parts(book_of({"A": [["1"]]})).items() if key != name})


def bomb() -> bytes:
    return packed(parts(book_of({"A": [["1"]]})) | {"xl/big.bin": bytes(sheet_file.MOST_PART_BYTES + 1)})


def misplaced() -> bytes:
    """The end of the archive says that its list is longer than all of it."""
    content = bytearray(book_of({"A": [["1"]]}))
    end = content.rindex(b"PK\5\6")
    content[end + 16 : end + 20] = (len(content)).to_bytes(4, "little")
    return bytes(content)


BROKEN: dict[str, Callable[[], bytes]] = {
    "no archive": lambda: b"\xd0\xcf\x11\xe0 an encrypted book",
    "empty": lambda: b"",
    "a page": lambda: b"<html></html>",
    "cut off": lambda: book_of({"A": [["1"]]})[:-200],
    "no sheet": lambda: without(SHEET),
    "no book": lambda: without("xl/workbook.xml"),
    "no relations": lambda: without("_rels/.rels"),
    "not closed": lambda: of_xml('<sheetData><row r="1">'),
    "no data": lambda: of_xml("<nothing/>"),
    "rows in disorder": lambda: of_xml('<sheetData><row r="2"/><row r="1"/></sheetData>'),
    "a row twice": lambda: of_xml('<sheetData><row r="1"/><row r="1"/></sheetData>'),
    "cells in disorder": lambda: of_xml('<sheetData><row r="1"><c r="B1"/><c r="A1"/></row></sheetData>'),
    "no such text": lambda: of_xml('<sheetData><row r="1"><c r="A1" t="s"><v>9</v></c></row></sheetData>'),
    "an entity": lambda: packed(
        parts(of_xml("<sheetData/>")) | {SHEET: b'<!DOCTYPE w [<!ENTITY a "b">]><worksheet><sheetData/></worksheet>'}
    ),
    "utf-16": lambda: packed(
        parts(of_xml("<sheetData/>")) | {SHEET: "<worksheet><sheetData/></worksheet>".encode("utf-16")}
    ),
    "utf-16 without its mark": lambda: packed(
        parts(of_xml("<sheetData/>")) | {SHEET: "<worksheet><sheetData/></worksheet>".encode("utf-16-le")}
    ),
    "a part before its beginning": misplaced,
    "swells": bomb,
}


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_what_is_no_sound_workbook_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(BadSheetFile, match=r"не книга XLSX, или она повреждена|слишком большая"):
        SheetFile(make()).sheet("A")


def test_more_rows_than_a_sheet_has_are_refused() -> None:
    with pytest.raises(BadSheetFile, match="строк не бывает"):
        put(of_xml("<sheetData/>"), sheet_file.LAST_ROW + 1, {0: "1"})


@pytest.mark.parametrize(("column", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_are_named_as_people_read_them(column: int, name: str) -> None:
    assert column_name(column) == name
