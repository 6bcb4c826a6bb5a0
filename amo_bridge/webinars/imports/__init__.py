"""Webinar imports: kept in the store, carried out by the leader, resumable at any moment, undoable.

::

    drafts.py       files → people → a plan, kept as a draft; nothing is written into amoCRM
    repository.py   the import and its rows in the store; ``model.py``: the same as objects
    service.py      what people do with it: start, hold, decide about one, repeat, undo
    executor.py     one request's worth of rows at a time; between them the worker does everything else
    steps.py        the steps: contacts, deals, updates, undo; ``delivery.py`` sends their rows
    report.py       each person with a link to the deal
"""
