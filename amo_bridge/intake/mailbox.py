"""A mailbox read by IMAP: opened read-only, by UID, from where it stopped.

No letter is ever marked as seen.

A UID means something only together with the folder's UIDVALIDITY (RFC 3501): when the server says another one, all
numbers are new.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime

from imap_tools import MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError
from imap_tools.mailbox import BaseMailBox
from imap_tools.utils import encode_folder

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.config.intake import MailboxSection
from amo_bridge.config.loader import secret
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused, ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import chunks

TIMEOUT_SECONDS = 30.0
TOKEN_MARGIN_SECONDS = 60.0
# How soon a waiting connection sees that the bridge stops.
IDLE_SLICE_SECONDS = 1.0
# Sizes are asked for so many letters in one command.
TOGETHER = 200
MEGABYTE = 1024 * 1024
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')
_NUMBER = re.compile(rb"(\d+)")
_ANYTHING_BROKEN = (imaplib.IMAP4.error, ImapToolsError, OSError, EOFError, ValueError)


class MailboxDown(ChannelDown):
    """The box can't be read now. ``is_setting``: somebody has to change a setting or the password."""

    def __init__(self, words: str, *, is_setting: bool = False) -> None:
        super().__init__(words)
        self.is_setting = is_setting


class MailboxSecret:
    """What is shown at each login: the password, or an access token of OAuth 2.0, renewed before it ends.

    Calling it raises ConfigError for a file that can't be read, MailboxDown.
    """

    def __init__(self, section: MailboxSection, environment: Mapping[str, str]) -> None:
        self._section = section
        self._environment = environment
        self._access = ""
        self._ends_at = 0.0
        # Given along with an access token by those services whose refresh token is for one use.
        self._newer_refresh: tuple[str, str] = ("", "")

    def __call__(self) -> str:
        section = self._section
        if section.login == "password":
            return secret(self._environment, section.password_name)
        told = secret(self._environment, section.token_name)
        if not section.token_url or not told:
            return told
        if time.monotonic() >= self._ends_at:
            self._renew(section.token_url, told)
        return self._access

    def forget(self) -> None:
        """The server has refused the access token: the next one is asked for."""
        self._ends_at = 0.0

    def _renew(self, url: str, told: str) -> None:
        section = self._section
        given, newer = self._newer_refresh
        refresh = newer if given == told else told
        word = secret(self._environment, section.client_secret_name)
        form = {"grant_type": "refresh_token", "client_id": section.client_id, "refresh_token": refresh}
        form |= {"client_secret": word} if word else {}
        client = HttpClient(f"сервис токенов ящика {section.name}", url, refresh)
        try:
            answer = client.ask("POST", "", form=form)
        except ChannelRefused as error:
            words = f"токен не обновлён ({section.token_name}), дайте мосту доступ к ящику заново"
            raise MailboxDown(f"ящик {section.name}: {words}: {error}", is_setting=True) from error
        except ChannelError as error:
            raise MailboxDown(f"ящик {section.name}: {error}") from error
        access = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access:
            raise MailboxDown(f"ящик {section.name}: сервис токенов не дал access_token", is_setting=True)
        self._access = access
        self._newer_refresh = (told, str(answer.get("refresh_token") or refresh))
        self._ends_at = time.monotonic() + float(answer.get("expires_in") or 0) - TOKEN_MARGIN_SECONDS


@dataclass(frozen=True)
class FolderState:
    """``next_uid``: what the next letter will get."""

    validity: int
    next_uid: int


@dataclass(frozen=True)
class Envelope:
    """A letter in the folder, not fetched yet. ``at``: when the server got it."""

    uid: int
    size: int
    at: datetime


