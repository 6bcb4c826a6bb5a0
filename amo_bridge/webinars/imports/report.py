"""Report of an import: progress, size, results and sums, as a page and as a table.

Contacts are made first, then deals; an undo has only deals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from sqlalchemy import case, func, select

from amo_bridge.config.webinar import Interest, Kind, WebinarSection
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Store, chunks
from amo_bridge.storage.tables import OPEN_IMPORT_STATES, import_rows
from amo_bridge.text.csv_table import as_csv
from amo_bridge.webinars.imports.model import SETTLED, ImportRow
from amo_bridge.webinars.imports.repository import ImportRepository
from amo_bridge.webinars.plan import STANDING_WORDS, Row, Standing
from amo_bridge.webinars.sorting import MINUTES_UNKNOWN, minutes_of


@dataclass(frozen=True)
class Progress:
    """``all`` people; ``settled``: with nothing left to do. ``contacts`` that are to be made; ``made`` of them."""

    all: int
    settled: int
    contacts: int
    made: int

    @property
    def is_making_contacts(self) -> bool:
        return self.made < self.contacts


def progress(book: ImportRepository, number: int) -> Progress:
    """Counted by the store: it is asked for every second. Raises StoreUnavailable."""
    contacts = book.count(number, import_rows.c.what == "create_person")
    waiting = book.count(number, import_rows.c.step == "person", import_rows.c.state.in_(OPEN_IMPORT_STATES))
    settled = book.count(number, import_rows.c.state.in_(SETTLED))
    return Progress(book.count(number), settled, contacts, contacts - waiting)


@dataclass(frozen=True)
class Size:
    """``people`` of an import, ``done``: of whom something was written."""

    people: int
    done: int


def sizes(store: Store, numbers: Iterable[int]) -> dict[int, Size]:
    """Of several imports at once. Raises StoreUnavailable."""
    column = import_rows.c
    done = func.sum(case((column.state == "done", 1), else_=0))
    query = select(column.import_id, func.count(), done).group_by(column.import_id)
    found = {}
    with store.read() as connection:
        for some in chunks(sorted(numbers)):
            for number, people, written in connection.execute(query.where(column.import_id.in_(some))):
                found[number] = Size(people, int(written))
    return found


# What became of each person of an import, for people: a row each, with links into amoCRM.

HEADER = (
    "Строка", "Имя", "Почта", "Телефон", "Минут", "Кнопки", "По вебинару", "Кто это", "Что решено", "Замечания",
    "Что вышло", "Примечание", "Сделка", "Контакт", "Где в файле",
)  # fmt: skip


def as_table(rows: Iterable[ImportRow], account_url: str, options: WebinarSection) -> list[list[str]]:
    """The cells of ``HEADER`` for each row."""
    return [_cells(kept, account_url, options) for kept in rows]


def report(rows: Iterable[ImportRow], account_url: str, options: WebinarSection) -> bytes:
    """The table as a CSV file. Its first line are the titles, for filters and for programs; what came of the import in
    all is told by the page and the command."""
    return as_csv(HEADER, as_table(rows, account_url, options))


def _cells(kept: ImportRow, account_url: str, options: WebinarSection) -> list[str]:
    row, person = kept.row, kept.row.person
    return [
        str(kept.number),
        person.name,
        ", ".join(person.mails),
        ", ".join((*person.phones, *person.unreadable)),
        minutes_of(person),
        ", ".join(row.sorted.tags),
        stage_name(row.sorted.interest, options),
        STANDING_WORDS[row.standing],
        row.why,
        "; ".join(row.remarks),
        kept.became,
        kept.note,
        deal_url(account_url, kept.deal_id) if kept.deal_id else "",
        contact_url(account_url, kept.contact_id) if kept.contact_id else "",
        "; ".join(person.places),
    ]


def stage_name(interest: Kind, options: WebinarSection) -> str:
    """The stage without its pipeline."""
    if interest == "unknown":
        return MINUTES_UNKNOWN
    return options.stage_of(interest).rpartition(" / ")[2]


def contact_url(account_url: str, contact_id: int) -> str:
    """The contact's card in amoCRM's web page."""
    return f"{account_url}/contacts/detail/{contact_id}"


# What came of an import in one sentence, and in numbers by stage: what was to be done beside what is done.

NOT_LOADED: tuple[Standing, ...] = (
    "doubtful", "no_minutes", "unmatched", "no_client", "banned", "skipped",
)  # fmt: skip
"""People who get to no stage, whatever the webinar says of them."""
WORDS: Mapping[str, str] = {
    "deals": "создано сделок", "contacts": "создано контактов", "updated": "обновлено сделок",
    "completed": "дополнено контактов", "same": "без изменений", "undone": "отменено", "kept": "не отменено",
    "intact": "возвращать нечего",
    "failed": "не вышло", "open": "ещё в работе", "planned": "ещё не начато", "left out": "не загружено",
    "doubtful": "ждут решения", "no_minutes": MINUTES_UNKNOWN, "no_client": "не клиенты",
    "unmatched": "не сопоставить", "banned": "забанены", "skipped": "пропущены",
    "other": "остальные, см. примечания",
}  # fmt: skip
_LEFT_OUT = (*NOT_LOADED, "other")


@dataclass(frozen=True)
class Results:
    """How much of each of ``WORDS`` there was."""

    counts: Mapping[str, int]

    def in_words(self, words: Mapping[str, Any] = WORDS) -> str:
        """«Создано сделок: 3, создано контактов: 2; не загружено: 2 (ждут решения: 1, забанены: 1).»"""
        did = _listed(words, self.counts, (name for name in WORDS if name not in ("left out", *_LEFT_OUT)))
        left = sum(self.counts.get(name, 0) for name in _LEFT_OUT)
        why = f"{words['left out']}: {left} ({_listed(words, self.counts, _LEFT_OUT)})" if left else ""
        told = "; ".join(filter(None, (did, why)))
        return f"{told[:1].upper()}{told[1:]}." if told else ""


def results(rows: Iterable[ImportRow]) -> Results:
    """Of a whole import."""
    return Results(Counter(name for kept in rows for name in _did(kept)))


@dataclass
class Sum:
    """A stage's people: by who they are to amoCRM; for how many something is ``planned``, and ``done``."""

    standings: Counter[Standing] = field(default_factory=Counter)
    planned: int = 0
    done: int = 0


