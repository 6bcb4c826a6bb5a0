"""Imports of webinars, told on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Column, Table

from amo_bridge.config.webinar import Interest, WebinarSection
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.webinars.formats.model import Export
from amo_bridge.webinars.formats.tables import NO_COLUMN, WORDS
from amo_bridge.webinars.imports.model import STATE_WORDS, Counts, Import, ImportRow
from amo_bridge.webinars.imports.report import results, stage_name, sums
from amo_bridge.webinars.imports.repository import ColumnAnswer
from amo_bridge.webinars.plan import STANDING_WORDS, Row
from amo_bridge.webinars.sorting import in_minutes, minutes_of, rule_in_words

MOST_SHOWN, MOST_NAMED = 50, 10
DECIDE = "Кто это, решают до загрузки на странице /webinars или после неё: amo-bridge webinar decide НОМЕР СТРОКА."
DECIDE_LATER = (
    "Решите, кто это: на странице загрузки или amo-bridge webinar decide {number} СТРОКА --new (строка — № в "
    "amo-bridge webinar report {number}). Загрузится только этот человек."
)
INTERESTS: tuple[Interest, ...] = ("active", "long", "short")


def show_files(
    screen: Console,
    names: Sequence[str],
    exports: Sequence[Export],
    before: Sequence[int | None],
    drafts: Sequence[int | None],
) -> None:
    """What each file was taken for, and what should be known about it: the import and the draft that it is in."""
    for name, export, loaded, draft in zip(names, exports, before, drafts, strict=True):
        title = f" «{export.title}»" if export.title else ""
        screen.print(f"{name}: {export.source}{title}, строк с людьми {len(export.visits)}")
        for remark in export.remarks:
            screen.print(f"  внимание: {remark}")
        if loaded is not None:
            screen.print(f"  этот файл уже загружен (загрузка № {loaded}): будет записано только то, что изменилось")
        if draft is not None:
            screen.print(f"  этот файл уже прочитан: черновик № {draft} ждёт на странице /webinars")


def show_offline(screen: Console, told: Mapping[str, Any]) -> None:
    """What the files say, without amoCRM."""
    if told["asked"]:
        screen.print(f"Нужно назвать: {', '.join(told['asked'])}")
    for draft in told["drafts"]:
        screen.print(f"\nВебинар {draft['held_on'] or 'без даты'}, участников {len(draft['people'])}")
        for doubt in draft["doubts"]:
            screen.print(f"  внимание: {doubt}")
        table = Table("Имя", "Почта, телефон", "Мин", "Кнопки", "По вебинару")
        for person in draft["people"][:MOST_SHOWN]:
            minutes = "—" if person["minutes"] is None else in_minutes(person["minutes"])
            reached = "\n".join((*person["emails"], *person["phones"]))
            table.add_row(person["name"], reached, minutes, ", ".join(person["buttons"]), person["why"])
        screen.print(table)
        for one in draft["left_out"]:
            screen.print(f"  не загружается: {one['name'] or ', '.join(one['emails']) or 'без имени'} — {one['why']}")


def show_plan(
    screen: Console, held_on: date, rows: Sequence[Row], options: WebinarSection, doubts: Sequence[str] = ()
) -> None:
    """How many go where and why; then the people, as many as fit."""
    screen.print(f"\nВебинар {held_on:%d.%m.%Y}, участников {len(rows)}. {rule_in_words(options)}")
    for doubt in doubts:
        screen.print(f"  внимание: {doubt}")
    screen.print(_sums(rows, options))
    people = Table("Имя", "Почта, телефон", "Мин", "По вебинару", "Кто это", "Что будет")
    for row in rows[:MOST_SHOWN]:
        person = row.person
        why = "; ".join((row.why, *row.remarks))
        reached = "\n".join((*person.mails, *person.phones, *person.unreadable))
        where = f"{stage_name(row.sorted.interest, options)}\n{row.sorted.why}"
        people.add_row(person.name, reached, minutes_of(person), where, STANDING_WORDS[row.standing], why)
    screen.print(people)
    if len(rows) > MOST_SHOWN:
        screen.print(f"… и ещё {len(rows) - MOST_SHOWN}: весь список — на странице /webinars")
    if unknown := sum(1 for row in rows if row.standing == "no_minutes"):
        screen.print(
            f"Внимание, сколько смотрели, неизвестно ({unknown}): без решения они не загружаются. "
            "amo-bridge webinar decide НОМЕР --unknown-minutes --interest short"
        )
    if waiting := [row.person for row in rows if row.standing == "doubtful"]:
        names = ", ".join(person.name or ", ".join((*person.mails, *person.phones)) for person in waiting[:MOST_NAMED])
        more = f" и ещё {len(waiting) - MOST_NAMED}" if len(waiting) > MOST_NAMED else ""
        screen.print(f"Внимание, ждут решения и не загружаются ({len(waiting)}): {names}{more}. {DECIDE}")


def _sums(rows: Sequence[Row], options: WebinarSection) -> Table:
    told, left_out = sums(rows)
    standings = [one for one in STANDING_WORDS if any(row.standing == one for row in rows)]
    table = Table("По вебинару", *(STANDING_WORDS[one] for one in standings), "записать")
    for interest, one in told.items():
        cells = [one.standings[standing] for standing in standings]
        table.add_row(stage_name(interest, options), *map(str, cells), str(one.planned))
    if left_out:
        table.add_row("Не загружаются", *(str(left_out[standing]) for standing in standings), "0")
    return table


def show_report(screen: Console, rows: Sequence[ImportRow], account_url: str, options: WebinarSection) -> None:
    """What came of it; then of each, as many as fit."""
    screen.print(results(rows).in_words())
    table = Table("№", "Имя", "Почта, телефон", "По вебинару", "Кто это", "Что вышло", Column("Сделка", no_wrap=True))
    for kept in rows[:MOST_SHOWN]:
        person = kept.row.person
        reached = "\n".join((*person.mails, *person.phones, *person.unreadable))
        became = "; ".join(filter(None, (kept.became, kept.note)))
        deal = deal_url(account_url, kept.deal_id) if kept.deal_id else ""
        where = stage_name(kept.row.sorted.interest, options)
        table.add_row(str(kept.number), person.name, reached, where, STANDING_WORDS[kept.row.standing], became, deal)
    screen.print(table)
    if len(rows) > MOST_SHOWN:
        screen.print(f"… и ещё {len(rows) - MOST_SHOWN}: весь список — с ключом --csv ФАЙЛ или на странице /webinars")


def show_answers(screen: Console, answers: Sequence[ColumnAnswer]) -> None:
    """What people have said about columns."""
    table = Table("Ответ", "Что какой столбец", "Все столбцы таблицы")
    for answer in answers:
        named = "\n".join(
            f"{WORDS[name]} — {'нет' if title == NO_COLUMN else f'«{title}»'}" for name, title in answer.columns.items()
        )
        table.add_row(answer.signature[:8], named, ", ".join(answer.titles))
    screen.print(table if answers else "Ответов о столбцах нет.")


def show_list(screen: Console, imports: Sequence[Import], zone: ZoneInfo) -> None:
    """All imports, the newest first."""
    table = Table("№", "Вебинар", "Состояние", "Файлы", "Кто", "Когда")
    for one in imports:
        when = datetime.fromtimestamp(one.made_at, UTC).astimezone(zone).strftime("%d.%m.%Y %H:%M")
        files = ", ".join(str(file["name"]) for file in one.files)
        table.add_row(
            str(one.id), f"{one.held_on:%d.%m.%Y} {one.title}", STATE_WORDS[one.state], files, one.made_by, when
        )
    screen.print(table)


def show_end(screen: Console, job: Import, counts: Counts, rows: Sequence[ImportRow] = ()) -> None:
    """What became of it; ``rows``: unless that was told already."""
    screen.print(f"Загрузка № {job.id}: {STATE_WORDS[job.state]}. {results(rows).in_words()}".rstrip())
    if counts.waiting and job.state == "done":
        screen.print(f"Ждут решения: {counts.waiting}. {DECIDE_LATER.format(number=job.id)}")
    if job.trouble:
        screen.print(f"Ждёт: {job.trouble}")
