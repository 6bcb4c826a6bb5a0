"""``amo-bridge replay``: rules on a saved webhook, or on an enquiry in a saved request; no writes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table
from sqlalchemy import select

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.clock import FixedClock, SystemClock
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
from amo_bridge.events import EnquiryReceived
from amo_bridge.events.base import from_json
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry, PbxCall, enquiry_of_call
from amo_bridge.intake.processing import stranger
from amo_bridge.intake.reception import settings_of
from amo_bridge.intake.saved_requests import NotSaved, load_saved, read_again
from amo_bridge.runtime.connection import tokens
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import events

VERDICT_WORDS = {"would_act": "сделало бы", "skipped": "ничего", "failed": "СБОЙ", "undecided": "неизвестно"}
SAVED_REQUEST = ".meta.json"
# Seconds that a person at a terminal waits for an amoCRM that is silent.
PATIENCE = 5


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="[ХУК]", required=False)
@config_option
@click.option("--enquiry", "number", type=int, metavar="НОМЕР", help="Вместо файла — обращение из базы моста.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"events": [...], "decisions": [...]}.')
def replay(file: Path | None, config_path: Path, number: int | None, as_json: bool) -> None:
    """Что сказано в сохранённом хуке и что сделало бы каждое правило. Ничего не меняет.

    ХУК — файл с телом запроса, каким его прислала amoCRM, или сохранённый запрос сервиса обращений (NAME.meta.json,
    см. intake replay): его правила судят как обращение незнакомца. С --enquiry — обращение из базы, с тем, кого мост
    тогда узнал.
    """
    config = load_or_exit(config_path)
    if (file is None) == (number is None):
        raise Stop("назовите файл с хуком или номер обращения: amo-bridge replay --enquiry 15")
    if number is not None:
        replayed = _judged(_stored_event(config, number), config)
    elif file is not None and file.name.endswith(SAVED_REQUEST):
        replayed = _judged(_saved_event(config, file), config)
    else:
        assert file is not None
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
    except (BridgeError, ConfigError) as error:
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


# Enquiries: one of the store, or a vendor's request in a file.


def _stored_event(config: Config, number: int) -> EnquiryReceived:
    """The event that the enquiry became, or would become for somebody whom nobody knows. Ends the command if there is
    no such enquiry."""
    with opened(config) as (store, key):
        account = AccountStore(store, key)
        row = EnquiryRepository(account, SystemClock(), config.calendar.country).get(number)
        kept = None
        if row is not None and row.event_key:
            query = select(events.c.body).where(account.owns(events), events.c.key == row.event_key)
            with account.read() as connection:
                kept = connection.execute(query).scalar()
    if row is None:
        raise Stop(f"обращения № {number} в базе нет")
    event = from_json(json.loads(kept)) if kept else None
    if isinstance(event, EnquiryReceived):
        return replace(event, at=datetime.now(UTC))
    call = row.body if isinstance(row.body, PbxCall) else None
    enquiry = enquiry_of_call(call) if call else row.body
    if not isinstance(enquiry, Enquiry):
        raise Stop(f"№ {number} — не обращение и не входящий звонок")
    return stranger(enquiry, call, datetime.now(UTC))


def _saved_event(config: Config, file: Path) -> EnquiryReceived:
    try:
        saved = load_saved(file)
    except NotSaved as error:
        raise Stop(str(error)) from error
    reading = read_again(saved, settings_of(config, saved.vendor, {}))
    if reading.enquiry is None:
        raise Stop(f"в запросе нет обращения: {reading.why or 'сервис сообщает о другом'}")
    return stranger(reading.enquiry, reading.call, datetime.now(UTC))


def _judged(event: EnquiryReceived, config: Config) -> ReplayResult:
    try:
        return ReplayResult((event,), tuple(_decisions(event, config)))
    except BridgeError as error:
        why = f"аккаунт {config.account.url} не прочитан: {responses.describe(error)}"
    rules = [rule for rule in config.rules if rule.enabled and rule.hears(event)]
    return ReplayResult((event,), tuple(RuleDecision(event, rule, "undecided", why) for rule in rules))


def _decisions(event: EnquiryReceived, config: Config) -> list[RuleDecision]:
    client = _client(config)
    engine = RuleEngine.of(config, Account.read(client), FixedClock(EPOCH))
    return [decision_of(verdict) for verdict in verdicts_about(event, engine, client)]


def decisions_about(enquiry: Enquiry, call: PbxCall | None, config: Config) -> list[RuleDecision]:
    """What the rules would do about the enquiry of somebody whom nobody knows. Reads the account's names alone."""
    try:
        return _decisions(stranger(enquiry, call, datetime.now(UTC)), config)
    except BridgeError as error:
        raise Stop(f"аккаунт {config.account.url} не прочитан: {responses.describe(error)}") from error
