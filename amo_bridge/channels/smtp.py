"""Mail server by SMTP: one connection for a batch of letters; a refusal is told apart from a silence."""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import suppress
from email.utils import parseaddr
from typing import ClassVar

from amo_bridge.channels.letter import AddressRefused, Letter, LetterService
from amo_bridge.config.channels import MAIL_PASSWORD, MailSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused, ChannelUncertain

# Replies are RFC 5321's: 4xx is "later", 5xx is "never". What happens after the last byte of a letter has left and
# before the server has answered is the one moment of which nobody knows whether the letter is taken.

TIMEOUT = 30.0
_LONE_DOT = re.compile(rb"(?m)^\.")
# RFC 3463: 5.1.x speaks of the address, 5.2.1 of a mailbox that is closed; 5.7.x only of what the server thinks of us.
_NOBODY_THERE = re.compile(r"\b5\.(1\.\d+|2\.1)\b")
_NOT_THE_ADDRESS = re.compile(r"\b5\.(?!1\.|2\.1)\d+\.\d+\b")
_CODES_OF_ADDRESS = (550, 551, 553)


class MailServer(LetterService):
    """``password``: empty with an empty ``user``: the server knows us otherwise."""

    vendor: ClassVar[str] = "mail"
    title: ClassVar[str] = "почтовый сервер"
    # The large providers take letters of 25 MB; base64 makes a file larger by a third.
    most_attached: ClassVar[int] = 18 << 20

    def __init__(self, section: MailSection, password: str, *, timeout: float = TIMEOUT) -> None:
        self._section = section
        self._password = password
        self._timeout = timeout
        self._connection: smtplib.SMTP | None = None

    def check(self) -> str:
        """Log in and leave; what to say of it (Russian). Raises ChannelDown."""
        try:
            self.greet()
        finally:
            self.leave()
        return f"почтовый сервер {self.place} пускает"

    def greet(self) -> None:
        """Connect and log in, if that is not done yet. Raises ChannelDown."""
        if self._connection is not None:
            return
        try:
            self._connection = self._open()
        except smtplib.SMTPAuthenticationError as error:
            told = _reply_text(error.smtp_code, error.smtp_error)
            raise ChannelDown(f"почтовый сервер не принял имя или пароль ({MAIL_PASSWORD}): {told}") from error
        except smtplib.SMTPResponseException as error:
            raise ChannelDown(f"почтовый сервер: {_reply_text(error.smtp_code, error.smtp_error)}") from error
        except UnicodeEncodeError as error:
            words = f"имя или пароль почты ({MAIL_PASSWORD}): буквы только латинские, русские не передать"
            raise ChannelDown(words) from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise ChannelDown(f"почтовый сервер {self.place} не отвечает как надо: {error}") from error

    def deliver(self, letter: Letter) -> str:
        self.send(letter.sender, letter.to_address, letter.to_bytes())
        return ""

    def send(self, sender: str, to_address: str, letter: bytes) -> None:
        """Raises ChannelDown, ChannelBusy, ChannelUncertain, ChannelRefused, AddressRefused."""
        self.greet()
        connection = self._connection
        assert connection is not None
        try:
            self._offer(connection, sender, to_address)
            self._hand_over(connection, letter)
        except (ChannelDown, ChannelUncertain):
            self._drop()
            raise
        except (ChannelBusy, ChannelRefused):
            self._begin_anew(connection)
            raise

    def leave(self) -> None:
        """Say goodbye; the next letter connects anew."""
        if self._connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._connection.quit()
        self._drop()

    def _open(self) -> smtplib.SMTP:
        section = self._section
        trusted = ssl.create_default_context()
        if section.ca:
            trusted.load_verify_locations(section.ca)
        if section.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                section.host, section.port, timeout=self._timeout, context=trusted
            )
        else:
            connection = smtplib.SMTP(section.host, section.port, timeout=self._timeout)
        try:
            if section.tls == "starttls":
                connection.starttls(context=trusted)
            connection.ehlo_or_helo_if_needed()
            if section.user:
                connection.login(section.user, self._password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _offer(self, connection: smtplib.SMTP, sender: str, to_address: str) -> None:
        """From whom, to whom, and may it be told: until then nothing is sent."""
        try:
            _insist(connection.mail(parseaddr(sender)[1]))
            code, words = connection.rcpt(to_address)
            if code >= 500 and _is_about_address(code, words):
                raise AddressRefused(_reply_text(code, words))
            _insist((code, words))
            connection.putcmd("data")
            _insist(connection.getreply(), 354)
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelDown(f"почтовый сервер {self.place} прервал связь: {error}") from error

    def _hand_over(self, connection: smtplib.SMTP, letter: bytes) -> None:
        body = _LONE_DOT.sub(b"..", letter)
        try:
            connection.send(body if body.endswith(b"\r\n") else body + b"\r\n")
        except (smtplib.SMTPException, OSError) as error:
            # The end was not said: nothing is taken.
            raise ChannelDown(f"почтовый сервер {self.place} прервал связь: {error}") from error
        try:
            connection.send(b".\r\n")
            reply = connection.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelUncertain(f"почтовый сервер {self.place} не ответил после текста письма: {error}") from error
        if reply[0] == -1:
            raise ChannelUncertain(f"почтовый сервер {self.place} ответил невнятно после текста письма")
        _insist(reply)

    def _begin_anew(self, connection: smtplib.SMTP) -> None:
        try:
            connection.rset()
        except (smtplib.SMTPException, OSError):
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def place(self) -> str:
        """Which server it is, for people."""
        return f"{self._section.host}:{self._section.port}"


def _insist(reply: tuple[int, bytes], wanted: int = 250) -> None:
    code, words = reply
    if code == wanted or (wanted == 250 and 200 <= code < 300):
        return
    told = _reply_text(code, words)
    if code in (421, -1):
        raise ChannelDown(f"почтовый сервер прощается: {told}")
    if code >= 500:
        raise ChannelRefused(told)
    raise ChannelBusy(told)


def _is_about_address(code: int, words: bytes) -> bool:
    told = words.decode("utf-8", "replace")
    return bool(_NOBODY_THERE.search(told)) or (code in _CODES_OF_ADDRESS and not _NOT_THE_ADDRESS.search(told))


def _reply_text(code: int, words: bytes | str) -> str:
    text = words if isinstance(words, str) else words.decode("utf-8", "replace")
    return f"{code} {' '.join(text.split())}"
