"""Every statement of pages and API doors on a store of a busy account: none reads or sorts what grows as a whole.

SQLite says how it would find the rows. It does not count them first (the bridge never runs ANALYZE), so some thousand
rows are as good as a million.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.busy_pages import ask_everything, busy_pages, compiled_each_time, statements_of
from support.pages import Pages

from amo_bridge.engine.retention import Retention
from amo_bridge.storage.database import Store
from bench.large_store import Size

FEW = {
    "accounts", "alembic_version", "api_tokens", "audience_lists", "channel_states", "crm_budget", "cursors",
    "import_columns", "imports", "known_names", "pay_months", "policies", "rehearsals",
    "sent_requests", "users",
}  # fmt: skip
"""Tables that stay small: what people or the config named, months, the last few rehearsals, the last
thousand requests."""
BACKWARDS = re.compile(r"ORDER BY \w+\.id(?: DESC)? LIMIT")
"""Walks the table by its number, and ends at the limit or with what is asked for."""

DEALS = "FROM deals WHERE deals.account = ?"
FIRST_OR_LAST = re.compile(r"^SELECT (?:min|max)\([\w.]+\) AS \w+ FROM \w+ WHERE \w+\.account = \?$")
"""One step in an index of the account."""
TIDIED = "what would go today, asked for by a button: as the daily tidying reads, which keeps these tables short"
WHOLE: dict[str, str] = {
    "SELECT count(*) AS count_1 FROM deals WHERE": "how many the overview shows: an index alone, 3 ms for 100,000",
    "SELECT deals.pipeline_id, deals.status_id, count(*)": "deals on every stage: an index alone",
    f"{DEALS} AND (deals.plain_name LIKE": "parts of names are looked for in an index alone",
    "FROM audience_members WHERE audience_members.account = ?": "sizes of audiences: an index alone",
    "FROM audience_uploads WHERE": "one a day and audience",
    "FROM ad_statistics WHERE": "a row a campaign and day",
    "FROM dial_calls WHERE": "the last call: an index alone",
    "SELECT DISTINCT enquiries.source FROM": "from where they came: in the order of an index",
    "FROM intake_requests WHERE": "the last one of each address: an index alone",
    "FROM tasks WHERE tasks.account = ? LIMIT": "whether there is any: the first is enough",
    "FROM violations WHERE violations.account = ?": "a ledger of years has some thousand rows",
    "(SELECT approvals.id AS id FROM approvals": TIDIED,
    "(SELECT staff_messages.id AS id FROM staff_messages": TIDIED,
    "(SELECT audience_holds.deal_id AS deal_id FROM audience_holds": TIDIED,
}
"""What reads all rows of an account → why it may."""
A_PAGE = "what one page shows, found before it is sorted"
OPEN = "what is open or was given up: some dozens of rows"
SORTED: dict[str, str] = {
    "FROM outbox WHERE outbox.account = ? AND outbox.state IN ('": OPEN,
    "AND outbox.state IN ('waiting', 'ready', 'sending', 'doubt') ORDER BY": OPEN,
    "AND outbox.state IN ('failed', 'unknown') ORDER BY": OPEN,
    "FROM audience_lists WHERE": "some lists of an account",
    "FROM ad_statistics WHERE": "campaigns of a month",
    "FROM audience_members WHERE": "the people of one audience in these states",
    "FROM audience_holds WHERE audience_holds.account = ? AND audience_holds.contact_id IN (?)": A_PAGE,
    "FROM outbox WHERE outbox.account = ? AND outbox.deal_id IN (?) AND outbox.event_id IN (?)": A_PAGE,
    "FROM dial_calls WHERE dial_calls.account = ? AND dial_calls.dial_id IN (?)": A_PAGE,
    "FROM violation_decisions WHERE violation_decisions.violation_id IN (?)": A_PAGE,
    "FROM import_rows WHERE import_rows.account = ? AND import_rows.import_id = ?": "the people of one webinar",
    "FROM import_rows WHERE import_rows.import_id IN (SELECT": "the people of a page of webinars, in groups each",
    "ORDER BY journal.id + ? DESC": "what some hundred deals, found by words, have done",
    "GROUP BY stretch, journal.verdict": "fourteen days into seventy groups; kept for as long as it took, thirty times",
    "AND tasks.due_at < ? GROUP BY tasks.responsible_user_id": "tasks that are late, into one group a person",
    "GROUP BY journal.rule": "into one group a rule, of what came to something in fourteen days",
    "FROM acknowledgements WHERE acknowledgements.account = ? AND acknowledgements.policy_id = ?": "readers of a text",
    "FROM daily_reports WHERE daily_reports.account = ? AND daily_reports.day >= ?": "reports of a week",
    "FROM shift_starts WHERE shift_starts.account = ? AND shift_starts.day BETWEEN": "beginnings of shifts of a week",
    "FROM made WHERE made.account = ? AND made.kind = ?": "tasks for papers of one month",
    "AND timers.deal_id = ? ORDER BY timers.due_at": "the steps of one deal",
    "GROUP BY quarter": "steps of a month at most, into one group a quarter of an hour",
    "GROUP BY enquiries.source": "into one group a service",
    "GROUP BY violations.person, violations.currency": "what a month comes to, into one group a person",
}
"""What is sorted or grouped → why it may be."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    pages = busy_pages(tmp_path_factory.mktemp("busy"), Size(deals=1000, lines=7_000))
    yield pages
    pages.close()


