"""The users, and the sittings of those who are logged in: a cookie is only the name of a row that can be deleted."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import links, sittings, users
from amo_bridge.web.admission.passwords import fits, hashed
from amo_bridge.web.admission.roles import Role

IDLE = timedelta(hours=8)
AT_MOST = timedelta(days=7)
# How exactly it is known when somebody was here last: not every click is worth a write.
SEEN_EVERY = 60.0


class AlreadyHere(ValueError):
    """He has set his password: he can be disabled, and stays in the list of who changed what."""


class LastAdmin(ValueError):
    """Without this admin nobody could change anything any more."""


@dataclass(frozen=True)
class User:
    """``has_password``: he has used the link that he was given. ``seen_at``: None if he was never here."""

    id: int
    login: str
    role: Role
    is_disabled: bool
    has_password: bool
    created_at: datetime
    seen_at: datetime | None

    def may(self, needed: Role) -> bool:
        return not self.is_disabled and self.role.covers(needed)


class Users:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def all(self) -> list[User]:
        """By name."""
        with self._store.read() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.folded))]

    def by_id(self, user_id: int) -> User | None:
        with self._store.read() as connection:
            row = connection.execute(select(users).where(users.c.id == user_id)).first()
        return _user(row) if row else None

    def add(self, login: str, role: Role) -> User | None:
        """A new user, who has no password yet; None if the name is taken."""
        with self._store.write() as connection:
            return _added(connection, login, role, "", self._now)

    def add_first(self, connection: Connection, login: str, password: str) -> User | None:
        """The first admin; None if there is somebody already. In the caller's transaction."""
        if count(connection):
            return None
        return _added(connection, login, Role.ADMIN, hashed(password), self._now)

    def set_password(self, connection: Connection, user_id: int, password: str) -> None:
        """Also ends all his sittings: perhaps the old password was somebody else's too."""
        connection.execute(update(users).where(users.c.id == user_id).values(password=hashed(password)))
        connection.execute(delete(sittings).where(sittings.c.user_id == user_id))

    def set_role(self, user_id: int, role: Role) -> None:
        """Counts from the next click on. Raises LastAdmin."""
        with self._store.write() as connection:
            connection.execute(update(users).where(users.c.id == user_id).values(role=role))
            _needs_an_admin(connection)

    def disable(self, user_id: int) -> None:
        """He is out at once. Raises LastAdmin."""
        with self._store.write() as connection:
            connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=self._now))
            connection.execute(delete(sittings).where(sittings.c.user_id == user_id))
            _needs_an_admin(connection)

    def enable(self, user_id: int) -> None:
        with self._store.write() as connection:
            connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=None))

    def withdraw(self, user_id: int) -> None:
        """An invitation that nobody has used is as if it had never been, its link too: SQLite may give the number to
        somebody else. Raises AlreadyHere."""
        with self._store.write() as connection:
            unused = (users.c.id == user_id, users.c.password == "")
            if not connection.execute(delete(users).where(*unused)).rowcount:
                raise AlreadyHere
            connection.execute(delete(links).where(links.c.user_id == user_id))

    # --- sittings ---

    def log_in(self, login: str, password: str) -> tuple[User, str] | None:
        """The user and the secret of his new sitting; None for a wrong name or password, or a disabled user."""
        with self._store.read() as connection:
            row = connection.execute(select(users).where(users.c.folded == fold(login))).first()
        if not fits(row.password if row else "", password) or row is None or row.disabled_at is not None:
            return None
        return _user(row), self.sit_down(row.id)

    def sit_down(self, user_id: int) -> str:
        """The secret of a new sitting. Sittings that are over are swept away."""
        secret, now = secrets.token_urlsafe(32), self._now
        with self._store.write() as connection:
            connection.execute(delete(sittings).where(_is_over(now)))
            connection.execute(
                insert(sittings).values(digest=digest(secret), user_id=user_id, began_at=now, seen_at=now)
            )  # fmt: skip
            connection.execute(update(users).where(users.c.id == user_id).values(seen_at=now))
        return secret

    def sitting(self, secret: str, *, is_alive: bool) -> User | None:
        """Whose sitting it is; None when it is over. ``is_alive``: a person did something, not a page by itself."""
        now = self._now
        query = select(users, sittings.c.seen_at.label("sat_at")).join(sittings, sittings.c.user_id == users.c.id)
        with self._store.read() as connection:
            row = connection.execute(query.where(sittings.c.digest == digest(secret), ~_is_over(now))).first()
        if row is None or row.disabled_at is not None:
            return None
        if is_alive and now - row.sat_at > SEEN_EVERY:
            with self._store.write() as connection:
                connection.execute(update(sittings).where(sittings.c.digest == digest(secret)).values(seen_at=now))
                connection.execute(update(users).where(users.c.id == row.id).values(seen_at=now))
        return _user(row)

    def stand_up(self, secret: str) -> None:
        """The sitting is over, for whoever has the secret."""
        with self._store.write() as connection:
            connection.execute(delete(sittings).where(sittings.c.digest == digest(secret)))

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(users)).scalar_one())


def fold(login: str) -> str:
    return " ".join(login.split()).casefold()


def digest(secret: str) -> str:
    """Under which name a secret is kept. It is long and random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _added(connection: Connection, login: str, role: Role, password: str, now: float) -> User | None:
    name = " ".join(login.split())
    row = {"login": name, "folded": fold(name), "role": role, "password": password, "created_at": now}
    if not insert_new(connection, users, [row]):
        return None
    return _user(connection.execute(select(users).where(users.c.folded == fold(name))).one())


def _needs_an_admin(connection: Connection) -> None:
    """Checked after the change, in its transaction: raised, it takes the change back."""
    able = (users.c.role == Role.ADMIN, users.c.disabled_at.is_(None), users.c.password != "")
    if not connection.execute(select(users.c.id).where(*able).limit(1).with_for_update()).first():
        raise LastAdmin


def _is_over(now: float) -> ColumnElement[bool]:
    return (sittings.c.seen_at < now - IDLE.total_seconds()) | (sittings.c.began_at < now - AT_MOST.total_seconds())


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        login=row.login,
        role=Role(row.role),
        is_disabled=row.disabled_at is not None,
        has_password=bool(row.password),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        seen_at=None if row.seen_at is None else datetime.fromtimestamp(row.seen_at, UTC),
    )
