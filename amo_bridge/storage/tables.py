"""All tables of the store, on one page.

Three tables of one shape carry the work: ``inbox`` (bytes as they came), ``events`` (what they say), ``outbox`` (what
is to be done). A unique key in each gives "nothing twice", the primary key gives order, and one transaction per step
gives "planned and done". ``journal`` tells people why; ``task_history`` keeps the deadlines that tasks had; ``deals``,
``contacts``, ``tasks`` and ``touches`` are the mirror; ``made`` remembers what rules made in amoCRM; ``found`` holds
missed changes until all pages are read.

Times are Unix seconds (float) in UTC: they are compared and sorted, and both databases agree on numbers. A card is
named in our words: deal, contact, company. A change here needs a migration (``migrations/``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
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
    false,
    literal_column,
    text,
    true,
)

from amo_bridge.storage.packing import SKIPS, WEBHOOK, Packed

# --- the pipeline -----------------------------------------------------------------------------------------------------

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
    Column("body", Packed(WEBHOOK), nullable=False),
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
    # What made the rule be asked (events.Origin). None: the row is silence, or older than this column.
    Column("source", String(14)),
    # Of a row that holds what several rules left undone (``engine/journal.py``): the event's type, how many they are.
    Column("kind", String(40)),
    Column("skip_count", Integer),
    # As an older release wrote them.
    Column("skips", Text),
    Column("packed_skips", Packed(SKIPS)),
)
Index("journal_deal", journal.c.account, journal.c.deal_id, journal.c.id)
_ruled, _kind_known = journal.c.rule.is_not(None), journal.c.kind.is_not(None)
Index("journal_rule", journal.c.account, journal.c.rule, journal.c.id, sqlite_where=_ruled, postgresql_where=_ruled)
Index(
    "journal_kind", journal.c.account, journal.c.kind, journal.c.id,
    sqlite_where=_kind_known, postgresql_where=_kind_known,
)  # fmt: skip
LOUD = ("acts", "would_act", "retried", "undone", "failed", "held")
"""Verdicts that are more than silence."""
_loud = journal.c.verdict.in_(LOUD)
Index("journal_loud", journal.c.account, journal.c.id, sqlite_where=_loud, postgresql_where=_loud)
# Days and rules are counted in this index alone.
Index(
    "journal_loud_at", journal.c.account, journal.c.verdict, journal.c.at, journal.c.rule,
    sqlite_where=_loud, postgresql_where=_loud,
)  # fmt: skip
Index("journal_loud_rule", journal.c.account, journal.c.rule, journal.c.id, sqlite_where=_loud, postgresql_where=_loud)


# By far the most begin with a webhook: those are found by going back in time, the others by this.
_other_source = journal.c.source.is_(None) | (journal.c.source != literal_column("'webhook'"))
Index(
    "journal_loud_source",
    journal.c.account,
    journal.c.source,
    journal.c.id,
    sqlite_where=_loud & _other_source,
    postgresql_where=_loud & _other_source,
)


def is_loud(rows: FromClause) -> ColumnElement[bool]:
    """More than silence, of ``journal`` (or an alias of it); see ``in_open_state``."""
    verdicts: BindParameter[str] = bindparam("loud", LOUD, expanding=True, literal_execute=True, unique=True)
    return rows.c.verdict.in_(verdicts)


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


def is_unsent(rows: FromClause) -> ColumnElement[bool]:
    """What was to go out and had no way, of ``outbox`` (or an alias of it); see ``in_open_state``."""
    return rows.c.state == literal_column("'unsent'")


def is_dropped(rows: FromClause) -> ColumnElement[bool]:
    """What a person said shall not be sent any more, of ``outbox`` (or an alias of it); see ``in_open_state``."""
    return rows.c.state == literal_column("'dropped'")


_unsent, _dropped = is_unsent(outbox), is_dropped(outbox)
Index("outbox_unsent", outbox.c.account, outbox.c.id, sqlite_where=_unsent, postgresql_where=_unsent)
Index("outbox_dropped", outbox.c.account, outbox.c.id, sqlite_where=_dropped, postgresql_where=_dropped)
_open = outbox.c.state.in_(OPEN_STATES)
Index("outbox_open", outbox.c.account, outbox.c.id, sqlite_where=_open, postgresql_where=_open)
_failed = outbox.c.state.in_(GAVE_UP)
Index("outbox_failed", outbox.c.account, outbox.c.id, sqlite_where=_failed, postgresql_where=_failed)
Index("outbox_deal", outbox.c.account, outbox.c.deal_id)


def is_done() -> ColumnElement[bool]:
    """What was sent, of ``outbox``; see ``in_open_state``."""
    return outbox.c.state == literal_column("'done'")


Index(
    "outbox_done", outbox.c.account, outbox.c.kind, outbox.c.done_at, sqlite_where=is_done(), postgresql_where=is_done()
)

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
    # Of a task: what ends it, as JSON (engine/task_ends.py), and the text it was set with.
    Column("until", Text),
    Column("text", Text),
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
    # Of the record, to be found by: its name (text/names.normalise) and whose it is.
    Column("plain_name", Text, nullable=False, server_default=""),
    Column("responsible_user_id", BigInteger, nullable=False, server_default="0"),
    # When it was won or lost; of deals at work nothing.
    Column("closed_at", Float),
)
Index("deals_stage", deals.c.account, deals.c.pipeline_id, deals.c.status_id)
Index("deals_read", deals.c.account, deals.c.read_at, deals.c.deal_id)
Index("deals_changed", deals.c.account, deals.c.status_id, deals.c.updated_at)
Index("deals_closed", deals.c.account, deals.c.status_id, deals.c.closed_at)
Index("deals_person", deals.c.account, deals.c.responsible_user_id, deals.c.deal_id)
Index("deals_named", deals.c.account, deals.c.deal_id, deals.c.plain_name)

open_deal_fields = Table(
    "open_deal_fields",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("field_id", BigInteger, primary_key=True, autoincrement=False),
    Column("deal_id", BigInteger, primary_key=True, autoincrement=False),
)
"""Open deals that have a value in a field that deals are asked for by, see mirror/deals.py."""

deal_facts = Table(
    "deal_facts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("key", String(80), nullable=False),
    Column("what", String(40), nullable=False),
    Column("was", String(255), nullable=False),
    Column("now", String(255), nullable=False),
    Column("number", Float),
    Column("at", Float, nullable=False),
    Column("user_id", BigInteger),
    Column("source", String(8), nullable=False),
    UniqueConstraint("account", "deal_id", "key"),
)
"""What became of deals, see mirror/facts.py. ``number``: ``now``, if it is one: by that dates are found."""
Index("deal_facts_at", deal_facts.c.account, deal_facts.c.what, deal_facts.c.at)
Index("deal_facts_number", deal_facts.c.account, deal_facts.c.what, deal_facts.c.number)

cursors = Table(
    "cursors",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(40), primary_key=True),
    Column("value", Float, nullable=False),
)

known_names = Table(
    "known_names",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("known_id", String(80), nullable=False),
    Column("called", String(255), nullable=False),
)
"""What the config's names meant when they were resolved last. ``name``: normalised; ``kind``: stage, field …
``called``: by which name the bridge worked with it then."""

budgets = Table(
    "crm_budget",
    metadata,
    Column("account", String(255), primary_key=True),
    Column("next_free", BigInteger, nullable=False),
    Column("stopped_kind", String(40)),
    Column("stopped_reason", Text),
    Column("stopped_at", BigInteger),
    Column("next_probe", BigInteger),
)
"""The rate limiter's row per account. Moments are microseconds since 1970."""

