"""What became of each person of an import, for people: a row each, with links into amoCRM."""

from __future__ import annotations

from collections.abc import Iterable

from amo_bridge.config.webinar import Interest, WebinarSection
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.imports.records import Kept
from amo_bridge.text.csv_table import as_csv
from amo_bridge.webinars.plan import STANDING_WORDS
from amo_bridge.webinars.sorting import minutes_of

HEADER = (
    "Строка", "Имя", "Почта", "Телефон", "Минут", "Кнопки", "По вебинару", "Кто это", "Что решено", "Замечания",
    "Что вышло", "Примечание", "Сделка", "Контакт", "Где в файле",
)  # fmt: skip


def as_table(rows: Iterable[Kept], account_url: str, options: WebinarSection) -> list[list[str]]:
    """The cells of ``HEADER`` for each row."""
    return [_cells(kept, account_url, options) for kept in rows]


def report(rows: Iterable[Kept], account_url: str, options: WebinarSection) -> bytes:
    """The table as a CSV file. Its first line are the titles, for filters and for programs; what came of the import in
    all is told by the page and the command."""
    return as_csv(HEADER, as_table(rows, account_url, options))


def _cells(kept: Kept, account_url: str, options: WebinarSection) -> list[str]:
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


def stage_name(interest: Interest, options: WebinarSection) -> str:
    """The stage without its pipeline."""
    return options.stage_of(interest).rpartition(" / ")[2]


def contact_url(account_url: str, contact_id: int) -> str:
    """The contact's card in amoCRM's web page."""
    return f"{account_url}/contacts/detail/{contact_id}"
