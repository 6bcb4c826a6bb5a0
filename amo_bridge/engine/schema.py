"""The store's tables are brought to the newest revision when it is opened; what is in them stays.

Alembic is loaded only when there is something to do: a start on an up-to-date store costs one query.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from amo_bridge.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0014"
# The shape of stores that were made before there were revisions.
UNNUMBERED = "0001"
VERSION_TABLE = "alembic_version"
# Any number, the same in all processes: one of them migrates, the others wait.
ADVISORY_LOCK = 0x616D6F62
# Alembic keeps what it is working on in globals.
_one_at_a_time = Lock()


def upgrade(engine: Engine) -> None:
    """Make the tables, or bring them up to date. All or nothing, and safe when several processes start at once.

    Raises StoreUnavailable for a store that a newer amo-bridge has worked on."""
    with engine.connect().execution_options(amo_bridge_read=True) as connection:
        if version_of(connection) == HEAD:
            return
    with _one_at_a_time, engine.begin() as connection:
        # SQLite's transaction has locked everybody out by beginning.
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        _to_head(connection)


def version_of(connection: Connection) -> str | None:
    """The store's revision; None if it has none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _to_head(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(connection)
    version = version_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreUnavailable(
            f"база новее программы: её версия {version}, а эта программа знает {HEAD}; обновите amo-bridge"
        )
    if version is None and inspect(connection).has_table("inbox"):
        command.stamp(config, UNNUMBERED)
    command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "amo_bridge.engine:migrations")
    config.set_main_option("path_separator", "os")
    return config
