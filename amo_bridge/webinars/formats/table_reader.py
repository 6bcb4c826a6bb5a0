"""Reader of attendee tables: all visible sheets, all their blocks, every cell read or told.

Platforms differ in headings, sections and the order of dates (``platforms``); everything else is the same for all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice

from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells, platforms
from amo_bridge.webinars.formats.blocks import (
    PRESENCE,
    SEVERAL,
    About,
    Block,
    Mappings,
    about,
    blocks,
    named_block,
    samples_header,
    unfolded,
    with_answers,
)
from amo_bridge.webinars.formats.cells import Cell, Order, Unit
from amo_bridge.webinars.formats.guards import check_people, has_address
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export, TableHeader, Visit
from amo_bridge.webinars.formats.table_rows import NO_DAY, Length, Part, ReadOptions, bare_numbers, stay_of, visits_of
from amo_bridge.webinars.formats.tables import NO_COLUMN, WORDS, Columns, Field, Row, Table, is_vague, signature

SAMPLES, LONGEST_SAMPLE, MOST_NAMED = 3, 40, 5
_APART = timedelta(hours=6)


def read(tables: Sequence[Table], options: ReadOptions, *, source: str = "") -> Export:
    """All people of all visible sheets. Raises ColumnsUnknown when a person must say which column is what, ExportError
    for tables without a single address."""
    shown = [unfolded(table) for table in tables if not table.is_hidden and table.rows]
    found = [(table, _blocks(table, options.mappings)) for table in shown]
    usable = {id(block): block for _, some in found for block in some if _is_usable(block, options.mappings)}
    if not usable:
        check_people(shown or tables)
        raise _unknown(_to_ask_about(shown))
    taken, doubts, remarks = _taken(found, usable)
    doubts = [
        *(f"в книге ещё лист «{table.sheet}»: он скрыт и не прочитан" for table in tables if table.is_hidden),
        *doubts,
    ]
    headings = {one.title for block in taken for one in block.columns.headings.values()}
    platform = platforms.platform_of(headings)
    order = _order(shown, platform, options)
    years = {one.began.year for table in shown if (one := about(table, order, options.zone)).began}
    year = options.held_on.year if options.held_on else years.pop() if len(years) == 1 else None
    told = {id(table): about(table, order, options.zone, year) for table in shown}
    whole = _together(list(told.values()))
    of_table = {id(block): id(table) for table, some in found for block in some}
    parts = [
        Part(block, number, order, _beside(told[of_table[id(block)]], whole), _length(block, order, options.zone))
        for number, block in _numbered(taken)
    ]
    visits = list(_visits(parts, options))
    visits, repeated = _without_repeats(visits, parts)
    is_clicky = any(block.columns.at.keys() & {"buttons", "banner"} or block.columns.buttons for block in taken)
    named = source or (platform.source if platform else "таблица")
    remarks += [_as_named(block, options) for block in taken if _is_named(block, options.mappings)]
    return Export(
        source=named,
        visits=tuple(_dated(visits, whole)),
        title=whole.title,
        held_on=whole.began.date() if whole.began else None,
        length=whole.minutes or _length_of_column(taken),
        remarks=tuple((*remarks, *_remarks(visits, whole, is_clicky=is_clicky, platform=platform))),
        doubts=tuple((*doubts, *repeated, *_doubts(parts, visits))),
        knows_buttons=is_clicky,
        tables=tuple({one.signature: one for one in map(_header, taken)}.values()),
    )


def _visits(parts: Sequence[Part], options: ReadOptions) -> Iterator[Visit]:
    whole = sum(len(part.block.rows) for part in parts)
    for count, visit in enumerate((visit for part in parts for visit in visits_of(part, options)), start=1):
        options.progress(count, whole)
        yield visit


# --- which tables -----------------------------------------------------------------------------------------------------


def _blocks(table: Table, mappings: Mappings) -> list[Block]:
    """The table's blocks. What a person has said of its columns beats what they are taken for; of a table that nobody
    understands without, only the columns that are named are read."""
    found = [_settled(block) for block in blocks(table)]
    if not mappings:
        return found
    if not any(_is_usable(block, {}) for block in found) and (named := named_block(table, mappings)):
        return [_settled(named)]
    return [_settled(with_answers(block, mappings)) for block in found]


def _header(block: Block) -> TableHeader:
    row = block.table.rows[block.columns.header]
    titled = [number for number, cell in enumerate(row) if cells.text(cell)]
    named: dict[str, str] = {name: title for name in block.columns.at if (title := block.columns.of(name).title)}
    first = [found for _, found, _ in block.rows[:SAMPLES]]
    return TableHeader(
        signature=signature(row),
        titles=tuple(cells.text(row[number]) for number in titled),
        columns=named,
        samples=tuple(_samples(found, titled) for found in first),
    )


def _samples(row: Sequence[Cell], titled: Sequence[int]) -> tuple[str, ...]:
    return tuple(cells.text(row[number])[:LONGEST_SAMPLE] if number < len(row) else "" for number in titled)


def _is_usable(block: Block, mappings: Mappings) -> bool:
    """Can its people be found in amoCRM, and does it tell that they were there? A person's answer is enough."""
    has_address_column = "mail" in block.columns.at or "phone" in block.columns.at
    return has_address_column and (block.has_presence() or _is_named(block, mappings))


