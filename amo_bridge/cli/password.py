"""``amo-bridge password NAME``: a way back in for whoever forgot his password, when no other admin can help."""

from __future__ import annotations

from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, load_or_exit
from amo_bridge.clock import SystemClock
from amo_bridge.errors import StoreUnavailable
from amo_bridge.server.options import left_in
from amo_bridge.storage.database import Store
from amo_bridge.text.names import nearest
from amo_bridge.web.auth.audit import Audit
from amo_bridge.web.auth.users import Links, Users, fold


@click.command(cls=Command)
@click.argument("name", metavar="ИМЯ")
@config_option
def password(name: str, config_path: Path) -> None:
    """Ссылка, по которой пользователь страниц задаст новый пароль.

    Действует три дня, работает один раз.

    С --configs пользователи лежат в базе первого по имени аккаунта: назовите его файл.
    """
    config = load_or_exit(config_path)
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        secret = _link(store, name)
    except (StoreUnavailable, OSError) as error:
        raise Stop(str(error)) from error
    finally:
        store.close()
    click.echo(f"{config.bridge.public_url or left_in(config.data_folder)}/password/{secret}")


def _link(store: Store, name: str) -> str:
    clock = SystemClock()
    users = Users(store, clock).all()
    user = next((user for user in users if fold(user.login) == fold(name)), None)
    if user is None:
        close = nearest(name, [user.login for user in users])
        raise Stop(f"пользователя «{name}» нет" + (f"; может быть, «{close}»?" if close else ""))
    if user.is_disabled:
        raise Stop(f"пользователь «{user.login}» отключён: его включает администратор на странице «Пользователи»")
    Audit(store, clock).write("командная строка", "user.link", f"Новая ссылка для пароля: {user.login}")
    return Links(store, clock).for_password(user.id)
