"""The first shape: inbox, events, journal, outbox, made, deals, the budget."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
OPEN = "state IN ('waiting', 'ready', 'sending', 'doubt')"


def upgrade() -> None:
    _what_comes()
    _what_is_done()
    _what_is_known()


def _what_comes() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Id, primary_key=True),
        sa.Column("amo_id", sa.BigInteger, nullable=False),
        sa.Column("amojo_id", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.UniqueConstraint("amo_id", "amojo_id"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
    )
    _partial_index("inbox_new", "inbox", "state = 'new'")
    op.create_table(
        "events",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("inbox_id", sa.BigInteger),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("account", "key"),
    )
    _partial_index("events_open", "events", "state = 'open'")


def _what_is_done() -> None:
    op.create_table(
        "journal",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event_id", sa.BigInteger),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("rule", sa.String(160)),
        sa.Column("clause", sa.String(40), nullable=False),
        sa.Column("verdict", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actions", sa.Text, nullable=False),
    )
    op.create_index("journal_deal", "journal", ["account", "deal_id", "id"])
    op.create_index("journal_rule", "journal", ["account", "rule", "id"])
    op.create_table(
        "outbox",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(240), nullable=False),
        sa.Column("event_id", sa.BigInteger),
        sa.Column("rule", sa.String(160), nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("after_id", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("sent_at", sa.Float),
        sa.Column("done_at", sa.Float),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("account", "key"),
    )
    _partial_index("outbox_open", "outbox", OPEN)
    op.create_index("outbox_deal", "outbox", ["account", "deal_id"])
    op.create_table(
        "made",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.String(160), nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("slot", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("entity_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "kind", "entity_id"),
    )
    op.create_index("made_by", "made", ["account", "deal_id", "rule"])


def _what_is_known() -> None:
    op.create_table(
        "deals",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("deal_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("pipeline_id", sa.BigInteger, nullable=False),
        sa.Column("status_id", sa.BigInteger, nullable=False),
        sa.Column("stage_since", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("read_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("deals_stage", "deals", ["account", "pipeline_id", "status_id"])
    op.create_table(
        "crm_budget",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("next_free", sa.BigInteger, nullable=False),
        sa.Column("stopped_kind", sa.String(40)),
        sa.Column("stopped_reason", sa.Text),
        sa.Column("stopped_at", sa.BigInteger),
        sa.Column("next_probe", sa.BigInteger),
    )


def _partial_index(name: str, table: str, where: str) -> None:
    op.create_index(name, table, ["account", "id"], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
