"""The asking part of ``amo-bridge check``: names in the account, logins of vendors and mailboxes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

import click

from amo_bridge.channels.vendors import connected_vendors
from amo_bridge.cli.common import CONFIG_BROKEN, load_or_exit, tell, tell_and_exit
from amo_bridge.clock import SystemClock
from amo_bridge.config.account_fit import PROVISION, NameIssue, unwritable
from amo_bridge.config.account_fit import fit as compare_names
from amo_bridge.config.files import ConfigFile, with_new_names
from amo_bridge.config.loader import Readable
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.responses import describe
from amo_bridge.engine.alerts import warning
from amo_bridge.errors import BridgeError, ChannelError, ConfigError, StoreUnavailable
from amo_bridge.intake.connections import IntakeConnections
from amo_bridge.runtime.connection import read_account, tokens
from amo_bridge.runtime.startup import known_ids
from amo_bridge.storage.secrets import KeptSecrets

CRM_UNREACHABLE = 3
CHANNEL_UNREACHABLE = 4


def compared_with_account(config: Config, *, fix: bool) -> tuple[Config, Account]:
    """The config whose names the account knows, and the account; ``fix``: with new names, written into the file. Ends
    the command if amoCRM does not answer or a name is unknown."""
    try:
        account = read_account(config, os.environ)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except BridgeError as error:
        click.echo(f"{_not_compared(config)}: {describe(error)}", err=True)
        sys.exit(CRM_UNREACHABLE)
    compared = compare_names(config, account, known_ids(config, os.environ))
    if fix and compared.renamed:
        config = _with_new_names(config, compared.renamed)
        compared = compare_names(config, account, known_ids(config, os.environ))
    for words in compared.lines("renamed"):
        click.echo(f"Внимание: {words}; это сделает amo-bridge check --fix", err=True)
    if problems := compared.problems:
        tell(problems)
        if compared.lines("lost", "partial"):
            click.echo(f"Правила с ошибками не работают, остальные работают; {PROVISION}", err=True)
        sys.exit(CONFIG_BROKEN)
    for words in unwritable(compared.config, account):
        click.echo(f"Внимание: {words}", err=True)
    click.echo(f"Аккаунт «{account.name}» ({config.account.url}) знает все имена из настройки")
    if words := warning(tokens(config, os.environ).expires_at, SystemClock().now()):
        click.echo(f"Внимание: {words}", err=True)
    return config, account


def all_problems(found: Readable, config: Config) -> tuple[list[str], str]:
    """What is wrong with a config that is not right in itself, names that the account does not know included; and why
    names were not compared, if they were not (Russian)."""
    try:
        account = read_account(config, os.environ)
        misfits = compare_names(config, account, known_ids(config, os.environ)).problems
    except ConfigError as error:
        # A secret is missing: that is one mistake more.
        return [*found.problems, *error.problems], ""
    except BridgeError as error:
        # What is wrong with the file itself is enough to go on with.
        return list(found.problems), f"{_not_compared(config)}: {describe(error)}"
    return found.without_unread(misfits), ""


def _not_compared(config: Config) -> str:
    return f"Имена не сверены с аккаунтом {config.account.url}"


def _with_new_names(config: Config, renamed: list[NameIssue]) -> Config:
    """The config written anew, with the names that amoCRM has now. Ends the command if the file can't be written."""
    file = ConfigFile(config.path, config.data_folder, os.environ)
    try:
        before = file.read()
        file.save(with_new_names(before.text, renamed), before.mark)
    except ConfigError as error:
        tell_and_exit(error.problems)
    for old, new in dict.fromkeys((issue.name, issue.new_name) for issue in renamed):
        click.echo(f"Заменено в файле: «{old}» → «{new}»")
    return load_or_exit(config.path)


def connections(config: Config, environment: Mapping[str, str]) -> Iterator[tuple[bool, str]]:
    """Asks each server, the vendors that enquiries come from and the mailboxes: (is it well, in words). Raises
    ConfigError for a secret that can't be read, StoreUnavailable."""
    for vendor in connected_vendors(config):
        if not vendor.is_asked(config):
            continue
        if problem := vendor.secret_problem(environment):
            yield False, problem
            continue
        try:
            yield True, vendor.client_of(config, environment).check()
        except ChannelError as error:
            yield False, str(error)
    yield from IntakeConnections(config, environment).check()


def channels_let_us_in(config: Config) -> bool:
    try:
        asked = list(connections(config, KeptSecrets(config, os.environ)))
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (StoreUnavailable, OSError) as error:
        click.echo(f"Не вышло: секрет адресов для обращений не прочитан: {error}", err=True)
        return False
    for is_well, words in asked:
        click.echo(f"{'' if is_well else 'Не вышло: '}{words}", err=not is_well)
    return all(is_well for is_well, _ in asked)
