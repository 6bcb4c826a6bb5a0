"""What a config takes from the environment besides plain values: secrets, by value or by file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import make_url

from amo_bridge.errors import ConfigError

DATABASE_PASSWORD = "AMO_BRIDGE_DATABASE_PASSWORD"


def secret(environment: Mapping[str, str], name: str) -> str:
    """A secret from the environment, or from the file that ``name``_FILE names; empty if there is neither. Raises
    ConfigError for a file that can't be read."""
    if value := environment.get(name, "").strip():
        return value
    if not (path := environment.get(f"{name}_FILE", "").strip()):
        return ""
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}_FILE: файл {path} не читается: {error}"]) from error


def with_password(database: str, environment: Mapping[str, str]) -> str:
    """The database's address with the password that stands apart from it (AMO_BRIDGE_DATABASE_PASSWORD or
    AMO_BRIDGE_DATABASE_PASSWORD_FILE), so that neither the config nor a container's description holds it. Raises
    ConfigError."""
    password = secret(environment, DATABASE_PASSWORD)
    if not password:
        return database
    if not database.startswith("postgresql"):
        raise ConfigError([f"{DATABASE_PASSWORD}: пароль есть, а базы PostgreSQL нет; задайте AMO_BRIDGE_DATABASE"])
    return make_url(database).set(password=password).render_as_string(hide_password=False)
