"""Users: roles, passwords, links that set one; tokens of programs that use the API."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Self

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import api_tokens as tokens
from amo_bridge.storage.tables import links, sittings, users

# OWASP's password storage sheet (argon2id, 19 MiB, 2 passes): the hashing of several log-ins at once has to fit into
# the small machine that the bridge runs on.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
SHORTEST, LONGEST = 10, 200
FEWEST_DIFFERENT = 5


@cache
def _nobodys() -> str:
    """Somebody unknown costs as much time as a wrong password, or names could be found out by the clock. Made when it
    is first needed: a start must not wait for it."""
    return _hasher.hash("nobody's password")


def hashed(password: str) -> str:
    return _hasher.hash(password)


def fits(kept: str, password: str) -> bool:
    """Is it the password that was kept? ``kept`` empty: nobody's, and never."""
    try:
        return _hasher.verify(kept or _nobodys(), password) and bool(kept)
    except (Argon2Error, InvalidHashError):
        return False


def is_weak(password: str, login: str) -> bool:
    """Too short, of too few different characters, or the login with something around it."""
    plain = password.casefold()
    return (
        len(password) < SHORTEST or len(set(plain)) < FEWEST_DIFFERENT or (len(login) > 2 and login.casefold() in plain)
    )


# What a user may do. Each role may do all that the one before it may.


class Role(StrEnum):
    """``manager`` sees what is his own; ``viewer`` looks; ``webinar`` works with webinars and deals as well; ``head``
    decides about what the bridge did (forgives, repeats, takes back, stops a dial); ``admin`` may do everything."""

    MANAGER = "manager"
    VIEWER = "viewer"
    WEBINAR = "webinar"
    HEAD = "head"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """May he who has this role do what ``needed`` may?"""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, kw_only=True)
class RoleHolder:
    """A person or a program with rights. ``accounts``: account → role, if it has rights in these alone; None: ``role``
    counts in all accounts, and in what is common to all."""

    role: Role
    accounts: Mapping[str, Role] | None = None

    def at(self, account: str | None) -> Self | None:
        """With the role that counts in this account; None if it has none there. ``account`` None: there
        are several and none is named, so the largest role counts, for whatever then asks which is meant."""
        if self.accounts is None:
            return self
        if account is None:
            role = max(self.accounts.values(), key=list(Role).index, default=None)
        else:
            role = self.accounts.get(account)
        return None if role is None else replace(self, role=role)

    def sees(self, account: str) -> bool:
        return self.accounts is None or account in self.accounts


def stored_roles(role: Role, accounts: Mapping[str, Role] | None) -> dict[str, str | None]:
    """The columns of a row. Who has roles in some accounts only has the least one in ``role``, for older programs."""
    if accounts is None:
        return {"role": role, "accounts": None}
    return {"role": Role.VIEWER, "accounts": json.dumps(accounts, ensure_ascii=False)}


def roles_by_account(stored: str | None) -> Mapping[str, Role] | None:
    return None if stored is None else {name: Role(role) for name, role in json.loads(stored).items()}


# The users, and the sittings of those who are logged in: a cookie is only the name of a row that can be deleted.

IDLE = timedelta(hours=8)
AT_MOST = timedelta(days=7)
# How exactly it is known when somebody was here last: not every click is worth a write.
SEEN_EVERY = 60.0


class AlreadyHere(ValueError):
    """He has set his password: he can be disabled, and stays in the list of who changed what."""


class LastAdmin(ValueError):
    """Without this admin nobody could change anything any more."""


@dataclass(frozen=True, kw_only=True)
class User(RoleHolder):
    """``has_password``: he has used the link that he was given. ``seen_at``: None if he was never here."""

    id: int
    login: str
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

    def by_login(self, login: str) -> User | None:
        with self._store.read() as connection:
            row = connection.execute(select(users).where(users.c.folded == fold(login))).first()
        return _user(row) if row else None

    def password_mark(self, user_id: int) -> str:
        """What tells this user with this password from every other: it changes with the password, and tells nothing of
        it."""
        with self._store.read() as connection:
            kept = connection.execute(select(users.c.password).where(users.c.id == user_id)).scalar()
        return digest(f"{user_id} {kept or ''}")[:32]

    def add(self, login: str, role: Role, accounts: Mapping[str, Role] | None = None) -> User | None:
        """A new user, who has no password yet; None if the name is taken."""
        with self._store.write() as connection:
            return _added(connection, login, stored_roles(role, accounts), "", self._now)

    def add_first(self, connection: Connection, login: str, password: str) -> User | None:
        """The first admin; None if there is somebody already. In the caller's transaction."""
        if count(connection):
            return None
        return _added(connection, login, stored_roles(Role.ADMIN, None), hashed(password), self._now)

    def set_password(self, connection: Connection, user_id: int, password: str) -> None:
        """Also ends all his sittings: perhaps the old password was somebody else's too."""
        connection.execute(update(users).where(users.c.id == user_id).values(password=hashed(password)))
        connection.execute(delete(sittings).where(sittings.c.user_id == user_id))

    def set_role(self, user_id: int, role: Role, accounts: Mapping[str, Role] | None = None) -> None:
        """Counts from the next click on. Raises LastAdmin."""
        with self._store.write() as connection:
            connection.execute(update(users).where(users.c.id == user_id).values(**stored_roles(role, accounts)))
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

    def knows(self, user_id: int, password: str) -> bool:
        """Is it the user's password? To be asked again before what a stolen sitting must not do."""
        with self._store.read() as connection:
            row = connection.execute(select(users).where(users.c.id == user_id)).first()
        return fits(row.password if row else "", password) and row is not None and row.disabled_at is None

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


