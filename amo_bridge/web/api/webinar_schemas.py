"""Schemas of ``/webinars``."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, Self

from pydantic import Field, Json, model_validator

from amo_bridge.config.webinar import Interest, Kind
from amo_bridge.web.api.endpoint import Error, Number, Shape
from amo_bridge.webinars.formats.tables import Field as Column
from amo_bridge.webinars.imports.model import State
from amo_bridge.webinars.plan import Override, Standing, What


class Webinar(Shape):
    """One upload of a webinar's attendees. ``counts``: state of a row → how many; ``waiting``: people about whom
    somebody must decide; ``trouble``: what a running one is waiting out."""

    number: int
    state: State
    held_on: date
    title: str
    made_at: datetime
    made_by: str
    waiting: int
    counts: dict[str, int]
    trouble: str


class Webinars(Shape):
    """The newest first."""

    webinars: list[Webinar]


class AttendeeDecision(Shape):
    """Of somebody about one person. ``what``: as planned, leave out, a new contact, or this contact (``contact_id``);
    ``interest``: another stage than the webinar's figures say."""

    what: Literal["plan", "skip", "new", "contact"] = "plan"
    contact_id: Number | None = None
    interest: Interest | None = None

    @model_validator(mode="after")
    def a_contact_where_one_is_meant(self) -> Self:
        if (self.what == "contact") != (self.contact_id is not None):
            raise ValueError("contact_id goes with what = «contact», and only with it")
        return self

    @classmethod
    def of(cls, said: Override) -> AttendeeDecision:
        what: Literal["plan", "skip", "new", "contact"] = "contact" if said.contact_id else "plan"
        what = "skip" if said.skip else "new" if said.as_new else what
        return cls(what=what, contact_id=said.contact_id, interest=said.interest)

    @property
    def override(self) -> Override:
        """As the plan takes it."""
        if self.what == "skip":
            return Override(skip=True)
        return Override(as_new=self.what == "new", contact_id=self.contact_id, interest=self.interest)


class UnknownMinutes(Shape):
    """Of somebody about everybody whose minutes nobody knows: their stage, or to leave them out."""

    interest: Interest | None = None
    skip: bool = False

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        if self.skip == (self.interest is not None):
            raise ValueError("either interest or skip")
        return self


class ColumnAnswer(Shape):
    """What somebody has said about tables with these headings (``titles``): field → title of its column."""

    signature: str
    columns: dict[Column, str]
    titles: list[str]


class ColumnAnswers(Shape):
    """All that people have said about columns."""

    answers: list[ColumnAnswer]


class ColumnChange(Shape):
    """Field → title of its column; a field that is not named has none."""

    columns: dict[Column, str]


class Attendee(Shape):
    """A person of an upload. ``place``: the number by which he is decided about; ``places``: where in the files he is.
    ``interest``, ``stage``, ``sorted_by``: what the webinar says, ``standing``: what amoCRM says, ``plan`` and ``why``:
    what follows. ``choices``: contacts among whom somebody must choose. ``became``: what came of it, in Russian;
    ``deal_id`` and ``contact_id``: null while there is none."""

    place: int
    name: str
    mails: list[str]
    phones: list[str]
    unreadable: list[str]
    minutes: float
    buttons: list[str]
    interest: Kind
    stage: str
    sorted_by: str
    standing: Standing
    plan: What
    why: str
    remarks: list[str]
    choices: list[int]
    decided: AttendeeDecision
    state: str
    became: str
    note: str
    contact_id: int | None
    contact_url: str | None
    deal_id: int | None
    deal_url: str | None
    places: list[str]


class WebinarFile(Shape):
    """``source``: what it was taken for; ``loaded_before``: the upload that this very file was part of;
    ``in_draft``: another draft of it."""

    name: str
    digest: str
    source: str
    visits: int
    remarks: list[str]
    loaded_before: int | None
    in_draft: int | None


class WebinarSum(Shape):
    """``standings``: who they are to amoCRM → how many belong on this stage; for how many something is ``planned``,
    and ``done``."""

    interest: Interest
    stage: str
    standings: dict[str, int]
    planned: int
    done: int


class WebinarReport(Webinar):
    """An upload with everybody in it: of a draft the plan, later the report. ``rule``: how people are sorted;
    ``left_out``: those who get to no stage, by why; ``doubts``: what looks odd about the files;
    ``results``: what came of it, in a Russian sentence."""

    files: list[WebinarFile]
    rule: str
    sums: list[WebinarSum]
    left_out: dict[str, int]
    doubts: list[str]
    results: str
    attendees: list[Attendee]


class WebinarPeople(Shape):
    """Those of an upload who were asked for, in the file's order: one page of them."""

    found: int
    page: int
    pages: int
    attendees: list[Attendee]


class WebinarUpload(Shape):
    """A form with files. ``held_on``: the day of the webinar, if the files don't tell it. ``columns``: which column
    is what, field → title, in a table that nobody knows or that was taken otherwise; «-»: there is no such column.
    Remembered for all tables with the same columns."""

    held_on: date | None = None
    columns: Json[dict[Column, str]] = Field(default_factory=dict)


class UploadRefused(Error):
    """Why nothing was made of the files. ``titles``: the columns of a table that nobody knows yet, ``samples``: what
    stands below them in its first rows; ``fields``: what they may be named, with what that means (Russian)."""

    titles: list[str] = Field(default_factory=list)
    samples: list[list[str]] = Field(default_factory=list)
    fields: dict[str, str] = Field(default_factory=dict)


class Drafts(Shape):
    """The numbers of what the files have become: a draft for each day of a webinar."""

    numbers: list[int]
