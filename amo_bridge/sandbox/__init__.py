"""A local amoCRM: a real HTTP server with amoCRM's own quirks, limits and hooks, for tests, the demo and rehearsals.

How a write travels::

    HTTP request ─► faults, limits, bearer token ─► an entity's module (deals.py, tasks.py …) checks, writes to World
                                                      │ World.record(Change)
                                                      ├─► event_log.py      the account's events list
                                                      └─► hook_bodies.py ─► delivery.py: the webhooks, as amoCRM's

The counterpart of our own client, so nothing here may be built from what that client happens to send: the behaviour
comes from amoCRM's documentation and captured traffic, section by section in ``docs/sandbox.md``.
"""
