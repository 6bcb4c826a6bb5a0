"""Messengers of the agency's own people: what a bot of each can do, and texts cut to its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from amo_bridge.lazy.dataclasses import dataclass


@dataclass(frozen=True)
class Chat:
    """Somebody who has written to the bot, or a group in which it is."""

    id: int
    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Button:
    """A button under a message. ``data`` comes back when it is pressed; Telegram takes 64 bytes of it."""

    label: str
    data: str


class Messenger(Protocol):
    """A bot. Everything that asks the vendor raises ChannelError."""

    largest_file: int
    """Bytes; ``send_file`` refuses more."""
    longest_caption: int

    def texts(self, about: str, text: str, url: str) -> list[str]:
        """The messages that tell it, as this messenger writes them: what it is about at the top, the link at the
        end."""

    def send(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> str:
        """One message, one of ``texts``; its number at the messenger."""

    def send_file(self, chat_id: int, name: str, file: BinaryIO, size: int, caption: str = "") -> None:
        """A picture or a document. ChannelRefused for a file that is too large."""

    def chats(self) -> list[Chat]:
        """Who has written to the bot lately; nobody as long as a webhook is set."""

    def edit(self, chat_id: int, message: str, text: str, buttons: Sequence[Button] = ()) -> None:
        """Put another text in the place of a message, and these buttons in the place of its own."""

    def answer_press(self, press: str, words: str) -> None:
        """Tell whoever has pressed a button; ``press``: the messenger's name of that press."""


def length(text: str) -> int:
    """In UTF-16 units, as messengers count: most emoji are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int) -> list[str]:
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
