"""Each earlier revision of the store, filled, is brought to the newest: no row and no value gets lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, func, insert, inspect, select
from sqlalchemy import types as kinds

from amo_bridge.clock import SystemClock
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage import migrate
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals, sheet_writes

ROWS = 3
Rows = dict[str, list[dict[str, Any]]]


def _script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "amo_bridge.storage:migrations")
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


EARLIER = [script.revision for script in _script().walk_revisions() if script.revision != migrate.HEAD]


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind without a single table."""
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    store = Store(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield store
    store.close()


def value(column: Column[Any], number: int) -> Any:
    """Something that fits the column, different in each row."""
    if isinstance(column.type, kinds.LargeBinary):
        return bytes([number, 0, 255])
    if isinstance(column.type, kinds.Boolean):
        return bool(number % 2)
    if isinstance(column.type, kinds.Float):
        return number + 0.5
    if isinstance(column.type, kinds.Integer):
        return number
    # Some columns take three letters.
    return f"{chr(ord('а') + number)}ё"


class Tables:
    """The tables of a store as they stand; one that no revision has changed is read once for all of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[str], Table]] = {}

    def at(self, connection: Connection) -> list[Table]:
        told = inspect(connection).get_multi_columns()
        return [self._table(connection, name, columns) for (_, name), columns in sorted(told.items())]

    def _table(self, connection: Connection, name: str, columns: Sequence[object]) -> Table:
        signature = list(map(repr, columns))
        if self._known.get(name, ([],))[0] != signature:
            self._known[name] = signature, Table(name, MetaData(), autoload_with=connection)
        return self._known[name][1]


def filled(connection: Connection, tables: Tables, place: int) -> Rows:
    """Put rows into every table of the ``place``-th revision; what was put."""
    put: Rows = {}
    numbers = range(place * ROWS + 1, place * ROWS + ROWS + 1)
    for table in tables.at(connection):
        if table.name != migrate.VERSION_TABLE:
            put[table.name] = [{one.name: value(one, number) for one in table.c} for number in numbers]
            if table.name == "task_history":
                # Revision 0060 adds rows of its own after the last one.
                put[table.name] = [{**row, "id": row["id"] * 1000} for row in put[table.name]]
            connection.execute(insert(table), put[table.name])
    return put


def found(connection: Connection, name: str) -> list[dict[str, Any]]:
    table = Table(name, MetaData(), autoload_with=connection)
    return [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))]


@dataclass(frozen=True)
class Walk:
    """A store that went through all revisions. ``put``: revision → the rows it was given when it was of that one;
    ``kept``: what it holds now."""

    put: Mapping[str, Rows]
    kept: Rows
    revision: str | None


def walked(url: str) -> Walk:
    """One store for all revisions: every row goes through all that come after it."""
    store, put, tables = Store(url), {}, Tables()
    for place, revision in enumerate(reversed(EARLIER)):
        with store.engine.begin() as connection:
            command.upgrade(migrate._config(connection), revision)
        with store.engine.begin() as connection:
            put[revision] = filled(connection, tables, place)
    store.prepare()
    with store.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        walk = Walk(put, {name: found(connection, name) for name in names}, migrate.version_of(connection))
    store.close()
    return walk


@pytest.fixture(scope="session")
def walks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Walk]:
    """By kind of database, each made once."""

    @cache
    def walk(kind: str) -> Walk:
        if kind == "sqlite":
            return walked(f"sqlite:///{tmp_path_factory.mktemp('walk') / 'bridge.db'}")
        return walked(request.getfixturevalue("lasting_postgres_url"))

    return walk


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("revision", EARLIER)
def test_a_filled_store_of_an_earlier_revision_keeps_everything(
    walks: Callable[[str], Walk], revision: str, kind: str
) -> None:
    walk = walks(kind)
    assert walk.revision == migrate.HEAD
    assert walk.put[revision]
    for name, rows in walk.put[revision].items():
        assert name in walk.kept, f"{name} is gone"
        kept = [{key: row[key] for key in rows[0]} for row in walk.kept[name]]
        assert [row for row in kept if row in rows] == rows, name


def test_deals_that_were_closed_are_known_to_have_been(bare: Store) -> None:
    with bare.engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0051")
        old = Table("deals", MetaData(), autoload_with=connection)
        row = {one.name: value(one, 1) for one in old.c}
        told = {142: '{"closed_at": 1790000000}', 143: "{}", 7: '{"closed_at": 1790000000}'}
        for status, record in told.items():
            connection.execute(insert(old), {**row, "deal_id": status, "status_id": status, "record": record})
        kpi = Table("kpi_days", MetaData(), autoload_with=connection)
        for number in (0, 1):
            connection.execute(insert(kpi), {one.name: value(one, number) for one in kpi.c})
    bare.prepare()
    with bare.read() as connection:
        closed = connection.execute(select(deals.c.status_id, deals.c.closed_at)).all()
        assert {row.status_id: row.closed_at for row in closed} == {
            142: 1790000000.0, 143: None, 7: None,
        }  # fmt: skip
        written = connection.execute(select(sheet_writes)).all()
    assert [tuple(row)[1:] for row in written] == [("google_sheets_kpi", "бё", 0)], "and what stands in a table stays"


def test_calls_of_auto_dial_that_were_forgotten_are_judged(bare: Store) -> None:
    with bare.engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0026")
        metadata = MetaData()
        metadata.reflect(connection)
        dials, calls = metadata.tables["dials"], metadata.tables["dial_calls"]
        for number, state in enumerate(("undecided", "undecided", "waiting"), start=1):
            row = {one.name: value(one, number) for one in dials.c}
            connection.execute(insert(dials), {**row, "id": number, "state": state})
        # Dial, outcome: the first one's was told late, the second one's is a person's business.
        for number, (dial, state) in enumerate(((1, "client"), (2, "unknown"), (3, "client"), (3, "placed")), start=1):
            row = {one.name: value(one, number) for one in calls.c}
            told = {"id": number, "dial_id": dial, "state": state, "is_applied": True}
            connection.execute(insert(calls), {**row, **told})
    bare.prepare()
    with bare.engine.connect() as connection:
        assert [row["is_applied"] for row in found(connection, "dial_calls")] == [False, True, True, False]


def test_there_are_earlier_revisions() -> None:
    assert EARLIER


def test_enquiries_of_an_earlier_version_are_still_known_by_their_keys(bare: Store) -> None:
    long = "n" * 250
    row = {"account": 1, "received_at": 1.0, "state": "done", "standing": "", "outcome": "", "error": ""}
    row |= {"kind": "enquiry", "attempts": 0, "due_at": 0.0}
    request = {"account": 1, "method": "POST", "query": "", "headers": "{}", "body": b"", "received_at": 1.0}
    request |= {"state": "read", "why": "", "repeats": 0}
    came = [("mapped", "quiz", "1"), ("tilda", "", "1"), ("mapped", "quiz", long), ("tilda", "", long)]
    with bare.engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0028")
    with bare.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        for number, (vendor, name, key) in enumerate(came, 1):
            told = request | {"id": number, "vendor": vendor, "name": name, "key": str(number)}
            connection.execute(insert(tables.tables["intake_requests"]), told)
            body = json.dumps({"source": vendor, "key": key})
            kept = row | {"source": vendor, "key": key[:200], "request_id": number, "body": body}
            connection.execute(insert(tables.tables["enquiries"]), kept)
        body = json.dumps({"source": "telegram", "key": "5", "extra": {"telegram_id": "77"}})
        told = row | {"source": "telegram", "key": "5", "body": body, "deal_id": 8, "contact_id": 70}
        connection.execute(insert(tables.tables["enquiries"]), told)
    bare.prepare()
    repository = EnquiryRepository(AccountStore(bare, 1), SystemClock())
    with bare.write() as connection:
        again = [Enquiry(source=vendor, key=f"{name}:{key}" if name else key) for vendor, name, key in came]
        assert [repository.add(connection, one, request_id=9, received_at=2.0) for one in again] == [False] * 4
    assert repository.earlier_deals(["telegram_id:77"]) == {"telegram_id:77": (8, 70)}


def test_deals_of_an_earlier_version_are_found_by_their_names(bare: Store) -> None:
    row = {"account": 1, "pipeline_id": 1, "status_id": 2, "stage_since": 1.0, "updated_at": 1.0, "read_at": 1.0}
    records = {
        number: json.dumps({"id": number, "name": f"Сделка «Ёлка» {number}", "responsible_user_id": 5})
        for number in range(1, 1203)
    }
    with bare.engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0034")
    with bare.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        told = [{**row, "deal_id": number, "record": record} for number, record in records.items()]
        connection.execute(insert(tables.tables["deals"]), [*told, {**row, "deal_id": 9000, "record": "не JSON"}])
    bare.prepare()
    mirror = Mirror(AccountStore(bare, 1))
    assert len(mirror.named("елка", 5000)) == 1202
    assert mirror.named("«елка» 1202", 5) == [1202]
    with bare.read() as connection:
        people = select(deals.c.responsible_user_id, func.count()).group_by(deals.c.responsible_user_id)
        assert dict(list(map(tuple, connection.execute(people)))) == {5: 1202, 0: 1}
