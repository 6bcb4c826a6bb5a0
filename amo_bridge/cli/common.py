"""Common parts of commands: loading a config, explaining a broken one, confirmations, tables as CSV."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from amo_bridge.cli.click_ru import Stop
from amo_bridge.errors import ConfigError, StoreUnavailable, why_not
from amo_bridge.lazy.collecting import no_garbage

if TYPE_CHECKING:
    from rich.console import Console

    from amo_bridge.config.model import Config
    from amo_bridge.storage.database import Store

CONFIG_BROKEN = 2
YES = ("да", "д", "yes", "y")


def console() -> Console:
    """Wide enough for a table when the output goes into a file or a log. Texts are shown as they are: a file's name may
    well have [brackets] or :colons: in it."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False, emoji=False)
    return screen if screen.is_terminal else Console(highlight=False, markup=False, emoji=False, width=140)


def agrees(question: str) -> bool:
    """Asked in Russian, answered in Russian: click's own question knows no «да». No answer at all is a no."""
    try:
        answer = click.prompt(f"{question} (да/нет)", default="нет", show_default=False)
    except click.Abort:
        click.echo()
        return False
    return str(answer).strip().casefold() in YES


@contextmanager
def waiting(words: str) -> Iterator[Callable[[str], None]]:
    """Something that turns while a command works, with words that may be changed; on stderr, and only on a screen:
    what the command prints may be meant for a program."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    screen = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(words)
        yield lambda changed: progress.update(task, description=changed)


def load_or_exit(path: Path, *, rules: bool = True) -> Config:
    """The config, or all its problems on stderr and exit code 2. ``rules``: without them only account and data are
    read, and what is wrong elsewhere keeps nobody from the store."""
    try:
        with no_garbage():
            from amo_bridge.config.loader import load, load_without_rules

            return load(path) if rules else load_without_rules(path)
    except ConfigError as error:
        tell_and_exit(error.problems)


def tell_and_exit(problems: list[str]) -> NoReturn:
    tell(problems)
    sys.exit(CONFIG_BROKEN)


def tell(problems: list[str]) -> None:
    click.echo(
        "Настройка не годится:" if len(problems) == 1 else f"Настройка не годится, ошибок: {len(problems)}", err=True
    )
    for problem in problems:
        click.echo(f"  • {problem}", err=True)


def user_name() -> str:
    """Who types the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        return "имя неизвестно"


# ``--csv ФАЙЛ``, the same in every command that has a table: into the file, or to stdout if it is «-».

STDOUT = Path("-")

csv_option: Callable[[Any], Any] = click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="ФАЙЛ",
    help="Записать таблицей CSV для Excel; «-» — вывести её.",
)


def has_one_voice(csv_file: Path | None, *, as_json: bool) -> None:
    """Raises UsageError when two things would go to stdout."""
    if csv_file == STDOUT and as_json:
        raise click.UsageError("--csv - и --json выводят в одно место: назовите файл для --csv")


def write_csv(csv_file: Path, content: bytes, told: str, *, as_json: bool = False) -> None:
    """Put the table where it is wanted. Of a file it is said what is in it («строк 5»); where stdout belongs to a
    program, on stderr. Raises Stop."""
    if csv_file == STDOUT:
        click.echo(content, nl=False)
        return
    try:
        csv_file.write_bytes(content)
    except OSError as error:
        raise Stop(f"не записать {csv_file}: {why_not(error)}") from error
    click.echo(f"Записано в {csv_file}, {told}", err=as_json)


# The store of a config's account, for commands that work beside the bridge or without it.


class NoStore(Stop):
    """The bridge's database can't be used."""

    exit_code = 3


@contextmanager
def opened(config: Config) -> Iterator[tuple[Store, int]]:
    """The store and the account's number in it. Ends the command with code 3 when there is no such thing."""
    # Only here: a command without a store starts without the database's libraries.
    from amo_bridge.storage.accounts import known_key
    from amo_bridge.storage.database import Store

    if not config.bridge.database and not config.data_folder.is_dir():
        raise NoStore(f"базы ещё нет: её заводит мост (amo-bridge serve) в папке {config.data_folder}")
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        key = known_key(store, config.account.url)
        if key is None:
            raise NoStore(f"в базе {store.address} нет аккаунта {config.account.url}: мост с ним ещё не работал")
        yield store, key
    except (StoreUnavailable, OSError) as error:
        raise NoStore(str(error)) from error
    finally:
        store.close()


# The option that names the config, which nearly every command has.

config_option: Callable[[Any], Any] = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("config.toml"),
    envvar="AMO_BRIDGE_CONFIG",
    metavar="ФАЙЛ",
    help="Файл настройки; без ключа — переменная AMO_BRIDGE_CONFIG или config.toml.",
)
