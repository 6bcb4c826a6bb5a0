"""The store's tables are brought to the newest revision when it is opened; what is in them stays.

Alembic is loaded only for a store of an earlier revision: a start on an up-to-date one costs one query, and a new one
is made as the code says, which is what all revisions together come to.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from amo_bridge.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config


HEAD = "0063"
# The shape of stores that were made before there were revisions.
UNNUMBERED = "0001"
VERSION_TABLE = "alembic_version"
# Any number, the same in all processes: one of them migrates, the others wait.
ADVISORY_LOCK = 0x616D6F62
# Alembic keeps what it is working on in globals.
_one_at_a_time = Lock()


def upgrade(engine: Engine, metadata: MetaData) -> None:
    """Make the tables of ``metadata``, or bring them up to date. All or nothing, and safe when several processes start
    at once.

    Raises StoreUnavailable for a store that a newer amo-bridge has worked on."""
    with engine.connect().execution_options(amo_bridge_read=True) as connection:
        if version_of(connection) == HEAD:
            return
    with _one_at_a_time, engine.begin() as connection:
        # SQLite's transaction has locked everybody out by beginning.
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        version = version_of(connection)
        if version is None and not _is_filled(connection):
            _make(connection, metadata)
        elif version != HEAD:
            # Otherwise somebody else was faster.
            migrate(connection)


def version_of(connection: Connection) -> str | None:
    """The store's revision; None if it has none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _is_filled(connection: Connection) -> bool:
    return inspect(connection).has_table("inbox")


def _make(connection: Connection, metadata: MetaData) -> None:
    metadata.create_all(connection)
    # As Alembic makes it.
    key = f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)"
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, {key})"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:head)"), {"head": HEAD})


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest revision, one revision after the other. Raises StoreUnavailable, see upgrade."""
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(connection)
    version = version_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreUnavailable(
            f"база новее программы: её версия {version}, а эта программа знает {HEAD}; обновите amo-bridge"
        )
    if version is None and _is_filled(connection):
        command.stamp(config, UNNUMBERED)
    command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "amo_bridge.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
