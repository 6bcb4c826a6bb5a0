"""Rows of attendee tables → visits: every cell is read whole, or told as one that can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells, platforms
from amo_bridge.webinars.formats.blocks import WHO, About, Block, Mappings
from amo_bridge.webinars.formats.cells import Cell, Order, Unit
from amo_bridge.webinars.formats.guards import MOST_ROWS
from amo_bridge.webinars.formats.model import Interval, Visit
from amo_bridge.webinars.formats.tables import Columns, Field, Row

BANNER = "banner"
BUTTON = "button"
NO_DAY = date(2000, 1, 1)
"""Stands for the day of clock times as long as nobody has told it."""
_LONGEST_NIGHT = timedelta(hours=12)
Progress = Callable[[int, int], None]
"""Rows read, all rows."""


def _unheard(_count: int, _whole: int) -> None:
    """Nobody waits for the file."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """``zone``: the webinar's wall clock. ``zoom_order``: how the Zoom account writes dates. ``mappings``: columns as
    people named them. ``held_on``: the webinar's day, as a person told it. ``progress``: is told how many of all rows
    are read."""

    zone: tzinfo = UTC
    zoom_order: Order = "month first"
    mappings: Mappings = field(default_factory=dict)
    held_on: date | None = None
    most_rows: int = MOST_ROWS
    progress: Progress = _unheard


@dataclass(frozen=True)
class Part:
    """A block with what is known of its columns. ``number``: the same for blocks that go on."""

    block: Block
    number: int
    order: Order
    about: About
    length: Length


@dataclass(frozen=True)
class Length:
    """How the column of lengths is to be read. ``remark``: what was concluded from its cells. ``parts``: the columns
    (number, unit) in which its hours, minutes and seconds stand apart. ``is_clocked``: other cells of the column
    are times of Excel's, so that 0.045 without a format may be a part of a day."""

    unit: Unit = "m"
    short_clock: Literal["h:mm", "m:ss"] = "h:mm"
    is_named: bool = False
    remark: str = ""
    parts: tuple[tuple[int, Unit], ...] = ()
    is_clocked: bool = False

    def minutes(self, columns: Columns, row: Row) -> float | None:
        """What a row tells; None: nothing, or nothing that can be read whole."""
        if not self.parts:
            cell = columns.cell(row, "minutes")
            if self.is_clocked and isinstance(cell, float) and 0 < cell < 1:
                return None
            return cells.minutes(cell, self.unit, short_clock=self.short_clock)
        told = [(row[number], unit) for number, unit in self.parts if number < len(row) and cells.text(row[number])]
        numbers = [cells.minutes(cell, "m") for cell, _ in told]
        if any(one is not None and one % 1 and any(numbers[place + 1 :]) for place, one in enumerate(numbers)):
            # «1,5» hours and 30 minutes: nobody knows whether the half is told twice.
            return None
        lengths = [cells.minutes(cell, unit) for cell, unit in told]
        return sum(one or 0 for one in lengths) if lengths and None not in lengths else None

    def written(self, columns: Columns, row: Row) -> str:
        """What stands there, for people."""
        if not self.parts:
            return cells.text(columns.cell(row, "minutes"))
        told = [cells.text(row[number]) if number < len(row) else "" for number, _ in self.parts]
        return " | ".join(told) if any(told) else ""


def bare_numbers(told: Iterable[Cell]) -> list[float]:
    """Numbers without a unit of their own."""
    found = []
    for cell in told:
        number = cells.minutes(cell, "s")
        if (number is not None and cells.minutes(cell, "m") != number) or (number is None and cells.minutes(cell, "m")):
            found.append((number or 0) * 60)
    return found


# --- coming and leaving -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _When:
    """A moment of a row. ``has_day``: it tells its own day."""

    at: datetime
    has_day: bool


def stay_of(
    columns: Columns, row: Row, begin: Field, end: Field, order: Order, zone: tzinfo, base: date
) -> tuple[Interval | None, dict[str, str], bool]:
    """(the stay, what can't be read, whether it tells its day)."""
    came, odd_came = _when(columns, row, begin, order, zone, base)
    left, odd_left = _when(columns, row, end, order, zone, base)
    odd: dict[str, str] = {}
    if odd_came:
        odd[begin] = odd_came
    if odd_left:
        odd[end] = odd_left
    if came is None or left is None:
        return None, odd, bool(came and came.has_day)
    started, ended = came.at, left.at
    if came.has_day and not left.has_day:
        ended = datetime.combine(started.date(), ended.time())
    if ended < started and not left.has_day:
        # Over midnight.
        ended += timedelta(days=1)
    if ended < started or (not left.has_day and ended - started > _LONGEST_NIGHT and ended.date() > started.date()):
        written = cells.text(columns.cell(row, end))
        return None, {**odd, end: f"{written} (раньше, чем пришёл)"}, came.has_day
    return (started, ended), odd, came.has_day


