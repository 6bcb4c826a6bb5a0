"""Local amoCRM: an HTTP server with amoCRM's limits, refusals, side effects and webhooks.

For tests, the demo and rehearsals.

The way of a write::

    HTTP request ─► middleware, faults, limits, auth ─► an entity's module (deals.py …): checks, writes to World
                                                          │ World.record(Change)
                                                          ├─► events.py    the account's events list
                                                          └─► delivery.py ─► webhook_bodies.py, webhook_sender.py

Nothing here may be built from what our own client happens to send: the behaviour comes from amoCRM's documentation and
captured traffic, section by section in ``docs/sandbox.md``.
"""
