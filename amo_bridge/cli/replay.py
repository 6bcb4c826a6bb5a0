"""``amo-bridge replay``, ``amo-bridge intake replay``: a saved webhook or request, judged again, touching nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Group, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, tell_and_exit
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
from amo_bridge.errors import BridgeError, ChannelError, ConfigError, StoreUnavailable, why_not
from amo_bridge.intake.connections import CONNECTABLE, IntakeConnections
from amo_bridge.intake.model import (
    DeliveryStatus,
    Enquiry,
    NoEnquiry,
    Outcome,
    Outcomes,
    PbxCall,
    Recording,
    enquiry_of_call,
    words_of_call,
)
from amo_bridge.intake.processing import stranger
from amo_bridge.intake.reception import (
    POLLED,
    UNKNOWN,
    VENDORS,
    Reception,
    VendorAnswer,
    outcomes_of,
    receive,
    settings_of,
)
from amo_bridge.intake.repository import IntakeAddresses
from amo_bridge.intake.request import PATH_SECRET, VendorRequest, VendorSettings
from amo_bridge.intake.telephony import NOVOFON_TEMPLATE
from amo_bridge.runtime.connection import tokens

VERDICTS = {"would_act": "сделало бы", "skipped": "ничего", "failed": "СБОЙ", "undecided": "неизвестно"}
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
        table.add_row(one.rule.clause, one.rule.name, describe(one.event), VERDICTS[one.verdict], told)
    screen.print(table if replayed.decisions else "Ни одно включённое правило этого не ждёт.")


# ``amo-bridge intake replay FILE``: a saved request of a vendor, read again as if it came now. Nobody is arguments.
#
# The file is JSON: ``vendor``, ``method``, ``query``, ``headers``, ``body_file`` beside it, and ``secrets``, by which
# the request is proven. A ``method`` in brackets («(answer of Graph)», «(IMAP)») was fetched, not posted.


class NotSaved(Exception):
    """The file is no saved request; the text (Russian) says why."""


@dataclass(frozen=True)
class SavedRequest:
    """``secrets``: those of the vendor at the time it was saved. ``is_fetched``: it was no request to us."""

    vendor: str
    request: VendorRequest
    secrets: Mapping[str, str]
    is_fetched: bool


@dataclass(frozen=True)
class Reading:
    """What a saved request comes to; the keys of ``to_json`` are published."""

    http: int | None
    answer: str | None
    key: str | None
    enquiry: Enquiry | None
    call: PbxCall | None
    status: DeliveryStatus | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "http": self.http,
            "answer": self.answer,
            "dedupe_key": self.key,
            "enquiry": _enquiry_json(self.enquiry),
            "call": _call_json(self.call),
            "status": _status_json(self.status),
            "why": self.why,
        }


def load_saved(path: Path) -> SavedRequest:
    """Raises NotSaved."""
    try:
        document = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(document, dict) or not isinstance(document.get("vendor"), str):
            raise NotSaved(f"{path}: нет vendor: это не сохранённый запрос")
        name = document.get("body_file")
        body = (path.parent / str(name)).read_bytes() if name else str(document.get("body") or "").encode()
    except OSError as error:
        raise NotSaved(f"{error.filename or path} не читается: {error.strerror or error}") from error
    except ValueError as error:
        raise NotSaved(f"{path}: это не JSON") from error
    method = str(document.get("method") or "POST")
    request = VendorRequest(
        method=method.upper(),
        body=body,
        query=str(document.get("query") or ""),
        headers={str(key): str(value) for key, value in _table(document, "headers").items()},
        path_secret=_path_secret(document),
        received_at=float(document["received_at"]) if isinstance(document.get("received_at"), int | float) else 0.0,
    )
    secrets = {str(key): str(value) for key, value in _table(document, "secrets").items() if value is not None}
    return SavedRequest(document["vendor"].strip().casefold(), request, secrets, method.startswith("("))


def read_again(saved: SavedRequest, settings: VendorSettings) -> Reading:
    """The answer and what the request says. ``settings``: the account's, without its secrets."""
    settings = replaced(settings, secrets=saved.secrets)
    if (parse := _fetched_parser(saved)) is not None:
        outcomes, why = outcomes_of(parse, saved.request, settings)
        return _reading(200, None, "", outcomes or (), why)
    vendor = VENDORS.get(saved.vendor)
    if vendor is None:
        return _reading(UNKNOWN.status, UNKNOWN.body, "", (), f"сервис «{saved.vendor}» мосту неизвестен")
    reception = receive(vendor, saved.request, settings, path_secret=saved.secrets.get(PATH_SECRET, ""))
    return _of_reception(reception)