def _when(columns: Columns, row: Row, name: Field, order: Order, zone: tzinfo, base: date) -> tuple[_When | None, str]:
    """A moment in one cell or in two (the day in one column, the time in another); what can't be read."""
    day: date | None = None
    of_day: time | None = None
    numbers = columns.at.get(name, ())
    for number in numbers:
        cell = row[number] if number < len(row) else None
        if cells.is_nothing(cell) and not isinstance(cell, float | time):
            continue
        one = columns.headings.get(number)
        if (found := cells.moment(cell, order=order, zone=zone, told_in=one.zone if one else None)) is not None:
            if _has_time(cell, found):
                return _When(found, has_day=True), ""
            day = day or found.date()
        elif (clock := cells.clock(cell)) is not None:
            of_day = of_day or clock
        else:
            return None, cells.text(cell)[: cells.LONGEST_TOLD]
    if of_day is None:
        return None, ""
    return _When(datetime.combine(day or base, of_day), has_day=day is not None), ""


def _has_time(cell: Cell, found: datetime) -> bool:
    return found.time() != time() or (isinstance(cell, str) and ":" in cell)


# --- rows -------------------------------------------------------------------------------------------------------------


def visits_of(part: Part, options: ReadOptions) -> Iterator[Visit]:
    columns, last_who = part.block.columns, None
    told_minutes = 0.0
    kind = platforms.section(part.block.table.sheet) if part.block.table.sheet else None
    marks = _has_marks(part.block)
    for number, row, section in part.block.rows:
        if _is_total(columns, row):
            continue
        who = _filled(columns, row, WHO)
        stays = _filled(columns, row, {"came", "left", "from", "till"})
        if not who and stays and last_who is not None:
            # A person may take several rows: those that follow hold nothing but when he was there.
            row = _filled_up(columns, row, last_who)
        elif not who and told_minutes and _sums_up(part.length.minutes(columns, row), told_minutes):
            continue
        else:
            last_who = row
        visit = _visit(part, number, row, section or kind, options, is_marked=marks)
        told_minutes += visit.minutes or 0
        yield visit


def _filled(columns: Columns, row: Row, names: Iterable[Field]) -> bool:
    return any(cells.text(cell) for name in names for cell in columns.cells(row, name))


def _sums_up(found: float | None, told: float) -> bool:
    return found is not None and abs(found - told) <= max(1.0, told * 0.01)


def _filled_up(columns: Columns, row: Row, before: Row) -> Row:
    """The row with what the one before says of the person."""
    names: set[Field] = {*WHO, "role", "date", "attended", "ip", "city"}
    told = list(row)
    for number in (number for name in names for number in columns.at.get(name, ())):
        if number < len(before):
            told.extend([""] * (number + 1 - len(told)))
            told[number] = before[number]
    return told


def _is_total(columns: Columns, row: Row) -> bool:
    texts = [cells.text(cell) for cell in row if cells.text(cell)]
    names: tuple[Field, ...] = ("name", "first_name", "nick")
    named = [cells.text(columns.cell(row, name)) for name in names]
    if any("@" in told for told in texts):
        return False
    return any(told and platforms.is_total(told) for told in (texts[0], *named))


def _has_marks(block: Block) -> bool:
    """Whether presence is only marked, so that an empty cell means absence."""
    told = [cell for _, row, _ in block.rows if (cell := block.columns.cell(row, "attended")) and cells.text(cell)]
    return bool(told) and all(cells.mark(cell) is True for cell in told)


