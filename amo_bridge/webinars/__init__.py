"""Webinars: what a platform's export says → people → what is to become of each of them in amoCRM.

The data's way::

    file ─► recognise.py ─► formats/*.py      bytes → visits, whatever the platform calls its columns
                 │
          attendees.py                        visits → people: several rows, one person; minutes from intervals
                 │
           sorting.py                         clicked or stayed long → which of the three stages (W2)
                 │
          figures.py                        what his deal gets, beside what earlier files of that day have told
                 │
            plan.py                           people × contacts × open deals → new, known, owned, unmatched, doubtful

Everything here is pure: nothing asks amoCRM, the store or the clock. ``engine/imports/`` carries a plan out.
"""
