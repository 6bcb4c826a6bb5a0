"""Tokens of programs that use the API: shown once, kept as a digest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from amo_bridge.clock import Clock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import api_tokens as tokens
from amo_bridge.web.auth.users import SEEN_EVERY, Role, RoleHolder, digest, roles_by_account, stored_roles

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
