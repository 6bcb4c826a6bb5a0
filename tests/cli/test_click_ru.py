"""Whatever is typed wrong is told in Russian, with code 2 and how the command is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import Result

from amo_bridge.cli import main
from amo_bridge.cli.click_ru import SHORT_HELP
from amo_bridge.sandbox.account_file import SHIPPED

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("serv", "команды «serv» нет; может быть, serve?"),
        ("webinar undoo 3", "команды «undoo» нет; может быть, undo?"),
        ("why --confi=3", "ключа --confi нет; может быть, --config?"),
        ("why", "не хватает: СДЕЛКА"),
        ("why 1 2", "лишнее: 2"),
        ("why семь", "СДЕЛКА: «семь» — не целое число"),
        ("webinar report 1 --csv", "после --csv нужно значение: ФАЙЛ"),
        ("rehearse --csv", "после --csv нужно значение: ФАЙЛ"),
        ("violations --csv - --json", "--csv - и --json выводят в одно место: назовите файл для --csv"),
        ("violations --csv .", "«.» — папка, а нужен файл"),
        ("rules --existing", "после --existing нужно значение: ПРАВИЛО"),
        ("rehearse --since 2026-13-01", "--since: «2026-13-01» не подходит, нужно вида ГГГГ-ММ-ДД"),
        ("webinar report 1 --json=3", "у --json не бывает значения"),
        ("webinar preview nofile.csv", "файла «nofile.csv» нет"),
        ("webinar preview .", "«.» — папка, а нужен файл"),
        ("sandbox --port abc", "--port: «abc» — не целое число"),
        ("sandbox --port 99999", "--port: 99999 не подходит, нужно от 0 до 65535"),
        ("violations lst", "«lst» не подходит; есть: list, forgive, restore"),
    ],
)
def test_a_mistake_is_told_in_russian(typed: str, told: str, run: Run) -> None:
    said = run(*typed.split(), config=None)
    assert said.exit_code == 2
    (*usage, mistake) = said.output.strip().splitlines()
    assert mistake.startswith("Ошибка: ")
    assert mistake.endswith(told)
    assert not usage or usage[0].startswith("Вызов: ")


def test_a_sandbox_of_an_account_that_there_is_not(run: Run) -> None:
    said = run("sandbox", "--account", "nope", config=None)
    assert said.exit_code == 1
    assert said.output == f"Ошибка: файла nope нет; готовые аккаунты: {', '.join(SHIPPED)}\n"


def groups(command: click.Command) -> Iterator[click.Group]:
    if isinstance(command, click.Group):
        yield command
        for one in command.commands.values():
            yield from groups(one)


@pytest.mark.parametrize("group", list(groups(main)), ids=lambda group: str(group.name))
def test_the_first_line_of_a_command_fits(group: click.Group) -> None:
    for name, command in group.commands.items():
        assert not command.get_short_help_str(limit=SHORT_HELP).endswith("..."), name
