"""Common parts of pages: an entry of the navigation, a page of a long list, a table as a file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request, url_for
from flask_login import current_user

from amo_bridge.config.model import Config
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import COMMON
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import user


@dataclass(frozen=True)
class Menu:
    """``title``: a lazy_gettext. ``place``: smaller is further to the front. ``role``: who sees it. ``needs``: whether
    an account's config has what the page is about; without it the entry is left out, and the page says why it is empty.
    ``also``: other blueprints whose pages belong to it."""

    title: Any
    endpoint: str
    place: int
    role: Role = Role.VIEWER
    needs: Callable[[Config], bool] | None = None
    also: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The blueprint: all its pages belong to this entry."""
        return self.endpoint.partition(".")[0]


T = TypeVar("T")
MOST_PAGES = 10_000


@dataclass(frozen=True)
class Pager:
    """A page of a long list, as ``key`` in the address says; the first one is 1. ``size``: rows of a page; ``many``: of
    all."""

    many: int
    size: int
    key: str = "page"

    @property
    def number(self) -> int:
        return max(1, min(page_asked_for(self.key), -(-self.many // self.size)))

    @property
    def passed(self) -> int:
        """How many rows stand before it."""
        return (self.number - 1) * self.size

    @property
    def last(self) -> int:
        """The number of its last row."""
        return min(self.passed + self.size, self.many)

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        """Its rows, of all of them."""
        return rows[self.passed : self.last]

    def address(self, number: int) -> str:
        """Of the page of this number: the same question."""
        asked = {**request.args.to_dict(), **(request.view_args or {}), self.key: number}
        return url_for(request.endpoint or "", **asked)


def page_asked_for(key: str = "page") -> int:
    """Its number; nonsense is the first."""
    return max(1, min(request.args.get(key, 1, type=int), MOST_PAGES))


KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def download(content: bytes, name: str) -> Response:
    """A table to be kept as «name.csv» or «name.xlsx», and by no proxy."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, content_type=KINDS[name.rpartition(".")[2]])


# The pages: one file per subject, found by being here. docs/add-a-page.md tells how to add one.
#
# A file has ``routes``, a Flask blueprint whose views are marked with ``open_to``, and, if it is to be found in the
# navigation, ``MENU``.


def install(app: Flask) -> None:
    found = sorted(_modules(), key=lambda module: module.__name__)
    for module in found:
        app.register_blueprint(module.routes)
    menu = sorted((module.MENU for module in found if hasattr(module, "MENU")), key=lambda entry: entry.place)
    app.jinja_env.globals["menu"] = lambda account: _shown(menu, account)


def _shown(menu: Iterable[Menu], account: AccountView | None) -> list[Menu]:
    """What who is looking may see of it; ``account``: the one that the page is about, if there is one."""
    if not current_user.is_authenticated:
        return []
    visitor, views = user(), current_app.view_functions

    def is_shown(entry: Menu) -> bool:
        if not visitor.may(entry.role):
            return False
        if visitor.accounts is not None and getattr(views[entry.endpoint], COMMON, False):
            return False
        return entry.needs is None or account is None or entry.needs(account.config)

    return [entry for entry in menu if is_shown(entry)]


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{found.name}")