def sums(rows: Iterable[Row], done: Iterable[Row] = ()) -> tuple[dict[Interest, Sum], Counter[Standing]]:
    """By the stage that the webinar sorts them onto; and those who get to none. ``done``: of the rows, those that have
    been carried out."""
    found: dict[Interest, Sum] = {interest: Sum() for interest in ("active", "long", "short")}
    left_out: Counter[Standing] = Counter()
    for row in rows:
        if row.standing in NOT_LOADED:
            left_out[row.standing] += 1
        elif row.sorted.interest != "unknown":
            found[row.sorted.interest].standings[row.standing] += 1
            found[row.sorted.interest].planned += row.what != "nothing"
    for row in done:
        if row.sorted.interest != "unknown":
            found[row.sorted.interest].done += 1
    return found, left_out


def carried_out(rows: Iterable[ImportRow]) -> list[Row]:
    """Those of whom something was written, and stands."""
    return [kept.row for kept in rows if kept.state == "done" and kept.row.what != "nothing"]


def _did(kept: ImportRow) -> Iterable[str]:
    if kept.state == "done":
        yield from _done(kept)
        if kept.contact_was is not None:
            yield "completed"
    elif kept.state == "skipped":
        yield _skipped(kept.row)
    else:
        yield "open" if kept.state in OPEN_IMPORT_STATES else kept.state


def _done(kept: ImportRow) -> Iterable[str]:
    if kept.row.what == "update_deal":
        yield "same" if kept.before is None else "updated"
    elif kept.row.what != "nothing":
        yield "deals"
    if kept.made_contact:
        yield "contacts"


def _skipped(row: Row) -> str:
    if row.standing in NOT_LOADED:
        return row.standing
    return "same" if row.what == "nothing" else "other"


def _listed(words: Mapping[str, Any], counts: Mapping[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{words[name]}: {counts[name]}" for name in names if counts.get(name))