class MailboxConnection:
    """One connection to one box, one folder at a time.

    Everything raises MailboxDown, and is closed then. ``password`` is asked for at each login: its file may have been
    written anew.
    """

    def __init__(
        self, section: MailboxSection, password: Callable[[], str], *, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._section = section
        self._password = password
        self._timeout = timeout
        self._box: BaseMailBox | None = None
        self._folder = ""

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"ящик {self._section.name} ({self._section.host}:{self._section.port})"

    def check(self) -> str:
        """Log in, look into the folders, leave; what to say of it (Russian)."""
        try:
            self.open(self._section.folder)
            if self._section.sent:
                self.open(self._section.sent)
        finally:
            self.close()
        return f"почтовый сервер пускает в {self.place}"

    def open(self, folder: str) -> FolderState:
        """Log in if that is not done yet, and open the folder read-only."""
        with self._telling():
            if self._box is None:
                self._box = self._logged_in()
            client = self._box.client
            self._folder = ""
            # Read-only (EXAMINE): nothing can be changed by it.
            status, told = client.select(encode_folder(folder).decode("ascii"), readonly=True)
            if status != "OK":
                words = f"{self.place}: папки «{folder}» нет: {_text(told)}{self._folders()}"
                raise MailboxDown(words, is_setting=True)
            self._folder = folder
            return FolderState(self._response("UIDVALIDITY"), self._response("UIDNEXT") or self._last_uid() + 1)

    def letters_after(self, uid: int) -> list[Envelope]:
        """What came after this one, oldest first."""
        # «5:*» names the last letter even if its number is 3.
        return [one for one in self._envelopes(f"{uid + 1}:*") if one.uid > uid]

    def letters_since(self, day: date) -> list[Envelope]:
        """What came on this day or later, oldest first."""
        with self._telling():
            # The month's name is the protocol's, whatever the machine's language.
            months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
            found = self._client.uid("SEARCH", f"SINCE {day.day}-{months[day.month - 1]}-{day.year}")
            lines = [part for part in _parts(found, "SEARCH") if isinstance(part, bytes)]
            uids = [int(number) for number in _NUMBER.findall(b" ".join(lines))]
        envelopes: list[Envelope] = []
        for some in chunks(uids, TOGETHER):
            envelopes += self._envelopes(",".join(map(str, some)))
        return envelopes

    def fetch(self, uids: Sequence[int], *, headers_only: bool = False) -> dict[int, bytes]:
        """UID → the letter as it is, of those that are not gone. PEEK leaves them unseen."""
        what = "BODY.PEEK[HEADER]" if headers_only else "BODY.PEEK[]"
        found: dict[int, bytes] = {}
        with self._telling():
            parts = _parts(self._client.uid("FETCH", ",".join(map(str, uids)), f"(UID {what})"), "FETCH")
            for number, part in enumerate(parts):
                if isinstance(part, tuple):
                    # Some servers tell the UID behind the letter.
                    behind = parts[number + 1] if number + 1 < len(parts) else b""
                    uid = _UID.search(part[0]) or (_UID.search(behind) if isinstance(behind, bytes) else None)
                    if uid is not None:
                        found[int(uid[1])] = bytes(part[1])
        return found

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        """Until something comes (IDLE), or so long, or until the bridge stops.

        A server without IDLE is asked again when the time has passed.
        """
        with self._telling():
            box = self._box
            if box is None or "IDLE" not in box.client.capabilities:
                stopping.wait(seconds)
                return
            box.idle.start()  # type: ignore[no-untyped-call]
            until = time.monotonic() + seconds
            while time.monotonic() < until and not stopping.is_set():
                if box.idle.poll(timeout=IDLE_SLICE_SECONDS):
                    break
            box.idle.stop()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Leave, whatever the server says."""
        box, self._box, self._folder = self._box, None, ""
        if box is not None:
            with suppress(*_ANYTHING_BROKEN):
                box.client.logout()
            with suppress(*_ANYTHING_BROKEN):
                box.client.shutdown()

    @property
    def _client(self) -> imaplib.IMAP4:
        if self._box is None or not self._folder:
            raise imaplib.IMAP4.abort("no folder is open")
        return self._box.client

    def _logged_in(self) -> BaseMailBox:
        section = self._section
        try:
            password = self._password()
        except ConfigError as error:
            raise MailboxDown(f"{self.place}: {'; '.join(error.problems)}", is_setting=True) from error
        if not password:
            is_password = section.login == "password"
            missing = f"пароля ({section.password_name})" if is_password else f"токена ({section.token_name})"
            raise MailboxDown(f"{self.place}: нет {missing}", is_setting=True)
        trusted = ssl.create_default_context()
        if section.ca:
            trusted.load_verify_locations(section.ca)
        if section.tls == "tls":
            box: BaseMailBox = MailBox(section.host, section.port, timeout=self._timeout, ssl_context=trusted)
        elif section.tls == "starttls":
            box = MailBoxStartTls(section.host, section.port, timeout=self._timeout, ssl_context=trusted)
        else:
            box = MailBoxUnencrypted(section.host, section.port, timeout=self._timeout)
        try:
            if section.login == "xoauth2":
                self._show_token(box, password)
            elif section.user.isascii() and password.isascii():
                box.login(section.user, password, initial_folder=None)
            else:
                box.login_utf8(section.user, password, initial_folder=None)
        except BaseException:
            with suppress(*_ANYTHING_BROKEN):
                box.client.shutdown()
            raise
        return box

    def _show_token(self, box: BaseMailBox, token: str) -> None:
        try:
            box.xoauth2(self._section.user, token, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, MailboxLoginError) as error:
            if isinstance(self._password, MailboxSecret):
                self._password.forget()
            words = f"токен не принят ({self._section.token_name}), или это не токен {self._section.user}"
            raise MailboxDown(f"{self.place}: {words}: {error}", is_setting=True) from error

    def _envelopes(self, uids: str) -> list[Envelope]:
        with self._telling():
            found = self._client.uid("FETCH", uids, "(UID RFC822.SIZE INTERNALDATE)")
            lines = [part[0] if isinstance(part, tuple) else part for part in _parts(found, "FETCH")]
            return sorted(filter(None, map(_envelope, lines)), key=lambda one: one.uid)

    def _response(self, name: str) -> int:
        """What the server has said of the folder that was just opened."""
        assert self._box is not None
        _, values = self._box.client.response(name)
        return int(values[-1]) if values and values[-1] else 0

    def _last_uid(self) -> int:
        """For a server that tells no UIDNEXT."""
        return max((one.uid for one in self._envelopes("*")), default=0)

    def _folders(self) -> str:
        assert self._box is not None
        with suppress(*_ANYTHING_BROKEN):
            return "; есть: " + ", ".join(f"«{one.name}»" for one in self._box.folder.list())
        return ""

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Whatever breaks is told in words, and the connection is closed: nobody knows what it would say next."""
        section = self._section
        try:
            yield
        except MailboxDown:
            self.close()
            raise
        except MailboxLoginError as error:
            self.close()
            raise MailboxDown(
                f"{self.place}: имя или пароль не приняты ({section.password_name}): {error}. Яндекс, Mail.ru и Gmail"
                " ждут пароль приложения, не пароль от почты",
                is_setting=True,
            ) from error
        except ssl.SSLError as error:
            self.close()
            raise MailboxDown(f"{self.place}: шифрование не удалось: {error.reason or error}") from error
        except socket.gaierror as error:
            self.close()
            raise MailboxDown(f"{self.place}: такого сервера нет: {section.host}", is_setting=True) from error
        except MailboxFolderSelectError as error:
            self.close()
            raise MailboxDown(f"{self.place}: папка не открывается: {error}") from error
        except _ANYTHING_BROKEN as error:
            self.close()
            raise MailboxDown(f"{self.place}: связь прервалась: {type(error).__name__}: {error}") from error


def _parts(answer: tuple[str, Sequence[object]], command: str) -> list[bytes | tuple[bytes, bytes]]:
    status, parts = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{command}: {_text(parts)}")
    return [part for part in parts if isinstance(part, bytes | tuple)]


def _envelope(line: bytes) -> Envelope | None:
    uid, size, at = _UID.search(line), _SIZE.search(line), _DATE.search(line)
    if uid is None:
        return None
    local = imaplib.Internaldate2tuple(b'INTERNALDATE "' + at[1] + b'"') if at else None
    moment = datetime.fromtimestamp(time.mktime(local), UTC) if local else datetime.now(UTC)
    return Envelope(int(uid[1]), int(size[1]) if size else 0, moment)


def _text(parts: object) -> str:
    first = parts[0] if isinstance(parts, list | tuple) and parts else parts
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first or "")