@contextmanager
def explained(store: Store) -> Iterator[dict[str, list[str]]]:
    """What is read meanwhile: statement → how SQLite carries it out."""
    found: dict[str, list[str]] = {}
    with statements_of(store) as seen:
        yield found
    with store.read() as connection:
        for short, (statement, parameters) in seen.items():
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found[short] = [row.detail for row in rows]


@pytest.fixture(scope="module")
def plans(busy: Pages) -> dict[str, list[str]]:
    """Of all pages and API doors."""
    with explained(busy.office.store) as found, compiled_each_time(busy.office.store) as anew:
        failed = ask_everything(busy)
    assert failed == []
    assert anew == set()
    return found


def read_whole(statement: str, plan: list[str]) -> list[str]:
    """The steps that read all of a table that grows, or all rows of the account."""
    found: list[str] = []
    if FIRST_OR_LAST.search(statement):
        return found
    for step in plan:
        read = re.match(r"(?:SCAN|SEARCH) (\w+)", step)
        if read is None or read[1] in FEW or step.startswith(("SCAN CONSTANT", "SCAN anon", "SCAN (")):
            continue
        partial = re.search(r"USING (?:COVERING )?INDEX \w+_(?:open|failed|new|loud|unsent|done|unchecked)\b", step)
        if (step.startswith("SCAN") and not BACKWARDS.search(statement)) or (
            step.endswith("(account=?)") and not partial
        ):
            found.append(step)
    return found


def test_enough_was_asked_for(plans: dict[str, list[str]]) -> None:
    assert len(plans) > 120
    assert {"journal", "outbox", "deals", "tasks", "enquiries", "violations"} <= {
        table for statement in plans for table in re.findall(r"FROM (\w+)", statement)
    }


def test_nothing_that_grows_is_read_as_a_whole(plans: dict[str, list[str]]) -> None:
    bad = {
        statement: steps
        for statement, plan in plans.items()
        if (steps := read_whole(statement, plan)) and not any(known in statement for known in WHOLE)
    }
    assert not bad, "\n".join(f"\n{what[:900]}\n    " + "\n    ".join(map(str, how)) for what, how in bad.items())


def test_nothing_that_grows_is_sorted(plans: dict[str, list[str]]) -> None:
    bad = {
        statement: plan
        for statement, plan in plans.items()
        if any("TEMP B-TREE" in step for step in plan) and not any(known in statement for known in SORTED)
    }
    assert not bad, "\n".join(f"\n{what[:900]}\n    " + "\n    ".join(map(str, how)) for what, how in bad.items())


@pytest.mark.parametrize("kind", ["WHOLE", "SORTED"])
def test_every_exception_is_needed(plans: dict[str, list[str]], kind: str) -> None:
    table = {"WHOLE": WHOLE, "SORTED": SORTED}[kind]
    assert [known for known in table if not any(known in statement for statement in plans)] == []


def test_the_steps_of_a_deal_are_found_by_the_deal(plans: dict[str, list[str]]) -> None:
    """And not among all that is open, by the terms."""
    asked = [plan for statement, plan in plans.items() if "AND timers.deal_id = ?" in statement]
    steps = [step for plan in asked for step in plan if step.startswith("SEARCH timers")]
    assert steps
    assert all("(account=? AND deal_id=?" in step for step in steps)


def test_what_was_done_about_deals_that_words_find_is_found_by_the_deals(plans: dict[str, list[str]]) -> None:
    """And not by walking through all that any rule did."""
    steps = [step for statement, plan in plans.items() if "journal.id + ? >= ?" in statement for step in plan]
    found = [step for step in steps if step.startswith("SEARCH journal")]
    assert len(found) == 2
    assert all("USING INDEX journal_deal (account=? AND deal_id=?" in step for step in found)


def test_the_daily_tidying_walks_by_number(busy: Pages) -> None:
    here = busy.account
    with explained(here.store) as found:
        gone = dict(Retention(here.account_store, here.clock, here.config.bridge).tidy())
    assert gone["journal"]
    for table in ("journal", "outbox", "events", "inbox", "intake_requests"):
        (plan,) = (plan for statement, plan in found.items() if f" FROM {table} WHERE {table}.account + " in statement)
        assert plan == [f"SEARCH {table} USING INTEGER PRIMARY KEY (rowid>?)"]
