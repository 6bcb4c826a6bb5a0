"""``amo-bridge intake``: the group of its commands, and ``intake replay`` for a saved request."""

from __future__ import annotations

import json
from pathlib import Path

import click

from amo_bridge.cli import LazyCommands
from amo_bridge.cli.click_ru import Command, Group, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit
from amo_bridge.intake.model import PbxCall
from amo_bridge.intake.reception import VENDORS, settings_of
from amo_bridge.intake.saved_requests import NotSaved, Reading, load_saved, read_again

COMMANDS = {
    "addresses": "enquiries",
    "connect": "enquiries",
    "upload": "enquiries",
    "list": "enquiries.list_enquiries",
    "retry": "enquiries",
}


@click.group(cls=Group, commands=LazyCommands(COMMANDS))
def intake() -> None:
    """Обращения с сайта, из чатов, соцсетей, мессенджеров и с телефона."""


@intake.command("replay", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="ЗАПРОС")
@config_option
@click.option("--rules", "with_rules", is_flag=True, help="И что сделало бы каждое правило, будь это незнакомец.")
@click.option(
    "--json", "as_json", is_flag=True,
    help='Для программ: {"http", "answer", "dedupe_key", "enquiry", "call", "status", "why"}; --rules: "decisions".',
)  # fmt: skip
def replay_saved(file: Path, config_path: Path, with_rules: bool, as_json: bool) -> None:
    """Что ответил бы мост на сохранённый запрос и какое обращение в нём нашёл. Ничего не меняет.

    ЗАПРОС — файл NAME.meta.json: сервис, метод, заголовки, секреты и имя файла с телом.
    """
    config = load_or_exit(config_path)
    try:
        saved = load_saved(file)
    except NotSaved as error:
        raise Stop(str(error)) from error
    reading = read_again(saved, settings_of(config, saved.vendor, {}))
    decisions, lines = [], []
    if with_rules and reading.enquiry:
        # The engine takes longer to import than a request to read.
        from amo_bridge.cli.replay import VERDICT_WORDS, decisions_about

        decisions = decisions_about(reading.enquiry, reading.call, config)
        for one in decisions:
            told = "; ".join(filter(None, [one.reason, *one.actions]))
            lines.append(f"{one.rule.called}: {VERDICT_WORDS[one.verdict]}; {told}")
    if as_json:
        document = reading.to_json() | ({"decisions": [one.to_json() for one in decisions]} if with_rules else {})
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    _show_reading(saved.vendor, reading)
    for line in lines:
        console().print(line)


def _show_reading(vendor: str, reading: Reading) -> None:
    from rich.table import Table

    screen = console()
    title = VENDORS[vendor].title if vendor in VENDORS else vendor
    screen.print(f"{title}: ответ {reading.http} {reading.answer or ''}".rstrip())
    if reading.why:
        screen.print(reading.why)
    table = Table("Что", "Значение")
    if enquiry := reading.enquiry:
        rows = {
            "источник": enquiry.source,
            "имя": enquiry.name or "",
            "телефоны": ", ".join(enquiry.phones),
            "почта": ", ".join(enquiry.emails),
            "текст": enquiry.text,
            "метки": ", ".join(f"{key}={value}" for key, value in enquiry.utm.items()),
            "визит Roistat": enquiry.roistat_visit or "",
        }
    elif reading.call:
        rows = _rows_of_call(reading.call)
    elif status := reading.status:
        rows = {"состояние": status.state, "номер": status.outbox_id or status.vendor_id or "", "почему": status.reason}
    else:
        return
    for what, value in {**rows, "ключ повтора": reading.key or ""}.items():
        if value:
            table.add_row(what, value)
    screen.print(table)


def _rows_of_call(call: PbxCall) -> dict[str, str]:
    return {
        "звонок": "входящий" if call.direction == "in" else "исходящий",
        "телефон": call.phone or "",
        "разговор": f"{call.duration} с" if call.talked else "не состоялся",
        "внутренний номер": call.extension or "",
    }