def _visit(
    part: Part, number: int, row: Row, section: platforms.Section | None, options: ReadOptions, *, is_marked: bool
) -> Visit:
    columns, table = part.block.columns, part.block.table
    odd: dict[str, str] = {}
    mails = _mails(columns, row, odd)
    phones, unreadable = _phones(columns, row)
    told_day = _day(columns, row, part.order, options.zone, odd)
    known = part.about.began.date() if part.about.began else None
    base = told_day or options.held_on or known or NO_DAY
    intervals, has_day = _intervals(part, row, base, options.zone, odd)
    minutes = part.length.minutes(columns, row)
    written = part.length.written(columns, row)
    is_denied = cells.mark(written) is False and not cells.is_nothing(written)
    if minutes is None and not is_denied and not cells.is_nothing(written):
        odd["minutes"] = written[: cells.LONGEST_TOLD]
    if not intervals and minutes is None:
        intervals, has_day = _span(part, row, base, options.zone, odd, has_day=has_day)
    came_on = _came_on(part, row, options.zone)
    name = _name(columns, row)
    buttons = _buttons(columns, row)
    reason, is_host = _left_out(part, row, section, name, mails, odd)
    absent = is_denied or _is_absent(columns, row, minutes, buttons, is_marked=is_marked)
    if not reason and not intervals and not odd and absent:
        reason = platforms.ABSENT
    return Visit(
        name=name,
        place=table.place(number),
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=odd,
        guest_word=_guest_word(columns, row),
        intervals=intervals,
        minutes=minutes,
        buttons=buttons,
        came_on=told_day or (intervals[0][0].date() if intervals and has_day else came_on or known),
        is_banned=not cells.is_nothing(columns.cell(row, "banned")),
        ip=cells.text(columns.cell(row, "ip")),
        city=cells.text(columns.cell(row, "city")),
        part=part.number,
        left_out=reason,
        is_host=is_host,
    )


