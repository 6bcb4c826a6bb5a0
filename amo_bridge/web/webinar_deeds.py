"""What pages and programs alike do about webinars; all of it is written down."""

from __future__ import annotations

from datetime import date
from typing import Literal

from flask import request
from flask_babel import gettext as _

from amo_bridge.runtime.worker import IMPORTS
from amo_bridge.web.here import account, write_down
from amo_bridge.web.webinar_desk import Desk
from amo_bridge.webinars.formats.guards import MOST_BYTES
from amo_bridge.webinars.imports.drafts import Upload
from amo_bridge.webinars.plan import Override

SEVERAL_FILES = 3 * MOST_BYTES
FILES = "files"
"""The field of the form in which they come."""

Deed = Literal["start", "pause", "resume", "undo", "drop"]
_DONE: dict[Deed, str] = {
    "start": "начата", "pause": "остановлена", "resume": "продолжена", "undo": "отменяется", "drop": "удалена",
}  # fmt: skip


def uploads() -> list[Upload]:
    """The files that came with the request."""
    sent = request.files.getlist(FILES)
    return [Upload(one.filename or _("без имени"), one.read()) for one in sent if one.filename]


def draft(at_hand: Desk, files: list[Upload], made_by: str, held_on: date | None) -> list[int]:
    """Files → drafts, their numbers. Raises ExportError, ColumnsUnknown."""
    numbers = at_hand.drafting.draft(files, made_by, held_on)
    names = ", ".join(one.name for one in files)
    write_down("webinar.upload", f"Файлы вебинара прочитаны: {names}", details=f"загрузки: {numbers}")
    return numbers


def decide(at_hand: Desk, number: int, place: int, said: Override) -> None:
    """A person's own decision about one row. Raises NoSuchImport."""
    at_hand.control.say(number, place, said)
    account().bridge.hurry(IMPORTS)
    write_down("webinar.decide", f"Загрузка № {number}, строка {place}: {said.in_words}")


def act(at_hand: Desk, number: int, deed: Deed) -> None:
    """Raises NoSuchImport."""
    getattr(at_hand.control, deed)(number)
    account().bridge.hurry(IMPORTS)
    write_down(f"webinar.{deed}", f"Загрузка № {number}: {_DONE[deed]}")
