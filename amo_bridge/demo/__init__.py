"""``amo-bridge demo``: the regulation at work, played against a local amoCRM in two processes of their own.

``processes`` starts and ends them, ``office`` does what people do in amoCRM's web page, ``story`` is the script, and
``stage`` plays it, reads the result back from the CRM and prints the table.
"""
