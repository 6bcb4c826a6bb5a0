"""Passwords: how they are kept, and which are taken."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

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
