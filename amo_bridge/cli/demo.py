"""``amo-bridge demo``: the documents' stories, played against local amoCRMs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import console
from amo_bridge.config.rule_blocks import shipped_file
from amo_bridge.demo.documents import DOCUMENTS
from amo_bridge.demo.player import DemoFailed, play, running


@click.command(cls=Command)
@click.option("--stay", is_flag=True, help="Оставить amoCRM и мост работать и показать их адреса.")
@click.option(
    "--config",
    "config_path",
    metavar="ФАЙЛ",
    type=click.Path(path_type=Path, exists=True),
    help="Файл настройки; без него — пример этого документа.",
)
@click.option("--document", type=click.Choice(sorted(DOCUMENTS)), default="A", help="Истории какого документа.")
@click.option("--all", "every", is_flag=True, help="Истории всех документов, одного за другим.")
def demo(stay: bool, config_path: Path | None, document: str, every: bool) -> None:
    """Сыграть истории сделок: местная amoCRM, мост и люди, которые ошибаются."""
    if every and (stay or config_path):
        raise Stop("--all играет все документы по их примерам: без --stay и --config")
    good = [_played(letter, config_path, stay) for letter in (DOCUMENTS if every else [document])]
    sys.exit(0 if all(good) else 1)


def _played(letter: str, config_path: Path | None, stay: bool) -> bool:
    """Does the CRM hold all that the document promises?"""
    screen, document = console(), DOCUMENTS[letter]
    screen.print(f"Документ {letter}: местная amoCRM и мост запускаются двумя процессами …")
    try:
        with running(config_path or shipped_file(document.config), document.account) as processes:
            good = play(processes, document.stories, screen)
            screen.print("Всё, что обещает регламент, есть в amoCRM, и ничего нет дважды." if good else "Не сошлось.")
            if stay:
                screen.print(f"amoCRM: {processes.sandbox}/sandbox/   мост: {processes.bridge}   Ctrl+C — закончить")
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except DemoFailed as error:
        raise Stop(str(error)) from error
    return good
