"""Webinar imports, carried out: kept in the store, worked on by whoever leads, resumable at any moment, undoable.

::

    drafting.py     files → people → a plan, kept as a draft; nothing is written into amoCRM
    book.py         the import and its rows in the store
    runner.py       one request's worth of rows at a time; between them the worker does everything else
    later.py        somebody who was left out, decided about afterwards
    undo.py         what can be taken back, and what can't, in words
    report.py       each person with a link to the deal
"""
