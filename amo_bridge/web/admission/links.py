"""Links that let in once: to make the first admin, or to set one's own password."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import links
from amo_bridge.web.admission.users import count, digest

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
