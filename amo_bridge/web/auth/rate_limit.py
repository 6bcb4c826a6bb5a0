"""Rate limit of log-ins, counted in the store before a password is looked at.

A guesser is shut out together with the address he comes from; whoever knows a name can't shut its owner out. Only
guessing from very many addresses closes a name, and even then not for the browsers that have logged in by it before. A
try's name (a login that was typed, an address) is kept as a digest only: people type passwords into the wrong field.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Any

from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import Connection
from werkzeug.exceptions import TooManyRequests

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import tries
from amo_bridge.web.auth.users import digest, fold
from amo_bridge.web.context import accounts, count_log_in

WINDOW = 15 * 60
# Nobody mistypes his password so often; and at this pace nobody guesses a good one.
PER_NAME_AND_ADDRESS, PER_ADDRESS, PER_NAME = 8, 30, 100
PER_DEVICE = 8

DEVICE_COOKIE = "amo_bridge_device"
DEVICE_DAYS = 180
# How many people one browser remembers.
MOST_PEOPLE = 5


class TooManyTries(TooManyRequests):
    """``seconds``: until the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(frozen=True)
class Limit:
    """``key``: what is counted; ``scope``: the same, for people (Russian)."""

    key: str
    most: int
    scope: str


@dataclass(frozen=True)
class Breach:
    limit: Limit
    seconds: int


class Tries:
    """The tries of the last ``WINDOW`` seconds. Everything raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, limits: Sequence[Limit]) -> list[int] | Breach:
        """Count a try against every limit, or against none if it is one too many for any. Old ones are forgotten."""
        now = time.time()
        with self._store.write() as connection:
            for limit in sorted(limits, key=lambda limit: limit.key):
                _alone(connection, limit.key)
            connection.execute(delete(tries).where(tries.c.until <= now))
            for limit in limits:
                mine = (tries.c.digest == digest(limit.key), tries.c.at > now - WINDOW)
                many, oldest = connection.execute(select(func.count(), func.min(tries.c.at)).where(*mine)).one()
                if many >= limit.most:
                    return Breach(limit, min(max(1, round(oldest + WINDOW - now)), WINDOW))
            return [
                connection.execute(
                    insert(tries).values(digest=digest(limit.key), at=now, until=now + WINDOW).returning(tries.c.id)
                ).scalar_one()
                for limit in limits
            ]

    def take_back(self, numbers: Sequence[int]) -> None:
        """They were none: the password was right."""
        with self._store.write() as connection:
            connection.execute(delete(tries).where(tries.c.id.in_(numbers)))


def _alone(connection: Connection, key: str) -> None:
    """Other replicas wait with this key until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": digest(key)})


@dataclass(frozen=True)
class LogInTry:
    """A try that was counted. ``succeeded`` is called when the password was right."""

    numbers: Sequence[int]

    def failed(self) -> None:
        count_log_in("wrong")

    def succeeded(self) -> None:
        Tries(accounts().store).take_back(self.numbers)
        count_log_in("in")


def begin_log_in(login: str) -> LogInTry:
    """Raises TooManyTries; then nobody looks at the password."""
    name = fold(login)[:80]
    counted = Tries(accounts().store).begin(_limits(name))
    if isinstance(counted, Breach):
        count_log_in("refused")
        _write_down(name, counted)
        raise TooManyTries(counted.seconds)
    return LogInTry(counted)


def _limits(name: str) -> list[Limit]:
    """A browser that has logged in by this name counts by itself: what others do at its address, or with its user's
    name, does not concern it."""
    address = network(request.remote_addr)
    if device := _known_device(name):
        return [Limit(f"device {device} {name}", PER_DEVICE, f"знакомый браузер, адрес {address}")]
    return [
        Limit(f"name and address {name} {address}", PER_NAME_AND_ADDRESS, f"адрес {address}"),
        Limit(f"address {address}", PER_ADDRESS, f"адрес {address}"),
        Limit(f"name {name}", PER_NAME, "с разных адресов; кто входил раньше, входит со своего браузера"),
    ]


def network(address: str | None) -> str:
    """The address; of IPv6 the network that one customer has for himself."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _write_down(name: str, breach: Breach) -> None:
    """Once for each time that somebody is shut out. What was typed for a name may be a password: only names that there
    are go into the audit."""
    here = accounts()
    known = next((user.login for user in here.users.all() if fold(user.login) == name), None)
    scope = breach.limit.scope
    words = f"Вход закрыт на время: много неверных паролей, {known or 'имени такого нет'}, {scope}"
    since = datetime.fromtimestamp(time.time() - WINDOW, UTC)
    if not here.audit.has("log-in.locked", words, since):
        here.audit.write(known or "неизвестный", "log-in.locked", words)


# Browsers that are known: a signed cookie, given at a log-in, that names whoever has logged in by them.


def remember_device(response: Response, user_id: int) -> Response:
    """Let the browser show later that this user has logged in by it. A new password makes it unknown again."""
    mark = accounts().users.password_mark(user_id)
    device, marks = _device_cookie() or (secrets.token_urlsafe(12), [])
    marks = [mark, *(one for one in marks if one != mark)][:MOST_PEOPLE]
    response.set_cookie(
        DEVICE_COOKIE,
        _signer().dumps([device, marks]),
        max_age=DEVICE_DAYS * 24 * 3600,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure or request.headers.get("X-Forwarded-Proto") == "https",
    )
    return response


def _known_device(name: str) -> str | None:
    told = _device_cookie()
    if told is None:
        return None
    device, marks = told
    known = accounts().users.by_login(name)
    return device if known is not None and accounts().users.password_mark(known.id) in marks else None


def _device_cookie() -> tuple[str, list[str]] | None:
    """What the browser's cookie says, if we have signed it: the browser, and for whom it is known."""
    try:
        told: Any = _signer().loads(request.cookies.get(DEVICE_COOKIE, ""), max_age=DEVICE_DAYS * 24 * 3600)
    except BadData:
        return None
    device, marks = told
    return device, marks


def _signer() -> URLSafeTimedSerializer:
    key = current_app.secret_key
    assert key is not None, "guard.needs_key has seen to it"
    return URLSafeTimedSerializer(key, salt="device")
