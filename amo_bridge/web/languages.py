"""The pages' languages: written in Russian, translated by the .po files of ``translations/<language>/``.

Each page may have a file of its own. They are read at the start: there is nothing to compile.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, request
from flask_babel import Babel, Domain, get_locale

RUSSIAN = "ru"
LANGUAGES = {RUSSIAN: "Русский", "en": "English"}
COOKIE = "language"
FOLDER = Path(__file__).parent / "translations"


def install(app: Flask) -> None:
    Babel(app, default_locale=RUSSIAN, locale_selector=_chosen)
    domain = PageWords()

    @app.before_request
    def speak() -> None:
        domain.as_default()


def _chosen() -> str:
    wanted = request.cookies.get(COOKIE, RUSSIAN)
    return wanted if wanted in LANGUAGES else RUSSIAN


class PageWords(Domain):  # type: ignore[misc]
    def get_translations(self) -> NullTranslations:
        locale = get_locale()
        return translations(RUSSIAN if locale is None else locale.language)


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
