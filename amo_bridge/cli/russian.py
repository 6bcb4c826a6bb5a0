"""click in Russian: its own headings and the help option are English words in the middle of a Russian help."""

from __future__ import annotations

from typing import IO, Any

import click

from amo_bridge.cli.mistakes import told_in_russian

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
        with told_in_russian(self):
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with told_in_russian(self):
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
