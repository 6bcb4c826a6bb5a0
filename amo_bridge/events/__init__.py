"""Vocabulary 1: what happened. All events, imported from here.

*Reported* events (``reported``) are what a webhook said, decoded and nothing more (``crm/webhooks``). *Observed* events
(``observed``) are what the bridge concluded by comparing a fresh read with its mirror (``engine/change_detection``),
and what falls due by its own clock. Enquiries (``enquiries``) come from requests of other vendors.

``Deal`` is amoCRM's *lead* (сделка); the word is ``deal`` everywhere in our code, ``lead`` only on amoCRM's wire.
Times are aware datetimes in UTC. Ids are amoCRM's integers.

A new event is a class of one of these modules and its name in ``__all__`` there (docs/add-an-event.md).
"""

from __future__ import annotations

from amo_bridge.events.base import *  # noqa: F403 - a facade: what each module lists in __all__
from amo_bridge.events.enquiries import *  # noqa: F403
from amo_bridge.events.observed import *  # noqa: F403
from amo_bridge.events.reported import *  # noqa: F403
