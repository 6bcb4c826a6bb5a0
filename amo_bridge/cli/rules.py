"""``amo-bridge rules``: the table of rules, as the README holds it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Column, Table

from amo_bridge.cli.common import console, load_or_exit
from amo_bridge.cli.existing_deals import show_existing
from amo_bridge.cli.options import config_option
from amo_bridge.cli.russian import Command
from amo_bridge.config.model import Config
from amo_bridge.rules.handler import Rule

HEADER = "| пункт | правило | что делает | обработчик |"
IN_ENGLISH = "| clause | rule | what it does | handler |"


@click.command(cls=Command)
@config_option
@click.option("--markdown", is_flag=True, help="Таблицей Markdown, как в README.")
@click.option(
    "--existing", "of_rule", metavar="ПРАВИЛО", help="Что это правило сделает с прежними сделками, и как можно."
)
def rules(config_path: Path, markdown: bool, of_rule: str | None) -> None:
    """Какие правила есть, что они делают и включены ли."""
    config = load_or_exit(config_path)
    if of_rule is not None:
        show_existing(config, of_rule)
        return
    if markdown:
        click.echo(markdown_table(config))
        return
    table = Table("Пункт", Column("Правило", no_wrap=True), "Что делает", "Включено")
    for rule in config.rules:
        table.add_row(rule.clause, rule.name, rule.words, _switch(config, rule))
    console().print(table)


def markdown_table(config: Config, header: str = HEADER) -> str:
    """The table for the README; a test compares."""
    lines = [header, "|---|---|---|---|"]
    for rule in config.rules:
        handler = f"[`{rule.handler.name}`]({rule.handler.section}/{rule.handler.name}.py)"
        cells = (rule.clause, f"`{rule.block}`", rule.words, handler)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines)


def _switch(config: Config, rule: Rule) -> str:
    if not rule.enabled:
        return f"нет: {rule.off_reason}" if rule.off_reason else "нет"
    return "да, вхолостую" if rule.dry_run or config.bridge.dry_run else "да"
