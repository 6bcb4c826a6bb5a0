"""Documents of the bridge as pages: Markdown made into HTML that holds nothing but text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from flask import request, url_for
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from amo_bridge.lazy.dataclasses import dataclass

_PACKAGE = Path(__file__).parents[2]
NAME = re.compile(r"[a-z0-9-]+")
# Each account has addresses of its own.
MOST_RENDERED = 128
IN_TEXT = re.compile(r"docs/([a-z0-9-]+)\.md")
PICTURES = ("img", "bench")
FOR_DEVELOPERS = frozenset(
    {
        "add-a-channel", "add-a-page", "add-a-rule", "add-an-action", "add-an-event", "bench", "coverage", "design",
        "sandbox", "thousand-accounts",
    }
)  # fmt: skip
FIRST = ("start", "pages", "rules", "schedules", "due-dates", "what-counts", "channels", "intake", "webinar")
"""What people look for most, in this order; the rest follows by title."""

OF_SUBJECT: Mapping[str, str] = {
    "ads": "ads", "api": "api", "audiences": "channels", "audit": "pages", "bizon": "webinar", "channels": "channels",
    "config": "names", "connect_page": "connect-account", "daily": "daily-report", "deal": "pages", "dial": "channels",
    "documents": "schedules", "done": "pages", "enquiries": "intake", "failed": "troubleshooting", "files": "channels",
    "kpi": "kpi", "mine": "pages", "overview": "pages", "pay": "pay", "policies": "policies",
    "copies": "settings", "rehearsals": "rehearsal", "reports": "pages", "requests": "pages",
    "rule_forms": "rules-by-form", "rules": "rules", "scripts": "scripts", "services": "services",
    "settings": "settings", "stage_map": "pages", "texts": "texts", "upcoming": "schedules",
    "users": "pages", "violations": "schedules", "webinars": "webinar",
}  # fmt: skip
"""Subject of pages (the blueprint) → the document about it."""


@dataclass(frozen=True)
class HelpPage:
    """``name``: of the file, without its ending."""

    name: str
    title: str

    @property
    def is_for_developers(self) -> bool:
        return self.name in FOR_DEVELOPERS


@cache
def folder() -> Path:
    """In the checkout it stands at the top; an installed package carries its own copy."""
    return next(path for path in (_PACKAGE.parent / "docs", _PACKAGE / "docs") if path.is_dir())


@cache
def pages() -> tuple[HelpPage, ...]:
    """What people look for first comes first, what developers need last."""
    found = [HelpPage(path.stem, _title(path)) for path in folder().glob("*.md") if NAME.fullmatch(path.stem)]
    place = {name: number for number, name in enumerate(FIRST)}
    return tuple(sorted(found, key=lambda page: (page.is_for_developers, place.get(page.name, len(FIRST)), page.title)))


def help_of(subject: str, named: Mapping[str, object]) -> str:
    """Where the page of this subject is told of, as an address; ``named``: what stands in the page's own address."""
    page = OF_SUBJECT.get(subject)
    if page is None:
        return url_for("help.show")
    anchor = None
    if subject == "rules" and isinstance(rule := named.get("name"), str):
        # Every row of the table of rules is addressed by its handler.
        anchor = rule.partition(".")[0]
    return url_for("help.page", name=page, _anchor=anchor)


def linked(text: str) -> Markup:
    """A text of a page whose «docs/pay.md» leads there."""
    known = {page.name for page in pages()}

    def link(found: re.Match[str]) -> str:
        name = found[1]
        return f'<a href="{url_for("help.page", name=name)}">{found[0]}</a>' if name in known else found[0]

    return Markup(IN_TEXT.sub(link, str(escape(text))))


def rendered(name: str) -> Markup:
    """The document. Raises KeyError if there is none of this name."""
    if name not in {page.name for page in pages()}:
        raise KeyError(name)
    return _rendered(name, request.script_root)


@lru_cache(maxsize=MOST_RENDERED)
def _rendered(name: str, root: str) -> Markup:
    """``root``: under it are the addresses that the text leads to."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_without_comments((folder() / f"{name}.md").read_text("utf-8")))
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline":
            token.children = _led(token.children or [], {page.name for page in pages()})
            if before is not None and before.type == "heading_open":
                before.attrSet("id", _anchor(token.content))
    _mark_rules(tokens)
    html = markdown.renderer.render(tokens, markdown.options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    return Markup(html.replace("<pre>", '<pre tabindex="0">'))


def _led(tokens: list[Token], known: set[str]) -> list[Token]:
    """Links to other documents lead to their pages, those to files of the checkout are left out, their words stay."""
    found: list[Token] = []
    left_out: list[bool] = []
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href") or ""), known)
            left_out.append(address is None)
            if address is None:
                continue
            token.attrSet("href", address)
        elif token.type == "link_close" and left_out.pop():
            continue
        elif token.type == "image":
            kind, _, file = str(token.attrGet("src") or "").partition("/")
            if kind not in PICTURES:
                continue
            token.attrSet("src", url_for("help.picture", kind=kind, file=file))
            token.attrSet("loading", "lazy")
        found.append(token)
    return found


def _address(href: str, known: set[str]) -> str | None:
    if href.startswith(("https://", "http://", "mailto:", "#")):
        return href
    path, _, anchor = href.partition("#")
    kind, _, file = path.partition("/")
    if kind in PICTURES and (folder() / kind / file).is_file():
        return url_for("help.picture", kind=kind, file=file)
    name = path.removesuffix(".md")
    if path.endswith(".md") and name in known:
        return url_for("help.page", name=name, _anchor=anchor or None)
    return None


def _mark_rules(tokens: list[Token]) -> None:
    """The first row of each handler in the table of rules gets the handler's name as its id."""
    seen: set[str] = set()
    row: Token | None = None
    codes: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            row, codes = token, []
        elif token.type == "inline":
            codes += [child.content for child in token.children or () if child.type == "code_inline"]
        elif token.type == "tr_close" and row is not None and len(codes) >= 2 and codes[-1] not in seen:
            seen.add(codes[-1])
            row.attrSet("id", codes[-1])


def _without_comments(text: str) -> str:
    return re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)


def _title(path: Path) -> str:
    return path.read_text("utf-8").partition("\n")[0].removeprefix("# ").strip()


def _anchor(heading: str) -> str:
    """As GitHub addresses it: links of the documents count on that."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
