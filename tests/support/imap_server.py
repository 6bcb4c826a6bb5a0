"""A real IMAP server for tests: Dovecot on 127.0.0.1, with a config and mailboxes of its own, never as root."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from amo_bridge.config.intake import MailboxSection
from bench.processes import free_port

DOVECOT = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")
needs_dovecot = pytest.mark.skipif(DOVECOT is None, reason="no Dovecot here: apt-get install dovecot-imapd")
USER, PASSWORD = "info", "Пароль-2026"
OPENS_WITHIN_SECONDS = 20.0
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = create
  }}
}}
"""


# Dovecot asks this address whose an access token is.
TOKENS = """
auth_mechanisms = plain xoauth2
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/tokens
}}
"""


@dataclass
class ImapServer:
    """``port``: of Dovecot."""

    port: int
    folder: Path

    def section(self, **changes: Any) -> MailboxSection:
        """The box as a config says it."""
        told = {"name": "info", "host": "127.0.0.1", "port": self.port, "tls": "none", "user": USER, **changes}
        return MailboxSection.model_validate(told)

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        """Somebody's mail program."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        try:
            token = f"\0{USER}\0{PASSWORD}".encode()
            client.authenticate("PLAIN", lambda _: token)
            yield client
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def deliver(self, *letters: bytes, folder: str = "INBOX", at: datetime | None = None) -> None:
        """Letters that come in."""
        with self.client() as client:
            for letter in letters:
                moment = imaplib.Time2Internaldate(at or datetime.now(UTC))
                status, told = client.append(folder, "", moment, letter)
                assert status == "OK", told

    def flags(self) -> list[bytes]:
        """Of each letter, as everybody sees them."""
        with self.client() as client:
            client.select("INBOX", readonly=True)
            return [line for line in client.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]

    def number_anew(self) -> None:
        """Another UIDVALIDITY: as after a move to another server."""
        box = self.folder / "mail" / USER
        numbers = box / "dovecot-uidlist"
        numbers.write_text(
            re.sub(r" V(\d+)", lambda found: f" V{int(found[1]) + 1}", numbers.read_text("utf-8"), count=1)
        )
        for path in (*box.glob("dovecot-uidvalidity*"), *box.glob("dovecot.index*")):
            path.unlink()


@contextmanager
def imap_server(tokens_url: str = "") -> Iterator[ImapServer]:
    """Dovecot with one empty box. ``tokens_url``: who knows the access tokens of OAuth 2.0."""
    assert DOVECOT
    is_root = os.geteuid() == 0
    account = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
    user, group = account.pw_name, grp.getgrgid(account.pw_gid).gr_name
    # Sockets have short paths, and a test's own folder is not.
    folder = Path(tempfile.mkdtemp(prefix="imap-", dir="/tmp"))
    server = ImapServer(free_port(), folder)
    try:
        for name in ("run", "state", "mail", "home"):
            (folder / name).mkdir()
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", "utf-8")
        config = CONFIG.format(folder=folder, user=user, group=group, port=server.port)
        if tokens_url:
            config = TOKENS.format(folder=folder) + config
            tokens = f"tokeninfo_url = {tokens_url}\nusername_attribute = email\n"
            (folder / "tokens").write_text(tokens, "utf-8")
        (folder / "dovecot.conf").write_text(config, "utf-8")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        as_user: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if is_root else {}
        )
        process = subprocess.Popen(
            [DOVECOT, "-F", "-c", str(folder / "dovecot.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_user,
        )
        try:
            _wait_open(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_open(server: ImapServer, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + OPENS_WITHIN_SECONDS
    while True:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", server.port), 1)):
            return
        log = server.folder / "log"
        assert process.poll() is None, log.read_text() if log.exists() else "no log"
        assert time.monotonic() < until, "Dovecot does not open its port"
        time.sleep(0.02)


@dataclass
class CuttingProxy:
    """Stands before a server. ``cuts``: after so many bytes of the server's the next connections are cut; then none."""

    port: int
    cuts: list[int] = field(default_factory=list)
    connections: int = 0
    open: list[socket.socket] = field(default_factory=list)

    def cut_now(self) -> None:
        """Cut whatever is open."""
        for one in self.open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open.clear()


@contextmanager
def cutting_proxy(to_port: int) -> Iterator[CuttingProxy]:
    """A proxy on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = CuttingProxy(listener.getsockname()[1])
    relays: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            proxy.connections += 1
            outside = socket.create_connection(("127.0.0.1", to_port))
            proxy.open += [inside, outside]
            left = proxy.cuts.pop(0) if proxy.cuts else None
            relays.append(threading.Thread(target=_relay, args=(inside, outside, left), daemon=True))
            relays[-1].start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        proxy.cut_now()
        for one in (thread, *relays):
            one.join()


def _relay(inside: socket.socket, outside: socket.socket, left: int | None) -> None:
    with closing(inside), closing(outside):
        back = threading.Thread(target=_pass_on, args=(inside, outside, None), daemon=True)
        back.start()
        _pass_on(outside, inside, left)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket, left: int | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if left is not None:
                data, left = data[:left], left - len(data)
            target.sendall(data)
            if left is not None and left <= 0:
                break
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def letter(
    words: str = "Нужна реклама у блогеров.",
    *,
    number: int = 1,
    sender: str = "Зоя Тестова <zoya@example.com>",
    subject: str = "Реклама",
    files: tuple[tuple[str, bytes], ...] = (),
    **headers: str,
) -> bytes:
    """A letter as mail programs write it; ``headers``: more of them, «_» for «-»."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "info@agency.example", subject
    message["Message-ID"] = f"<letter-{number}@mail.example.com>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(words)
    for name, content in files:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
