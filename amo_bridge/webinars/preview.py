"""Preview of a webinar's files: doubts about them before anything is written; as JSON for programs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from amo_bridge.config.webinar import WebinarSection
from amo_bridge.text.names import same_name
from amo_bridge.webinars.attendees import Attendee, days_of, gather, has_several_days
from amo_bridge.webinars.formats import platforms
from amo_bridge.webinars.formats.model import Export
from amo_bridge.webinars.formats.tables import NO_COLUMN, WORDS, Field
from amo_bridge.webinars.plan import Known, Row, Standing, plan
from amo_bridge.webinars.sorting import in_minutes

NO_SECTION = "в настройке нет раздела [webinar]: загрузка вебинаров выключена (пример: examples/webinar.toml)"
SHORTEST_STAY, MOST_NAMED = 2, 5
# Rounding and a late end are no oddity.
LATE_END = 1.2
NOT_CLIENTS: tuple[Standing, ...] = ("unmatched", "no_client", "banned", "skipped")
COLUMN_WORDS = {"mail": "почта", "minutes": "минуты"}


def doubts(exports: Sequence[Export], people: Sequence[Attendee], day: date, held_on: date | None) -> tuple[str, ...]:
    """What a person should look at above the plan of one day, in Russian; each in one sentence."""
    came = [person for person in people if not person.left_out]
    told = [*_of_minutes(exports, came), *_of_day(exports, day, held_on)]
    told += [doubt for export in exports for doubt in export.doubts]
    if hosts := [person for person in people if person.left_out.startswith(platforms.HOST)]:
        told.append(f"в списке ведущие, они не загружаются: {_named(hosts)}")
    if unread := [person for person in came if person.unreadable or any(_is_unread(odd) for odd in person.odd)]:
        told.append(f"у {len(unread)} из {len(came)} что-то не читается: {_named(unread)}")
    if not came:
        told.append("загружать некого: все строки — ведущие, сотрудники или те, кто не пришёл")
    return tuple(dict.fromkeys(told))


def _of_minutes(exports: Sequence[Export], came: Sequence[Attendee]) -> Iterator[str]:
    unknown = [person for person in came if "minutes" in person.unknown]
    known = [person.minutes for person in came if "minutes" not in person.unknown]
    if came and len(unknown) == len(came):
        yield "минуты неизвестны у всех"
    elif unknown:
        yield f"минуты неизвестны у {len(unknown)} из {len(came)}: {_named(unknown)}"
    if known and max(known) <= SHORTEST_STAY:
        yield f"у всех не больше {SHORTEST_STAY} минут: возможно, это часы или доли суток"
    if len(known) > SHORTEST_STAY and len(set(known)) == 1 and known[0]:
        yield f"у всех одинаково, {in_minutes(known[0])} мин: возможно, это длительность самого вебинара"
    length = max((export.length for export in exports if export.length), default=None)
    if length and (longer := [person for person in came if person.minutes > length * LATE_END + 1]):
        yield f"дольше самого вебинара ({in_minutes(length)} мин): {_named(longer)}"


def _of_day(exports: Sequence[Export], day: date, held_on: date | None) -> Iterator[str]:
    if held_on is None:
        return
    for export in exports:
        others = [one for one in days_of(export) if one != held_on]
        words = ", ".join(f"{one:%d.%m.%Y}" for one in others[:MOST_NAMED])
        if others and has_several_days(export, held_on):
            yield f"в файле несколько дней, кроме названного есть {words}: на каждый своя загрузка"
        elif others:
            yield f"дата в файле другая: {words}; загружается как {day:%d.%m.%Y}, как названо"


def _is_unread(odd: str) -> bool:
    """An unknown role is told apart."""
    return not odd.startswith(f"{WORDS['role']} ")


def _named(people: Sequence[Attendee]) -> str:
    names = ", ".join(
        person.name or ", ".join((*person.mails, *person.phones)) or "без имени" for person in people[:MOST_NAMED]
    )
    return names + (f" и ещё {len(people) - MOST_NAMED}" if len(people) > MOST_NAMED else "")


# --- for programs -----------------------------------------------------------------------------------------------------


def offline(exports: Sequence[Export], held_on: date | None, options: WebinarSection) -> dict[date, list[Row]]:
    """The plan as if amoCRM knew nobody. Raises NoDay."""
    days = gather(exports, held_on, options.staff)
    return {day: plan(people, Known(), options) for day, people in days.items()}


def as_json(
    exports: Sequence[Export], days: dict[date, list[Row]], held_on: date | None, *, is_day_known: bool = True
) -> list[dict[str, Any]]:
    """The drafts of ``webinar preview --json``; scripts rely on these keys."""
    return [
        {
            "held_on": day.isoformat() if is_day_known else None,
            "people": [_person(row) for row in rows if row.standing not in NOT_CLIENTS],
            "left_out": [
                {"name": row.person.name, "emails": list(row.person.mails), "why": row.why}
                for row in rows
                if row.standing in NOT_CLIENTS
            ],
            "doubts": list(doubts(exports, [row.person for row in rows], day, held_on)),
        }
        for day, rows in days.items()
    ]


def _person(row: Row) -> dict[str, Any]:
    person = row.person
    return {
        "name": person.name,
        "emails": list(person.mails),
        "phones": list(person.phones),
        "minutes": None if "minutes" in person.unknown else round(person.minutes, 2),
        "buttons": list(row.sorted.tags),
        "class": row.sorted.interest,
        "why": "; ".join((row.sorted.why, *row.remarks)),
    }


def asked(needs: Iterable[str]) -> list[str]:
    """Fields whose columns a person must name, as ``--column`` takes them."""
    return [COLUMN_WORDS.get(name, name) for name in needs]


def answers_about(
    exports: Iterable[Export], columns: Mapping[Field, str], but: Collection[str] = ()
) -> dict[str, tuple[dict[Field, str], tuple[str, ...]]]:
    """Tables that are understood by themselves and have a column that a person has named for something else than it was
    taken for: signature → (field → title, all titles). ``but``: signatures of those that are settled."""
    found: dict[str, tuple[dict[Field, str], tuple[str, ...]]] = {}
    for table in (table for export in exports for table in export.tables if table.signature not in but):
        named: dict[Field, str] = {}
        for name, told in columns.items():
            title = next((title for title in table.titles if same_name(title, told)), None)
            if told == NO_COLUMN and name in table.columns:
                named[name] = NO_COLUMN
            elif title is not None and table.columns.get(name) != title:
                named[name] = title
        if named:
            found[table.signature] = named, table.titles
    return found