def _mails(columns: Columns, row: Row, odd: dict[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    for cell in columns.cells(row, "mail"):
        mails, unread = cells.mails(cell)
        found += mails
        if unread:
            odd.setdefault("mail", unread[: cells.LONGEST_TOLD])
    return tuple(dict.fromkeys(found))


def _guest_word(columns: Columns, row: Row) -> str:
    told = [cells.text(cell) for cell in (*columns.cells(row, "mail"), *columns.cells(row, "phone"))]
    return next((word for word in told if word.casefold() in cells.GUEST), "")


def _phones(columns: Columns, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found: list[str] = []
    unread: list[str] = []
    for cell in columns.cells(row, "phone"):
        numbers, odd = cells.phones(cell)
        found += numbers
        unread += odd
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(unread))


def _name(columns: Columns, row: Row) -> str:
    """The name's parts in the order of their columns; else the whole name, else what he was called in the chat."""
    parts: tuple[Field, ...] = ("first_name", "last_name", "middle_name")
    numbers = sorted(number for name in parts for number in columns.at.get(name, ()))
    told = [cells.name(row[number]) for number in numbers if number < len(row)]
    apart = " ".join(part for part in told if part)[: cells.LONGEST_NAME]
    whole = cells.name(columns.cell(row, "name"))
    if whole and apart and "first_name" not in columns.at and apart not in whole:
        # A person may have named «Имя» and «Фамилия» as such.
        is_name_first = columns.at["name"][0] < numbers[0]
        whole = f"{whole} {apart}" if is_name_first else f"{apart} {whole}"
    elif len([part for part in told if part]) > 1 or not whole:
        whole = apart or whole
    return platforms.without_guest(whole or cells.name(columns.cell(row, "nick")))


def _day(columns: Columns, row: Row, order: Order, zone: tzinfo, odd: dict[str, str]) -> date | None:
    cell = columns.cell(row, "date")
    if cells.is_nothing(cell):
        return None
    found = cells.moment(cell, order=order, zone=zone)
    day = found.date() if found else cells.day_in(cells.text(cell), order)
    if day is None:
        odd["date"] = cells.text(cell)[: cells.LONGEST_TOLD]
    return day


def _came_on(part: Part, row: Row, zone: tzinfo) -> date | None:
    """The day on which he came, though nobody knows for how long."""
    names: tuple[Field, ...] = ("came", "first_came")
    for name in names:
        when, _ = _when(part.block.columns, row, name, part.order, zone, NO_DAY)
        if when and when.has_day:
            return when.at.date()
    return None


def _intervals(
    part: Part, row: Row, base: date, zone: tzinfo, odd: dict[str, str]
) -> tuple[tuple[Interval, ...], bool]:
    columns = part.block.columns
    if not columns.has("from"):
        stay, unread, has_day = stay_of(columns, row, "came", "left", part.order, zone, base)
        odd.update(unread)
        return ((stay,) if stay else ()), has_day
    if not columns.has("till"):
        # The second half of Bizon365's merged title is empty in some versions.
        begin = columns.at["from"][0]
        columns = Columns(columns.header, {**columns.at, "till": (begin + 1,)}, columns.headings)
    stay, unread, has_day = stay_of(columns, row, "from", "till", part.order, zone, base)
    odd.update(unread)
    if stay is None and not unread:
        stay, unread, has_day = stay_of(columns, row, "came", "left", part.order, zone, base)
        odd.update(unread)
    return ((stay,) if stay else ()), has_day


def _span(
    part: Part, row: Row, base: date, zone: tzinfo, odd: dict[str, str], *, has_day: bool
) -> tuple[tuple[Interval, ...], bool]:
    """From the first coming to the last leaving, where nothing better is told."""
    if not part.block.columns.has("first_came", "last_left"):
        return (), has_day
    stay, unread, has_day = stay_of(part.block.columns, row, "first_came", "last_left", part.order, zone, base)
    odd.update(unread)
    return ((stay,) if stay else ()), has_day


def _buttons(columns: Columns, row: Row) -> tuple[str, ...]:
    """Names of what was clicked; a mark or a count says only that something was."""
    clicked: list[str] = []
    if any(not cells.is_nothing(cell) and cells.mark(cell) is not False for cell in columns.cells(row, "banner")):
        clicked.append(BANNER)
    for cell in columns.cells(row, "buttons"):
        said = cells.mark(cell)
        if said is None:
            clicked += [BUTTON if cells.mark(label) else label for label in cells.labels(cell)]
        elif said:
            clicked.append(BUTTON)
    for number, called in columns.buttons.items():
        told = row[number] if number < len(row) else None
        if not cells.is_nothing(told) and cells.mark(told) is not False:
            clicked.append(called)
    return tuple(dict.fromkeys(clicked))


def _left_out(
    part: Part, row: Row, section: platforms.Section | None, name: str, mails: Sequence[str], odd: dict[str, str]
) -> tuple[str, bool]:
    """Why this row makes no client, and whether that is because of who he is."""
    columns = part.block.columns
    roles = [cells.text(cell) for cell in columns.cells(row, "role") if cells.text(cell)]
    for role in roles:
        said = platforms.is_host(role)
        if said:
            return f"{platforms.HOST}: {role}", True
        if said is None:
            odd["role"] = role[: cells.LONGEST_TOLD]
    nicks = [cells.text(columns.cell(row, "nick")), cells.text(columns.cell(row, "name")), name]
    if section == "hosts" or any(platforms.is_called_host(told) for told in nicks):
        return platforms.HOST, True
    known = {normalise(host) for host in part.about.hosts}
    if known & {*map(normalise, mails), *([normalise(name)] if name else [])}:
        return f"{platforms.HOST} (так сказано в начале файла)", True
    if section == "banned":
        return platforms.BANNED, True
    waiting = columns.cell(row, "waiting_room")
    if section == "waiting" or cells.mark(waiting) is True:
        return platforms.WAITING, False
    said_so = [cell for cell in columns.cells(row, "attended") if cells.text(cell)]
    marks = [cells.mark(cell) for cell in said_so]
    if False in marks and True not in marks:
        return platforms.ABSENT, False
    if said_so and set(marks) == {None}:
        odd["attended"] = cells.text(said_so[0])[: cells.LONGEST_TOLD]
    has_stayed = part.length.minutes(columns, row)
    if section == "absent" and not has_stayed:
        return platforms.ABSENT, False
    return "", False


def _is_absent(columns: Columns, row: Row, minutes: float | None, buttons: Sequence[str], *, is_marked: bool) -> bool:
    """No minute, no click; or not marked where others are; or neither came nor left nor watched."""
    if minutes == 0 and not buttons:
        return True
    if is_marked and not minutes and not _filled(columns, row, ("attended",)):
        return True
    names: tuple[Field, ...] = ("came", "left", "minutes", "first_came", "last_left", "from", "till")
    told = [columns.cell(row, name) for name in names if columns.has(name)]
    has_come = any(columns.has(name) for name in ("came", "first_came", "from"))
    return has_come and len(told) > 1 and minutes is None and not buttons and all(map(cells.is_nothing, told))
