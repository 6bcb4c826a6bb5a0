"""Channels: ways out past amoCRM, by mail, messengers, SMS, telephone, audiences, storage, tables.

Each is a port (``channels/port.py``) for one channel of the outbox; ``channels/vendors.py`` lists their vendors.
"""
