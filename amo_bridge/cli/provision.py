"""``amo-bridge provision``: what the config names and the account lacks is created, after showing it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from amo_bridge.cli.click_ru import Command
from amo_bridge.cli.common import agrees, config_option, console, load_or_exit, tell_and_exit
from amo_bridge.config.account_fit import fit, unknown_names
from amo_bridge.config.blocks import values_of, with_block
from amo_bridge.config.files import ConfigFile
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError, CrmUncertain
from amo_bridge.provision.apply import CarryOut
from amo_bridge.provision.plan import Plan, Step, plan
from amo_bridge.provision.requirements import Wanted
from amo_bridge.rules.handler import Rule
from amo_bridge.runtime.connection import account_client
from amo_bridge.start.draft import LACKED

LEFT_FOR_PEOPLE = 1
CRM_UNREACHABLE = 3


@click.command(cls=Command)
@config_option
@click.option("--yes", "agreed", is_flag=True, help="Не спрашивать, создавать сразу.")
@click.option(
    "--switch-on",
    is_flag=True,
    help="Не спрашивая включить правила, которые init выключил из-за недостающего, если оно теперь есть.",
)
def provision(config_path: Path, agreed: bool, switch_on: bool) -> None:
    """Подготовить аккаунт: создать поля, воронки, этапы и теги, которых требует настройка.

    Сначала показывает, чего не хватает. Что есть, не меняет и не удаляет; вызвать можно сколько угодно раз. Правила,
    которые начало (amo-bridge init) выключило из-за недостающего, предлагает включить, когда оно есть. Код выхода:
    0 — в аккаунте есть всё; 1 — осталось то, что делают руками; 2 — ошибки в настройке; 3 — amoCRM не дала.
    """
    config = load_or_exit(config_path)
    screen = console()
    try:
        client = account_client(config, os.environ)
        found = _compared(config, client)
        _show(found, config, screen)
        by_hand = found.by_hand
        if found.steps:
            if not agreed and not agrees("Создать?"):
                click.echo("Ничего не создано")
                sys.exit(LEFT_FOR_PEOPLE)
            by_hand = by_hand + _created(found.steps, client, screen)
        account = Account.read(client)
        if ready := _ready_rules(config, account):
            config = _switched_on(config, config_path, ready, screen, is_agreed=switch_on, is_asked=not agreed)
        problems = unknown_names(config, account)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except BridgeError as error:
        _give_up(error)
    _tell_what_is_left(by_hand, problems, screen)


def _compared(config: Config, client: CrmClient) -> Plan:
    tags = (str(row.get("name", "")) for row in client.pages("/api/v4/leads/tags", None, "tags"))
    return plan(Wanted.by(config), Account.read(client), tags)


def _show(found: Plan, config: Config, screen: Console) -> None:
    if found.steps:
        screen.print(f"В аккаунте {config.account.url} не хватает, и мост это создаст:")
        for step in found.steps:
            screen.print(f"  + {step}")
        for words in found.warnings:
            screen.print(f"  ! {words}")
    else:
        screen.print(f"В аккаунте {config.account.url} есть всё, что мост умеет создать")


def _created(steps: list[Step], client: CrmClient, screen: Console) -> list[str]:
    carry_out = CarryOut(client)
    left = []
    with Progress(console=screen, transient=True) as progress:
        for step in progress.track(steps, description="Создаю"):
            left += carry_out(step)
    screen.print(f"Создано: {len(steps)}")
    return left


def _ready_rules(config: Config, account: Account) -> list[Rule]:
    """The rules that are off for what the account lacked at the start, and could be on by now."""
    waiting = {rule.name for rule in config.rules if not rule.enabled and rule.off_reason.startswith(LACKED)}
    rules = tuple(replace(rule, enabled=True) if rule.name in waiting else rule for rule in config.rules)
    fitted = fit(replace(config, rules=rules), account)
    unfit = {*fitted.broken, *(one.rule for one in fitted.issues if one.is_to_mend)}
    return [rule for rule in config.rules if rule.name in waiting - unfit]


def _switched_on(
    config: Config, path: Path, ready: list[Rule], screen: Console, *, is_agreed: bool, is_asked: bool
) -> Config:
    """The config with these rules on, if somebody wants it so."""
    screen.print("Были выключены, потому что в аккаунте чего-то не было; теперь всё есть:")
    for rule in ready:
        screen.print(f"  • {f'{rule.clause} {rule.name}'.strip()}: {rule.says}")
    how = "вхолостую (dry_run = true)" if config.bridge.dry_run else "мост сразу начнёт по ним менять сделки"
    if not is_agreed and not (is_asked and agrees(f"Включить их? Будут работать: {how}")):
        screen.print("Включить потом: amo-bridge provision --switch-on, или на странице «Правила»")
        return config
    file = ConfigFile(path, config.data_folder, os.environ)
    before = file.read()
    text = before.text
    for rule in ready:
        values = values_of(text, rule.path) or {}
        values = {key: value for key, value in values.items() if key != "off_reason"}
        text = with_block(text, rule.path, {**values, "enabled": True})
    file.save(text, before.mark)
    screen.print(f"Включено правил: {len(ready)}; прежний файл — в config-backups")
    return file.checked(text)


def _give_up(error: BridgeError) -> None:
    click.echo(f"Не получилось: {describe(error)}", err=True)
    if isinstance(error, CrmUncertain):
        click.echo("Вызовите команду ещё раз: она сравнит заново и созданного дважды не создаст", err=True)
    sys.exit(CRM_UNREACHABLE)


def _tell_what_is_left(by_hand: list[str], problems: list[str], screen: Console) -> None:
    if by_hand:
        screen.print("Сделайте руками, API amoCRM этого не даёт:")
        for words in by_hand:
            screen.print(f"  • {words}")
    if problems:
        screen.print("В настройке остались имена, которых аккаунт не знает:")
        for problem in problems:
            screen.print(f"  • {problem}")
    if by_hand or problems:
        sys.exit(LEFT_FOR_PEOPLE)
    screen.print("Аккаунт знает все имена из настройки")