def _fetched_parser(saved: SavedRequest) -> Any:
    if saved.vendor in POLLED:
        return POLLED[saved.vendor]
    return VENDORS[saved.vendor].parse if saved.is_fetched and saved.vendor in VENDORS else None


def _of_reception(reception: Reception) -> Reading:
    answer: VendorAnswer = reception.answer
    return _reading(answer.status, answer.body, reception.key, reception.outcomes, reception.why)


def _reading(http: int | None, answer: str | None, key: str, outcomes: Outcomes, why: str) -> Reading:
    """Of several things the newest is shown, and the others are named: parsers put the oldest first."""
    call = _last(outcomes, PbxCall)
    status = _last(outcomes, DeliveryStatus)
    enquiry = _last(outcomes, Enquiry) or (enquiry_of_call(call) if call else None)
    shown: Outcome | None = enquiry or call or status or (outcomes[-1] if outcomes else None)
    others = [outcome for outcome in outcomes if outcome is not shown and outcome is not call]
    return Reading(
        http=http,
        answer=answer,
        key=(shown.key if shown else "") or key or None,
        enquiry=enquiry,
        call=call,
        status=status,
        why="; ".join(filter(None, [why, _words(shown) if shown else "", _named(others)])),
    )


def _words(outcome: Outcome) -> str:
    match outcome:
        case Enquiry(fetch=None):
            return "новое обращение"
        case Enquiry():
            return f"новое обращение; остальное отдаст {outcome.fetch}"
        case PbxCall():
            return words_of_call(outcome)
        case Recording(wait=0):
            return f"запись к звонку {outcome.call_key}"
        case Recording():
            return f"запись к звонку {outcome.call_key}: её можно запросить через {outcome.wait} с"
        case DeliveryStatus():
            return f"состояние отправленного: {outcome.state}"
        case NoEnquiry():
            return f"метка ссылки {outcome.link_param}" if outcome.link_param else ""


def _named(others: Outcomes) -> str:
    keys = [outcome.key for outcome in others if not isinstance(outcome, NoEnquiry) and outcome.key]
    return f"в том же запросе ещё {len(keys)}: {', '.join(keys)}" if keys else ""


def _last(outcomes: Outcomes, kind: type[Any]) -> Any:
    return next((outcome for outcome in reversed(outcomes) if isinstance(outcome, kind)), None)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _path_secret(document: Mapping[str, Any]) -> str | None:
    """The secret end of the address, if the file says which it was."""
    if isinstance(document.get(PATH_SECRET), str):
        return str(document[PATH_SECRET])
    address = document.get("path") or document.get("url")
    return urlsplit(str(address)).path.rstrip("/").rpartition("/")[2] if address else None


def _enquiry_json(enquiry: Enquiry | None) -> dict[str, Any] | None:
    if enquiry is None:
        return None
    return {
        "source": enquiry.source,
        "name": enquiry.name,
        "phones": list(enquiry.phones),
        "emails": list(enquiry.emails),
        "text": enquiry.text,
        "utm": dict(enquiry.utm),
        "roistat_visit": enquiry.roistat_visit,
    }


