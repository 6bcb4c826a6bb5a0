"""Middleware: security headers, languages, proxies, the prefix of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from io import BytesIO
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, g, has_app_context, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup
from werkzeug.middleware.proxy_fix import ProxyFix

from amo_bridge.runtime.startup import ACCOUNTS
from amo_bridge.web.receiver import HEADERS


def install_headers(app: Flask) -> None:
    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html":
            # A page shows what the next user of this computer may not see.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


# The pages' languages: written in Russian, translated by the .po files of ``translations/<language>/``.
#
# Each page may have a file of its own. They are read at the start: there is nothing to compile.

RUSSIAN = "ru"
LANGUAGES = {RUSSIAN: "Русский", "en": "English"}
COOKIE = "language"
FOLDER = Path(__file__).parent / "translations"


def install_languages(app: Flask) -> None:
    Babel(app, default_locale=RUSSIAN, locale_selector=_chosen)
    app.jinja_env.globals.update(_=words_of_template, gettext=words_of_template)
    domain = PageWords()

    @app.before_request
    def speak() -> None:
        domain.as_default()


def _chosen() -> str:
    """A person's browser keeps what he has chosen; a program may say it with a request."""
    wanted = request.cookies.get(COOKIE)
    if wanted is None and request.path.startswith(("/api/v1/", "/health")):
        wanted = request.accept_languages.best_match(list(LANGUAGES))
    return wanted if wanted in LANGUAGES else RUSSIAN


class PageWords(Domain):  # type: ignore[misc]
    def get_translations(self) -> NullTranslations:
        return translations(_language())

    def gettext(self, string: str, **variables: Any) -> str:
        """As Flask-Babel's, by the words looked up once: labels of tables are translated for each row."""
        found = _words(_language(), string, is_page=False)
        return found % variables if variables else found


@pass_eval_context
def words_of_template(context: EvalContext, text: str, /, **values: Any) -> str:
    """``_()`` of macros, which do not see what a page was given; see ``words_in``."""
    return words_in(page_language())(context, text, **values)


@cache
def words_in(language: str) -> Callable[..., str]:
    """``_()`` of templates, as Jinja's own: %(name)s stands for a value, which is escaped on a page. A page of a list
    asks for a thousand, so that each is looked up once in the life of the process, and the language once a page."""

    @pass_eval_context
    def words(context: EvalContext, text: str, /, **values: Any) -> str:
        told = _words(language, str(text), is_page=context.autoescape)
        return told % values if "%" in told else told

    return words


@lru_cache(maxsize=8192)
def _words(language: str, text: str, *, is_page: bool) -> str:
    found = str(translations(language).gettext(text))
    return Markup(found) if is_page else found


def page_language() -> str:
    """Of whom this request is answered, asked for once; Russian where nobody asks."""
    if not has_app_context():
        return RUSSIAN
    if "page_language" not in g:
        g.page_language = _language()
    return str(g.page_language)


def _language() -> str:
    locale = get_locale()
    return RUSSIAN if locale is None else locale.language


@cache
def translations(language: str) -> NullTranslations:
    """All words of one language; what has no translation stays Russian."""
    told = NullTranslations()
    for path in sorted((FOLDER / language).glob("*.po")):
        compiled = BytesIO()
        with path.open("rb") as source:
            write_mo(compiled, read_po(source, locale=language, abort_invalid=True))
        compiled.seek(0)
        more = Translations(compiled)
        more.add_fallback(told)
        told = more
    return told


# What a proxy says about the visitor.

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class OwnProxies:
    """Takes the visitor's address from the headers of ``count`` proxies of our own, which stand on this machine or in
    its private network. A stranger who reaches the port past them is who he is, whatever his headers say."""

    def __init__(self, app: WsgiApp, count: int) -> None:
        self._plain = app
        self._behind = ProxyFix(app, x_for=count, x_proto=count, x_host=count)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        app = self._behind if _is_near(environ.get("REMOTE_ADDR", "")) else self._plain
        return app(environ, start_response)


def _is_near(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found.version == near.version and found in near for near in NEAR)


NEAR = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)


# ``/accounts/NAME/…``: the same pages for one of several accounts.
#
# The prefix is taken off before Flask sees the address and put before every address that Flask makes, so pages know
# nothing of it.

WHERE = ACCOUNTS
NAME = "amo_bridge.account"


class AccountPrefix:
    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(WHERE):
            # WSGI hands bytes over in Latin-1.
            name, slash, rest = path[len(WHERE) :].partition("/")
            if name and slash:
                environ[NAME] = name.encode("latin-1").decode("utf-8", "replace")
                environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}{WHERE}{name}"
                environ["PATH_INFO"] = f"/{rest}"
        return self._app(environ, start_response)
