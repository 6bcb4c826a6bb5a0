"""``amo-bridge check``: do the mail server and the bot let us in, and what do enabled rules want that nobody does?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from amo_bridge.channels.registry import NAMES, mail_server, telegram_bot, unconnected
from amo_bridge.config.channels import TELEGRAM_TOKEN
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelError


def warnings(config: Config) -> Iterator[str]:
    """What works, but not as one might think (Russian); asks nobody."""
    channels = config.channels
    for lane, rules in unconnected(config).items():
        yield f"канал «{NAMES[lane]}» не подключён, никуда не отправится то, чего хотят: {', '.join(rules)}"
    if channels.mail and channels.series.named:
        if channels.mail.consent is None:
            yield "серии писем — реклама, а поле согласия (consent в [mail]) не названо: согласия никто не спросит"
        if config.bridge.public_url is None:
            yield "серии писем без [bridge] public_url не отправляются: отписаться было бы негде"


def connections(config: Config, environment: Mapping[str, str]) -> Iterator[tuple[bool, str]]:
    """Asks each server: (does it let us in, in words). Raises ConfigError for a secret that can't be read."""
    if server := mail_server(config, environment):
        try:
            server.greet()
            yield True, f"почтовый сервер {server.place} пускает"
        except ChannelError as error:
            yield False, str(error)
        finally:
            server.leave()
    if bot := telegram_bot(config, environment):
        try:
            if not bot.has_token:
                yield False, f"нет токена бота Telegram ({TELEGRAM_TOKEN})"
            else:
                yield True, f"бот Telegram @{bot.name()} на связи"
        except ChannelError as error:
            yield False, str(error)
