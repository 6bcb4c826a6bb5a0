"""Bearer tokens and OAuth's codes and refresh tokens, as the sandbox's account keeps them.

Tables: ``tokens`` by bearer token (``{"token", "user_id", "client_id", "expires_at"}`` and optionally ``scopes``),
``refresh_tokens`` by refresh token (``{"client_id", "user_id", "access_token", "expires_at", "is_used"}``) and
``oauth_codes`` by code (``{"client_id", "user_id", "expires_at", "is_used"}``). Times are the sandbox clock's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from amo_bridge.sandbox.world import Record, World

ALL_SCOPES = ("crm", "files", "files_delete", "notifications", "push_notifications")
LONG_LIFE_SECONDS = 5 * 365 * 24 * 3600
REFRESH_LIFE_SECONDS = 90 * 86400
CODE_LIFE_SECONDS = 20 * 60
ACCESS_LIFE_SECONDS = 86400
SETTINGS = "oauth_settings"


def settings(world: World) -> dict[str, Any]:
    """``access_life`` and ``code_life`` in seconds, ``scopes`` of new tokens; see /sandbox/oauth."""
    defaults = {"access_life": ACCESS_LIFE_SECONDS, "code_life": CODE_LIFE_SECONDS, "scopes": list(ALL_SCOPES)}
    return {**defaults, **world.table(SETTINGS).get("settings", {})}


def valid_token(world: World, token: str) -> Record | None:
    """The token's record, None if it is unknown, revoked or has expired."""
    record = world.table("tokens").get(token)
    if record is None:
        return None
    expires_at = record.get("expires_at")
    return record if expires_at is None or expires_at > world.clock.now() else None


def scopes_of(record: Record) -> Sequence[str]:
    return tuple(record.get("scopes") or ALL_SCOPES)


def issue_pair(world: World, client_id: str, user_id: int, host: str) -> dict[str, Any]:
    """A new access and refresh token, as POST /oauth2/access_token answers."""
    now, oauth = world.clock.now(), settings(world)
    expires_at = now + int(oauth["access_life"])
    access = _jwt(world, client_id, user_id, host, now, expires_at, oauth["scopes"])
    refresh = "def50200" + secrets.token_hex(160)
    record = {"client_id": client_id, "user_id": user_id, "expires_at": expires_at}
    world.table("tokens")[access] = {"token": access, **record, "scopes": oauth["scopes"]}
    world.table("refresh_tokens")[refresh] = {
        **record,
        "access_token": access,
        "expires_at": now + REFRESH_LIFE_SECONDS,
        "is_used": False,
    }
    return {
        "token_type": "Bearer",
        "expires_in": int(oauth["access_life"]),
        "server_time": now,
        "access_token": access,
        "refresh_token": refresh,
    }


def long_lived(world: World, record: Record, host: str) -> str:
    """A token of the integration's page: a JWT like the others, good for up to five years."""
    now = world.clock.now()
    expires_at = record["expires_at"] or now + LONG_LIFE_SECONDS
    client_id = next(iter(world.table("oauth_clients")), "")
    return _jwt(world, client_id, record["user_id"], host, now, expires_at, scopes_of(record))


def issue_code(world: World, client_id: str, user_id: int) -> str:
    """A one-use authorization code."""
    code = "def50200" + secrets.token_hex(120)
    expires_at = world.clock.now() + int(settings(world)["code_life"])
    record = {"client_id": client_id, "user_id": user_id, "expires_at": expires_at, "is_used": False}
    world.table("oauth_codes")[code] = record
    return code


def use_up(world: World, table: str, key: str) -> None:
    """Marks a code or refresh token as used."""
    world.table(table)[key] = {**world.table(table)[key], "is_used": True}


def revoke_client(world: World, client_id: str) -> int:
    """Deactivating an integration kills all its tokens. Returns how many bearer tokens died."""
    tokens = world.table("tokens")
    dead = [token for token, record in tokens.items() if record.get("client_id") == client_id]
    for token in dead:
        del tokens[token]
    for refresh, record in list(world.table("refresh_tokens").items()):
        if record["client_id"] == client_id:
            use_up(world, "refresh_tokens", refresh)
    return len(dead)


def _jwt(
    world: World, client_id: str, user_id: int, host: str, now: int, expires_at: int, scopes: Sequence[str]
) -> str:
    """Looks like amoCRM's token.

    Nobody outside can check amoCRM's signature, so a symmetric one stands in.
    """
    claims = {
        "aud": client_id,
        "jti": secrets.token_hex(40),
        "iat": now,
        "nbf": now,
        "exp": expires_at,
        "sub": str(user_id),
        "grant_type": "",
        "account_id": world.account["id"],
        "base_domain": host,
        "version": 2,
        "scopes": list(scopes),
        "api_domain": host,
    }
    head = {"typ": "JWT", "alg": "HS256", "jti": claims["jti"]}
    signed = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"
    signature = hmac.new(b"sandbox", signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(signature)}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
