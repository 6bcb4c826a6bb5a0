"""Lanes: what goes out past amoCRM, each kind by its own way (port), none holding up the others.

::

    outbox ─► Lane.send ─► port.plan(rows)      who, where to, may it go: asked for many at once
                              │
                              ├─ an outcome at once     no address, unsubscribed, quiet hours
                              └─ a job ─► "sending" is committed ─► the vendor ─► outcome, committed

amoCRM can be asked whether a lost write has landed; a mail server can't. So what was being sent when the answer got
lost, or the bridge died, is not sent again by itself: it becomes «unknown», and a person decides (``amo-bridge
failed``). A port to whom a second try does no harm says so (``repeats_doubtful``).
"""
