"""``amo-bridge violations``: who broke which clause of the regulation, its price, forgiveness."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import (
    config_option,
    console,
    csv_option,
    has_one_voice,
    load_or_exit,
    opened,
    user_name,
    write_csv,
)
from amo_bridge.clock import SystemClock
from amo_bridge.engine.violations import NoSuchViolation, Violation, Violations
from amo_bridge.reports.violations import STATES, Month, Sum, sheet, sums
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_timezone
from amo_bridge.text.names import nearest
from amo_bridge.text.typography import money


class MonthType(click.ParamType[Month]):
    """«2026-11»."""

    name = "месяц"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        month = value if isinstance(value, Month) else Month.of(str(value))
        return month or self.fail(f"«{value}» — не месяц: пишите год и месяц, например 2026-11", param, ctx)


@click.command(cls=Command)
@click.argument(
    "action", type=click.Choice(["list", "forgive", "restore"]), default="list", metavar="[list|forgive|restore]"
)
@click.argument("numbers", nargs=-1, type=int, metavar="[НОМЕР …]")
@click.option("--month", type=MonthType(), metavar="ГГГГ-ММ", help="Только за этот месяц, по времени аккаунта.")
@click.option("--person", metavar="ИМЯ", help="Только этого человека.")
@click.option("--clause", metavar="ПУНКТ", help="Только этот пункт регламента.")
@click.option("--why", metavar="ПРИЧИНА", help="Почему прощено или возвращено: останется в учёте.")
@click.option("--who", metavar="ИМЯ", help="Кто решил; без ключа — имя пользователя системы.")
@csv_option
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"violations": [...]}.')
@config_option
def violations(
    action: str,
    numbers: tuple[int, ...],
    month: Month | None,
    person: str | None,
    clause: str | None,
    why: str | None,
    who: str | None,
    csv_file: Path | None,
    as_json: bool,
    config_path: Path,
) -> None:
    """Учёт нарушений: показать, простить (forgive), вернуть прощённое (restore).

    Коды: 0 — сделано; 1 — номер или имя не найдены, файл не записать; 2 — вызов или настройка; 3 — база.
    """
    has_one_voice(csv_file, as_json=as_json)
    config = load_or_exit(config_path)
    _make_sense(action, numbers, why, has_filter=bool(month or person or clause))
    zone = ZoneInfo(known_timezone(config, os.environ))
    with opened(config) as (store, key):
        ledger = Violations(AccountStore(store, key), SystemClock())
        try:
            if action == "list":
                found = _found(ledger, month, person, clause, zone)
            else:
                found = _decided(ledger, action, numbers, who, why)
        except NoSuchViolation as error:
            raise Stop(str(error)) from error
    if csv_file is not None:
        write_csv(csv_file, sheet(found, config.account.url, zone), f"нарушений: {len(found)}", as_json=as_json)
    if as_json:
        click.echo(json.dumps({"violations": [one.to_json() for one in found]}, ensure_ascii=False, indent=2))
    elif csv_file is None:
        _show(found, zone)


def _make_sense(action: str, numbers: tuple[int, ...], why: str | None, *, has_filter: bool) -> None:
    if action == "list":
        if numbers or why:
            raise click.UsageError("list показывает учёт; номера и --why нужны для forgive и restore")
        return
    if has_filter:
        raise click.UsageError(f"--month, --person и --clause нужны для list; для {action} назовите номера")
    if not numbers or not (why or "").strip():
        raise click.UsageError(f'назовите номера и причину: amo-bridge violations {action} 7 --why "клиент просил"')


def _found(
    ledger: Violations, month: Month | None, person: str | None, clause: str | None, zone: ZoneInfo
) -> list[Violation]:
    since, until = month.span(zone) if month else (None, None)
    found = ledger.between(since, until, person=person, clause=clause)
    if not found and person is not None:
        _somebody(ledger.people(), person)
    return found


def _somebody(people: Sequence[str], person: str) -> None:
    """Nothing of his because he is good, or because there is nobody of that name?"""
    close = nearest(person, people)
    if close is not None and close != person:
        raise Stop(f"у человека «{person}» нарушений нет; может быть, «{close}»?")


def _decided(
    ledger: Violations, action: str, numbers: Iterable[int], who: str | None, why: str | None
) -> list[Violation]:
    decide = ledger.forgive if action == "forgive" else ledger.restore
    return decide(numbers, who or user_name(), (why or "").strip())


def _show(found: Sequence[Violation], zone: ZoneInfo) -> None:
    screen = console()
    if not found:
        screen.print("Нарушений нет.")
        return
    table = Table("Номер", "Когда", "Кто", "Пункт", "Сделка", "Почему", "Штраф", "Решение")
    for one in found:
        penalty = "" if one.penalty is None else money(one.penalty, one.currency)
        last = one.decisions[-1] if one.decisions else None
        decision = f"{STATES[one.state]}, {last.who}: {last.why}" if last else STATES[one.state]
        when = f"{one.at.astimezone(zone):%d.%m.%Y %H:%M}"
        deal = f"{one.deal_id} {one.deal_name}" if one.deal_id else "—"
        table.add_row(str(one.number), when, one.person, one.clause, deal, one.why, penalty, decision)
    screen.print(table)
    for total in sums([one.total for one in found]):
        screen.print(_total(total))


def _total(one: Sum) -> str:
    """«Иван Петров: 3, из них прощено 1, штраф 10 000 ₽»."""
    parts = [
        f"{one.person}: {one.many}",
        f"из них прощено {one.forgiven}" if one.forgiven else "",
        f"штраф {one.money}" if one.money else "",
    ]
    return ", ".join(part for part in parts if part)
