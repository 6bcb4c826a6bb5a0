"""Exports of Bizon365 and MTS Link that are no plain tables: intervals by person, JSON of their APIs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells, table_reader
from amo_bridge.webinars.formats.model import Export, ExportError, Interval, Visit
from amo_bridge.webinars.formats.table_rows import BANNER, BUTTON, ReadOptions
from amo_bridge.webinars.formats.tables import Table

# Bizon365's report, a book with the sheets «Сведения», «Зрители», «Уникальные зрители», «Чат».
#
# Seen in one TypeScript project of 2026. «Зрители» has a title in its first row, the header in the second, and some
# fifty columns whose order nobody promises. A person may take several rows: those that follow the first have nothing
# but the two cells of an interval, which stand under one merged title («Интервалы | присутствия») and hold clock times.

VIEWERS, SUMMARY = "Зрители", "Сведения"


def is_bizon_report(tables: Sequence[Table]) -> bool:
    """A sheet of viewers beside a summary or a chat."""
    names = {normalise(table.sheet) for table in tables}
    return normalise(VIEWERS) in names and len(names) > 1


def read_bizon_report(tables: Sequence[Table], options: ReadOptions) -> Export:
    """Raises ExportError when the sheet of viewers is not what it is known to be."""
    wanted = [table for table in tables if normalise(table.sheet) in (normalise(VIEWERS), normalise(SUMMARY))]
    export = table_reader.read(wanted, options, source="отчёт Бизон365 (Excel)")
    title = next((_title(table) for table in wanted if normalise(table.sheet) == normalise(SUMMARY)), "")
    return replace(export, title=title or export.title, doubts=export.doubts)


def _title(summary: Table) -> str:
    """The second line of the summary; the first is the room."""
    row = summary.rows[1] if len(summary.rows) > 1 else ()
    return cells.text(row[0]) if row else ""


# Bizon365's list of viewers, as its API gives it (``GET webinars/reports/getviewers``), saved as JSON.
#
# Seen in the fixtures of slavkluev/bizon365-api-php and in several importers: of a viewer only ``view``, ``viewTill``
# and ``webinarId`` can be relied on; booleans come as true or 1 and are absent when false; buttons and banners are
# lists of ids. ``webinarId`` ends with the beginning in the room's own time zone («12345:web*2021-09-13T19:00:00»).

ABOUT_SPAN = (
    "Бизон365 в этом списке считает время от прихода до ухода: перерывы из него не вычесть, в Excel-отчёте они есть"
)


def is_bizon_viewers(told: Any) -> bool:
    """An object with a list of viewers, or several of them (pages of the list)."""
    pages = told if isinstance(told, list) else [told]
    return bool(pages) and all(isinstance(page, dict) and isinstance(page.get("viewers"), list) for page in pages)


def read_bizon_viewers(name: str, told: Any, zone: tzinfo) -> Export:
    """``zone``: on whose wall clock the webinar was. Raises ExportError."""
    viewers = [row for page in (told if isinstance(told, list) else [told]) for row in page["viewers"]]
    visits = tuple(
        _visit_of_viewer(f"{name}, зритель {number}", row, zone) for number, row in enumerate(viewers, start=1)
    )
    return Export(source="список зрителей Бизон365 (JSON)", visits=visits, remarks=(ABOUT_SPAN,))


def _visit_of_viewer(place: str, row: Any, zone: tzinfo) -> Visit:
    if not isinstance(row, Mapping):
        raise ExportError(f"{place}: вместо зрителя что-то другое")
    phones, unreadable = cells.phones(_text(row, "phone"))
    mails, unread = cells.mails(_text(row, "email"))
    odd = {"mail": unread[: cells.LONGEST_TOLD]} if unread else {}
    stay = _stay(row, zone, odd)
    return Visit(
        name=cells.name(_text(row, "username")),
        place=place,
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=odd,
        intervals=stay,
        buttons=_clicked_by_viewer(row),
        came_on=_held_on(_text(row, "webinarId")) or (stay[0][0].date() if stay else None),
        ip=_text(row, "ip"),
        city=_text(row, "city"),
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None or isinstance(value, dict | list) else cells.text(value)


def _stay(row: Mapping[str, Any], zone: tzinfo, odd: dict[str, str]) -> tuple[Interval, ...]:
    came, left = (_moment(row.get(key), zone, field, odd) for key, field in (("view", "came"), ("viewTill", "left")))
    return ((came, left),) if came and left and left >= came else ()


def _moment(milliseconds: Any, zone: tzinfo, field: str, odd: dict[str, str]) -> datetime | None:
    if milliseconds in (None, "", 0):
        return None
    try:
        return datetime.fromtimestamp(float(milliseconds) / 1000, UTC).astimezone(zone).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError, OSError):
        odd[field] = str(milliseconds)[: cells.LONGEST_TOLD]
        return None


def _held_on(webinar_id: str) -> date | None:
    moment = cells.moment(webinar_id.partition("*")[2])
    return moment.date() if moment else None


def _clicked_by_viewer(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Any banner is the banner; buttons are told apart by their ids."""
    buttons = list(_ids(row.get("buttons")))
    if not buttons and row.get("clickFile"):
        buttons = [BUTTON]
    has_banner = bool(row.get("clickBanner")) or any(_ids(row.get("banners")))
    return tuple(dict.fromkeys([*([BANNER] if has_banner else []), *buttons]))


