"""What the doors of ``/webinars`` work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import abort

from amo_bridge.engine.deal_view import deal_url
from amo_bridge.errors import UnknownName
from amo_bridge.web.api.described import refusal
from amo_bridge.web.api.webinar_shapes import Attendee, AttendeeDecision
from amo_bridge.web.here import account
from amo_bridge.web.webinar_desk import Desk, desk
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.imports.model import Import, Kept
from amo_bridge.webinars.imports.report import contact_url
from amo_bridge.webinars.imports.repository import ImportBook, NoSuchImport, NotNow
from amo_bridge.webinars.imports.service import NoAddress, UnknownContact


def webinar_desk() -> Desk:
    """404 where the config has no webinars."""
    try:
        return desk()
    except ExportError as error:
        abort(refusal(404, str(error)))


@contextmanager
def refusing() -> Iterator[None]:
    """What can't be done is said in the page's words: 404 for what is not there, 409 for what is not so now."""
    try:
        yield
    except (NotNow, UnknownName) as error:
        abort(refusal(409, str(error)))
    except (UnknownContact, NoAddress) as error:
        abort(refusal(422, str(error)))
    except NoSuchImport as error:
        abort(refusal(404, str(error)))


def found(at_hand: Desk, number: int) -> Import:
    """Raises NoSuchImport, also for one that was thrown away."""
    job = at_hand.book.get(number)
    if job.state == "dropped":
        raise NoSuchImport(f"загрузка № {number} удалена")
    return job


def facts(one: Import, book: ImportBook) -> dict[str, Any]:
    """What ``Webinar`` has."""
    counts = book.counts(one.id)
    return {
        "number": one.id,
        "state": one.state,
        "held_on": one.held_on,
        "title": one.title,
        "made_at": datetime.fromtimestamp(one.made_at, UTC),
        "made_by": one.made_by,
        "waiting": counts.waiting,
        "counts": dict(counts.state),
        "trouble": one.trouble,
    }


def attendee(kept: Kept, at_hand: Desk) -> Attendee:
    """A row, as the table of the page shows it."""
    row, person, home = kept.row, kept.row.person, account().config.account.url
    return Attendee(
        place=kept.number,
        name=person.name,
        mails=list(person.mails),
        phones=list(person.phones),
        unreadable=list(person.unreadable),
        minutes=person.minutes,
        buttons=list(row.sorted.tags),
        interest=row.sorted.interest,
        stage=at_hand.stage(row.sorted.interest),
        sorted_by=row.sorted.why,
        standing=row.standing,
        plan=row.what,
        why=row.why,
        remarks=list(row.remarks),
        choices=list(row.candidates),
        decided=AttendeeDecision.of(kept.said),
        state=kept.state,
        became=kept.became,
        note=kept.note,
        contact_id=kept.contact_id,
        contact_url=contact_url(home, kept.contact_id) if kept.contact_id else None,
        deal_id=kept.deal_id,
        deal_url=deal_url(home, kept.deal_id) if kept.deal_id else None,
        places=list(person.places),
    )