def _is_named(block: Block, mappings: Mappings) -> bool:
    return bool(mappings) and bool(mappings.get(signature(block.table.rows[block.columns.header])))


def _as_named(block: Block, options: ReadOptions) -> str:
    named = options.mappings[signature(block.table.rows[block.columns.header])]
    told = ", ".join(
        f"{WORDS[name]} — «{title}»" if title != NO_COLUMN else f"{WORDS[name]} — нет" for name, title in named.items()
    )
    return f"Столбцы прочитаны так, как вы их назвали: {told}"


def _taken(
    found: Sequence[tuple[Table, Sequence[Block]]], usable: Mapping[int, Block]
) -> tuple[list[Block], list[str], list[str]]:
    """The blocks that are read; doubts and remarks about the others."""
    taken: list[Block] = []
    doubts: list[str] = []
    remarks: list[str] = []
    for table, some in found:
        where = f"лист «{table.sheet}»" if table.sheet else "таблица"
        kind = platforms.section(table.sheet) if table.sheet else None
        before = len(taken)
        for block in some:
            about_what = platforms.section(block.title) or kind
            if about_what == "activities" and len(usable) > 1:
                remarks.append(f"{block.title or where}: это не список участников, пропущено")
            elif id(block) in usable or about_what in platforms.LEFT_OUT_BY_SECTION or block.has_presence():
                taken.append(block)
            elif about_what not in ("summary", "activities"):
                what = f"в книге ещё {where}" if table.sheet else f"{table.where}: ещё одна часть"
                doubts.append(f"{what}: кто и сколько был на вебинаре, там не сказано — не прочитано")
        if not some and kind not in ("activities", "summary") and len(found) > 1:
            if has_address([table]):
                doubts.append(
                    f"в книге ещё {where}: на нём есть почта или телефоны, но столбцы непонятны — не прочитан"
                )
            elif any(row for row in table.rows):
                remarks.append(f"На листе «{table.sheet}» людей нет")
        elif len(taken) == before and kind == "activities":
            remarks.append(f"Лист «{table.sheet}» — не список участников, пропущен")
    sheets = list(dict.fromkeys(block.table.sheet for block in taken if block.table.sheet))
    if len(sheets) > 1:
        named = ", ".join(f"«{sheet}»" for sheet in sheets)
        doubts.append(f"в книге несколько листов с людьми: {named} — прочитаны все")
    return taken, doubts, remarks


def _numbered(taken: Sequence[Block]) -> Iterator[tuple[int, Block]]:
    """A header that is repeated within its sheet begins no new part."""
    number, before = -1, None
    for block in taken:
        titles = [one.title for one in block.columns.headings.values()]
        mark = (block.table.sheet, titles, platforms.section(block.title))
        if mark != before:
            number += 1
        before = mark
        yield number, block


def _to_ask_about(shown: Sequence[Table]) -> Table:
    return next((table for table in shown if has_address([table])), shown[0])


