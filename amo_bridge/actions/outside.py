"""Actions outside amoCRM: letters, notices, audiences, SMS, calls. Each goes through a port (``amo_bridge/channels``).

A port may have no vendor yet; then the journal says plainly that nothing was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from amo_bridge.actions.base import Action, Person


@dataclass(frozen=True, kw_only=True)
class SendLetter(Action):
    """A letter to the client (the main contact's e-mail) by a template of the folder ``[mail] templates``.

    ``service``: it is about work in hand; otherwise it is advertising, which needs the client's consent and shows him
    how to unsubscribe. Letters of one deal and one ``thread`` answer each other. ``no_address``: who gets a task when
    the client has no address; None: nobody.
    """

    template: str
    service: bool = True
    thread: str = ""
    no_address: Person | None = "manager"


@dataclass(frozen=True, kw_only=True)
class Notify(Action):
    """Tell people something about the deal, each by his own channels. ``urgent``: in their quiet hours too."""

    to: tuple[Person, ...]
    text: str
    urgent: bool = False


@dataclass(frozen=True, kw_only=True)
class JoinAudience(Action):
    """Show the client the advertising of an audience."""

    audience: str


@dataclass(frozen=True, kw_only=True)
class LeaveAudience(Action):
    """Don't show it any more."""

    audience: str


@dataclass(frozen=True, kw_only=True)
class StoreFile(Action):
    """Keep a copy of a file of the deal in the document storage, in the folder of that name; ``link_field``: the deal's
    field that holds the folder's address then. ``file_uuid`` is amoCRM's."""

    file_name: str
    file_uuid: str | None
    folder: str
    link_field: str | None = None


@dataclass(frozen=True, kw_only=True)
class SendSms(Action):
    """An SMS to the client's phone."""

    text: str


@dataclass(frozen=True, kw_only=True)
class StartAutoDial(Action):
    """The PBX calls the manager and then the client, again and again until they talked. It goes on until it is stopped
    or the deal leaves the stage it is on now."""


@dataclass(frozen=True, kw_only=True)
class StopAutoDial(Action):
    """``because``: one short Russian sentence, as in Skip."""

    because: str = ""


@dataclass(frozen=True, kw_only=True)
class StartSeries(Action):
    """Begin a series of letters from its first one; nothing if it is running for this deal. It ends when the deal
    leaves the stage it is on now, or the client answers or unsubscribes."""

    series: str


@dataclass(frozen=True, kw_only=True)
class StopSeries(Action):
    """End a series, or all of them (None). ``because``: as in Skip."""

    series: str | None = None
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordViolation(Action):
    """Somebody broke a clause of the regulation. ``penalty``: in the account's currency, taken off his pay. ``why``:
    what he did; without it the rule's own words are kept."""

    person: Person
    clause: str
    penalty: int | None = None
    why: str = ""
