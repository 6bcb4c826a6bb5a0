"""Rows of audiences as objects: members, holds, uploads, services' lists; a member's next state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row

from amo_bridge.channels.audience_services import Digests, UploadKind
from amo_bridge.lazy.dataclasses import dataclass

State = Literal["queued", "in", "leaving", "out", "refused"]


@dataclass(frozen=True)
class Member:
    """A client of an audience; see the table."""

    id: int
    audience: str
    contact_id: int
    state: State
    since: datetime
    words: str
    digests: str
    sent_digests: str
    is_urgent: bool
    checked_at: datetime
    upload_id: int | None


@dataclass(frozen=True)
class Hold:
    """A deal that holds its client in an audience; see the table."""

    audience: str
    deal_id: int
    contact_id: int
    rule: str
    event_id: int | None
    since: datetime
    ended_at: datetime | None
    why: str
    is_noted: bool


@dataclass(frozen=True)
class KeptUpload:
    """An upload; see the table."""

    id: int
    audience: str
    service: str
    kind: UploadKind
    state: str
    ref: str
    joined: int
    left: int
    asked_at: datetime
    look_at: datetime | None
    looks: int
    words: str
    ended_at: datetime | None


@dataclass(frozen=True)
class KeptList:
    """What a service has of an audience; see the table."""

    service: str = ""
    list_ref: str = ""
    segment_ref: str = ""
    words: str = ""
    trouble: str = ""
    trouble_at: datetime | None = None
    retry_at: datetime | None = None
    failures: int = 0
    format: str = ""
    segment_at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a client may be in an audience. ``problem``: why not (Russian), empty if he may. ``is_own_wish``: he said
    so himself, or no longer agrees. ``seen_at``: the change of the contact that was looked at."""

    digests: Digests
    problem: str
    seen_at: datetime
    is_own_wish: bool = False


@dataclass(frozen=True)
class Joining:
    """A row that is to be kept: the deal holds this client in."""

    audience: str
    contact_id: int
    verdict: Verdict
    deal_seen_at: datetime


@dataclass(frozen=True)
class NoteCause:
    """From what a note on a card follows; see SettledEffect."""

    key: str
    rule: str
    event_id: int | None


class NotedMember(NamedTuple):
    """What a card is to say of its client."""

    id: int
    state: State
    since: datetime
    words: str


class Next(NamedTuple):
    state: State
    words: str
    is_urgent: bool = False


def next_state(member: Member | None, verdict: Verdict, *, is_held: bool, why_left: str) -> Next:
    """Where a client goes who is not in an upload just now. Pure."""
    state = member.state if member else "out"
    leaves = verdict.problem if is_held else why_left
    if member and state in ("in", "leaving"):
        if leaves:
            return Next("leaving", leaves, verdict.is_own_wish or member.is_urgent)
        has_changed = verdict.digests.to_json() != member.sent_digests
        return Next("leaving", "телефон или почта изменились") if has_changed else Next("in", "")
    if not is_held:
        return Next("out", why_left)
    return Next("refused", verdict.problem) if verdict.problem else Next("queued", "")


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def member_of(row: Row[Any]) -> Member:
    return Member(
        id=row.id,
        audience=row.audience,
        contact_id=row.contact_id,
        state=row.state,
        since=moment(row.since),
        words=row.words,
        digests=row.digests,
        sent_digests=row.sent_digests,
        is_urgent=row.is_urgent,
        checked_at=moment(row.checked_at),
        upload_id=row.upload_id,
    )


def hold_of(row: Row[Any]) -> Hold:
    return Hold(
        audience=row.audience,
        deal_id=row.deal_id,
        contact_id=row.contact_id,
        rule=row.rule,
        event_id=row.event_id,
        since=moment(row.since),
        ended_at=moment_or_none(row.ended_at),
        why=row.why,
        is_noted=row.is_noted,
    )


def upload_of(row: Row[Any]) -> KeptUpload:
    return KeptUpload(
        id=row.id,
        audience=row.audience,
        service=row.service,
        kind=row.kind,
        state=row.state,
        ref=row.ref,
        joined=row.joined,
        left=row._mapping["left"],
        asked_at=moment(row.asked_at),
        look_at=moment_or_none(row.look_at),
        looks=row.looks,
        words=row.words,
        ended_at=moment_or_none(row.ended_at),
    )


def list_of(row: Row[Any]) -> KeptList:
    return KeptList(
        service=row.service,
        list_ref=row.list_ref,
        segment_ref=row.segment_ref,
        words=row.words,
        trouble=row.trouble,
        trouble_at=moment_or_none(row.trouble_at),
        retry_at=moment_or_none(row.retry_at),
        failures=row.failures,
        format=row.format,
        segment_at=moment_or_none(row.segment_at),
    )
