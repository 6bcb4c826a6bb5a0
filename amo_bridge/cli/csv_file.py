"""``--csv ФАЙЛ``, the same in every command that has a table: into the file, or to stdout if it is «-»."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from amo_bridge.cli.russian import Stop
from amo_bridge.errors import why_not

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
