"""Enquiries as rules hear of them: one has come and its person is found; one lies on a deal.

The bridge concludes both from requests of vendors (``amo_bridge/intake``); amoCRM reports neither.
"""

from __future__ import annotations

from typing import Literal

from amo_bridge.events.base import Event, TouchKind, TouchRecord
from amo_bridge.events.calls import TALKED
from amo_bridge.events.observed import DealObserved
from amo_bridge.lazy.dataclasses import dataclass

__all__ = ["EnquiryOnDeal", "EnquiryReceived"]

Standing = Literal["new", "open", "closed", "doubt"]
"""Nobody knows the person; he has an open deal; only closed ones or none; two contacts may be he."""
CallOutcome = Literal["", "missed", "talk"]
_LONGEST_LABEL = 60


@dataclass(frozen=True, kw_only=True)
class EnquiryReceived(Event):
    """Somebody wants something, and it is known who.

    The enquiries of one person and source that waited together.

    ``deal_id``: his open deal, otherwise a deal to come (below 0, see ``is_to_come``). ``source``: the vendor's name;
    ``title``: as people call it. ``phones`` in E.164. ``texts``: the words of each enquiry. ``call``: it is a call,
    ``call_key`` its name at the exchange.
    ``contact_id``: who it is. ``earlier``: (id, name, address) of his deals, the newest first, those of an open one
    left out. ``knew``: the user who knew him last. ``doubt``: why a person must say who it is, Russian, with
    ``candidates``, the addresses of their cards. ``turn``: how many new deals enquiries have brought before;
    ``load``: (user, open deals); ``place``: which new one of its batch.
    """

    usual_origin = "enquiry"
    happens_once = True

    enquiry_id: int
    deal_id: int
    standing: Standing
    source: str
    title: str = ""
    name: str = ""
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    utm: tuple[tuple[str, str], ...] = ()
    roistat_visit: str = ""
    page: str = ""
    profile: str = ""
    link_param: str = ""
    call: CallOutcome = ""
    call_key: str = ""
    contact_id: int | None = None
    earlier: tuple[tuple[int, str, str], ...] = ()
    knew: int | None = None
    doubt: str = ""
    candidates: tuple[str, ...] = ()
    turn: int = 0
    load: tuple[tuple[int, int], ...] = ()
    place: int = 0
    attempt: int = 0

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def dedup_key(self) -> str | None:
        return f"enquiry:{self.enquiry_id}:{self.attempt}"

    @property
    def is_to_come(self) -> bool:
        """Has the deal still to be made?"""
        return self.deal_id < 0

    @property
    def who(self) -> str:
        """The name, or what else is known of him."""
        return self.name or next(iter((*self.phones, *self.mails)), "") or self.profile or "без имени"

    @property
    def phone(self) -> str | None:
        """The first phone."""
        return next(iter(self.phones), None)

    @property
    def mail(self) -> str | None:
        """The first address."""
        return next(iter(self.mails), None)

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.texts)

    @property
    def label(self) -> str:
        words = " ".join(self.texts[0].split()) if self.texts else ""
        short = words if len(words) <= _LONGEST_LABEL else f"{words[:_LONGEST_LABEL]}…"
        return (
            f"обращение ({self.title or self.source}): {short}" if short else f"обращение ({self.title or self.source})"
        )


@dataclass(frozen=True, kw_only=True)
class EnquiryOnDeal(DealObserved):
    """An enquiry lies on a deal now: a new one was made for it, or it is a note on an open one.

    ``is_new``: which.

    It is a touch: the client has written or called, so rules about a client's answer hear of it too.
    """

    usual_origin = "enquiry"
    happens_once = True

    enquiry_id: int
    source: str
    title: str = ""
    who: str = ""
    text: str = ""
    utm: tuple[tuple[str, str], ...] = ()
    call: CallOutcome = ""
    call_key: str = ""
    phone: str | None = None
    mail: str | None = None
    contact_id: int | None = None
    is_new: bool = False
    attempt: int = 0

    @property
    def dedup_key(self) -> str | None:
        return f"enquiry_on:{self.enquiry_id}:{self.attempt}"

    def event_key(self, queue_key: str) -> str:
        return queue_key

    @property
    def touch(self) -> TouchRecord | None:
        if self.at is None:
            return None
        kind: TouchKind = "call" if self.call else "mail" if self.source == "mail" else "chat"
        return TouchRecord(
            key=f"enquiry:{self.enquiry_id}",
            kind=kind,
            direction="in",
            at=self.at,
            card=("deal", self.deal_id),
            seconds=None if self.call == "talk" else 0,
            status=TALKED if self.call == "talk" else None,
            phone=self.phone,
            uniq=self.call_key or None,
            contact_id=self.contact_id,
            text=self.text,
        )

    @property
    def label(self) -> str:
        what = "новая сделка по обращению" if self.is_new else "обращение по открытой сделке"
        return f"{what} ({self.title or self.source})"

    @classmethod
    def of(cls, event: EnquiryReceived, deal_id: int, *, is_new: bool) -> EnquiryOnDeal:
        """What follows from an enquiry once its deal is there."""
        return cls(
            at=event.at,
            account_id=event.account_id,
            deal_id=deal_id,
            enquiry_id=event.enquiry_id,
            source=event.source,
            title=event.title,
            who=event.who,
            text=event.text,
            utm=event.utm,
            call=event.call,
            call_key=event.call_key,
            phone=event.phone,
            mail=event.mail,
            contact_id=event.contact_id,
            is_new=is_new,
            attempt=event.attempt,
        )
