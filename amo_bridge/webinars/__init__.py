"""Webinars: what a platform's export says → people → what is to become of each of them in amoCRM.

The data's way::

    file ─► formats/                bytes → visits, whatever the platform calls its columns; in a process of its own
                 │
          attendees.py              visits → people: several rows, one person; minutes from intervals
                 │
           sorting.py               clicked or stayed long → which of the three stages (W2); what earlier files told
                 │
            plan.py                 people × contacts × open deals → new, known, owned, unmatched, doubtful

Nothing of that asks amoCRM, the store or the clock. ``imports/`` carries a plan out; ``bizon.py`` fetches reports.
"""
