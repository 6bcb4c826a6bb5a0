"""``amo-bridge password``: a link for whoever can run commands on the machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from support.running_bridge import RunningBridge

from amo_bridge.server.options import leave
from amo_bridge.web.accounts import Accounts
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

Run = Callable[..., Result]


@pytest.fixture
def office_of_pages(connected: object, bridge: RunningBridge) -> Accounts:
    return bridge.app.extensions[EXTENSION]


def test_the_link_sets_a_password(office_of_pages: Accounts, run: Run) -> None:
    user = office_of_pages.users.add("Анна Смирнова", Role.ADMIN)
    assert user is not None
    link = run("password", "анна смирнова").stdout.strip()
    assert office_of_pages.links.user_of(link.rpartition("/")[2]) == user.id
    (deed,) = office_of_pages.audit.last(1)
    assert (deed.who, deed.words) == ("командная строка", "Новая ссылка для пароля: Анна Смирнова")


def test_the_link_leads_to_where_the_bridge_listens(office_of_pages: Accounts, bridge: RunningBridge, run: Run) -> None:
    office_of_pages.users.add("Анна", Role.ADMIN)
    assert run("password", "Анна").stdout.startswith("http://127.0.0.1:8080/password/"), "nobody has served yet"
    leave(bridge.config.data_folder, "http://127.0.0.1:18080")
    assert run("password", "Анна").stdout.startswith("http://127.0.0.1:18080/password/")


def test_nobody_of_that_name(office_of_pages: Accounts, run: Run) -> None:
    office_of_pages.users.add("Анна", Role.ADMIN)
    told = run("password", "Ана")
    assert told.exit_code == 1
    assert "пользователя «Ана» нет; может быть, «Анна»?" in told.stderr


def test_somebody_disabled_gets_no_link(office_of_pages: Accounts, run: Run) -> None:
    user = office_of_pages.users.add("Вера", Role.VIEWER)
    office_of_pages.users.add("Анна", Role.ADMIN)
    assert user is not None
    with office_of_pages.store.write() as connection:
        connection.exec_driver_sql(f"UPDATE users SET disabled_at = 1 WHERE id = {user.id}")
    assert "отключён" in run("password", "Вера").stderr
