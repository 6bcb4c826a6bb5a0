"""``amo-bridge replay``: a saved webhook, or an enquiry in a saved request, judged again, touching nothing."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit
from amo_bridge.clock import FixedClock
from amo_bridge.config.model import Config
from amo_bridge.crm import responses
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import EPOCH
from amo_bridge.engine.journal import describe
from amo_bridge.engine.replay import ReplayResult, RuleDecision, decision_of, undecided, verdicts_about
from amo_bridge.engine.replay import replay as judge_again
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, ConfigError, why_not
from amo_bridge.intake.model import Enquiry, PbxCall
from amo_bridge.intake.processing import stranger
from amo_bridge.runtime.connection import tokens

VERDICT_WORDS = {"would_act": "сделало бы", "skipped": "ничего", "failed": "СБОЙ", "undecided": "неизвестно"}
# Seconds that a person at a terminal waits for an amoCRM that is silent.
PATIENCE = 5


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="ХУК")
@config_option
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"events": [...], "decisions": [...]}.')
def replay(file: Path, config_path: Path, as_json: bool) -> None:
    """Что сказано в сохранённом хуке и что сделало бы каждое правило. Ничего не меняет.

    ХУК — файл с телом запроса, каким его прислала amoCRM.
    """
    config = load_or_exit(config_path)
    replayed = _replayed(_body(file), config)
    if as_json:
        click.echo(json.dumps(replayed.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(replayed)


def _body(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Stop(f"файл с хуком {file} не читается: {why_not(error)}") from error


def _replayed(body: bytes, config: Config) -> ReplayResult:
    # The clock stands before everything: a body saved years ago is judged as if it had come just now.
    try:
        client = _client(config)
        return judge_again(body, RuleEngine.of(config, Account.read(client), FixedClock(EPOCH)), client)
    except ConfigError as error:
        why = "; ".join(error.problems)
    except BridgeError as error:
        why = responses.describe(error)
    return undecided(body, config.rules, f"аккаунт {config.account.url} не прочитан: {why}")


def _client(config: Config) -> CrmClient:
    limiter = LocalRateLimiter(config.account.requests_per_second)
    return CrmClient(config.account.url, tokens(config, os.environ), limiter, max_retry_wait=PATIENCE)


def _show(replayed: ReplayResult) -> None:
    screen = console()
    for event in replayed.events:
        screen.print(f"• {describe(event)}")
    table = Table("Пункт", "Правило", "На что", "Решило", "Почему, что сделало бы")
    for one in replayed.decisions:
        told = "\n".join(filter(None, [one.reason, *one.actions]))
        table.add_row(one.rule.clause, one.rule.name, describe(one.event), VERDICT_WORDS[one.verdict], told)
    screen.print(table if replayed.decisions else "Ни одно включённое правило этого не ждёт.")


def decisions_about(enquiry: Enquiry, call: PbxCall | None, config: Config) -> list[RuleDecision]:
    """What the rules would do about the enquiry of somebody whom nobody knows. Reads the account's names alone."""
    event = stranger(enquiry, call, datetime.now(UTC))
    client = _client(config)
    try:
        engine = RuleEngine.of(config, Account.read(client), FixedClock(EPOCH))
        return [decision_of(verdict) for verdict in verdicts_about(event, engine, client)]
    except BridgeError as error:
        raise Stop(f"аккаунт {config.account.url} не прочитан: {responses.describe(error)}") from error
