"""A letter as bytes: headers that keep threads together and let people unsubscribe with one click."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from amo_bridge.text.templates import Rendered

# Enough for a program to see what is answered; the whole history of years would only make the header long.
MOST_REFERENCES = 10


@dataclass(frozen=True)
class Letter:
    """``sender``: «Агентство <info@agency.ru>». ``answers``: Message-IDs of the thread so far, oldest first.
    ``unsubscribe``: the link, None for letters about work in hand. ``is_notice``: a machine writes to our people."""

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
        return message.as_bytes()


def message_id(account: int, key: str, sender_address: str) -> str:
    """The same for the same effect, however often it is tried: a mail program shows two copies as one."""
    digest = hashlib.sha256(f"{account}\0{key}".encode()).hexdigest()[:32]
    return f"<{digest}@{sender_address.rpartition('@')[2]}>"
