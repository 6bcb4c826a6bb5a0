"""Two languages: Russian is what the pages are written in, English is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po
from support.pages import Pages, Visit, words_of

WEB = Path(__file__).parents[2] / "amo_bridge" / "web"
ENGLISH = sorted((WEB / "translations" / "en").glob("*.po"))
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


# Its words are said on pages too, in the reader's language.
STEP_WORDS = WEB.parent / "dates" / "duration.py"


def said() -> dict[str, str]:
    """Every text of the pages → the file it is in."""
    keywords = {"_": None, "_l": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
    pages = [(text, name) for name, _, text, _, _ in extract_from_dir(str(WEB), method_map=METHODS, keywords=keywords)]
    spans = [(text, STEP_WORDS.name) for _, text, _, _ in extract_from_file("python", STEP_WORDS, {"say": (1, 2)})]
    return {(text if isinstance(text, str) else text[0]): name for text, name in [*pages, *spans]}


@pytest.fixture(scope="module")
def english() -> dict[str, object]:
    told: dict[str, object] = {}
    for path in ENGLISH:
        with path.open("rb") as source:
            for message in read_po(source, locale="en", abort_invalid=True):
                if message.id:
                    key = message.id if isinstance(message.id, str) else message.id[0]
                    # Pages are made side by side, and may need the same word; it must be the same in English too.
                    assert told.get(key, message.string) == message.string, f"{path.name}: «{key}» is said in two ways"
                    told[key] = message.string
    return told


def test_everything_said_has_its_english(english: dict[str, object]) -> None:
    missing = {text: name for text, name in said().items() if not english.get(text)}
    assert missing == {}


def test_russian_counts_have_their_three_forms() -> None:
    counted = {text for text in said() if "%(num)s" in text}
    with (WEB / "translations" / "ru" / "plurals.po").open("rb") as source:
        forms = {message.id[0]: message.string for message in read_po(source, locale="ru") if message.id}
    assert set(forms) == counted
    assert all(len(set(found)) == 3 and all(found) for found in forms.values())


def test_nothing_is_translated_that_is_not_said_any_more(english: dict[str, object]) -> None:
    assert set(english) - set(said()) == set()


INSIDE = re.compile(
    r"(?<!б)хук|зеркал|сверк[аеиу]\b|лестниц|уже учтено|догнать|«отказы»|^отказы$|отступился", re.IGNORECASE
)
"""Words of the bridge's inside, or of something else to people (a reason for refusal is a field of amoCRM). A service's
own «вебхук», on the pages where it is pasted, is what the service calls it."""


def test_no_word_of_the_inside_is_shown() -> None:
    assert [text for text in said() if INSIDE.search(text)] == []
    templates = {path.name: INSIDE.findall(path.read_text("utf-8")) for path in WEB.glob("templates/**/*.html")}
    assert {name: found for name, found in templates.items() if found} == {}


@pytest.mark.parametrize("module", ["engine", "channels", "sync", "events", "rules", "reports"])
def test_no_message_of_the_bridge_has_such_a_word(module: str) -> None:
    """What it writes into the journal, notices and files."""
    texts = [
        node.value
        for path in (WEB.parent / module).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in texts if INSIDE.search(text)] == []


def test_no_placeholder_is_lost_on_the_way(english: dict[str, object]) -> None:
    for russian, translated in english.items():
        for one in [translated] if isinstance(translated, str) else list(translated):  # type: ignore[call-overload]
            assert set(PLACEHOLDER.findall(one)) <= set(PLACEHOLDER.findall(russian)), russian


def test_the_switch_is_remembered_by_the_browser(admin: Visit) -> None:
    assert "Обзор" in words_of(admin.get("/"))
    admin.post("/settings/language/en", page="/")
    page = admin.get("/")
    assert '<html lang="en"' in page.text
    assert "Overview" in words_of(page)


def test_the_log_in_is_english_throughout(pages: Pages) -> None:
    visit = pages.stranger()
    visit.post("/settings/language/en", page="/login")
    words = words_of(visit.post("/login", {"login": "", "password": ""}))
    assert re.findall("[А-Яа-яё]+", words) == ["Русский"]


def test_an_unknown_language_is_refused(admin: Visit) -> None:
    assert admin.post("/settings/language/xx", page="/").status_code == 404