def _unknown(table: Table) -> ColumnsUnknown:
    at = samples_header(table)
    header = table.rows[at] if table.rows else ()
    titled = [number for number, cell in enumerate(header) if cells.text(cell)]
    headers = tuple(cells.text(header[number]) for number in titled)
    first = [row for _, row in islice(table.from_row(at + 1), SAMPLES)]
    known = {name for some in blocks(table) for name in some.columns.at}
    needs = [*(["mail"] if not known & {"mail", "phone"} else []), *(["minutes"] if not known & PRESENCE else [])]
    words = {"mail": "где почта или телефон", "minutes": "где минуты"}
    what = " и ".join(words[one] for one in needs or words)
    return ColumnsUnknown(
        f"{table.where}: непонятно, {what}. Скажите, какой столбец что значит; "
        f"столбцы: {', '.join(f'«{title}»' for title in headers) or 'нет'}",
        headers,
        signature(header),
        tuple(_samples(row, titled) for row in first),
        tuple(needs) or ("mail", "minutes"),
    )


# --- what a column is, by what stands in it ---------------------------------------------------------------------------


def _settled(block: Block) -> Block:
    """«Был на вебинаре» may be a mark or a length, «Статус» a role or nothing of ours: their cells decide."""
    at = dict(block.columns.at)

    def column(number: int) -> list[Cell]:
        return [row[number] for _, row, _ in block.rows if number < len(row) and cells.text(row[number])]

    def drop(name: Field, number: int) -> None:
        at[name] = tuple(one for one in at.get(name, ()) if one != number)

    def add(name: Field, number: int) -> None:
        at[name] = (*at.get(name, ()), number)

    for number in at.get("attended", ()):
        told = column(number)
        if any(platforms.is_host(cells.text(cell)) is not None for cell in told) and not any(
            cells.mark(cell) is not None for cell in told
        ):
            drop("attended", number)
            add("role", number)
        elif number in at.get("minutes", ()):
            # A mark is a word or 1 and 0; any other number is a length.
            is_marks = all(cells.mark(cell) is not None and cells.text(cell) in _MARKS_OR_WORDS(cell) for cell in told)
            drop("minutes" if is_marks else "attended", number)
        elif told and not any(cells.mark(cell) is not None for cell in told):
            drop("attended", number)
    for name in ("came", "left"):
        for number in at.get(name, ()):
            told = column(number)
            reads = any(cells.moment(cell) or cells.clock(cell) for cell in told)
            if told and not reads and any(cells.mark(cell) is not None for cell in told):
                drop(name, number)
                add("attended", number)
    for number in at.get("role", ()):
        if not any(platforms.is_host(cells.text(cell)) is not None for cell in column(number)):
            drop("role", number)
    if not at.keys() & {"minutes", "came", "from", "first_came"}:
        for number, one in block.columns.headings.items():
            told = column(number) if is_vague(one.title) else []
            if told and all(cells.minutes(cell) is not None and ":" not in cells.text(cell) for cell in told):
                add("minutes", number)
    kept: dict[Field, tuple[int, ...]] = {
        name: numbers if name in SEVERAL else numbers[:1] for name, numbers in at.items() if numbers
    }
    if parts := _parts(at.get("minutes", ()), block):
        kept["minutes"] = parts
    return replace(block, columns=Columns(block.columns.header, kept, block.columns.headings))


_MINUTES_IN: Mapping[Unit, float] = {"h": 60, "m": 1, "s": 1 / 60}


def _parts(numbers: Sequence[int], block: Block) -> tuple[int, ...]:
    """«Часов», «Минут», «Секунд»: the columns in which one length stands in parts, the greatest first; of columns that
    tell it several times, each as a whole, the one in minutes. Nothing for columns that have nothing in common."""
    of_unit = {unit: number for number in numbers if (unit := block.columns.headings[number].unit)}
    found = [(unit, of_unit[unit]) for unit in _MINUTES_IN if unit in of_unit]
    if len(found) < 2 or len({_stem(block.columns.headings[number].title) for _, number in found}) > 1:
        return ()
    if _tells_one_length(block, found) and not _looks_parted(block, found):
        return (of_unit["m"],)
    return tuple(number for _, number in found)


