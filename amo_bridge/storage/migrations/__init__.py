"""The store's revisions, applied by ``amo_bridge.storage.migrate`` when the bridge starts.

A new one: the next number in ``versions/``, the same change in ``tables.py``, ``HEAD`` in ``migrate.py``. A test
compares what the revisions build with what ``tables.py`` says, on SQLite and on PostgreSQL.
"""