def _ids(items: Any) -> Iterable[str]:
    for item in items if isinstance(items, list) else ():
        label = item.get("id") if isinstance(item, Mapping) else item
        if label not in (None, ""):
            yield cells.text(label)


# MTS Link (formerly Webinar.ru): who came to which event, as its API tells (``GET /v3/stats/users``), kept as JSON.
#
# Seen in the vendor's help: a list of people, each with ``eventSessions``. A session's ``duration`` (seconds) is taken
# for the person's time there; of clicks nothing is told.

ABOUT_TIME = (
    "МТС Линк не говорит о нажатых кнопках; время взято из «duration» — проверьте на ком-нибудь, кто ушёл раньше"
)


def is_mts_link_statistics(told: Any) -> bool:
    """A list of people with their sessions."""
    return (
        isinstance(told, list) and bool(told) and all(isinstance(row, dict) and "eventSessions" in row for row in told)
    )


def read_mts_link_statistics(name: str, told: Any, zone: tzinfo) -> Export:
    """Raises ExportError."""
    visits = tuple(
        visit for number, row in enumerate(told, start=1) for visit in _visits_of_user(name, number, row, zone)
    )
    first = next((session for row in told for session in _sessions_of(row)), {})
    return Export(
        source="статистика МТС Линк (JSON)",
        visits=visits,
        title=cells.text(first.get("name")),
        remarks=(ABOUT_TIME,),
        knows_buttons=False,
    )


def _sessions_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sessions = row.get("eventSessions")
    return [one for one in sessions if isinstance(one, Mapping)] if isinstance(sessions, list) else []


def _visits_of_user(name: str, number: int, row: Mapping[str, Any], zone: tzinfo) -> Iterator[Visit]:
    place = f"{name}, участник {number}"
    phones, unreadable = cells.phones(_text(row, "phone"))
    mails, unread = cells.mails(_text(row, "email"))
    told_name = " ".join(part for key in ("name", "secondName") if (part := _text(row, key)))
    for session in _sessions_of(row):
        seconds = session.get("duration")
        odd = {"mail": unread[: cells.LONGEST_TOLD]} if unread else {}
        lasted = seconds / 60 if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
        if lasted is None and seconds is not None:
            odd["minutes"] = str(seconds)[: cells.LONGEST_TOLD]
        began = cells.moment(_text(session, "startsAt"), zone=zone)
        yield Visit(
            name=cells.name(told_name),
            place=place,
            mails=mails,
            phones=phones,
            unreadable=unreadable,
            odd=odd,
            minutes=lasted,
            came_on=began.date() if began else None,
        )
