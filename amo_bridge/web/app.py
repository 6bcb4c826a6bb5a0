"""Web application: pages, API and receivers with accounts by prefix, languages, guard, headers."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, g, jsonify, request, url_for
from flask_babel import get_locale
from flask_wtf.csrf import CSRFProtect
from werkzeug.routing import IntegerConverter, Map

from amo_bridge.runtime.host import Application
from amo_bridge.storage.database import Store
from amo_bridge.web import (
    api,
    error_pages,
    metrics,
    middleware,
    oauth,
    pages,
    roistat,
    stored_sentences,
    template_filters,
    unsubscribe,
    webhooks,
)
from amo_bridge.web.accounts import Accounts, ChoiceNeeded, NoSuchAccount
from amo_bridge.web.auth import guard
from amo_bridge.web.auth.guard import may_look
from amo_bridge.web.context import EXTENSION, accounts, current_account, visible
from amo_bridge.web.middleware import NAME, WHERE, AccountPrefix

THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600


class Number(IntegerConverter):
    """``<int:…>`` in an address: what no database has room for is the number of nothing."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=2**63 - 1)


def install(app: Flask, application: Application) -> None:
    """Everything that is in the app already keeps its own lock and its own answers."""
    open_endpoints = frozenset(app.view_functions)
    app.extensions[EXTENSION] = Accounts(application)
    # Files are asked for with a mark of what is in them, so they may be kept.
    app.config.update(SEND_FILE_MAX_AGE_DEFAULT=YEAR)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.wsgi_app = AccountPrefix(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.converters["int"] = Number
    guard.install_sessions(app)

    @app.before_request
    def which_account() -> None:
        g.account_name = request.environ.get(NAME)
        if request.endpoint not in open_endpoints and not request.path.startswith(guard.WITHOUT):
            guard.needs_key(app)

    middleware.install_languages(app)
    csrf = CSRFProtect(app)
    guard.install_guard(app, csrf, open_endpoints | {"static"})
    middleware.install_headers(app)
    error_pages.install(app)
    template_filters.install_filters(app)
    template_filters.install_labels(app)
    template_filters.install_explanations(app)
    stored_sentences.install_stored_sentences(app)
    api.install(app)
    pages.install(app)
    app.context_processor(_page_context)


def _page_context() -> dict[str, object]:
    """What the layout needs."""
    theme = request.cookies.get("theme", "auto")
    locale = get_locale()
    return {
        "_": middleware.words_in(locale.language if locale else middleware.RUSSIAN),
        "asset": asset,
        "language": str(locale),
        "languages": middleware.LANGUAGES,
        "theme": theme if theme in THEMES else "auto",
        "account": _account_or_none,
        "visible_accounts": lambda: visible(accounts().names),
        "account_url": lambda name: f"{WHERE}{quote(name)}/",
        "office": accounts,
    }


def _account_or_none() -> object:
    try:
        return current_account()
    except (NoSuchAccount, ChoiceNeeded):
        return None


def asset(name: str) -> str:
    """The address of one of our files, another one whenever its content is."""
    return url_for("static", filename=name, v=_mark(name))


@cache
def _mark(name: str) -> str:
    return hashlib.sha256((Path(__file__).parent / "static" / name).read_bytes()).hexdigest()[:12]


# The web side: it takes hooks in and tells whether the bridge is well. No rule is judged in a web thread.


def create_app(application: Application, *, takes_hooks: bool = True, token: str = "", proxies: int = 0) -> Flask:
    """The web side of a process. Without ``takes_hooks`` (it only works) there are health and metrics, no webhooks and
    no pages. ``token``: see may_look. ``proxies``: how many reverse proxies of our own pass requests on."""
    app = Flask(__name__, static_folder="static" if takes_hooks else None)
    if proxies:
        app.wsgi_app = middleware.OwnProxies(app.wsgi_app, proxies)  # type: ignore[method-assign]
    if takes_hooks:
        app.register_blueprint(webhooks.blueprint(application))
        app.register_blueprint(oauth.blueprint(application.connections))

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @app.get("/health")
    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        told = application.health()
        if not may_look(request, token):
            # The reason may name hosts and paths, and is nobody's business outside.
            told = {"status": str(told["status"]).partition(":")[0]}
        return jsonify(stored_sentences.all_stored(told) if takes_hooks else told), 200 if application.is_ready else 503

    metrics.install(app, application, token)
    if takes_hooks:
        app.register_blueprint(webhooks.bizon_blueprint(lambda: application.by_name().values()))
        app.register_blueprint(webhooks.intake_blueprint(lambda: application.by_name().values()))
        app.register_blueprint(roistat.blueprint(lambda: application.by_name().values()))
        app.register_blueprint(unsubscribe.blueprint(lambda: _stores(application)))
        install(app, application)
    return app


def _stores(application: Application) -> set[Store]:
    """Of all accounts. Raises StoreUnavailable."""
    return {bridge.resources.store for bridge in application.by_name().values()}
