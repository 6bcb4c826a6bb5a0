"""What the API takes and gives, as pydantic models: answers are made of them, and so is the description."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """Why nothing was done."""

    error: str
    detail: str


class Trouble(Shape):
    """What somebody should look at, in Russian."""

    weight: Literal["bad", "warning"]
    words: str


class State(Shape):
    """Is everything well? Ages are seconds; null: it has not happened yet."""

    account: str
    state: str
    is_ready: bool
    is_leading: bool
    troubles: list[Trouble]
    inbox_new: int
    events_open: int
    outbox: dict[str, int]
    failed: dict[str, int]
    overdue: int
    mirror_deals: int
    last_hook_age: float | None
    reconcile_age: float | None
    stopped: str


class Rule(Shape):
    """``says``: in words. ``last_acted``: null if it has not, as far back as the journal goes."""

    name: str
    clause: str
    says: str
    enabled: bool
    dry_run: bool
    last_acted: datetime | None


class Rules(Shape):
    """All rules of the config, in its order."""

    rules: list[Rule]


class RuleChange(Shape):
    """What is left out stays as it is."""

    enabled: bool | None = None
    dry_run: bool | None = None


class Effect(Shape):
    """``state``: done, ready, waiting, sending, doubt, failed, unsent, unknown, dry or dropped."""

    words: str
    state: str
    error: str


class JournalEntry(Shape):
    """``rule``: empty for what came. ``verdict``: came, acts, would_act, skipped, failed, held, retried, dropped."""

    at: datetime
    event_id: int | None
    what: str
    rule: str
    clause: str
    verdict: str
    reason: str
    effects: list[Effect]


class Journal(Shape):
    """One deal's, oldest first."""

    deal_id: int
    entries: list[JournalEntry]


class Failure(Shape):
    """``name``: «F21» for an effect, «H11» for an event. ``error``: the vendor's own words."""

    name: str
    at: datetime
    deal_id: int | None
    rule: str
    what: str
    error: str
    attempts: int
    after: str | None


class Failures(Shape):
    """Oldest first."""

    failures: list[Failure]


class Names(Shape):
    """Of failures."""

    names: Annotated[list[str], Field(min_length=1, max_length=1000)]


class Overdue(Shape):
    """Overdue tasks: name → a figure for each of the days. See docs/pages.md for the two ways to count."""

    count: Literal["standing", "missed"]
    days: list[date]
    people: dict[str, list[int]]


class Deed(Shape):
    """Who changed what."""

    id: int
    at: datetime
    who: str
    account: str
    deed: str
    words: str


class Deeds(Shape):
    """Newest first; ``before`` of the next page is the last one's id."""

    deeds: list[Deed]


class Decision(Shape):
    """What somebody decided about a violation. ``state``: what it became by that."""

    at: datetime
    who: str
    state: Literal["counts", "forgiven"]
    why: str


class Violation(Shape):
    """``penalty``: whole units of ``currency``; null: none. ``decisions``: oldest first."""

    number: int
    at: datetime
    user_id: int
    person: str
    clause: str
    deal_id: int
    deal_name: str
    rule: str
    why: str
    penalty: int | None
    currency: str
    state: Literal["counts", "forgiven"]
    decisions: list[Decision]


class Violations(Shape):
    """Oldest first."""

    violations: list[Violation]


class Step(Shape):
    """A step that the clock will take. ``due`` may have passed, if the worker has not looked since."""

    due: datetime
    rule: str
    clause: str
    step: str
    deal_id: int
    deal_name: str
    says: str


class Steps(Shape):
    """The earliest first. ``now``: by amoCRM's clock."""

    now: datetime
    steps: list[Step]


class Webinar(Shape):
    """One upload of a webinar's attendees. ``counts``: state of a row → how many; ``waiting``: people about whom
    somebody must decide."""

    number: int
    state: str
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


class Attendee(Shape):
    """``became``: what came of the person, in Russian; ``deal_id`` and ``contact_id``: null while there is none."""

    name: str
    mails: list[str]
    phones: list[str]
    interest: str
    became: str
    why: str
    note: str
    contact_id: int | None
    deal_id: int | None


class WebinarReport(Webinar):
    """A webinar with everybody in it."""

    attendees: list[Attendee]


class Ruling(Shape):
    """Which violations, and why they are forgiven or counted again."""

    numbers: Annotated[list[int], Field(min_length=1, max_length=1000)]
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