def _call_json(call: PbxCall | None) -> dict[str, Any] | None:
    if call is None:
        return None
    return {
        "direction": call.direction,
        "phone": call.phone,
        "talked": call.talked,
        "duration": call.duration,
        "extension": call.extension,
        "record_url": call.record_url,
    }


def _status_json(status: DeliveryStatus | None) -> dict[str, Any] | None:
    if status is None:
        return None
    return {
        "state": status.state,
        "outbox_id": status.outbox_id,
        "vendor_id": status.vendor_id,
        "address": status.address,
        "reason": status.reason,
    }


@click.group(cls=Group)
def intake() -> None:
    """Обращения с сайта, из чатов, соцсетей, мессенджеров и с телефона."""


@intake.command(cls=Command)
@config_option
def addresses(config_path: Path) -> None:
    """Куда сервисам присылать обращения: что вставить в их кабинеты."""
    config = load_or_exit(config_path)
    if config.intake is None:
        raise Stop("в настройке нет раздела [intake]: обращения не принимаются")
    base = config.bridge.public_url or "https://АДРЕС-МОСТА"
    lines: list[str] = []
    try:
        for address in IntakeAddresses(config, os.environ).all():
            vendor = address.vendor
            settings = settings_of(config, vendor.name, os.environ, address.name)
            missing = [one for one in vendor.secrets if not settings.secrets.get(one.name)]
            title = f"{vendor.title} «{address.name}»" if address.name else vendor.title
            # Whole lines, not a table: an address must not be cut where it is to be copied from.
            state = "можно задать и" if vendor.is_address_enough else "закрыто, нет"
            lines += [f"{title}: {base}{address.path}"]
            lines += [f"  {state} {one.variable}: {one.what}" for one in missing]
            lines += [f"  тело уведомления: {NOVOFON_TEMPLATE}"] if vendor.name == "novofon2" else []
            lines += [f"  {vendor.law}"] if vendor.law else []
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (StoreUnavailable, OSError) as error:
        raise Stop(f"секрет адресов не прочитан: {error}") from error
    click.echo("\n".join(lines) or "В разделе [intake] не включён ни один сервис.")


@intake.command(cls=Command)
@click.argument("vendor", type=click.Choice(list(CONNECTABLE)), metavar="СЕРВИС")
@config_option
def connect(vendor: str, config_path: Path) -> None:
    """Поставить вебхук сервиса по его API: vk, telegram, max, zadarma.

    Мост в это время должен работать: ВКонтакте и Zadarma сразу проверяют адрес.
    """
    config = load_or_exit(config_path)
    try:
        connection = IntakeConnections(config, os.environ).of(vendor)
        if isinstance(connection, str):
            raise Stop(connection)
        for words in connection.connect():
            click.echo(words)
    except ChannelError as error:
        raise Stop(str(error)) from error
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (StoreUnavailable, OSError) as error:
        raise Stop(f"секрет адресов не прочитан: {error}") from error


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
    decisions = _decisions(reading, config) if with_rules and reading.enquiry else []
    if as_json:
        told = reading.to_json() | ({"decisions": [one.to_json() for one in decisions]} if with_rules else {})
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _show_reading(saved.vendor, reading)
    for one in decisions:
        console().print(
            f"{one.rule.called}: {VERDICTS[one.verdict]}; {'; '.join(filter(None, [one.reason, *one.actions]))}"
        )


def _decisions(reading: Reading, config: Config) -> list[RuleDecision]:
    """What the rules would do about the enquiry of somebody whom nobody knows. Reads the account's names alone."""
    assert reading.enquiry is not None
    event = stranger(reading.enquiry, reading.call, datetime.now(UTC))
    client = _client(config)
    try:
        engine = RuleEngine.of(config, Account.read(client), FixedClock(EPOCH))
        return [decision_of(verdict) for verdict in verdicts_about(event, engine, client)]
    except BridgeError as error:
        raise Stop(f"аккаунт {config.account.url} не прочитан: {responses.describe(error)}") from error


def _show_reading(vendor: str, reading: Reading) -> None:
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
