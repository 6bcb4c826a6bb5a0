"""The pages: one file per subject, found by being here. docs/add-a-page.md tells how to add one.

A file has ``routes``, a Flask blueprint whose views are marked with ``open_to``, and, if it is to be found in the
navigation, ``MENU``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from flask import Flask
from flask_login import current_user

from amo_bridge.web.menu import Menu
from amo_bridge.web.office import PageAccount


def install(app: Flask) -> None:
    found = sorted(_modules(), key=lambda module: module.__name__)
    for module in found:
        app.register_blueprint(module.routes)
    menu = sorted((module.MENU for module in found if hasattr(module, "MENU")), key=lambda entry: entry.place)
    app.jinja_env.globals["menu"] = lambda account: [entry for entry in menu if _is_shown(entry, account)]


def _is_shown(entry: Menu, account: PageAccount | None) -> bool:
    """``account``: the one that the page is about, if there is one."""
    if not (current_user.is_authenticated and current_user.user.may(entry.role)):
        return False
    return entry.needs is None or account is None or entry.needs(account.config)


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{found.name}")