def _lengths_in(row: Row, parts: Sequence[tuple[Unit, int]]) -> list[float]:
    """The parts as numbers of their units; 0 for what is empty or can't be read."""
    told = (cells.minutes(row[number], "s") if number < len(row) else None for _, number in parts)
    return [round((one or 0) * 60, 6) for one in told]


def _tells_one_length(block: Block, parts: Sequence[tuple[Unit, int]]) -> bool:
    """Whether the columns agree in every row, but for rounding: 1 hour beside 55 minutes, 2 minutes beside 120 s."""
    for _, row, _ in block.rows:
        lengths = [told * _MINUTES_IN[unit] for told, (unit, _) in zip(_lengths_in(row, parts), parts, strict=True)]
        if any(abs(lengths[0] - other) > _MINUTES_IN[parts[0][0]] / 2 for other in lengths[1:]):
            return False
    return any(any(_lengths_in(row, parts)[:-1]) for _, row, _ in block.rows)


def _looks_parted(block: Block, parts: Sequence[tuple[Unit, int]]) -> bool:
    """Whether no row has 60 of a lesser unit, or a fraction of a greater one."""
    return not any(
        any(told >= 60 for told in numbers[1:]) or any(told != int(told) for told in numbers[:-1])
        for numbers in (_lengths_in(row, parts) for _, row, _ in block.rows)
    )


def _stem(title: str) -> str:
    """What a heading says besides its unit."""
    words = re.split(r"[\s,.()\[\]:]+", normalise(title))
    return " ".join(word for word in words if word and word != "в" and not cells.unit_named(word))


def _MARKS_OR_WORDS(cell: Cell) -> tuple[str, ...]:
    written = cells.text(cell)
    return (written,) if not written.isdigit() or written in ("0", "1") else ()


def _order(shown: Sequence[Table], platform: platforms.Platform | None, options: ReadOptions) -> Order:
    """How dates with slashes are written: as one of them shows, else as fits the day that a person told, else as the
    platform does it."""
    slashed = [cell for table in shown for row in table.rows for cell in row if cells.is_slashed(cell)]
    if not slashed:
        return "day first"
    if shows := cells.order_in(slashed):
        return shows
    if options.held_on:
        orders: tuple[Order, ...] = ("day first", "month first")
        fitting = [
            order
            for order in orders
            if any((told := cells.moment(cell, order=order)) and told.date() == options.held_on for cell in slashed)
        ]
        if len(fitting) == 1:
            return fitting[0]
    if platform and platform.order:
        return options.zoom_order if platform.order == "config" else platform.order
    is_american = any(str(cell).casefold().rstrip(" .").endswith(("am", "pm")) for cell in slashed)
    return "month first" if is_american else "day first"


def _length(block: Block, order: Order, zone: tzinfo) -> Length:
    numbers = block.columns.at.get("minutes", ())
    if len(numbers) > 1:
        parts = tuple((number, block.columns.headings[number].unit or "m") for number in numbers)
        return Length(is_named=True, parts=parts)
    one = block.columns.of("minutes")
    told = [cell for _, row, _ in block.rows if (cell := block.columns.cell(row, "minutes")) not in (None, "")]
    short = [found for cell in told if (found := cells.is_short_clock(cell))]
    is_short = any(first > 23 for first, _ in short) or any(cells.is_long_clock(cell) for cell in told)
    short_clock = one.short_clock or ("m:ss" if short and is_short else "h:mm")
    is_clocked = any(isinstance(cell, time | timedelta | datetime) for cell in told)
    if one.unit:
        return Length(one.unit, short_clock, is_named=True, is_clocked=is_clocked)
    unit, remark = _unit_by_stay(block, order, zone)
    return Length(
        unit or "m",
        short_clock,
        is_named=unit is not None or not bare_numbers(told),
        remark=remark,
        is_clocked=is_clocked,
    )


