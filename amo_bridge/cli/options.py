"""The option that names the config, which nearly every command has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

config_option: Callable[[Any], Any] = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("config.toml"),
    envvar="AMO_BRIDGE_CONFIG",
    metavar="ФАЙЛ",
    help="Файл настройки; без ключа — переменная AMO_BRIDGE_CONFIG или config.toml.",
)
