"""Mirror: the bridge's own copy of deals, tasks, contacts and touches, asked instead of amoCRM.

``deals`` holds each deal as it was last seen, ``tasks`` the open tasks, ``contacts`` finds people by phone, mail and
surname, ``touches`` tells who was in contact with a client and when. Hooks keep it, reconciliation puts right what they
missed, and whatever is about to be written is judged by a fresh read all the same.
"""
