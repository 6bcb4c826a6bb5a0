"""The doors of the API as a table for people: «python tests/support/api_table.py» writes those of docs/api.md anew."""

from __future__ import annotations

import sys
from pathlib import Path

from flask import Flask
from flask_babel import force_locale

from amo_bridge.web import middleware
from amo_bridge.web.api import SUBJECTS, api, by_subject
from amo_bridge.web.api.endpoint import Endpoint

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

DOCUMENT = ROOT / "docs" / "api.md"
HEADERS = {
    "ru": ("| запрос | что это | роль | тело → ответ |", "|---|---|---|---|"),
    "en": ("| request | what it is | role | body → answer |", "|---|---|---|---|"),
}


def rows(language: str) -> list[str]:
    """The table in one of the pages' languages, a line a door, under the names of the subjects."""
    app = Flask(__name__)
    middleware.install_languages(app)
    with app.test_request_context():
        app.preprocess_request()
        with force_locale(language):
            told = list(HEADERS[language])
            for subject, some in by_subject(api.all).items():
                told += [f"| **{SUBJECTS[subject]}** | | | |", *(_row(door) for door in some)]
            return told


def _row(door: Endpoint) -> str:
    query = "".join(f" `?{name}`" for name in door.query)
    body = f"`{door.takes.__name__}` " if door.takes else ""
    form = f"`{door.files}` " if door.files else ""
    return (
        f"| `{door.method} {door.address}`{query} | {door.summary} | {door.role} | "
        f"{form}{body}→ `{door.gives.__name__}` |"
    )


def shown(text: str, language: str) -> str:
    """The table that stands in the document."""
    begin, end = _marks(language)
    return text.partition(begin)[2].partition(end)[0].strip()


def with_tables(text: str) -> str:
    """The document with its tables as they are to be."""
    for language in HEADERS:
        begin, end = _marks(language)
        before, _, rest = text.partition(begin)
        text = "\n".join([f"{before}{begin}", *rows(language), f"{end}{rest.partition(end)[2]}"])
    return text


def _marks(language: str) -> tuple[str, str]:
    return f"<!-- endpoints {language}:begin -->", f"<!-- endpoints {language}:end -->"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
