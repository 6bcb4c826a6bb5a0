"""Pages, visitors and a browser for tests of the web side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.api_client import Program
from support.browser import SharedBrowser, shared_chromium
from support.pages import NOWHERE, Pages, Visit
from support.running_bridge import ENVIRONMENT, config_for

from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.web.auth.users import Role


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """The pages of a bridge that has met its account and is not at work."""
    made = Pages.in_folder(tmp_path / "data")
    made.meet_account()
    yield made
    made.close()


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Pages]:
    """«agency» and «школа» work, the config of «third» is broken."""
    bridges = {
        name: AccountRuntime(config_for(url, tmp_path / "data"), ENVIRONMENT, NOWHERE)
        for name, url in (("agency", NOWHERE), ("школа", "http://127.0.0.1:10"))
    }
    broken = {"third": ["config.toml, строка 3: лишнее"]}
    first = bridges["agency"]
    application: Any = SimpleNamespace(
        by_name=lambda: bridges,
        broken=lambda: broken,
        observed=lambda: list(bridges.values()),
        connections=first.connections,
        receiver=first.receiver,
        health=first.health,
        process_metrics=first.process_metrics,
        is_ready=False,
        is_opening=True,
    )
    made = Pages(first, application)
    yield made
    for bridge in bridges.values():
        bridge.stop()


@pytest.fixture
def admin(pages: Pages) -> Visit:
    return pages.visit(Role.ADMIN, "Анна")


@pytest.fixture
def viewer(pages: Pages) -> Visit:
    return pages.visit(Role.VIEWER, "Вера")


@pytest.fixture(scope="session")
def shared_browser() -> Iterator[SharedBrowser]:
    with shared_chromium() as shared:
        yield shared


@pytest.fixture
def browser(shared_browser: SharedBrowser) -> Iterator[Browser]:
    with shared_browser.in_use() as opened:
        yield opened


@pytest.fixture
def reader(pages: Pages) -> Program:
    return Program(pages, Role.VIEWER)


@pytest.fixture
def master(pages: Pages) -> Program:
    return Program(pages, Role.ADMIN)
