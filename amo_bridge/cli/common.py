"""What several commands share: how a config is loaded, and how a broken one is told."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.errors import ConfigError

CONFIG_BROKEN = 2


def console() -> Console:
    """Wide enough for a table when the output goes into a file or a log. Texts are shown as they are: a file's name may
    well have [brackets] or :colons: in it."""
    screen = Console(highlight=False, markup=False, emoji=False)
    return screen if screen.is_terminal else Console(highlight=False, markup=False, emoji=False, width=140)


def agrees(question: str) -> bool:
    """Asked in Russian, answered in Russian: click's own question knows no «да». No answer at all is a no."""
    try:
        answer = click.prompt(f"{question} (да/нет)", default="нет", show_default=False)
    except click.Abort:
        click.echo()
        return False
    return str(answer).strip().casefold() in ("да", "д", "yes", "y")


@contextmanager
def waiting(words: str) -> Iterator[Callable[[str], None]]:
    """Something that turns while a command works, with words that may be changed; on stderr, and only on a screen:
    what the command prints may be meant for a program."""
    screen = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(words)
        yield lambda changed: progress.update(task, description=changed)


def load_or_exit(path: Path) -> Config:
    """The config, or all its problems on stderr and exit code 2."""
    try:
        return load(path)
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
