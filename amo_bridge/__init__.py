"""amo-bridge runs beside an amoCRM account and does what the agency's sales regulation says.

The way of one webhook; the packages are listed by layer in docs/design.md::

    amoCRM ─POST─► web/receiver.py ─► engine/inbox.py    committed, then 204
                                         │
    runtime/worker.py ── ingest ─────────┤ engine/event_queue.py, crm/webhooks.py  bytes → events, repeats dropped
                      ── process ────────┤ engine/processor.py                    fresh read × mirror/
                      │                  │   engine/change_detection.py           → observed events
                      │                  │ engine/dispatcher.py → handlers/*.py  (event, deal, options) → actions | Skip
                      │                  │ engine/resolver.py                     names → ids: effects
                      │                  │ engine/recorder.py                     journal + outbox + mirror: one commit
                      ── send ───────────┘ engine/sender.py, crm/writes.py        batches; a lost answer is looked for
                                           channels/sender.py                     letters, notices: past amoCRM's API

    engine/scheduler.py   due timers → event queue → schedules/*.py
    sync/reconciliation.py   changes that no webhook told of → event queue

``handlers/`` and ``schedules/`` beside this package hold the regulation; nothing in here knows a stage by name.
"""
