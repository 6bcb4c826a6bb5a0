"""What a newcomer sees: help in Russian for every command and every option."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version

import click
import pytest
from click.testing import Result

from amo_bridge.cli import main

COMMANDS = {"serve", "sandbox", "demo", "check", "rules", "why", "replay"}
LATIN_SENTENCE = re.compile(r"(?:\b[A-Za-z]{2,} ){3}")
Run = Callable[..., Result]


def test_every_command_is_listed(run: Run) -> None:
    shown = run("--help", config=None)
    assert shown.exit_code == 0
    assert set(shown.output.split()) >= COMMANDS
    assert set(main.commands) >= COMMANDS


@pytest.mark.parametrize("command", ["", *sorted(main.commands)])
def test_help_is_in_russian(command: str, run: Run) -> None:
    shown = run(*filter(None, [command]), "-h", config=None)
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Вызов: main {command}".rstrip())
    assert "Показать эту справку." in shown.output
    assert not LATIN_SENTENCE.search(shown.output), shown.output


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_and_option_says_what_it_is_for(command: str) -> None:
    told = main.commands[command]
    assert told.help
    assert re.search("[а-яё]{4}", told.help)
    for option in told.params:
        if isinstance(option, click.Option):
            assert re.search("[а-яё]{4}", option.help or ""), option.opts


def test_version(run: Run) -> None:
    assert run("--version", config=None).output == f"amo-bridge {version('amo-bridge')}\n"
