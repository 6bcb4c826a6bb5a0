"""The durable store: its tables and how it is opened. SQLite embedded, PostgreSQL by the same code.

Three tables of one shape carry the work: ``inbox`` (bytes as they came), ``events`` (what they say), ``outbox`` (what
is to be done). A unique key in each gives "nothing twice", the primary key gives order, and one transaction per step
gives "planned and done". ``journal`` tells people why; ``deals``, ``contacts``, ``tasks`` and ``touches`` are the
mirror; ``made`` remembers what rules made in amoCRM; ``found`` is where missed changes gather until all are read.

Times are Unix seconds (float) in UTC: they are compared and sorted, and both databases agree on numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
)
from sqlalchemy.exc import DBAPIError

from amo_bridge.crm.budget import budget_table
from amo_bridge.engine import schema
from amo_bridge.engine.admission_tables import admission_tables
from amo_bridge.engine.bizon_table import bizon_reports_table
from amo_bridge.engine.channel_tables import letters_table, series_table, suppressed_table
from amo_bridge.engine.database import is_operational, open_engine
from amo_bridge.engine.found_table import found_table
from amo_bridge.engine.imports_tables import import_columns_table, import_rows_table, imports_table
from amo_bridge.engine.mirror_tables import contact_keys_table, contacts_table, tasks_table, touches_table
from amo_bridge.engine.rehearsal_tables import rehearsals_table
from amo_bridge.engine.shared_tables import leaders_table, small_state_table
from amo_bridge.engine.timer_tables import schedules_table, timers_table
from amo_bridge.engine.turns import Turns
from amo_bridge.engine.violation_tables import violation_decisions_table, violations_table
from amo_bridge.errors import StoreUnavailable

metadata = MetaData()
# SQLite numbers rows by itself only for INTEGER; PostgreSQL needs the wider type.
Id = BigInteger().with_variant(Integer, "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("amo_id", BigInteger, nullable=False),
    # amoCRM's uuid of the account: tells a new sandbox from the one whose ids look the same.
    Column("amojo_id", String(64), nullable=False, default=""),
    Column("url", Text, nullable=False),
    UniqueConstraint("amo_id", "amojo_id"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(8), nullable=False, default="new"),
)
Index(
    "inbox_new",
    inbox.c.account,
    inbox.c.id,
    sqlite_where=inbox.c.state == "new",
    postgresql_where=inbox.c.state == "new",
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("inbox_id", BigInteger),
    # Compared byte by byte, as SQLite does: keys are looked for by how they begin.
    Column("key", String(80).with_variant(String(80, collation="C"), "postgresql"), nullable=False),
    Column("deal_id", BigInteger),
    Column("received_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(8), nullable=False, default="open"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("error", Text),
    UniqueConstraint("account", "key"),
)
Index(
    "events_open",
    events.c.account,
    events.c.id,
    sqlite_where=events.c.state == "open",
    postgresql_where=events.c.state == "open",
)
_event_failed = events.c.state == "failed"
Index("events_failed", events.c.account, events.c.id, sqlite_where=_event_failed, postgresql_where=_event_failed)

journal = Table(
    "journal",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("event_id", BigInteger),
    Column("deal_id", BigInteger),
    Column("what", Text, nullable=False),
    Column("rule", String(160)),
    Column("clause", String(40), nullable=False, default=""),
    Column("verdict", String(12), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("actions", Text, nullable=False, default="[]"),
)
Index("journal_deal", journal.c.account, journal.c.deal_id, journal.c.id)
Index("journal_rule", journal.c.account, journal.c.rule, journal.c.id)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("key", String(240), nullable=False),
    Column("event_id", BigInteger),
    Column("rule", String(160), nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(8), nullable=False, default="ready"),
    # The id of the row whose result this one needs first (a note with the address of a deal not yet made).
    Column("after_id", BigInteger),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("done_at", Float),
    Column("result", Text),
    Column("error", Text),
    UniqueConstraint("account", "key"),
)
OPEN_STATES = ("waiting", "ready", "sending", "doubt")


def in_open_state(rows: FromClause) -> ColumnElement[bool]:
    """What is not settled of ``outbox`` (or an alias of it). The states stand in the statement's own text: SQLite takes
    the partial index only for a condition that it knows before the values, and reads all that was ever done without."""
    states: BindParameter[str] = bindparam(
        "open_states", OPEN_STATES, expanding=True, literal_execute=True, unique=True
    )
    return rows.c.state.in_(states)


GAVE_UP = ("failed", "unknown")
"""A person has to decide: refused for good, or perhaps sent."""


def is_given_up(rows: FromClause) -> ColumnElement[bool]:
    """What waits for a person's decision, of ``outbox`` (or an alias of it); see ``in_open_state``."""
    states: BindParameter[str] = bindparam("given_up", GAVE_UP, expanding=True, literal_execute=True, unique=True)
    return rows.c.state.in_(states)


