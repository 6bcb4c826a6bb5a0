"""A call that amoCRM wrote on a contact's card, told on the deals that it is about.

The telephone exchange finds the person by his phone: with one open deal the call stands on the deal, with several on
the person (amoCRM docs, calls-api), and many integrations always write it there. It is about the open deals whose main
contact he is: whoever else is on a deal, a blogger on dozens of them, is not the client who was called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.events import CallLogged, Event
from amo_bridge.mirror.contact_refresh import ContactKeeper
from amo_bridge.mirror.deals import Mirror


class ClientCalls:
    """Whose deals they are the index of contacts knows. Only somebody whom it has never met is asked for, all of them
    in one request."""

    def __init__(self, mirror: Mirror, contacts: ContactKeeper) -> None:
        self._mirror = mirror
        self._contacts = contacts

    def on_deals(self, told: Iterable[tuple[int, Event]]) -> dict[int, tuple[CallLogged, ...]]:
        """Event's number → the same call on each deal; calls that are about no deal are left out. Raises CrmError."""
        calls = {number: event for number, event in told if isinstance(event, CallLogged) and _is_on_contact(event)}
        if not calls:
            return {}
        owners = {event.entity_id or 0 for event in calls.values()}
        self._contacts.meet(owners)
        deals = {one.id: self._his(one.id, one.deal_ids) for one in self._contacts.index.get(owners).values()}
        on_deals = {
            number: tuple(replace(event, deal_id=deal_id) for deal_id in deals.get(event.entity_id or 0, ()))
            for number, event in calls.items()
        }
        return {number: some for number, some in on_deals.items() if some}

    def _his(self, contact_id: int, deal_ids: Sequence[int]) -> list[int]:
        """Without those that are known to be none of his. What the mirror has not met is decided by a fresh read."""
        known = self._mirror.get(deal_ids)
        return [one for one in deal_ids if one not in known or not _why_not(contact_id, known[one].record)]


def why_not_about(event: Event, record: DealRecord) -> str:
    """Why this call, written on a contact's card, is not about the deal after all; empty if it is, and for whatever is
    no such call."""
    if not isinstance(event, CallLogged) or event.deal_id is None or event.entity_id is None:
        return ""
    return _why_not(event.entity_id, record)


def _why_not(contact_id: int, record: DealRecord) -> str:
    if record.status_id in (WON, LOST):
        return "звонок на карточке контакта, а сделка закрыта"
    return "" if record.main_contact_id == contact_id else "звонок на карточке контакта, который в сделке не главный"


def _is_on_contact(call: CallLogged) -> bool:
    return call.entity_type == "contact" and None not in (call.entity_id, call.note_id) and call.deal_id is None
