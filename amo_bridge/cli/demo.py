"""``amo-bridge demo``: the story, played against a local amoCRM."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import console
from amo_bridge.demo.player import play
from amo_bridge.demo.processes import DemoFailed, running

_HERE = Path(__file__).parents[1]
# In the checkout the example stands at the top; an installed package carries its own copy.
EXAMPLE = next(path for path in (_HERE.parent / "config.example.toml", _HERE / "config.example.toml") if path.exists())


@click.command(cls=Command)
@click.option("--stay", is_flag=True, help="Оставить amoCRM и мост работать и показать их адреса.")
@click.option(
    "--config",
    "config_path",
    metavar="ФАЙЛ",
    type=click.Path(path_type=Path, exists=True),
    default=EXAMPLE,
    help="Файл настройки; без него — config.example.toml.",
)
def demo(stay: bool, config_path: Path) -> None:
    """Сыграть три истории сделок: местная amoCRM, мост и люди, которые ошибаются."""
    screen = console()
    screen.print("Местная amoCRM и мост запускаются двумя процессами …")
    try:
        with running(config_path) as processes:
            good = play(processes, screen)
            screen.print("Всё, что обещает регламент, есть в amoCRM, и ничего нет дважды." if good else "Не сошлось.")
            if stay:
                screen.print(f"amoCRM: {processes.sandbox}/sandbox/   мост: {processes.bridge}   Ctrl+C — закончить")
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except DemoFailed as error:
        raise Stop(str(error)) from error
    sys.exit(0 if good else 1)
