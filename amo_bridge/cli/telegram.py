"""``amo-bridge telegram who``: the numbers of the chats of those who have written to the bot."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.table import Table

from amo_bridge.channels.registry import TELEGRAM
from amo_bridge.channels.telegram import Bot
from amo_bridge.cli.click_ru import Command, Group, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, tell_and_exit
from amo_bridge.config.channels import TELEGRAM_TOKEN
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelError, ConfigError

KINDS = {"private": "личный", "group": "группа", "supergroup": "группа", "channel": "канал"}


@click.group(cls=Group)
def telegram() -> None:
    """Бот, который уведомляет своих в Telegram."""


@telegram.command(cls=Command)
@config_option
def who(config_path: Path) -> None:
    """Кто писал боту за последние сутки и какой номер вписать в [people]."""
    bot = _bot(load_or_exit(config_path))
    try:
        name, chats = bot.name(), bot.chats()
    except ChannelError as error:
        raise Stop(str(error)) from error
    if not chats:
        raise Stop(f"боту @{name} за сутки никто не писал: откройте https://t.me/{name}, нажмите «Старт» и повторите")
    table = Table("Номер", "Кто", "Чат", "Последнее сообщение", title=f"Боту @{name} писали")
    for chat in chats:
        table.add_row(str(chat.id), chat.name, KINDS.get(chat.kind, chat.kind), chat.text[:60])
    console().print(table)


def _bot(config: Config) -> Bot:
    try:
        bot = TELEGRAM.open(config, os.environ)
    except ConfigError as error:
        tell_and_exit(error.problems)
    if bot is None:
        raise Stop("раздела [telegram] в настройке нет (docs/channels.md)")
    if not bot.has_token:
        raise Stop(f"нет токена бота: передайте его в {TELEGRAM_TOKEN} (docs/channels.md)")
    return bot
