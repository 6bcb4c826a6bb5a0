"""The pages put into the app: accounts by their prefix, languages, the gate, the headers, errors in words."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import quote

from flask import Flask, g, request, url_for
from flask_babel import get_locale
from flask_wtf.csrf import CSRFProtect
from werkzeug.routing import IntegerConverter, Map

from amo_bridge.web import api, error_pages, gate, headers, languages, pages, refusal_words, sessions, verdicts, wording
from amo_bridge.web.here import EXTENSION, account, office
from amo_bridge.web.limits import limiter
from amo_bridge.web.office import ChoiceNeeded, Installed, NoSuchAccount, Office
from amo_bridge.web.prefix import NAME, WHERE, AccountPrefix

THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600


class Number(IntegerConverter):
    """``<int:…>`` in an address: what no database has room for is the number of nothing."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=2**63 - 1)


def install(app: Flask, installed: Installed) -> None:
    """Everything that is in the app already keeps its own lock and its own answers."""
    doors = frozenset(app.view_functions)
    app.extensions[EXTENSION] = Office(installed)
    # Files are asked for with a mark of what is in them, so they may be kept.
    app.config.update(SEND_FILE_MAX_AGE_DEFAULT=YEAR, RATELIMIT_HEADERS_ENABLED=False)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.wsgi_app = AccountPrefix(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.converters["int"] = Number
    sessions.install(app)

    @app.before_request
    def which_account() -> None:
        g.account_name = request.environ.get(NAME)
        if request.endpoint not in doors:
            sessions.needs_key(app)

    languages.install(app)
    csrf = CSRFProtect(app)
    limiter.init_app(app)
    gate.install(app, csrf, doors | {"static"})
    headers.install(app)
    error_pages.install(app)
    wording.install(app)
    verdicts.install(app)
    refusal_words.install(app)
    api.install(app)
    pages.install(app)
    app.context_processor(_surroundings)


def _surroundings() -> dict[str, object]:
    """What the layout needs."""
    theme = request.cookies.get("theme", "auto")
    return {
        "asset": asset,
        "language": str(get_locale()),
        "languages": languages.LANGUAGES,
        "theme": theme if theme in THEMES else "auto",
        "account": _account_or_none,
        "account_url": lambda name: f"{WHERE}{quote(name)}/",
        "office": office,
    }


def _account_or_none() -> object:
    try:
        return account()
    except (NoSuchAccount, ChoiceNeeded):
        return None


def asset(name: str) -> str:
    """The address of one of our files, another one whenever its content is."""
    return url_for("static", filename=name, v=_mark(name))


@cache
def _mark(name: str) -> str:
    return hashlib.sha256((Path(__file__).parent / "static" / name).read_bytes()).hexdigest()[:12]
