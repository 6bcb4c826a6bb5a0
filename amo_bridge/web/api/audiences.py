"""``/audiences``: advertising audiences, their sizes by day, who waits for what, and who is in."""

from __future__ import annotations

from datetime import date, datetime

from flask import abort
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.audience_lists import confirm_file
from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account
from amo_bridge.web.pages.audiences import AudienceRow, audience_rows


class AudienceState(Shape):
    """``service``: file, yandex, vk. ``size``: who is in. ``queued``, ``leaving``: who waits for an upload.
    ``refused``: whom a deal holds in vain. ``waits_for``: in words. ``trouble``: what went wrong last."""

    name: str
    service: str
    size: int
    queued: int
    leaving: int
    refused: int
    waits_for: str
    trouble: str
    list_ref: str
    segment_ref: str


class Audiences(Shape):
    """Every audience that the config or a rule names."""

    audiences: list[AudienceState]


class AudienceSize(Shape):
    """At the end of a day."""

    day: date
    size: int
    waiting: int


class AudienceMember(Shape):
    """``state``: queued, in, leaving, refused, out; ``why``: in words. No phone, no mail, no hash."""

    contact_id: int
    state: str
    since: datetime
    why: str
    deal_ids: list[int]


class AudienceDetails(Shape):
    """``members``: the latest changes, 200 at most. ``sizes``: days on which something was kept."""

    audience: AudienceState
    sizes: list[AudienceSize]
    members: list[AudienceMember]


@api.endpoint(
    Endpoint(
        "audiences_audiences", "/audiences", "GET", Role.VIEWER, _l("Аудитории: размер и кто чего ждёт"), Audiences
    )
)
def audiences() -> Audiences:
    return Audiences(audiences=[_state(row) for row in _rows(current_account())])


@api.endpoint(
    Endpoint(
        "audiences_audience",
        "/audiences/<path:name>",
        "GET",
        Role.VIEWER,
        _l("Одна аудитория: размер по дням, кто в ней и почему"),
        AudienceDetails,
    )
)
def audience(name: str) -> AudienceDetails:
    here = current_account()
    row = _row(here, name)
    log = AudienceLog(here.account_store)
    members = log.shown(name, ("queued", "leaving", "refused", "in"))
    holds = log.holds_of(member.contact_id for member in members)
    return AudienceDetails(
        audience=_state(row),
        sizes=[AudienceSize(day=day, size=size, waiting=waiting) for day, size, waiting in log.sizes(name)],
        members=[
            AudienceMember(
                contact_id=one.contact_id,
                state=one.state,
                since=one.since,
                why=one.words,
                deal_ids=[hold.deal_id for hold in holds.get((name, one.contact_id), []) if hold.ended_at is None],
            )
            for one in members
        ],
    )


@api.endpoint(
    Endpoint(
        "audiences_uploaded",
        "/audiences/<path:name>/uploaded",
        "POST",
        Role.ADMIN,
        _l("Сказать, что файл аудитории загружен"),
        AudienceState,
    )
)
def uploaded(name: str) -> AudienceState:
    here = current_account()
    _row(here, name)
    if not confirm_file(here.account_store, name, here.clock.now()):
        abort(refusal(409, "подтверждать нечего: файла, который ждёт загрузки, нет"))
    audit("audiences.uploaded", f"По API: аудитория «{name}»")
    here.bridge.wake()
    return _state(_row(here, name))


def _rows(here: AccountView) -> list[AudienceRow]:
    section = here.config.channels.audiences
    return [] if section is None or not here.is_known else audience_rows(here, section)


def _row(here: AccountView, name: str) -> AudienceRow:
    row = next((one for one in _rows(here) if one.name == name), None)
    if row is None:
        abort(404)
    return row


def _state(row: AudienceRow) -> AudienceState:
    return AudienceState(
        name=row.name,
        service=row.how.service,
        size=row.size,
        queued=row.counts.get("queued", 0),
        leaving=row.counts.get("leaving", 0),
        refused=row.counts.get("refused", 0),
        waits_for=(row.upload.words or row.upload.state) if row.upload else row.kept.words,
        trouble=row.kept.trouble,
        list_ref=row.kept.list_ref,
        segment_ref=row.kept.segment_ref,
    )
