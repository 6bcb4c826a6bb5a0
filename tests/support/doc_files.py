"""The project's Markdown as data: links, headings, code, tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
READMES = (ROOT / "README.md", ROOT / "README.ru.md")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LABELLED_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:amo_bridge|bench|docs|examples|handlers|letters|schedules|scripts|tests)/[\w./-]+\w)`")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")


def fences(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == language]


def prose(page: Path) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    """What the page links to inside the project."""
    return [link for link in LINK.findall(prose(page)) if not link.startswith(("http://", "https://", "mailto:"))]


def labelled_links(page: Path) -> list[tuple[str, str]]:
    """(label without its markup, target) of each link inside the project."""
    found = LABELLED_LINK.findall(prose(page))
    return [
        (re.sub(r"[`\\]", "", label), target)
        for label, target in found
        if not target.startswith(("http://", "https://", "mailto:"))
    ]


def named_paths(page: Path) -> list[str]:
    """The project's files and folders that inline code or a command names, from the root."""
    in_commands = re.findall(r"\b(?:tests|examples)/[\w./-]+\w", "\n".join(fences(page, "sh")))
    in_spans = re.findall(r"\btests/[\w./-]+\w", "\n".join(spans(prose(page))))
    return sorted({*PATH.findall(prose(page)), *in_commands, *in_spans})


def headings(page: Path) -> list[tuple[int, str]]:
    """(level, text) of each heading."""
    return [(len(marks), text) for marks, text in HEADING.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """The headings as GitHub addresses them."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(page)}


def spans(text: str) -> list[str]:
    """The pieces of inline code."""
    return SPAN.findall(text)


def rows(page: Path, heading: str) -> list[str]:
    """The rows of the table under a heading, without its head."""
    part = page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| ")][1:]