def _unit_by_stay(block: Block, order: Order, zone: tzinfo) -> tuple[Unit | None, str]:
    """A heading without a unit, beside coming and leaving: the unit in which the numbers fit those."""
    if not block.columns.has("minutes", "came", "left"):
        return None, ""
    units: tuple[Unit, ...] = ("m", "s", "h")
    misses: Counter[Unit] = Counter()
    seen = 0
    for _, row, _ in islice(block.rows, 200):
        stay = stay_of(block.columns, row, "came", "left", order, zone, NO_DAY)[0]
        number = block.columns.cell(row, "minutes")
        if not stay or not bare_numbers([number]) or cells.minutes(number, "s") is None:
            continue
        seen += 1
        length = (stay[1] - stay[0]).total_seconds() / 60
        for unit in units:
            lasted = cells.minutes(number, unit)
            misses[unit] += lasted is None or abs(lasted - length) > max(1.0, length * 0.05)
    if not seen or misses["m"] < seen / 2:
        return None, ""
    best = min(units, key=lambda unit: misses[unit])
    if misses[best] > seen / 10:
        return None, ""
    words = {"m": "минуты", "s": "секунды", "h": "часы"}[best]
    return (
        best,
        f"Столбец «{block.columns.of('minutes').title}» прочитан как {words}: так он сходится со входом и выходом",
    )


# --- the whole file ---------------------------------------------------------------------------------------------------


def _together(told: Sequence[About]) -> About:
    """What all sheets tell; the first that tells it."""
    days = {one.began.date() for one in told if one.began}
    began = next((one.began for one in told if one.began and not one.is_from_title), None)
    began = began or next((one.began for one in told if one.began), None)
    return About(
        title=next((one.title for one in told if one.title), ""),
        began=began if len(days) <= 1 else None,
        is_from_title=all(one.is_from_title for one in told if one.began),
        minutes=next((one.minutes for one in told if one.minutes), None),
        hosts=tuple(host for one in told for host in one.hosts),
    )


def _beside(own: About, whole: About) -> About:
    return replace(own, began=own.began or whole.began, hosts=whole.hosts)


def _length_of_column(taken: Sequence[Block]) -> float | None:
    told = [
        cells.minutes(block.columns.cell(row, "length"), block.columns.of("length").unit or "m")
        for block in taken
        if block.columns.has("length")
        for _, row, _ in block.rows
    ]
    return max((one for one in told if one), default=None)


def _dated(visits: Sequence[Visit], whole: About) -> list[Visit]:
    """The evening that each stay belongs to: who comes back after midnight is still at the same webinar."""
    visits = _after_midnight(visits)
    own = [
        visit for visit in visits if visit.came_on and visit.intervals and visit.intervals[0][0].date() == visit.came_on
    ]
    evenings: list[tuple[datetime, datetime]] = []
    for start, end in sorted(interval for visit in own for interval in visit.intervals):
        if evenings and start - evenings[-1][1] < _APART:
            evenings[-1] = (evenings[-1][0], max(end, evenings[-1][1]))
        else:
            evenings.append((start, end))
    told = whole.began.date() if whole.began and not whole.is_from_title else None
    if told and len({start.date() for start, _ in evenings}) == 1 and abs((evenings[0][0].date() - told).days) == 1:
        # The account's zone and the platform's may differ by a midnight: the file's own day holds.
        return [replace(visit, came_on=told) if visit in own else visit for visit in visits]
    mine = {id(visit) for visit in own}
    return [replace(visit, came_on=_evening(visit, evenings)) if id(visit) in mine else visit for visit in visits]


def _evening(visit: Visit, evenings: Sequence[tuple[datetime, datetime]]) -> date:
    start = visit.intervals[0][0]
    return next(begin for begin, end in evenings if begin <= start <= end).date()


def _after_midnight(visits: Sequence[Visit]) -> list[Visit]:
    """Clock times alone: 00:10 beside 22:30 is of the next day."""
    undated = [visit for visit in visits if visit.intervals and visit.came_on is None]
    hours = [visit.intervals[0][0].hour for visit in undated]
    is_evening = any(hour >= 18 for hour in hours) and not any(6 <= hour < 15 for hour in hours)
    if not is_evening:
        return list(visits)
    late = {id(visit) for visit in undated if visit.intervals[0][0].hour < 6}
    day = timedelta(days=1)
    return [
        replace(visit, intervals=tuple((start + day, end + day) for start, end in visit.intervals))
        if id(visit) in late
        else visit
        for visit in visits
    ]