sent_requests = Table(
    "sent_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", String(300), nullable=False),
    Column("status", Integer),
    Column("milliseconds", Integer, nullable=False),
    Column("why", String(300), nullable=False),
)
"""The last thousand requests to amoCRM; see engine/metrics.py."""
Index("sent_requests_of", sent_requests.c.account, sent_requests.c.id)

waiting_events = Table(
    "waiting_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("rule", String(160), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("event_key", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("status_id", BigInteger, nullable=False),
    Column("done_slots", Text),
    Column("at", Float, nullable=False),
    UniqueConstraint("account", "deal_id", "rule", "subject"),
)
"""Events on which a rule could not act yet, as the deal was not what its ``when`` asks for: while the deal is on that
stage, the rule is evaluated again when it changes. ``done_slots``: the tasks it has set already (JSON)."""

# --- the mirror beside the deals --------------------------------------------------------------------------------------

contacts = Table(
    "contacts",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("contact_id", BigInteger, primary_key=True, autoincrement=False),
    Column("updated_at", Float, nullable=False),
    Column("read_at", Float, nullable=False),
    Column("record", Text, nullable=False),
)
"""What is known of a contact; ``record`` is JSON (see mirror/contacts.py)."""

contact_keys = Table(
    "contact_keys",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(8), primary_key=True),
    Column("key", String(120).with_variant(String(120, collation="C"), "postgresql"), primary_key=True),
    Column("contact_id", BigInteger, primary_key=True, autoincrement=False),
)
"""By what a contact is found. ``kind``: phone (E.164), mail, surname (normalised)."""
Index("contact_keys_of", contact_keys.c.account, contact_keys.c.contact_id)

