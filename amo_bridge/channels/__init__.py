"""Ways out of the house past amoCRM: mail, Telegram; audiences, SMS and auto-dial as far as they have a vendor.

Each is a port (``channels/port.py``) for one channel of the outbox; ``channels/registry.py`` lists their vendors.
"""