def _without_repeats(visits: Sequence[Visit], parts: Sequence[Part]) -> tuple[list[Visit], list[str]]:
    """A sheet that tells the same minutes of the same people once more («Были больше часа») does not double them."""
    minutes: dict[int, dict[str, float]] = {}
    timed: set[int] = set()
    for visit in visits:
        told = visit.minutes if visit.minutes is not None else _lasted(visit)
        if told is not None and not visit.left_out and (mark := _mark(visit)):
            of_part = minutes.setdefault(visit.part, {})
            of_part[mark] = of_part.get(mark, 0) + told
            if visit.intervals:
                timed.add(visit.part)
    repeats: dict[int, set[str]] = {}
    doubts = []
    titles = {part.number: part.block.table.sheet or part.block.title for part in parts}
    for later in sorted(minutes)[1:]:
        for earlier in (number for number in sorted(minutes) if number < later):
            if {later, earlier} <= timed:
                # Times are counted once wherever they stand.
                continue
            shared = minutes[later].keys() & minutes[earlier].keys()
            is_same = all(abs(minutes[later][mark] - minutes[earlier][mark]) <= 1 for mark in shared)
            if (
                shared
                and is_same
                and (len(shared) > 1 or len(shared) == min(len(minutes[later]), len(minutes[earlier])))
            ):
                repeats.setdefault(later, set()).update(shared)
                doubts.append(f"«{titles[later]}» повторяет людей и минуты «{titles[earlier]}»: их минуты не удвоены")
                break
    kept = [
        replace(visit, minutes=None) if not visit.intervals and _mark(visit) in repeats.get(visit.part, ()) else visit
        for visit in visits
    ]
    return kept, doubts


def _lasted(visit: Visit) -> float | None:
    if not visit.intervals:
        return None
    return sum((end - start).total_seconds() for start, end in visit.intervals) / 60


def _mark(visit: Visit) -> str:
    return next(iter((*visit.mails, *visit.phones)), normalise(visit.name))


def _remarks(
    visits: Sequence[Visit], whole: About, *, is_clicky: bool, platform: platforms.Platform | None
) -> Iterator[str]:
    if not is_clicky:
        clickless = platform is not None and not platform.knows_clicks
        yield _no_clicks(platform.source) if platform and clickless else "В таблице нет столбца с нажатыми кнопками"
    if absent := sum(1 for visit in visits if visit.left_out == platforms.ABSENT):
        yield f"Записались и не пришли: {absent}"
    if whole.began and whole.is_from_title:
        yield f"День взят из строки над таблицей: {whole.began:%d.%m.%Y}"


def _no_clicks(source: str) -> str:
    return platforms.NO_CLICKS.format(source=source.removeprefix("отчёт "))


def _doubts(parts: Sequence[Part], visits: Sequence[Visit]) -> Iterator[str]:
    yield from dict.fromkeys(part.length.remark for part in parts if part.length.remark)
    for part in parts:
        columns = part.block.columns
        if part.length.parts and _tells_one_length(part.block, [(unit, number) for number, unit in part.length.parts]):
            titles = " и ".join(f"«{columns.headings[number].title}»" for number, _ in part.length.parts)
            yield f"{titles} сложены в одну длительность; если это она же в других единицах, назовите столбец минут"
        told = [columns.cell(row, "minutes") for _, row, _ in part.block.rows]
        if columns.has("minutes") and not part.length.is_named and any(number > 300 for number in bare_numbers(told)):
            yield f"в столбце «{columns.of('minutes').title}» не сказано, минуты это или секунды: прочитано как минуты"
        if columns.has("first_came", "last_left") and not columns.at.keys() & {"minutes", "came", "from"}:
            yield "минуты посчитаны от первого входа до последнего выхода: перерывы в таблице не названы и не вычтены"
        named = {cells.text(columns.cell(row, "webinar")) for _, row, _ in part.block.rows} - {""}
        if len(named) > 1:
            yield f"в таблице несколько вебинаров: {', '.join(f'«{one}»' for one in sorted(named)[:MOST_NAMED])}"
    if unread := list(dict.fromkeys(visit.odd["role"] for visit in visits if "role" in visit.odd)):
        yield f"роли незнакомы, их люди загрузятся: {', '.join(f'«{one}»' for one in unread[:MOST_NAMED])}"