tasks = Table(
    "tasks",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_type", String(8)),
    Column("entity_id", BigInteger),
    Column("responsible_user_id", BigInteger, nullable=False),
    Column("created_by", BigInteger, nullable=False),
    Column("task_type_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("result", Text),
    Column("is_completed", Boolean, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("completed_at", Float),
)
"""Open tasks, and finished ones for some days."""
Index("tasks_of", tasks.c.account, tasks.c.entity_type, tasks.c.entity_id)
_tasks_open = tasks.c.is_completed == false()
Index("tasks_open", tasks.c.account, tasks.c.due_at, sqlite_where=_tasks_open, postgresql_where=_tasks_open)
_tasks_finished = tasks.c.is_completed == true()
Index(
    "tasks_finished",
    tasks.c.account,
    tasks.c.completed_at,
    sqlite_where=_tasks_finished,
    postgresql_where=_tasks_finished,
)
Index(
    "tasks_finished_old",
    tasks.c.account,
    tasks.c.updated_at,
    sqlite_where=_tasks_finished,
    postgresql_where=_tasks_finished,
)

task_history = Table(
    "task_history",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("since", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("responsible_user_id", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("late_until", Float),
    Column("assumed_until", Float),
)
"""The states of a task, in the order of ``id``: each lasts from ``since`` until the next one. ``state``: open, done or
deleted. The first row is what was known when the task was met; ``since`` is then its last change before.

``late_until``: until when the task stood open by this state, if that was past ``due_at``; ``NO_END`` for the state of a
task that is open. A task that was met when it was done stood open until then. ``assumed_until``: in a task's first row,
``since``, if nobody knows what was so before it."""
NO_END = 1e12
"""Later than every moment."""
Index("task_history_of", task_history.c.account, task_history.c.task_id)
Index("task_history_since", task_history.c.account, task_history.c.since)
_late, _assumed = task_history.c.late_until.is_not(None), task_history.c.assumed_until.is_not(None)
Index(
    "task_history_late",
    task_history.c.account,
    task_history.c.late_until,
    task_history.c.due_at,
    sqlite_where=_late,
    postgresql_where=_late,
)
Index(
    "task_history_assumed",
    task_history.c.account,
    task_history.c.assumed_until,
    sqlite_where=_assumed,
    postgresql_where=_assumed,
)

touches = Table(
    "touches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("key", String(80), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("direction", String(3), nullable=False),
    Column("at", Float, nullable=False),
    Column("user_id", BigInteger),
    Column("entity_type", String(8), nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("seconds", Integer, nullable=False, server_default=text("0")),
    Column("status", Integer),
    Column("phone", String(40)),
    Column("uniq", String(80)),
    Column("result", String(80)),
    UniqueConstraint("account", "key"),
)
"""Who was in contact with a client, and when. ``key`` says what it was (a note, a message …), so that nothing is
counted twice. ``direction``: in (the client's), out, or empty where there is none. Of a call: ``seconds`` (-1:
unknown), amoCRM's ``status``, the exchange's ``phone``, ``uniq``, ``result``."""
Index("touches_of", touches.c.account, touches.c.entity_type, touches.c.entity_id, touches.c.at)
Index("touches_at", touches.c.account, touches.c.at)

# --- reconciliation ---------------------------------------------------------------------------------------------------

found = Table(
    "found",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
)
"""``body``: the event, JSON. ``at``: when it happened (account's clock). Lists are read newest first, so of two
events of one second the row that came later tells of what was earlier."""
Index("found_at", found.c.account, found.c.at)

# --- schedules --------------------------------------------------------------------------------------------------------

schedules = Table(
    "schedules",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", String(160), primary_key=True),
    Column("since", Float, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("is_planned", Integer, nullable=False),
    Column("pauses", Text, nullable=False, server_default="[]"),
)
"""``since``: when the rule was first switched on (account's clock). ``digest``: of what it planned by; another one
means that all its steps must be planned anew, and ``is_planned`` says whether that is done. ``pauses``: when it was
off since then, as JSON; the last one has no end while it is off."""

timers = Table(
    "timers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("rule", String(160), nullable=False),
    Column("step", String(60), nullable=False),
    Column("anchor", String(120), nullable=False),
    Column("due_at", Float, nullable=False),
    # From when the step is counted.
    Column("since", Float, nullable=False),
    Column("state", String(8), nullable=False, default="open"),
    UniqueConstraint("account", "deal_id", "rule", "step", "anchor"),
)
"""A step and when it falls due. ``state``: open, or fired; that stays as long as the step could be
wanted, so that it never comes again."""
_timers_open = timers.c.state == "open"
Index(
    "timers_open",
    timers.c.account,
    timers.c.due_at,
    timers.c.id,
    timers.c.deal_id,
    sqlite_where=_timers_open,
    postgresql_where=_timers_open,
)

# --- channels -------------------------------------------------------------------------------------------------------
# Addresses are kept as digests only: enough to know one again.

letters = Table(
    "letters",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("address_key", String(64), nullable=False),
    Column("template", Text, nullable=False),
    Column("thread", String(120), nullable=False),
    Column("message_id", String(250), nullable=False),
    Column("token", String(24)),
    Column("sent_at", Float, nullable=False),
    Column("state", String(12), nullable=False, server_default="sent"),
    Column("vendor_id", String(60), nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    UniqueConstraint("account", "outbox_id"),
    UniqueConstraint("token"),
)
"""Letters to clients, kept before each is sent. ``thread``: those of one deal and thread answer each other. ``token``:
what the link for unsubscribing holds; None for letters without one. ``state``: "sending" until it is surely out, then
what a service tells of it (channels/mail_log.py); ``vendor_id``: the service's number; ``words``: why it failed."""
Index("letters_contact", letters.c.account, letters.c.contact_id)
Index("letters_thread", letters.c.account, letters.c.deal_id, letters.c.thread, letters.c.id)

documents = Table(
    "documents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("template", String(120), nullable=False),
    Column("entry", String(60), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("file_uuid", String(80), nullable=False),
    Column("made_at", Float, nullable=False),
    UniqueConstraint("account", "deal_id", "template", "entry"),
)
"""Documents made from templates, one for a deal and its coming onto a stage (``entry``). ``number``: of the deal's
documents by this template. ``file_uuid``: where it lies in amoCRM."""

suppressed = Table(
    "suppressed",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("address_key", String(64), primary_key=True),
    Column("reason", String(12), nullable=False),
    Column("words", Text, nullable=False),
    Column("at", Float, nullable=False),
)
"""Addresses that get no letters: ``reason`` is "unsubscribed" (no advertising) or "refused" (nothing at all: the
server says that there is nobody); ``words``: the vendor's own."""

series = Table(
    "series",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("name", String(120), nullable=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("status_id", BigInteger, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("next_number", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("state", String(8), nullable=False),
    Column("because", Text, nullable=False),
    UniqueConstraint("account", "outbox_id"),
)
"""Series of letters, one row for each start. The stage is the one on which it was started. ``next_number``: the
letter that is due at ``next_at``, from 0. ``state``: open or ended."""
_series_open = series.c.state == "open"
Index("series_open", series.c.account, series.c.next_at, sqlite_where=_series_open, postgresql_where=_series_open)
Index("series_of", series.c.account, series.c.deal_id)

dials = Table(
    "dials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("key", String(240), nullable=False),
    Column("event_id", BigInteger),
    Column("rule", String(160), nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("status_id", BigInteger, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("next_at", Float, nullable=False),
    Column("why", Text, nullable=False),
    Column("user_id", BigInteger),
    Column("manager_misses", Integer, nullable=False, default=0),
    Column("client_misses", Integer, nullable=False, default=0),
    Column("day", String(10), nullable=False, default=""),
    Column("day_calls", Integer, nullable=False, default=0),
    Column("silent_until", Float, nullable=False, default=0.0),
    Column("ended_at", Float),
    UniqueConstraint("account", "outbox_id"),
)
"""Auto-dials, one row for each start, on the stage that the deal was on. ``key``, ``event_id``, ``rule``: of the effect
that started it. ``state``: "waiting" (until ``next_at``), "calling", "undecided" (nobody knows whether the last call
took place: a person decides), "ended"; ``why``: it waits or has ended, for people. ``manager_misses``: in a row.
``day_calls``: on ``day`` (the account's date). ``silent_until``: after a talk."""
_dial_open = dials.c.state != "ended"
Index("dials_open", dials.c.account, dials.c.next_at, sqlite_where=_dial_open, postgresql_where=_dial_open)
Index("dials_of", dials.c.account, dials.c.deal_id)
Index("dials_ended", dials.c.account, dials.c.ended_at)

dial_calls = Table(
    "dial_calls",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("dial_id", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("ref", String(40), nullable=False),
    Column("vendor", String(12), nullable=False),
    Column("vendor_ref", String(80), nullable=False, default=""),
    Column("user_id", BigInteger, nullable=False),
    Column("extension", String(20), nullable=False),
    Column("phone", String(20), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("looks", Integer, nullable=False, default=0),
    Column("look_at", Float),
    Column("seconds", Integer, nullable=False, default=0),
    Column("words", Text, nullable=False, default=""),
    Column("told_by", String(10), nullable=False, default=""),
    Column("settled_at", Float),
    Column("is_applied", Boolean, nullable=False, default=False),
    UniqueConstraint("account", "ref"),
)
"""Calls of auto-dial, each written down before the exchange is asked for it, and asked for once. ``ref``: our own name
of it, ``vendor_ref``: the exchange's. ``state``: "asking", "placed", "doubt" (the answer was lost); in the end
"talked", "manager", "client", "wrong" (no such number), "refused" (by the exchange), "unsent" (it never got our
request), "unknown". ``told_by``: "webhook", "history", "absence" (an accepted call that the history does not know) or a
person. ``is_applied``: the dial has gone on by it; never of a call that goes on."""
DIAL_CALL_OPEN = dial_calls.c.is_applied == false()
"""What auto-dial asks for in each of its rounds, in the words of the index."""
Index(
    "dial_calls_open",
    dial_calls.c.account,
    dial_calls.c.id,
    sqlite_where=DIAL_CALL_OPEN,
    postgresql_where=DIAL_CALL_OPEN,
)
Index("dial_calls_of", dial_calls.c.account, dial_calls.c.dial_id, dial_calls.c.id)
Index("dial_calls_asked", dial_calls.c.account, dial_calls.c.asked_at)

sms = Table(
    "sms",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("vendor", String(12), nullable=False),
    Column("vendor_id", String(40), nullable=False),
    Column("phone", String(20), nullable=False),
    Column("parts", Integer, nullable=False),
    Column("cost", Float),
    Column("sent_at", Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("words", Text, nullable=False, default=""),
    Column("looks", Integer, nullable=False, default=0),
    Column("look_at", Float),
    UniqueConstraint("account", "outbox_id"),
)
"""SMS that a service has taken. ``state``: "sent", "delivered", "failed", "lost" (no word of it for days)."""
Index("sms_vendor", sms.c.account, sms.c.vendor, sms.c.vendor_id)
_sms_open = sms.c.state == "sent"
Index("sms_open", sms.c.account, sms.c.look_at, sqlite_where=_sms_open, postgresql_where=_sms_open)

deal_folders = Table(
    "deal_folders",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("vendor", String(24), primary_key=True),
    Column("deal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("ref", Text, nullable=False),
    Column("url", Text, nullable=False, default=""),
    Column("made_at", Float, nullable=False),
)
"""Folders of deals in the document storage. ``ref``: the storage's own id or path."""

stored_files = Table(
    "stored_files",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("vendor", String(24), nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("file_uuid", String(64), nullable=False),
    Column("version_uuid", String(64), nullable=False),
    Column("base", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("folder_ref", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("url", Text, nullable=False, default=""),
    Column("size", BigInteger, nullable=False),
    Column("md5", String(32), nullable=False),
    Column("file_at", Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("stored_at", Float),
    UniqueConstraint("account", "vendor", "deal_id", "file_uuid", "version_uuid"),
)
"""Copies of deals' files in the document storage. ``base``: the file's own name; ``name``: with the number of its
``version``. ``state``: "putting" from before the upload, "stored" when it surely is there."""
Index("stored_files_of", stored_files.c.account, stored_files.c.deal_id, stored_files.c.id)
audience_holds = Table(
    "audience_holds",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("audience", String(120), primary_key=True),
    Column("deal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("rule", String(160), nullable=False),
    Column("event_id", BigInteger),
    Column("since", Float, nullable=False),
    Column("ended_at", Float),
    Column("why", Text, nullable=False, default=""),
    Column("seen_at", Float, nullable=False),
    Column("is_noted", Boolean, nullable=False, default=False),
)
"""Which deals hold their clients in an advertising audience, and by which rule. ``ended_at``: since when a deal does so
no more, ``why`` in words. ``seen_at``: the change of the deal up to which its client was looked at. ``is_noted``: the
card says that its client is in."""
Index("audience_holds_of", audience_holds.c.account, audience_holds.c.contact_id, audience_holds.c.audience)
Index("audience_holds_deal", audience_holds.c.account, audience_holds.c.deal_id)

audience_members = Table(
    "audience_members",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("audience", String(120), nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("since", Float, nullable=False),
    Column("words", Text, nullable=False, default=""),
    Column("digests", Text, nullable=False, default=""),
    Column("sent_digests", Text, nullable=False, default=""),
    Column("is_urgent", Boolean, nullable=False, default=False),
    Column("checked_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("upload_id", BigInteger),
    UniqueConstraint("account", "audience", "contact_id"),
)
"""Clients of advertising audiences. ``state``: "queued", "in", "leaving" (the vendor has him still), "out", "refused";
``words``: why. ``digests``: JSON, hashes of phones and mails; no address is kept. ``sent_digests``: those that the
vendor has. ``is_urgent``: he wants to leave himself. ``checked_at``: when consent and opting out were looked at, of the
change ``seen_at`` of the contact. ``upload_id``: the upload that he is in just now."""
Index("audience_members_state", audience_members.c.account, audience_members.c.audience, audience_members.c.state)
Index("audience_members_contact", audience_members.c.account, audience_members.c.contact_id)
UNCHECKED = text("checked_at = 0")
Index(
    "audience_members_unchecked",
    audience_members.c.account,
    sqlite_where=UNCHECKED,
    postgresql_where=UNCHECKED,
)
_in_upload = audience_members.c.upload_id.is_not(None)
Index(
    "audience_members_upload",
    audience_members.c.account,
    audience_members.c.upload_id,
    sqlite_where=_in_upload,
    postgresql_where=_in_upload,
)

audience_uploads = Table(
    "audience_uploads",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("audience", String(120), nullable=False),
    Column("service", String(8), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    Column("ref", String(80), nullable=False, default=""),
    Column("joined", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("look_at", Float),
    Column("looks", Integer, nullable=False, default=0),
    Column("words", Text, nullable=False, default=""),
    Column("ended_at", Float),
)
"""Lists of clients on their way to an advertising service, each written down before the service is asked. ``kind``:
"base" (the first list), "add", "remove", "replace" (the whole of it), "file" (a person uploads it). ``state``:
"asking", "doubt" (the answer was lost), "processing", "done", "failed", "dropped". ``ref``: the service's own number.
``joined``, ``left``: how many clients."""
Index("audience_uploads_of", audience_uploads.c.account, audience_uploads.c.audience, audience_uploads.c.id)
_UPLOAD_OPEN = text("state IN ('asking', 'doubt', 'processing')")
Index(
    "audience_uploads_open",
    audience_uploads.c.account,
    audience_uploads.c.audience,
    unique=True,
    sqlite_where=_UPLOAD_OPEN,
    postgresql_where=_UPLOAD_OPEN,
)

audience_lists = Table(
    "audience_lists",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("audience", String(120), primary_key=True),
    Column("service", String(8), nullable=False),
    Column("list_ref", String(80), nullable=False, default=""),
    Column("segment_ref", String(80), nullable=False, default=""),
    Column("words", Text, nullable=False, default=""),
    Column("trouble", Text, nullable=False, default=""),
    Column("trouble_at", Float),
    Column("retry_at", Float),
    Column("failures", Integer, nullable=False, default=0),
    Column("format", String(8), nullable=False, default=""),
    Column("segment_at", Float),
)
"""What an advertising service has of an audience. ``list_ref``: its list there, ``segment_ref``: what advertisements
are shown to, ``segment_at``: when it is to be made, if it is. ``words``: what the service says of it. ``trouble``: what
went wrong last; until ``retry_at`` the service is not asked. ``format``: of the hashes."""

audience_sizes = Table(
    "audience_sizes",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("audience", String(120), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
)
"""How many clients an audience had at the end of each day (the account's date), and how many waited."""

channel_states = Table(
    "channel_states",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("vendor", String(24), primary_key=True),
    Column("since", Float, nullable=False),
    Column("balance", Float),
    Column("balance_at", Float),
)
"""The vendors of channels, by their section of the config. ``since``: when it was connected first."""

# --- violations -------------------------------------------------------------------------------------------------------

violations = Table(
    "violations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("key", String(240), nullable=False),
    Column("at", Float, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("clause", String(40), nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("deal_name", Text, nullable=False),
    Column("rule", String(160), nullable=False),
    Column("why", Text, nullable=False),
    Column("penalty", BigInteger),
    Column("currency", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    UniqueConstraint("account", "key"),
)
"""One row for each violation, for ever: nobody's pay is corrected by deleting. ``key``: the effect's own, so that
it is recorded once. Names are kept as they were then. ``penalty``: whole units of ``currency``; None when the rule
names no sum. ``state``: "counts" or "forgiven"."""
Index("violations_at", violations.c.account, violations.c.at)
Index("violations_person", violations.c.account, violations.c.person)
Index("violations_clause", violations.c.account, violations.c.clause)

violation_decisions = Table(
    "violation_decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("violation_id", BigInteger, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("who", String(120), nullable=False),
    Column("state", String(10), nullable=False),
    Column("why", Text, nullable=False),
)
"""What people decided about a violation, one row for each decision: ``state`` is what it became by it."""

# --- the pay sheet ----------------------------------------------------------------------------------------------------

pay_months = Table(
    "pay_months",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("month", String(7), nullable=False),
    Column("currency", String(8), nullable=False),
    Column("notes", Text, nullable=False),
    Column("closed_at", Float, nullable=False),
    Column("closed_by", String(120), nullable=False),
    Column("reopened_at", Float),
    Column("reopened_by", String(120), nullable=False, default=""),
    Column("why", Text, nullable=False, default=""),
)
"""Months that were closed; a row that was reopened stays, with its lines. ``notes``: JSON, as reports/pay.py has them.
``why``: it was reopened."""
_still_closed = text("reopened_at IS NULL")
Index(
    "pay_months_closed",
    pay_months.c.account,
    pay_months.c.month,
    unique=True,
    sqlite_where=_still_closed,
    postgresql_where=_still_closed,
)

pay_lines = Table(
    "pay_lines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("pay_month_id", BigInteger, nullable=False, index=True),
    Column("key", String(120), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("deal_id", BigInteger),
    Column("deal_name", Text, nullable=False),
    Column("words", Text, nullable=False),
)
"""The lines of closed months, as they were then. ``key``: the same for the same line of a month, frozen or not."""

pay_corrections = Table(
    "pay_corrections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("month", String(7), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("deal_id", BigInteger),
    Column("why", Text, nullable=False),
    Column("who", String(120), nullable=False),
    Column("at", Float, nullable=False),
)
"""What the head adds or takes off. None is ever changed or deleted: a mistake is put right by another one."""
Index("pay_corrections_month", pay_corrections.c.account, pay_corrections.c.month)

pay_comments = Table(
    "pay_comments",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("month", String(7), nullable=False),
    Column("line_key", String(120), nullable=False),
    Column("words", Text, nullable=False),
    Column("who", String(120), nullable=False),
    Column("at", Float, nullable=False),
)
"""What is said about a line: a dispute and its answer. ``line_key``: see pay_lines."""
Index("pay_comments_month", pay_comments.c.account, pay_comments.c.month)

# --- webinar imports --------------------------------------------------------------------------------------------------

OPEN_IMPORT_STATES = ("ready", "sending", "doubt")
LONGEST_BIZON_ID = 200

imports = Table(
    "imports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False, index=True),
    Column("state", String(12), nullable=False),
    Column("held_on", String(10), nullable=False),
    Column("title", Text, nullable=False, default=""),
    Column("files", Text, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("made_by", String(120), nullable=False, default=""),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("trouble", Text, nullable=False, default=""),
    Column("doubts", Text, nullable=False, default="[]", server_default="[]"),
)
"""One webinar's upload. ``files`` (name, digest, kind and remarks of each) and ``doubts`` are JSON."""

import_rows = Table(
    "import_rows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("import_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("person_key", String(32), nullable=False),
    Column("person", Text, nullable=False),
    Column("said", Text, nullable=False, default="{}"),
    Column("standing", String(12), nullable=False),
    Column("what", String(16), nullable=False),
    Column("interest", String(8), nullable=False),
    Column("planned", Text, nullable=False),
    Column("contact_id", BigInteger),
    Column("deal_id", BigInteger),
    Column("made_contact", Integer, nullable=False, default=0),
    Column("step", String(8), nullable=False, default=""),
    Column("state", String(8), nullable=False, default="planned"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("before", Text),
    Column("note", Text, nullable=False, default=""),
    Column("contact_was", Text),
    Column("sent", Text),
    UniqueConstraint("import_id", "person_key"),
)
"""One person of an import. ``person``, ``said`` (a person's override), ``planned``, ``before`` and
``contact_was`` (what the deal and the contact were, for the undo), ``sent`` (amoCRM's object without the parts that it
refused) are JSON."""
Index("import_rows_step", import_rows.c.import_id, import_rows.c.step, import_rows.c.state)
Index("import_rows_person", import_rows.c.account, import_rows.c.person_key)

import_columns = Table(
    "import_columns",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("signature", String(32), primary_key=True),
    Column("columns", Text, nullable=False),
    Column("titles", Text, nullable=False, default="[]", server_default="[]"),
)
"""Which column means what in tables of this kind (see formats/tables.signature); ``titles``: all its headings."""

bizon_reports = Table(
    "bizon_reports",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("webinar_id", String(LONGEST_BIZON_ID), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("heard_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("trouble", Text, nullable=False, default=""),
    Column("imports", Text, nullable=False, default="[]"),
)
"""``state``: waiting, taken or failed. ``imports``: JSON, the numbers of the imports made of it."""

# --- enquiries --------------------------------------------------------------------------------------------------------

LONGEST_INTAKE_KEY = 200
intake_requests = Table(
    "intake_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("vendor", String(24), nullable=False),
    Column("name", String(80), nullable=False, default=""),
    Column("key", String(LONGEST_INTAKE_KEY), nullable=False),
    Column("method", String(8), nullable=False),
    Column("query", Text, nullable=False, default=""),
    Column("headers", Text, nullable=False, default="{}"),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("state", String(8), nullable=False, default="new"),
    Column("why", Text, nullable=False, default=""),
    Column("repeats", Integer, nullable=False, default=0),
    Column("repeated_at", Float),
    UniqueConstraint("account", "vendor", "name", "key"),
)
"""Requests of vendors as they came. ``name``: which of ``[intake.mapped.…]``. ``headers``: JSON, the chosen ones.
``state``: new, files (read, but a letter's files are not in amoCRM yet), read or broken."""
_intake_new = intake_requests.c.state == "new"
Index(
    "intake_requests_new",
    intake_requests.c.account,
    intake_requests.c.id,
    sqlite_where=_intake_new,
    postgresql_where=_intake_new,
)

OPEN_ENQUIRY_STATES = ("new", "sent", "waits")
enquiries = Table(
    "enquiries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("source", String(24), nullable=False),
    Column("key", String(LONGEST_INTAKE_KEY), nullable=False),
    Column("request_id", BigInteger),
    Column("received_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(8), nullable=False, default="new"),
    Column("standing", String(8), nullable=False, default=""),
    Column("outcome", Text, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("event_key", String(80)),
    Column("contact_id", BigInteger),
    Column("deal_id", BigInteger),
    Column("done_at", Float),
    UniqueConstraint("account", "source", "key"),
)
"""What vendors' requests say, one row each. ``kind``: enquiry, call, record or status; ``body``: JSON, as
intake.model has it. ``state``: new, sent (an event of it is under way), waits (a call whose note may still come), done,
asked (a person was), skipped, dry, refused. ``standing``: see events.EnquiryReceived. ``event_key``: of that event."""
_enquiry_open = text("state IN ('new', 'sent', 'waits')")
Index(
    "enquiries_open",
    enquiries.c.account,
    enquiries.c.id,
    sqlite_where=_enquiry_open,
    postgresql_where=_enquiry_open,
)


def in_open_enquiry_state() -> ColumnElement[bool]:
    """What is not settled of ``enquiries``; the states stand in the statement's text, see in_open_state."""
    states: BindParameter[str] = bindparam(
        "open_enquiries", OPEN_ENQUIRY_STATES, expanding=True, literal_execute=True, unique=True
    )
    return enquiries.c.state.in_(states)


Index("enquiries_at", enquiries.c.account, enquiries.c.received_at)
Index("enquiries_kind", enquiries.c.account, enquiries.c.kind, enquiries.c.id)
Index("enquiries_deal", enquiries.c.account, enquiries.c.deal_id)

enquiry_addresses = Table(
    "enquiry_addresses",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("address", String(160), primary_key=True),
    Column("enquiry_id", BigInteger, primary_key=True, autoincrement=False),
)
"""By what an enquiry's person is known: phones in E.164, mails in lower case, profiles."""
Index("enquiry_addresses_of", enquiry_addresses.c.account, enquiry_addresses.c.enquiry_id)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Id, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("account", "task_id", "deal_id", "user_id")),
    Column("way", String(8), nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("message", String(120), nullable=False),
    Column("state", String(8), nullable=False),
    Column("words", Text, nullable=False),
    Column("due_at", Float, nullable=False),
    UniqueConstraint("account", "task_id", "user_id"),
)
"""Messages with buttons under a task's text. ``state``: asking, asked, pressed, closed, refused."""
approval_presses = Table(
    "approval_presses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("key", String(160), nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("done_at", Float),
    UniqueConstraint("account", "key"),
)

staff_messages = Table(
    "staff_messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("subject", String(8), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("number", "version", "user_id", "chat_id")),
    Column("way", String(8), nullable=False),
    Column("message", String(120), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("words", Text, nullable=False),
    Column("due_at", Float, nullable=False),
    UniqueConstraint("account", "subject", "number"),
)
"""Messages to colleagues with a button. ``subject``: the mark of what they are about, ``number``: which of it;
``version``: the one that the message shows; ``text``: what it says. ``state``: asking, asked, closed, refused."""
_message_open = text("state IN ('asking', 'asked')")
Index(
    "staff_messages_open",
    staff_messages.c.account,
    staff_messages.c.subject,
    sqlite_where=_message_open,
    postgresql_where=_message_open,
)

# --- reports ----------------------------------------------------------------------------------------------------------

kpi_days = Table(
    "kpi_days",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),
    Column("ends_at", Float, nullable=False),
    Column("way", String(120), nullable=False),
    Column("counted_at", Float, nullable=False),
    Column("is_stale", Boolean, nullable=False),
    Column("changed_at", Float),
    # What ``sheet_writes`` tells now; read no more.
    Column("is_in_sheet", Boolean, nullable=False, server_default=false()),
    Column("edition", Integer, nullable=False, server_default="0"),
)
"""Days of KPI that are over. ``day``: 2026-11-30; ``way``: time zone and what counts, as it was counted; ``is_stale``:
something of it was told later; ``changed_at``: when its figures became other ones last; ``edition``: grows whenever
something of it may have become another one, sales and lost deals too."""

kpi_figures = Table(
    "kpi_figures",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contacts", Integer, nullable=False),
    Column("worked", Integer, nullable=False),
    Column("talks", Integer, nullable=False),
    Column("unanswered", Integer, nullable=False),
    Column("letters", Integer, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("first_at", Float),
)
"""What one person did on such a day; sales and lost deals are the deals' own."""

sheet_writes = Table(
    "sheet_writes",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("sheet", String(40), primary_key=True),
    Column("item", String(20), primary_key=True),
    Column("edition", Integer, nullable=False),
)
"""What stands in tables that people read. ``sheet``: the job that writes it; ``item``: a day of KPI, or a daily
report's number; ``edition``: the day's, or the report's version, that was written last."""

kpi_plans = Table(
    "kpi_plans",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measure", String(16), primary_key=True),
    Column("expected", Integer, nullable=False),
    Column("who", String(120), nullable=False),
    Column("at", Float, nullable=False),
)
"""What the head has agreed with a person for one day. ``measure``: as in ``[kpi.plan]``."""

shift_starts = Table(
    "shift_starts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("person", String(255), nullable=False),
    Column("due_at", Float, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("begun_at", Float),
    Column("begun_by", String(160), nullable=False),
    Column("reminded_at", Float),
    Column("escalated_at", Float),
    UniqueConstraint("account", "day", "user_id"),
)
"""When each person began his shift. ``due_at``: when he was to; ``begun_by``: empty for the first thing in amoCRM, else
who confirmed it."""

daily_reports = Table(
    "daily_reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("person", String(255), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("amount", "sales", "talks")),
    Column("plan", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("confirmed_at", Float),
    Column("confirmed_by", String(160), nullable=False),
    Column("shown_version", Integer, nullable=False),
    Column("reminded_at", Float),
    Column("escalated_at", Float),
    # What ``sheet_writes`` tells now; read no more.
    Column("sheet_version", Integer, nullable=False, server_default="0"),
    Column("told_at", Float),
    UniqueConstraint("account", "day", "user_id"),
)
"""One row for each person and day («2026-11-24»), as it stands now. ``due_at``: the end of that shift. ``version``
grows with every change; ``shown_version``: the last one that those who see confirmed reports were sent, 0 for none;
``told_at``: when the person was sent it first."""
Index("daily_reports_open", daily_reports.c.account, daily_reports.c.confirmed_at, daily_reports.c.due_at)

daily_report_versions = Table(
    "daily_report_versions",
    metadata,
    Column("report_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("account", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String(160), nullable=False),
    Column("what", String(16), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("amount", "sales", "talks")),
    Column("plan", Text, nullable=False),
)
"""What a report said after each change. ``what``: made, figures, plan, confirmed. ``who``: empty for the bridge."""

daily_report_sales = Table(
    "daily_report_sales",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("deal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", String(10), nullable=False),
    Column("user_id", BigInteger, nullable=False),
)
"""Whose sale each deal won on ``day`` is in the daily reports, as long as these are counted again."""

# --- rules of working in the CRM --------------------------------------------------------------------------------------

policies = Table(
    "policies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("name", String(160), nullable=False),
    Column("title", String(160), nullable=False),
    Column("is_file", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("withdrawn_at", Float),
    UniqueConstraint("account", "name"),
)
"""Texts that people acknowledge. ``name``: of the file, or a number for one that was typed; ``version``: the one in
force."""
policy_versions = Table(
    "policy_versions",
    metadata,
    Column("policy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("account", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String(160), nullable=False),
    Column("title", String(160), nullable=False),
    Column("text", Text, nullable=False),
)
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("policy_id", "version", "user_id")),
    Column("person", String(255), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("remind_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("reminded_at", Float),
    Column("escalated_at", Float),
    Column("read_at", Float),
    Column("read_by", String(160), nullable=False),
    Column("term", Integer, nullable=False, server_default="1"),
    Column("set_aside_at", Float),
    UniqueConstraint("policy_id", "version", "user_id"),
)
"""Who is to acknowledge which version until when, and has. ``read_by``: the person and the way. ``set_aside_at``: since
when he is not asked, as the text went out of force or he is not named; asked again, he has the next ``term``."""
Index("acknowledgements_open", acknowledgements.c.account, acknowledgements.c.read_at)

# --- rehearsals -------------------------------------------------------------------------------------------------------

_REHEARSAL_OPEN = text("state IN ('asked', 'running')")

rehearsals = Table(
    "rehearsals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("days", Integer, nullable=False),
    Column("deal_id", BigInteger),
    Column("asked_at", Float, nullable=False),
    Column("asked_by", String(120), nullable=False),
    Column("ended_at", Float),
    Column("progress", Float, nullable=False),
    Column("doing", Text, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("deeds", Text),
)
"""One row for each, the last few of an account. ``state``: asked, running, done, failed, stopped; of one account
only one is asked or running. ``deal_id``: None for all deals. ``progress``: 0 to 1. ``deeds`` is JSON, as
rehearsal.calendar.Deed tells them to programs; None until it is done."""
Index(
    "rehearsals_open", rehearsals.c.account, unique=True, sqlite_where=_REHEARSAL_OPEN, postgresql_where=_REHEARSAL_OPEN
)

# --- shared by the processes of an installation -----------------------------------------------------------------------

leaders = Table(
    "leaders",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("since", Float, nullable=False),
    Column("holder", String(120), nullable=False, default=""),
)
"""Per account: how often the lead has changed hands, and since when (Unix seconds) it is in the present ones."""

small_state = Table(
    "small_state",
    metadata,
    Column("section", String(40), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Encrypted values under names, each section like a file of its own; used when the database is PostgreSQL."""

# --- advertising statistics -------------------------------------------------------------------------------------------

ad_statistics = Table(
    "ad_statistics",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("service", String(12), nullable=False),
    Column("folded", String(255), nullable=False),
    Column("placement", String(80), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("campaign", Text, nullable=False),
    Column("shows", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("leads", BigInteger),
    Column("source", Text, nullable=False),
    Column("loaded_at", Float, nullable=False),
    UniqueConstraint("account", "day", "service", "folded", "placement", "currency"),
)
"""Figures of a campaign, a day (ISO) and a placement (empty: unknown). ``folded``: the campaign's name as
``text.names.normalise`` has it. ``cost``: hundredths of the currency. ``leads``: None where nobody counts them.
``source``: a file's name, or the service's API."""
Index("ad_statistics_campaign", ad_statistics.c.account, ad_statistics.c.folded, ad_statistics.c.day)
Index(
    "ad_statistics_loaded",
    ad_statistics.c.account,
    ad_statistics.c.service,
    ad_statistics.c.loaded_at,
    ad_statistics.c.day,
)

spend_sheet_troubles = Table(
    "spend_sheet_troubles",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("words", Text, nullable=False),
)
"""What of people's table the last reading could not take, in one line (Russian); no row if it took all."""

ad_checks = Table(
    "ad_checks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("folded", String(255), nullable=False),
    Column("who", String(120), nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("account", "day", "folded"),
)
"""Campaigns that somebody looked at, by the day whose figures they were."""

# --- work in other systems --------------------------------------------------------------------------------------------

pipedrive_items = Table(
    "pipedrive_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("item", String(12), nullable=False),
    Column("item_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("at", Float),
    Column("kind", String(40), nullable=False),
    Column("client", String(40), nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reason", String(120), nullable=False, server_default=""),
    UniqueConstraint("account", "item", "item_id"),
)
"""Activities and deals of Pipedrive. ``at``: when it was finished or won; None: it is not. ``user_id``: Pipedrive's own
number. ``client``: «person 5», «deal 7». ``cost``: hundredths."""
Index("pipedrive_items_at", pipedrive_items.c.account, pipedrive_items.c.at)

pipedrive_users = Table(
    "pipedrive_users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("mail", String(200), nullable=False),
    UniqueConstraint("account", "user_id"),
)

megaplan_tasks = Table(
    "megaplan_tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("deal_id", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("number", String(20), nullable=False),
    Column("project", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("comment_id", BigInteger, nullable=False),
    Column("due_at", Float, nullable=False),
    UniqueConstraint("account", "task_id"),
)
"""Tasks of amoCRM that are made in Megaplan (channels/megaplan.py). ``number``: Megaplan's own, empty until it
is made. ``comment_id``: the last comment that became a note. ``due_at``: not to be touched before."""
Index("megaplan_tasks_state", megaplan_tasks.c.account, megaplan_tasks.c.state)

# --- the pages: of the installation, not of an account ----------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("login", String(80), nullable=False),
    Column("folded", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
    Column("seen_at", Float),
    Column("accounts", Text),
    UniqueConstraint("folded"),
)
"""``login`` is what people type, ``folded`` what it is found by. ``password``: an argon2 hash; empty: none set yet.
``accounts``: JSON, account → role, for a user of these accounts alone; None: ``role`` counts in all of them.
``disabled_at``: since when he may not come in (Unix seconds); None: he may."""

sittings = Table(
    "sittings",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)
"""Who is logged in. A row is deleted when the sitting ends, so a copied cookie is worth nothing then."""
Index("sittings_user", sittings.c.user_id)

links = Table(
    "links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("user_id", BigInteger),
    Column("until", Float, nullable=False),
)
"""Links that let in once: ``setup`` makes the first admin, ``password`` sets the password of ``user_id``."""

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Float, nullable=False),
    Column("who", String(120), nullable=False),
    Column("account", String(160), nullable=False),
    Column("deed", String(40), nullable=False),
    Column("words", Text, nullable=False),
    Column("details", Text, nullable=False),
)
"""Who changed what by the pages. ``account``: the account's name in the installation, empty if it is about none.
``details``: more of the same for whoever wants to see it, a diff for instance."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(120), nullable=False),
    Column("used_at", Float),
    Column("revoked_at", Float),
    Column("accounts", Text),
    UniqueConstraint("digest"),
)
"""Tokens of programs: only a digest is kept. ``accounts``: as of users. ``revoked_at``: None while it works."""

tries = Table(
    "tries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("until", Float, nullable=False),
)
"""Log-ins that failed. ``digest``: of whose and from where; a try counts until ``until`` and is deleted then."""
Index("tries_digest", tries.c.digest, tries.c.at)