def _added(
    connection: Connection, login: str, roles: Mapping[str, str | None], password: str, now: float
) -> User | None:
    name = " ".join(login.split())
    row = {"login": name, "folded": fold(name), **roles, "password": password, "created_at": now}
    if not insert_new(connection, users, [row]):
        return None
    return _user(connection.execute(select(users).where(users.c.folded == fold(name))).one())


def _needs_an_admin(connection: Connection) -> None:
    """Checked after the change, in its transaction: raised, it takes the change back."""
    able = (
        users.c.role == Role.ADMIN,
        users.c.accounts.is_(None),
        users.c.disabled_at.is_(None),
        users.c.password != "",
    )
    if not connection.execute(select(users.c.id).where(*able).limit(1).with_for_update()).first():
        raise LastAdmin


def _is_over(now: float) -> ColumnElement[bool]:
    return (sittings.c.seen_at < now - IDLE.total_seconds()) | (sittings.c.began_at < now - AT_MOST.total_seconds())


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        login=row.login,
        role=Role(row.role),
        accounts=roles_by_account(row.accounts),
        is_disabled=row.disabled_at is not None,
        has_password=bool(row.password),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        seen_at=None if row.seen_at is None else datetime.fromtimestamp(row.seen_at, UTC),
    )


# Links that let in once: to make the first admin, or to set one's own password.

Kind = Literal["setup", "password"]
LIFE: dict[Kind, timedelta] = {"setup": timedelta(days=1), "password": timedelta(days=3)}


class Links:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def for_first_admin(self) -> str | None:
        """A link's secret; None if there are users already. Several processes may each give out their own."""
        with self._store.write() as connection:
            return None if count(connection) else self._issue(connection, "setup", None)

    def for_password(self, user_id: int) -> str:
        """A link's secret. The user's link before it works no more."""
        with self._store.write() as connection:
            connection.execute(delete(links).where(links.c.kind == "password", links.c.user_id == user_id))
            return self._issue(connection, "password", user_id)

    def is_good(self, kind: Kind, secret: str) -> bool:
        """Does it work still? Opening the page does not use it up: mail programs open links by themselves."""
        with self._store.read() as connection:
            return connection.execute(select(links.c.digest).where(*self._is(kind, secret))).first() is not None

    def user_of(self, secret: str) -> int | None:
        """Whose password it sets."""
        with self._store.read() as connection:
            return connection.execute(select(links.c.user_id).where(*self._is("password", secret))).scalar()

    def use(self, connection: Connection, kind: Kind, secret: str) -> bool:
        """Use it up, in the caller's transaction; False if it is used up, or too old, or none."""
        used = connection.execute(delete(links).where(*self._is(kind, secret))).rowcount == 1
        if used and kind == "setup":
            connection.execute(delete(links).where(links.c.kind == "setup"))
        return used

    def _is(self, kind: Kind, secret: str) -> tuple[ColumnElement[bool], ...]:
        now = self._clock.now().timestamp()
        return (links.c.kind == kind, links.c.digest == digest(secret), links.c.until > now)

    def _issue(self, connection: Connection, kind: Kind, user_id: int | None) -> str:
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        connection.execute(delete(links).where(links.c.until <= now.timestamp()))
        until = (now + LIFE[kind]).timestamp()
        connection.execute(insert(links).values(digest=digest(secret), kind=kind, user_id=user_id, until=until))
        return secret


# --- tokens of programs -----------------------------------------------------------------------------------------------
# Shown once, kept as a digest.

# Whoever finds one lying about sees what it is.
PREFIX = "amb_"


@dataclass(frozen=True, kw_only=True)
class ApiToken(RoleHolder):
    """``used_at``: None if it never was."""

    id: int
    name: str
    created_at: datetime
    created_by: str
    used_at: datetime | None

    def may(self, needed: Role) -> bool:
        return self.role.covers(needed)


PROGRAM_ROLES = tuple(role for role in Role if role is not Role.MANAGER)
"""What a token may be of. A manager sees what is his own, and a program is nobody: nothing would be open to it."""


class ApiTokens:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def all(self) -> list[ApiToken]:
        """Those that work, newest first."""
        query = select(tokens).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.id.desc())
        with self._store.read() as connection:
            return [_token(row) for row in connection.execute(query)]

    def issue(self, name: str, role: Role, who: str, accounts: Mapping[str, Role] | None = None) -> str:
        """A new token's secret: nobody is told it again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = {
            "name": name,
            "digest": digest(secret),
            **stored_roles(role, accounts),
            "created_at": self._now,
            "created_by": who,
        }
        with self._store.write() as connection:
            connection.execute(insert(tokens).values(row))
        return secret

    def revoke(self, token_id: int) -> str | None:
        """The name of the token, which works no more; None if it did not."""
        query = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        with self._store.write() as connection:
            return connection.execute(query.values(revoked_at=self._now).returning(tokens.c.name)).scalar()

    def of(self, secret: str, *, is_use: bool = True) -> ApiToken | None:
        """Whose secret it is; None if it works no more, or never did. ``is_use``: a program came with it."""
        query = select(tokens).where(tokens.c.digest == digest(secret), tokens.c.revoked_at.is_(None))
        with self._store.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        if is_use and (row.used_at is None or self._now - row.used_at > SEEN_EVERY):
            with self._store.write() as connection:
                connection.execute(update(tokens).where(tokens.c.id == row.id).values(used_at=self._now))
        return _token(row)

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        accounts=roles_by_account(row.accounts),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        created_by=row.created_by,
        used_at=None if row.used_at is None else datetime.fromtimestamp(row.used_at, UTC),
    )
