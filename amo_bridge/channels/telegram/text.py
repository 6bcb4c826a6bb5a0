"""Texts for Telegram: escaped, and cut where a message would be too long."""

from __future__ import annotations

from html import escape

# «1-4096 characters after entities parsing» (Bot API, sendMessage), counted in UTF-16 units.
MOST = 4096
# Room for the deal's name in bold and the link, which stand around a text.
FOR_TEXT = 3500


def length(text: str) -> int:
    """As Telegram counts: most emoji are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def messages(about: str, text: str, url: str) -> list[str]:
    """The messages that tell it, in Telegram's HTML: what it is about in bold at the top, the link at the end."""
    parts = _cut(text, FOR_TEXT)
    head = f"<b>{escape(_cut(about, 250)[0])}</b>\n" if about else ""
    tail = f'\n<a href="{escape(url)}">Открыть сделку</a>' if url else ""
    told = [escape(part, quote=False) for part in parts]
    told[0] = head + told[0]
    told[-1] += tail
    return told


def _cut(text: str, most: int) -> list[str]:
    """Pieces of at most ``most``, cut between lines or words where that is possible."""
    pieces = []
    while length(text) > most:
        end = _longest(text, most)
        at = max(text.rfind("\n", end // 2, end), text.rfind(" ", end // 2, end))
        at = at if at > 0 else end
        pieces.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [*pieces, text]


def _longest(text: str, most: int) -> int:
    """How many characters of the text fit."""
    end = min(len(text), most)
    while length(text[:end]) > most:
        end -= 1
    return end
