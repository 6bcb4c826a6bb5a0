"""The command ``amo-bridge``: its subcommands are imported when they are asked for.

``amo-bridge serve`` must not wait for what only other commands need.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click

from amo_bridge.cli.click_ru import Group
from amo_bridge.lazy.collecting import no_garbage

# pydantic would look through every installed package for plugins, which takes a command longer than it takes to read
# its config.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class LazyCommands(MutableMapping[str, click.Command]):
    """Name → command. ``modules``: name → the module of ``amo_bridge/cli`` that has a function of this name, or
    «module.function» where the function can't be called so."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules
        self._commands: dict[str, click.Command | None] = dict.fromkeys(modules)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            module, _, function = self._modules[name].partition(".")
            with no_garbage(is_kept=False):
                command = getattr(import_module(f"amo_bridge.cli.{module}"), function or name)
            self._commands[name] = command
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, name: object) -> bool:
        # The mapping's own way would import the command to find out.
        return name in self._commands


COMMANDS = LazyCommands(
    {
        "init": "init",
        "serve": "serve",
        "sandbox": "sandbox",
        "demo": "demo",
        "check": "check",
        "connect": "access",
        "provision": "provision",
        "rules": "rules",
        "why": "journal",
        "upcoming": "journal",
        "violations": "violations",
        "kpi": "kpi",
        "pay": "pay",
        "audiences": "audiences",
        "replay": "replay",
        "rehearse": "rehearse",
        "shadow": "journal",
        "snapshot": "rehearse",
        "failed": "failed",
        "password": "access",
        "tidy": "storage",
        "backup": "storage",
        "restore": "storage",
        "webinar": "webinar",
        "intake": "intake",
        "telegram": "access",
        "max": "access",
        "channels": "channels",
    }
)
"""In the order of ``amo-bridge --help``. A new command is named here, beside the module that has its function."""


@click.group(cls=Group, commands=COMMANDS)
@click.version_option(package_name="amo-bridge", help="Показать версию.", message="amo-bridge %(version)s")
def main() -> None:
    """amo-bridge: регламент отдела продаж, который исполняется сам, рядом с amoCRM."""
    if click.get_current_context().invoked_subcommand == "serve":
        # Its working process sets its logs up itself; the one that waits has none, and holds nothing for them.
        return
    from amo_bridge import logs

    # Whoever typed a command is told in words; log lines, which structlog puts on stdout by itself, would spoil --json.
    logs.set_up_later(logging.CRITICAL)
