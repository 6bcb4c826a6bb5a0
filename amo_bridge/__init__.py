"""amo-bridge runs beside an amoCRM account and does what the agency's sales regulation says.

The data's way through the house::

    amoCRM ─hook─► web/webhooks.py ─► engine/inbox.py      the raw bytes, committed, then 204
                                     │
       runtime/worker.py ── decode ───┤ engine/event_queue.py, crm/hooks/     bytes → reported events, repeats dropped
                        ── judge ────┤ engine/processor.py                fresh read, compared with the mirror (observe)
                        │            │ engine/dispatcher.py → handlers/*  (event, deal, options) → actions | Skip(…)
                        │            │ engine/resolve/                  names → ids, due phrases → times
                        │            │ one transaction: journal + outbox + event done
                        ── send ─────┘ engine/sender.py, crm/writes.py  like effects together; lost answers looked for

``handlers/`` and ``schedules/`` beside this package hold the regulation; nothing in here knows a stage by name.
"""
