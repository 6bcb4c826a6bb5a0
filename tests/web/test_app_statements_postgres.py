"""Every statement of pages and API doors on PostgreSQL: an index serves each, none reads what grows as a whole.

PostgreSQL goes by numbers of rows, and of some thousand it reads all as soon as that is cheaper. So it is asked what it
would do if that were dear (``UNWANTED`` switched off, after ANALYZE): then a table is read as a whole, or all rows of
the account are, only where no index can serve. That is asserted. That nothing is sorted is asserted on SQLite alone:
PostgreSQL may sort what an index gives in order, where it thinks that cheaper, and nothing can be told from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from support.busy_pages import ask_everything, busy_pages, statements_of
from support.pages import Pages

from amo_bridge.storage.tables import metadata
from bench.large_store import Size

UNWANTED = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
FEW = {
    "accounts", "alembic_version", "api_tokens", "audience_lists", "channel_states", "cursors", "import_columns",
    "imports", "known_names", "pay_comments", "pay_corrections", "pay_months", "policies", "rehearsals",
    "sent_requests", "users",
}  # fmt: skip
"""Tables that stay small: what people or the config named, a month's remarks, the last thousand requests."""
PARTIAL = re.compile(r"_(?:open|failed|new|loud|unsent|done|unchecked|upload)$")
"""Indexes of what is open, or was loud: short, or read from an end."""
ACCOUNT = re.compile(r"\(\(?(?:\w+\.)?account = '?\d+'?(?:::bigint)?\)?\)")
TIDIED = "what would go today, asked for by a button: the daily tidying keeps these tables short"
COUNTED = "how many enquiries there are: kept for some months"
WHOLE: dict[str, str] = {
    "SELECT count(*) AS count_1 FROM deals WHERE": "how many the overview shows: an index alone",
    "SELECT deals.pipeline_id, deals.status_id, count(*)": "deals on every stage: an index alone",
    "FROM deals WHERE deals.account = ? AND (deals.plain_name LIKE": "parts of names: an index alone",
    "FROM ad_statistics WHERE": "a row a campaign and day",
    "FROM audience_members WHERE audience_members.account = ?": "sizes of audiences: an index alone",
    "FROM audience_holds WHERE audience_holds.account = ? AND audience_holds.contact_id": "most of a small table",
    "FROM audience_uploads WHERE": "one a day and audience",
    "SELECT count(*) AS count_1 FROM enquiries WHERE": COUNTED,
    "SELECT DISTINCT enquiries.source FROM": "from where they came: some services",
    "FROM intake_requests WHERE": "the last one of each address: an index alone",
    "FROM kpi_days WHERE": "the first day: from the beginning of the index",
    "FROM violation_decisions WHERE violation_decisions.violation_id IN (?)": "most of a small table, by number",
    "FROM violations WHERE violations.account = ?": "a ledger of years has some thousand rows",
    "(SELECT approvals.id AS id FROM approvals": TIDIED,
    "(SELECT staff_messages.id AS id FROM staff_messages": TIDIED,
    "(SELECT audience_holds.deal_id AS deal_id FROM audience_holds": TIDIED,
}
"""What reads all rows of an account → why it may."""


@pytest.fixture(scope="module")
def busy(busy_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("busy")
    pages = busy_pages(folder, Size(deals=1000, lines=7_000), {"AMO_BRIDGE_DATABASE": busy_postgres_url})
    with pages.office.store.write() as connection:
        connection.execute(text(f"ANALYZE {', '.join(metadata.tables)}"))
    yield pages
    pages.close()


@pytest.fixture(scope="module")
def plans(busy: Pages, busy_postgres_url: str) -> dict[str, Any]:
    """Of all pages and API doors: statement → its plan."""
    with statements_of(busy.office.store) as seen:
        assert ask_everything(busy) == []
    found = {}
    address = busy_postgres_url.replace("postgresql+psycopg:", "postgresql:")
    # Values stand in the statement's own text: only so does it say whether a partial index can serve.
    with psycopg.connect(address, cursor_factory=psycopg.ClientCursor) as connection:
        for name in UNWANTED:
            connection.execute(f"SET {name} = off")
        for short, (statement, values) in seen.items():
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", values).fetchone()
            assert row is not None
            found[short] = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return found


def nodes(plan: Any, *, is_limited: bool = False) -> Iterator[tuple[Any, bool]]:
    """Its steps, and whether each ends as soon as enough was found."""
    yield plan, is_limited
    for inner in plan.get("Plans", ()):
        yield from nodes(inner, is_limited=is_limited or plan["Node Type"] == "Limit")


def read_whole(plan: Any) -> list[str]:
    """The steps that read all of a table that grows, or all rows of the account."""
    found = []
    for node, is_limited in nodes(plan):
        table, condition = node.get("Relation Name", ""), node.get("Index Cond", "")
        if not table or table in FEW:
            continue
        if node["Node Type"] == "Seq Scan":
            found.append(f"all of {table}")
            continue
        index = node["Index Name"]
        # Walks the table by its number, or in the index's order, and ends at the limit.
        is_walk = is_limited and (index.endswith("_pkey") or not node.get("Filter"))
        if not is_walk and not PARTIAL.search(index) and not re.search("[a-z]", ACCOUNT.sub("", condition)):
            found.append(f"{index}: {condition}")
    return found


def test_an_index_serves_every_statement(plans: dict[str, Any]) -> None:
    bad = {
        statement: steps
        for statement, plan in plans.items()
        if (steps := read_whole(plan)) and not any(known in statement for known in WHOLE)
    }
    assert not bad, "\n".join(f"\n{what[:900]}\n    " + "\n    ".join(how) for what, how in bad.items())


def test_every_exception_is_needed(plans: dict[str, Any]) -> None:
    read = [statement for statement, plan in plans.items() if read_whole(plan)]
    assert [known for known in WHOLE if not any(known in statement for statement in read)] == []


def test_enough_was_asked_for(plans: dict[str, Any]) -> None:
    assert len(plans) > 120


def test_a_table_without_an_index_is_found(busy: Pages, busy_postgres_url: str) -> None:
    """What would be told of a statement that no index serves."""
    address = busy_postgres_url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address) as connection:
        connection.execute("SET enable_seqscan = off")
        told = connection.execute("EXPLAIN (FORMAT JSON) SELECT id FROM journal WHERE reason = 'x'").fetchone()
    assert told is not None
    assert read_whole(told[0][0]["Plan"]) == ["all of journal"]
