"""A date of a contact is another one: the steps of his deals are planned anew, and the rules hear of it.

Both in the transaction that keeps the contact, whether a hook told of it or the look for missed changes found it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.intake import add_events
from amo_bridge.engine.timers import Timers
from amo_bridge.engine.timetable import Timetable
from amo_bridge.engine.view import Viewer
from amo_bridge.events import ContactDateChanged, Event
from amo_bridge.mirror.contacts import Renewed
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import Store


class ContactDates:
    """``rules``: the timetable and the viewer as they are by then."""

    def __init__(
        self, store: Store, account_key: int, clock: Clock, rules: Callable[[], tuple[Timetable, Viewer]]
    ) -> None:
        self._key = account_key
        self._clock = clock
        self._rules = rules
        self._mirror = Mirror(store, account_key)
        self._timers = Timers(account_key)

    def follow(self, connection: Connection, renewed: Sequence[Renewed]) -> None:
        """The kept fields or the deals of these contacts are others than before."""
        timetable, viewer = self._rules()
        if not timetable.contact_dates:
            return
        contacts = {one.now.id: one for one in renewed}
        deal_ids = {deal_id for one in renewed for deal_id in one.now.deal_ids}
        copies = self._mirror.among(connection, deal_ids).values()
        own = [(copy, contacts[main]) for copy in copies if (main := copy.record.main_contact_id) in contacts]
        self._timers.follow(connection, timetable, [copy for copy, _ in own])
        told = [event for copy, contact in own for event in _told(copy.record.id, contact, timetable, viewer)]
        add_events(connection, self._key, told, self._clock.now().timestamp())


def _told(deal_id: int, contact: Renewed, timetable: Timetable, viewer: Viewer) -> Iterator[Event]:
    """Of every date that counts and is another one. What was empty has set no task that would have to follow."""
    if contact.before is None:
        return
    before, now = viewer.contact(contact.before), viewer.contact(contact.now)
    for name in sorted(timetable.contact_dates):
        old, new = before.text(name), now.text(name)
        if old and old != new:
            yield ContactDateChanged(
                at=contact.now.updated_at,
                deal_id=deal_id,
                contact_id=contact.now.id,
                field_name=name,
                old=old,
                new=new or None,
            )
