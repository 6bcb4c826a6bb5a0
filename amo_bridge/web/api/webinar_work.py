"""``/webinars``: files come in, people are decided about, an upload is carried out, held, taken back."""

from __future__ import annotations

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.errors import UnknownName
from amo_bridge.text.names import same_name
from amo_bridge.web import webinar_deeds as deeds
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.described import Door, refusal
from amo_bridge.web.api.version import doors
from amo_bridge.web.api.webinar_shapes import Attendee, AttendeeDecision, Drafts, UploadRefused, Webinar, WebinarUpload
from amo_bridge.web.api.webinars_at_hand import attendee, facts, refusing, webinar_desk
from amo_bridge.web.here import token
from amo_bridge.web.webinar_desk import FINDS_PEOPLE, Desk, useless_answer
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError
from amo_bridge.webinars.formats.tables import WORDS, Field
from amo_bridge.webinars.imports.drafts import NotFilled


@doors.open(
    Door(
        "webinar_work_upload",
        "/webinars",
        "POST",
        Role.WEBINAR,
        _l("Файлы с участниками → черновики; в amoCRM ничего не пишется"),
        Drafts,
        takes=WebinarUpload,
        files=deeds.FILES,
        most_bytes=deeds.SEVERAL_FILES,
        says_no={"422": UploadRefused},
    )
)
def upload(told: WebinarUpload) -> Drafts:
    at_hand = webinar_desk()
    try:
        return Drafts(numbers=_drafted(at_hand, told))
    except ColumnsUnknown as unknown:
        how = _('Назовите столбцы в поле columns: {"mail": "…", "minutes": "…"}.')
        seen = {"titles": unknown.headers, "samples": unknown.samples, "fields": dict(WORDS)}
        abort(refusal(422, f"{str(unknown).rstrip('.')}. {how}", **seen))
    except (NotFilled, UnknownName) as error:
        abort(refusal(409, str(error)))
    except ExportError as error:
        abort(refusal(422, str(error)))


@doors.open(
    Door(
        "webinar_work_decide",
        "/webinars/<int:number>/people/<int:place>",
        "PUT",
        Role.WEBINAR,
        _l("Решить об одном участнике"),
        Attendee,
        takes=AttendeeDecision,
    )
)
def decide(number: int, place: int, told: AttendeeDecision) -> Attendee:
    at_hand = webinar_desk()
    with refusing():
        deeds.decide(at_hand, number, place, told.said)
        return attendee(at_hand.book.row(number, place), at_hand)


@doors.open(
    Door(
        "webinar_work_start",
        "/webinars/<int:number>/start",
        "POST",
        Role.WEBINAR,
        _l("Загрузить черновик в amoCRM"),
        Webinar,
    )
)
def start(number: int) -> Webinar:
    return _after("start", number)


@doors.open(
    Door("webinar_work_pause", "/webinars/<int:number>/pause", "POST", Role.WEBINAR, _l("Остановить загрузку"), Webinar)
)
def pause(number: int) -> Webinar:
    return _after("pause", number)


@doors.open(
    Door(
        "webinar_work_resume", "/webinars/<int:number>/resume", "POST", Role.WEBINAR, _l("Продолжить загрузку"), Webinar
    )
)
def resume(number: int) -> Webinar:
    return _after("resume", number)


@doors.open(
    Door("webinar_work_undo", "/webinars/<int:number>/undo", "POST", Role.WEBINAR, _l("Отменить загрузку"), Webinar)
)
def undo(number: int) -> Webinar:
    return _after("undo", number)


@doors.open(
    Door("webinar_work_drop", "/webinars/<int:number>/drop", "POST", Role.WEBINAR, _l("Удалить черновик"), Webinar)
)
def drop(number: int) -> Webinar:
    return _after("drop", number)


def _after(deed: deeds.Deed, number: int) -> Webinar:
    at_hand = webinar_desk()
    with refusing():
        deeds.act(at_hand, number, deed)
        return Webinar(**facts(at_hand.book.get(number), at_hand.book))


def _drafted(at_hand: Desk, told: WebinarUpload) -> list[int]:
    """Columns are named only where a table asks for them, each kind of table once."""
    files, named = deeds.uploads(), set[str]()
    while True:
        try:
            return deeds.draft(at_hand, files, f"API: {token().name}", told.held_on)
        except ColumnsUnknown as unknown:
            if not told.columns or unknown.signature in named:
                raise
            at_hand.drafting.memory.remember_columns(unknown.signature, _titles(told.columns, unknown))
            named.add(unknown.signature)


def _titles(columns: dict[Field, str], unknown: ColumnsUnknown) -> dict[Field, str]:
    """Raises ColumnsUnknown for a title that the table has not, and when nobody can be found by what is named."""
    if not columns.keys() & FINDS_PEOPLE:
        raise ColumnsUnknown(useless_answer(), unknown.headers, unknown.signature, unknown.samples)
    for title in columns.values():
        if not any(same_name(title, header) for header in unknown.headers):
            titles = ", ".join(unknown.headers)
            words = _("столбца «%(title)s» в этой таблице нет; столбцы: %(titles)s", title=title, titles=titles)
            raise ColumnsUnknown(words, unknown.headers, unknown.signature, unknown.samples)
    return columns
