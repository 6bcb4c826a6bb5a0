"""MTS Link (formerly Webinar.ru): who came to which event, as its API tells (``GET /v3/stats/users``), kept as JSON.

Seen in the vendor's help: a list of people, each with ``eventSessions``. A session's ``duration`` (seconds) is taken
for the person's time there; of clicks nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from amo_bridge.webinars.formats import cells
from amo_bridge.webinars.formats.model import Export, ExportError, Visit

ABOUT_TIME = (
    "МТС Линк не говорит о нажатых кнопках; время взято из «duration» — проверьте на ком-нибудь, кто ушёл раньше"
)


def is_one(told: Any) -> bool:
    """A list of people with their sessions."""
    return (
        isinstance(told, list) and bool(told) and all(isinstance(row, dict) and "eventSessions" in row for row in told)
    )


def read(name: str, told: Any, zone: tzinfo) -> Export:
    """Raises ExportError."""
    visits = tuple(visit for number, row in enumerate(told, start=1) for visit in _visits(name, number, row, zone))
    first = next((session for row in told for session in _sessions(row)), {})
    return Export(
        source="статистика МТС Линк (JSON)",
        visits=visits,
        title=cells.text(first.get("name")),
        remarks=(ABOUT_TIME,),
        knows_buttons=False,
    )


def _sessions(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sessions = row.get("eventSessions")
    return [one for one in sessions if isinstance(one, Mapping)] if isinstance(sessions, list) else []


def _visits(name: str, number: int, row: Mapping[str, Any], zone: tzinfo) -> Iterator[Visit]:
    place = f"{name}, участник {number}"
    phones, unreadable = cells.phones(_text(row, "phone"))
    mails, unread = cells.mails(_text(row, "email"))
    told_name = " ".join(part for key in ("name", "secondName") if (part := _text(row, key)))
    for session in _sessions(row):
        seconds = session.get("duration")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise ExportError(f"{place}: нет времени на вебинаре (duration)")
        began = cells.moment(_text(session, "startsAt"), zone=zone)
        yield Visit(
            name=cells.name(told_name),
            place=place,
            mails=mails,
            phones=phones,
            unreadable=unreadable,
            odd={"mail": unread[: cells.LONGEST_TOLD]} if unread else {},
            minutes=seconds / 60,
            came_on=began.date() if began else None,
        )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None or isinstance(value, dict | list) else cells.text(value)
