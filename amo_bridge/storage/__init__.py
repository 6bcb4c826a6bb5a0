"""The durable store: SQLite embedded, PostgreSQL by the same code.

``tables`` all tables · ``database`` open, read, write · ``migrate`` schema upgrades · ``accounts`` account rows and
cursors · ``locks`` between processes · ``notify`` wake-ups across processes · ``secrets`` encrypted small values ·
``backup`` copies of the database.
"""
