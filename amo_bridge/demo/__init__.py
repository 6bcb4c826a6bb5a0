"""``amo-bridge demo``: the regulation at work, played against local amoCRMs in their own processes.

``processes`` starts and ends them, ``crm_user`` does what people do in amoCRM's web page, ``stories``, ``documents``
and ``enquiries`` are the scripts, and ``player`` plays them, reads results back from the CRM and prints the table.
"""
