"""Enquiries come in by themselves: requests of vendors are proven and parsed.

::

    request.py      bytes → fields or JSON, whatever the encoding; signatures and secrets
    contacts.py     phones, addresses, names and advertising marks among free fields
    model.py        what a request can say: Enquiry, PbxCall, Recording, DeliveryStatus, NoEnquiry
    sites.py …      one pure parser a vendor: sites, chats, telephony, delivery, mail
    social.py       the same for social networks, and Meta's API: the page, its subscriptions, leads by their number
    fetching.py     what a webhook tells only the number of
    call_history.py calls whose webhook was lost, from the history of the exchanges
    reception.py    the table of vendors; one request → the vendor's own answer and what it says
"""
