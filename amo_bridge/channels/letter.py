"""A letter to one person, and what every service that takes letters is asked for."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import ClassVar, Protocol

from amo_bridge.errors import ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.templates import Rendered

# Enough for a program to see what is answered; the whole history of years would only make the header long.
MOST_REFERENCES = 10


@dataclass(frozen=True)
class EnclosedFile:
    """A file that goes along with a letter."""

    name: str
    content: bytes
    content_type: str


@dataclass(frozen=True)
class Letter:
    """``sender``: «Агентство <info@agency.ru>». ``answers``: Message-IDs of the thread so far, oldest first.
    ``unsubscribe``: the link, None for letters about work in hand. ``is_notice``: a machine writes to our people.
    ``number``: of its row in the outbox, by which a service tells what became of it; 0: it is not told of."""

    sender: str
    to_name: str
    to_address: str
    content: Rendered
    message_id: str
    at: datetime
    reply_to: str | None = None
    answers: tuple[str, ...] = ()
    unsubscribe: str | None = None
    is_notice: bool = False
    number: int = 0
    files: tuple[EnclosedFile, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same letter, however often it is tried."""
        return key_of(self.message_id)

    def to_bytes(self) -> bytes:
        """RFC 5322, with CRLF. Raises ValueError for what does not fit into a header."""
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        local, _, domain = self.to_address.rpartition("@")
        message["To"] = Address(" ".join(self.to_name.split()), local, domain)
        message["Subject"] = self.content.subject
        message["Date"] = format_datetime(self.at)
        message["Message-ID"] = self.message_id
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        if self.answers:
            message["In-Reply-To"] = self.answers[-1]
            message["References"] = " ".join(self.answers[-MOST_REFERENCES:])
        if self.unsubscribe:
            # RFC 2369 and 8058: mail programs show a button, and POST this text to the link. The link must stay in
            # one line, see config/channels.py.
            message["List-Unsubscribe"] = f"<{self.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        if self.is_notice:
            # RFC 3834: no out-of-office answer, please.
            message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.content.text)
        if self.content.html is not None:
            message.add_alternative(self.content.html, subtype="html")
        for file in self.files:
            kind, _, subtype = file.content_type.partition("/")
            message.add_attachment(file.content, maintype=kind, subtype=subtype, filename=file.name)
        return message.as_bytes()


def key_of(a_message_id: str) -> str:
    """What stands before the «@» of a Message-ID of ours."""
    return a_message_id.strip("<>").partition("@")[0]


def message_id(account: int, key: str, sender_address: str) -> str:
    """The same for the same effect, however often it is tried: a mail program shows two copies as one."""
    digest = hashlib.sha256(f"{account}\0{key}".encode()).hexdigest()[:32]
    return f"<{digest}@{sender_address.rpartition('@')[2]}>"


class AddressRefused(ChannelRefused):
    """The service says that there is nobody at this address."""


class AddressUnwilling(ChannelRefused):
    """The service says that whoever is there has unsubscribed, or complained of spam: ``is_complaint``."""

    def __init__(self, detail: str, *, is_complaint: bool) -> None:
        super().__init__(detail)
        self.is_complaint = is_complaint


class LetterService(Protocol):
    """Takes letters: a mail server, or a service with an API of its own.

    ``vendor``: its section of the config; ``title``: as people read it. ``finds_lost``: it can be asked about a letter
    whose answer was lost.
    ``most_attached``: bytes of all files of a letter together.
    """

    vendor: ClassVar[str]
    title: ClassVar[str]
    finds_lost: ClassVar[bool] = False
    most_attached: ClassVar[int]

    @abstractmethod
    def check(self) -> str:
        """See VendorClient."""

    @abstractmethod
    def deliver(self, letter: Letter) -> str:
        """Hand it over; the service's own number of it, empty if it gives none. Raises ChannelError, AddressRefused,
        AddressUnwilling."""

    def find(self, letter_key: str, address: str, since: datetime) -> str | None:
        """The service's number of a letter whose answer was lost; None: it does not know one. Asked only if
        ``finds_lost``. Raises ChannelError; ChannelUncertain while it is still looking."""
        raise ChannelRefused("почтовый сервер не спросить, дошло ли")

    def leave(self) -> None:
        """No more letters for now."""
        return
