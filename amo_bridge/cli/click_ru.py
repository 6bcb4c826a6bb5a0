"""Click's complaints about what was typed, in Russian.

Whatever click has no Russian words for here is told as it is: a message in English is better than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click

from amo_bridge.text.names import nearest

_Q = r"(?:'(?P<value>.*?)'|\"(?P<other>.*?)\")"
SAYINGS: Mapping[str, str] = {
    rf"{_Q} is not a valid integer(?: range)?\.": "«{value}» — не целое число",
    rf"{_Q} is not a valid float(?: range)?\.": "«{value}» — не число",
    r"(?P<value>\S+) is not in the range x>=(?P<rest>\S+)\.": "{value} не подходит, нужно от {rest}",
    r"(?P<value>\S+) is not in the range (?P<rest>\S+)<=x<=(?P<most>\S+)\.": (
        "{value} не подходит, нужно от {rest} до {most}"
    ),
    r"(?P<value>\S+) is not in the range (?P<rest>.+)\.": "{value} не подходит, нужно {rest}",
    rf"{_Q} is not one of (?P<rest>.+)\.": "«{value}» не подходит; есть: {rest}",
    rf"{_Q} is not (?P<rest>'.+')\.": "«{value}» не подходит; нужно {rest}",
    rf"{_Q} does not match the formats? (?P<rest>.+)\.": "«{value}» не подходит, нужно вида {rest}",
    rf"Directory {_Q} does not exist\.": "папки «{value}» нет",
    rf"\w+ {_Q} does not exist\.": "файла «{value}» нет",
    rf"\w+ {_Q} is a directory\.": "«{value}» — папка, а нужен файл",
    rf"\w+ {_Q} is a file\.": "«{value}» — файл, а нужна папка",
    rf"\w+ {_Q} is not readable\.": "«{value}» не читается: нет прав",
    rf"\w+ {_Q} is not writable\.": "в «{value}» не записать: нет прав",
    rf"Option {_Q} requires an argument\.": "после {value} нужно значение",
    rf"Option {_Q} does not take a value\.": "у {value} не бывает значения",
    r"Got unexpected extra arguments? \((?P<value>.+)\)": "лишнее: {value}",
    r"Missing command\.": "не сказано, какая команда",
}
"""click's message → ours. ``value`` is what was typed, ``rest`` (with ``most``) what would be right."""
_SAYINGS = [(re.compile(pattern, re.DOTALL), saying) for pattern, saying in SAYINGS.items()]


class Mistake(click.UsageError):
    """A command that can't be understood as it was typed. Exit code 2."""

    def show(self, file: IO[Any] | None = None) -> None:
        if self.ctx is not None:
            click.echo(self.ctx.get_usage() + "\n", file=file, err=file is None)
        click.echo(f"Ошибка: {self.format_message()}", file=file, err=file is None)


class Missing(Mistake):
    """Something that the command needs was not typed."""


@contextmanager
def complaints_in_russian(command: click.Command) -> Iterator[None]:
    """click's complaints become ours; the help that a command without a word shows is no complaint."""
    try:
        yield
    except (Mistake, click.exceptions.NoArgsIsHelpError):
        raise
    except click.UsageError as error:
        kind = Missing if isinstance(error, click.MissingParameter) else Mistake
        raise kind(_words(error, command), error.ctx) from error


def _words(error: click.UsageError, command: click.Command) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"ключа {error.option_name} нет{_perhaps(error.option_name, error.possibilities or ())}"
    if isinstance(error, click.MissingParameter):
        return _missing(error)
    if isinstance(error, click.BadParameter):
        where = _name(error.param)
        return f"{where}: {_in_russian(error.message)}" if where else _in_russian(error.message)
    if isinstance(error, click.BadOptionUsage) and (value := _value_of(error, command)):
        return value
    return _no_command(error) or _in_russian(error.message)


def _value_of(error: click.BadOptionUsage, command: click.Command) -> str:
    """Which value is missing, as the help calls it. Empty if that is not what is wrong."""
    if not error.message.endswith("requires an argument."):
        return ""
    wanted = (one.metavar for one in command.params if error.option_name in one.opts)
    metavar = next(wanted, None)
    return f"после {error.option_name} нужно значение: {metavar}" if metavar else ""


def _no_command(error: click.UsageError) -> str:
    """Empty if that is not what is wrong."""
    found = re.match(rf"No such command {_Q}\.", error.message)
    if found is None:
        return ""
    group = error.ctx.command if error.ctx else None
    known = list(group.commands) if isinstance(group, click.Group) else []
    return f"команды «{_typed(found)}» нет{_perhaps(_typed(found), known)}"


def _missing(error: click.MissingParameter) -> str:
    if isinstance(error.param, click.Option):
        return f"нужен ключ {_name(error.param)}"
    return f"не хватает: {_name(error.param)}"


def _name(param: click.Parameter | None) -> str:
    """As the help calls it."""
    if isinstance(param, click.Option):
        return param.opts[-1]
    return param.make_metavar(click.Context(click.Command(None))) if param is not None else ""


def _in_russian(message: str) -> str:
    for pattern, saying in _SAYINGS:
        if found := pattern.fullmatch(message):
            parts = found.groupdict()
            rest = _in_letters(str(parts.get("rest", "")).replace("'", ""))
            return saying.format(value=_typed(found), rest=rest, most=parts.get("most"))
    return message


def _in_letters(form: str) -> str:
    """«%Y-%m-%d» is «ГГГГ-ММ-ДД»."""
    for sign, letters in (("%Y", "ГГГГ"), ("%m", "ММ"), ("%d", "ДД")):
        form = form.replace(sign, letters)
    return form


def _typed(found: re.Match[str]) -> str:
    parts = found.groupdict()
    return str(parts.get("value") or parts.get("other") or "")


def _perhaps(typed: str, known: Any) -> str:
    meant = nearest(typed, list(known))
    return f"; может быть, {meant}?" if meant else ""


# click in Russian: its own headings and the help option are English words in the middle of a Russian help.

HELP_NAMES = ("-h", "--help")
# A command's first line must fit: what is longer is cut with dots in the middle of a thought. A test looks.
SHORT_HELP = 90


class Stop(click.ClickException):
    """The command can't go on; the text says why and what to do. Exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Ошибка: {self.format_message()}", file=file, err=file is None)


class Declined(Stop):
    """Somebody was asked and said no: nothing went wrong."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file)


class Command(click.Command):
    """A command whose help is in Russian throughout."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"options_metavar": "[КЛЮЧИ]", "add_help_option": False, **kwargs})
        click.help_option(*HELP_NAMES, help="Показать эту справку.")(self)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with complaints_in_russian(self):
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with complaints_in_russian(self):
            return super().invoke(ctx)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix="Вызов: ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Ключи"):
            formatter.write_dl(
                [record for option in self.get_params(ctx) if (record := option.get_help_record(ctx)) is not None]
            )


class Group(Command, click.Group):
    """``amo-bridge`` itself: its commands, each with its first line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, subcommand_metavar="КОМАНДА …", **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Команды"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(limit=SHORT_HELP))
                    for name, command in sorted(self.commands.items())
                ]
            )
