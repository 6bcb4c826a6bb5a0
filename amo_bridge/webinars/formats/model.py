"""Content of a file: visits, one for each row about somebody, before people are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime

from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass

Interval = tuple[datetime, datetime]
"""From when to when somebody watched: naive datetimes on the webinar's own wall clock."""


class ExportError(BridgeError):
    """The file can't be taken: what is wrong, where in it, and what to do (Russian)."""


class ColumnsUnknown(ExportError):
    """A table whose columns nobody has named yet. ``headers`` are its columns, ``samples`` what stands below them in
    its first rows; ``needs``: the fields that are missing; ``signature`` tells this kind of table from others, so that
    an answer is remembered for the next file like it."""

    def __init__(
        self,
        message: str,
        headers: tuple[str, ...],
        signature: str,
        samples: tuple[tuple[str, ...], ...] = (),
        needs: tuple[str, ...] = ("mail", "minutes"),
    ) -> None:
        super().__init__(message)
        self.headers = headers
        self.samples = samples
        self.signature = signature
        self.needs = needs


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Somebody's presence, as one row (or several that belong together) tells it.

    ``phones`` in E.164, ``mails`` as ``mails.mail_key`` makes them; ``unreadable``: what stood in the phone's cell and
    is no number; ``odd``: what stood in other cells and can't be read, by the field. ``guest_word``: what stands
    instead of an address, such as «гость». ``minutes``: as the file counts them; beside ``intervals`` they say how much
    of those the person was away. ``buttons``: as the platform calls them. ``place``: where in the file («лист
    «Зрители», строка 7»); ``part``: which of its tables. ``left_out``: why the row does not make a client (Russian);
    ``is_host``: because of who he is, not of this one row.
    """

    name: str
    place: str
    mails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    odd: Mapping[str, str] = field(default_factory=dict)
    guest_word: str = ""
    intervals: tuple[Interval, ...] = ()
    minutes: float | None = None
    buttons: tuple[str, ...] = ()
    came_on: date | None = None
    is_banned: bool = False
    ip: str = ""
    city: str = ""
    part: int = 0
    left_out: str = ""
    is_host: bool = False


@dataclass(frozen=True, kw_only=True)
class TableHeader:
    """The header of a table that was read. ``titles``: all its headings; ``columns``: field → the title of the first
    column that was taken for it; ``samples``: what stands below the titles in the first rows."""

    signature: str
    titles: tuple[str, ...]
    columns: Mapping[str, str]
    samples: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Export:
    """One file, read. ``source``: the kind of file in words. ``held_on``: the webinar's day, for visits without one of
    their own. ``length``: the webinar's minutes, if the file tells them. ``remarks``: what whoever uploads it should
    know; ``doubts``: what looks odd and should be looked at before anything is written (Russian). ``knows_buttons``: no
    button there means that none was clicked; otherwise the platform, or this table, does not speak of buttons.
    ``tables``: the headers by which people were read."""

    source: str
    visits: tuple[Visit, ...]
    title: str = ""
    held_on: date | None = None
    length: float | None = None
    remarks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    knows_buttons: bool = True
    tables: tuple[TableHeader, ...] = ()
