"""Bizon365 as a second door for webinars: it tells that a report is ready, the bridge fetches the viewers by itself.

::

    settings.py     the token and the hook's secret, kept encrypted
    reports.py      the reports it has told of, in the store: waiting, taken, given up
    client.py       its API: the viewers of a report
    chore.py        the worker's chore: one report after the other, fetched in a thread beside it
    taking.py       viewers → a draft of an import; who is told of it
"""
