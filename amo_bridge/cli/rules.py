"""``amo-bridge rules``: the rules as a list or map; ``--existing``: a timed rule on today's deals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.clock import FixedClock, SystemClock
from amo_bridge.config.model import Config
from amo_bridge.dates.duration import describe_step
from amo_bridge.rules.handler import Rule, dry_reason, dry_sources
from amo_bridge.text.names import nearest

if TYPE_CHECKING:
    # The table of rules needs neither the store nor the engine.
    from amo_bridge.engine.forecast import Planned

MOST_SHOWN = 200
FATES = {"done": "уже сделано", "at once": "сразу", "too late": "опоздало, не делается"}


def show_existing(config: Config, name: str) -> None:
    """The deals that have steps by one of the choices, and what each choice would do. Raises Stop."""
    from rich.table import Column, Table

    from amo_bridge.engine.forecast import ExistingDeals, Upcoming, choices_of
    from amo_bridge.engine.rule_engine import RuleEngine
    from amo_bridge.storage.database import AccountStore
    from amo_bridge.storage.secrets import known_account

    rule = _rule(config, name)
    account = known_account(config, os.environ)
    if account is None:
        raise Stop("мост ещё не знает аккаунта: запустите его (amo-bridge serve), хотя бы с dry_run = true")
    zone, screen = ZoneInfo(account.timezone), console()
    with opened(config) as (store, key):
        now = Upcoming(AccountStore(store, key), config.rules, SystemClock()).now()
        existing = ExistingDeals(AccountStore(store, key), RuleEngine.of(config, account, FixedClock(now)), now)
        begun, found = existing.begun(rule), list(existing.of(rule))
    chosen = getattr(rule.options, "existing", "")
    screen.print(f"{rule.name}: {rule.words}")
    screen.print(f'Считает с {begun.astimezone(zone):%d.%m.%Y %H:%M}; в настройке existing = "{chosen}".')
    if not found:
        screen.print("Сделок, у которых по этому правилу есть шаги, нет.")
        return
    table = Table("Сделка", "На этапе", *(Column(f'"{choice}"', no_wrap=True) for choice in choices_of(rule)))
    for deal in found[:MOST_SHOWN]:
        since = f"{deal.stage}, с {deal.since.astimezone(zone):%d.%m.%Y}"
        table.add_row(f"{deal.deal_id} {deal.name}", since, *(_steps(steps, zone) for steps in deal.choices.values()))
    screen.print(table)
    more = f", показаны первые {MOST_SHOWN}" if len(found) > MOST_SHOWN else ""
    screen.print(f"Таких сделок: {len(found)}{more}.")


def _rule(config: Config, name: str) -> Rule:
    from amo_bridge.engine.forecast import choices_of

    known = {rule.name: rule for rule in config.rules if choices_of(rule)}
    if name not in known:
        close = nearest(name, known)
        raise Stop(f"правила по часам {name} нет" + (f"; может быть, {close}?" if close else ""))
    return known[name]


def _steps(steps: Iterable[Planned], zone: ZoneInfo) -> str:
    told = [
        f"«{describe_step(one.step)}» "
        + FATES.get(one.fate, f"{one.due.astimezone(zone):%d.%m.%Y %H:%M}")
        + (", нарушение" if one.violates and one.fate in ("at once", "later") else "")
        for one in steps
    ]
    return "\n".join(told) or "ничего"


# ``amo-bridge rules``: the table of rules, as docs/rules.md holds it.

HEADER = "| пункт | правило | что делает | обработчик |"


@click.command(cls=Command)
@config_option
@click.option("--markdown", is_flag=True, help="Таблицей Markdown, как в docs/rules.md.")
@click.option("--map", "as_map", is_flag=True, help="Картой воронок для Mermaid: этапы, правила на них, переходы.")
@click.option("--conflicts", is_flag=True, help="Какие правила спорят: разные этапы, круги, возвраты, тупики.")
@click.option(
    "--existing", "of_rule", metavar="ПРАВИЛО", help="Что это правило сделает с прежними сделками, и как можно."
)
def rules(config_path: Path, markdown: bool, as_map: bool, conflicts: bool, of_rule: str | None) -> None:
    """Какие правила есть, что они делают и включены ли."""
    config = load_or_exit(config_path)
    if as_map or conflicts:
        _show_map(config, as_map=as_map)
        return
    if of_rule is not None:
        show_existing(config, of_rule)
        return
    if markdown:
        click.echo(markdown_table(config))
        return
    from rich.table import Column, Table

    table = Table("Пункт", Column("Правило", no_wrap=True), "Что делает", "Включено")
    for rule in config.rules:
        table.add_row(rule.clause, rule.name, rule.words, _switch(config, rule))
    console().print(table)


def _show_map(config: Config, *, as_map: bool) -> None:
    """The drawing, or what is at odds. The account's stages come from what the bridge knows of it, if it knows it."""
    from amo_bridge.rules.stage_map import StageMap, mermaid
    from amo_bridge.storage.secrets import known_account

    account = known_account(config, os.environ)
    stages = [stage.title for stage in account.stages] if account else []
    found = StageMap.of(config.rules, account.stage_titles if account else None)
    if as_map:
        click.echo(mermaid(found, stages))
        return
    told = found.conflicts()
    for one in told:
        click.echo(f"{'Спор' if one.is_sure else 'К сведению'}: {one.words}")
    if not told:
        click.echo("Включённые правила друг с другом не спорят.")


def markdown_table(config: Config) -> str:
    """The table for docs/rules.md; a test compares."""
    lines = [HEADER, "|---|---|---|---|"]
    for rule in config.rules:
        handler = f"[`{rule.handler.name}`]({rule.handler.section}/{rule.handler.name}.py)"
        cells = (rule.clause, f"`{rule.block}`", rule.words, handler)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines)


def _switch(config: Config, rule: Rule) -> str:
    if not rule.enabled:
        return f"нет: {rule.off_reason}" if rule.off_reason else "нет"
    dry = dry_reason(dry_sources(rule, is_bridge_dry=config.bridge.dry_run))
    return f"да, {dry}" if dry else "да"
