"""The files that browsers get: vendored, unchanged, with their licences; nothing inline in any template."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from support.pages import Pages, Visit

ROOT = Path(__file__).parents[2]
WEB = ROOT / "amo_bridge" / "web"
VENDORED = [WEB / "static" / "vendor", ROOT / "tests" / "support" / "vendor"]
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))


@pytest.mark.parametrize("folder", VENDORED, ids=["pages", "tests"])
def test_vendored_files_are_what_they_were(folder: Path) -> None:
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {path.name: path for path in folder.iterdir() if path.suffix in (".js", ".css")}
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    for name in files:
        assert list(folder.glob(f"LICENSE-{name.partition('-')[0]}.*")), f"no licence of {name}"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(WEB)))
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(template: Path) -> None:
    """The policy would refuse it; better to know before a user does."""
    text = template.read_text("utf-8")
    assert not re.search(r"\sstyle=|<style|\son(?!ly=)\w+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert not re.search(r"\|\s*safe\b|Markup\(", text), "everything is escaped"


@pytest.mark.parametrize(
    "template",
    # Who unsubscribes has no session; the link in his letter is the secret.
    [path for path in TEMPLATES if path.name != "unsubscribe.html"],
    ids=lambda path: str(path.relative_to(WEB)),
)
def test_every_form_that_changes_something_has_its_token(template: Path) -> None:
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", template.read_text("utf-8"), re.DOTALL):
        assert re.search(r"csrf|hidden_tag", form), form


def test_a_file_is_kept_by_browsers_under_a_name_that_changes_with_it(pages: Pages, admin: Visit) -> None:
    address = re.search(r'href="(/static/app\.css\?v=\w+)"', admin.get("/").text)
    assert address is not None
    assert "max-age=31536000" in admin.get(address[1]).headers["Cache-Control"]
