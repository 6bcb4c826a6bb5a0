"""A real mail server for tests (aiosmtpd), that takes letters in or behaves badly when it is told to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from amo_bridge.config.channels import MailSection

USER, PASSWORD = "info@agency.example", "secret-2026"


@dataclass
class Post:
    """What the server has taken, and how it is to behave: ``rcpt`` and ``data`` are its replies, by address or for the
    next letters; ``hang_up``: it goes without a word, "before" or "after" it has taken the text."""

    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    hang_up: str = ""
    connections: int = 0

    @property
    def letters(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=WIRE) for raw in self.taken]  # type: ignore[arg-type, misc]

    # --- what aiosmtpd asks ---

    async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, host: str, said: list[str]) -> Any:
        self.connections += 1
        session.host_name = host
        return said

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self.rcpt.get(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hang_up == "before":
            server.transport.close()
            return "250 nobody hears this"
        reply = self.data.pop(0) if self.data else "250 OK"
        if reply.startswith("2"):
            assert isinstance(envelope.original_content, bytes)
            self.taken.append(envelope.original_content)
            self.to += envelope.rcpt_tos
        if self.hang_up == "after":
            server.transport.close()
        return reply


class _Knows:
    """One user with one password."""

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


@contextmanager
def post_office(tls: str = "none", *, auth: bool = False, certificate: Path | None = None) -> Iterator[Post]:
    """``tls``: as in ``[mail]``; then ``certificate`` is the PEM file with the key in it."""
    post = Post()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
    if auth:
        options |= {
            "authenticator": _Knows(),
            "auth_required": tls == "starttls",
            "auth_require_tls": tls == "starttls",
        }
    if tls == "tls":
        options["ssl_context"] = context
    elif tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    controller = _AnyPort(post, **options)
    controller.start()
    try:
        post.port = controller.port
        yield post
    finally:
        controller.stop()


class _AnyPort(Controller):
    def _trigger_server(self) -> None:
        """The controller looks whether it answers, and has to know which port it was given."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def section(post: Post, **more: Any) -> MailSection:
    facts: dict[str, Any] = {
        "host": "127.0.0.1", "port": post.port, "tls": "none", "from": "Агентство «Ромашка» <info@agency.example>",
    }  # fmt: skip
    return MailSection.model_validate(facts | more)


def make_certificate(folder: Path) -> Path:
    """A certificate of our own for 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test post office")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "post.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