_open = outbox.c.state.in_(OPEN_STATES)
Index("outbox_open", outbox.c.account, outbox.c.id, sqlite_where=_open, postgresql_where=_open)
_failed = outbox.c.state.in_(GAVE_UP)
Index("outbox_failed", outbox.c.account, outbox.c.id, sqlite_where=_failed, postgresql_where=_failed)
Index("outbox_deal", outbox.c.account, outbox.c.deal_id)

made = Table(
    "made",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("rule", String(160), nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("slot", String(120), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("account", "kind", "entity_id"),
)
Index("made_by", made.c.account, made.c.deal_id, made.c.rule)

deals = Table(
    "deals",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("deal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("status_id", BigInteger, nullable=False),
    Column("stage_since", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("read_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    # The stages before this one, the latest first: [[pipeline, status, since], …].
    Column("came_by", Text, nullable=False, server_default="[]"),
)
Index("deals_stage", deals.c.account, deals.c.pipeline_id, deals.c.status_id)

cursors = Table(
    "cursors",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(40), primary_key=True),
    Column("value", Float, nullable=False),
)

budgets = budget_table(metadata)
contacts = contacts_table(metadata)
contact_keys = contact_keys_table(metadata)
tasks = tasks_table(metadata)
touches = touches_table(metadata)
found = found_table(metadata)
letters = letters_table(metadata)
suppressed = suppressed_table(metadata)
series = series_table(metadata)
imports = imports_table(metadata)
import_rows = import_rows_table(metadata)
import_columns = import_columns_table(metadata)
bizon_reports = bizon_reports_table(metadata)
leaders = leaders_table(metadata)
schedules = schedules_table(metadata)
timers = timers_table(metadata)
violations = violations_table(metadata)
violation_decisions = violation_decisions_table(metadata)
rehearsals = rehearsals_table(metadata)
small_state = small_state_table(metadata)
admission = admission_tables(metadata)


class Store:
    """The opened database. ``write()`` is a transaction that may write; ``read()`` one that only reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        # Writers queue here rather than in SQLite's busy loop, which wakes them unfairly late.
        self._turn = Turns()

    @classmethod
    def at(cls, url: str, folder: Path) -> Store:
        """The database at ``url``; empty: SQLite in the folder."""
        return cls(url) if url else cls.in_folder(folder)

    @classmethod
    def in_folder(cls, folder: Path) -> Store:
        folder.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{folder / 'amo-bridge.db'}")

    @property
    def address(self) -> str:
        """Where it is, for people: without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Make the tables or bring them up to date. Raises StoreUnavailable, also for a store newer than the code."""
        with self._guarded():
            schema.upgrade(self.engine, metadata)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._guarded(), self._turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._guarded(), self.engine.connect().execution_options(amo_bridge_read=True) as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (isinstance(error.orig, Exception) and error.connection_invalidated) or is_operational(error):
                raise StoreUnavailable(f"база {self.address} не отвечает: {error.orig}") from error
            raise
