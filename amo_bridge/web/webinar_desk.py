"""What the pages about webinars work with, and the words they use for what the store keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.clock import SystemClock
from amo_bridge.config.webinar import Interest
from amo_bridge.runtime.connection import known_account
from amo_bridge.web.here import account
from amo_bridge.web.office import NotMet
from amo_bridge.web.webinar_people import contact_named
from amo_bridge.webinars.formats.tables import FIELDS, Field
from amo_bridge.webinars.imports.drafts import Drafting
from amo_bridge.webinars.imports.model import BEGUN, Import, Kept, State
from amo_bridge.webinars.imports.report import stage_name
from amo_bridge.webinars.imports.repository import ImportBook
from amo_bridge.webinars.imports.service import ImportControl
from amo_bridge.webinars.looking import is_meant
from amo_bridge.webinars.plan import Override, Standing

INTERESTS: tuple[Interest, ...] = ("active", "long", "short")

STATES: Mapping[State, Any] = {
    "draft": _l("Черновик"), "running": _l("Загружается"), "paused": _l("На паузе"), "done": _l("Загружено"),
    "undoing": _l("Отменяется"), "undone": _l("Отменено"), "dropped": _l("Удалено"),
}  # fmt: skip
STATE_KINDS: Mapping[State, str] = {
    "draft": "quiet", "running": "warning", "paused": "warning", "done": "good", "undoing": "warning",
    "undone": "quiet",
}  # fmt: skip
STANDINGS: Mapping[Standing, Any] = {
    "new": _l("Новые"), "known": _l("Уже есть в amoCRM"), "owned": _l("У менеджера"), "loaded": _l("Уже загружены"),
    "doubtful": _l("Сомнительные"), "unmatched": _l("Не сопоставить"), "banned": _l("Забанены"),
    "skipped": _l("Пропущены"),
}  # fmt: skip
WHO: Mapping[Standing, Any] = {
    "new": _l("новый"), "known": _l("уже есть в amoCRM"), "owned": _l("у менеджера"), "loaded": _l("уже загружен"),
    "doubtful": _l("сомнительно"), "unmatched": _l("не сопоставить"), "banned": _l("забанен"),
    "skipped": _l("пропущен"),
}  # fmt: skip
STANDING_KINDS: Mapping[Standing, str] = {
    "new": "good", "known": "good", "owned": "quiet", "loaded": "quiet", "doubtful": "warning", "unmatched": "bad",
    "banned": "quiet", "skipped": "quiet",
}  # fmt: skip
ROWS: Mapping[str, Any] = {
    "planned": "", "ready": _l("в очереди"), "sending": _l("отправляется"), "doubt": _l("проверяется"),
    "done": _l("сделано"), "skipped": _l("не нужно"), "failed": _l("не вышло"), "undone": _l("отменено"),
    "kept": _l("не отменено"), "intact": _l("возвращать нечего"),
}  # fmt: skip
COLUMNS: Mapping[Field, Any] = {
    "name": _l("Имя"), "mail": _l("Почта"), "phone": _l("Телефон"), "minutes": _l("Минут на вебинаре"),
    "buttons": _l("Нажатые кнопки"), "banner": _l("Клик по баннеру"), "date": _l("Дата вебинара"),
    "came": _l("Когда пришёл"), "left": _l("Когда ушёл"),
}  # fmt: skip
FILTERS = ("words", "interest", "standing", "state")
ON_A_PAGE = 100
FINDS_PEOPLE: frozenset[Field] = frozenset({"mail", "phone"})
ASKED: tuple[Field, ...] = tuple(field for field in FIELDS if field in COLUMNS)


@dataclass(frozen=True)
class Desk:
    """``drafting`` reads and plans, ``control`` begins, holds and takes back, ``book`` is what the store keeps."""

    drafting: Drafting
    control: ImportControl

    @property
    def book(self) -> ImportBook:
        return self.drafting.book

    def stage(self, interest: Interest) -> str:
        """The stage's own name."""
        return stage_name(interest, self.drafting.options)


def desk() -> Desk:
    """Of the account that the page is about. Raises NotMet before the bridge has met it, ExportError when the config
    has no webinars."""
    here = account()
    names = known_account(here.config, here.bridge.environment)
    if names is None:
        raise NotMet("мост ещё не знакомился с аккаунтом")
    drafting = Drafting(here.store, here.key, here.config, names, SystemClock())
    return Desk(drafting, ImportControl(here.store, here.key, drafting, dry_run=here.config.bridge.dry_run))


def useless_answer() -> str:
    """To whoever names columns by which nobody can be found."""
    return str(_("Назовите хотя бы столбец с почтой или с телефоном: без них участника не найти в amoCRM."))


def filtered(rows: Iterable[Kept], asked: Mapping[str, str]) -> list[Kept]:
    """Those whom somebody looks for by ``FILTERS``."""
    return [
        kept
        for kept in rows
        if asked.get("standing", "") in ("", kept.row.standing)
        and asked.get("interest", "") in ("", kept.row.sorted.interest)
        and asked.get("state", "") in ("", kept.state)
        and is_shown(kept, asked.get("words", "").strip())
    ]


def may_decide(job: Import, kept: Kept) -> bool:
    """May somebody decide about this person now? About anybody of a draft, later about those who were left out."""
    return job.state == "draft" or (job.state in BEGUN and kept.is_left_out)


def is_shown(kept: Kept, words: str) -> bool:
    """Is this the row somebody looks for, by name, mail, phone or by what is said of it?"""
    person, row = kept.row.person, kept.row
    told = (person.name, *person.mails, *person.phones, *person.unreadable, row.why, *row.remarks, kept.note)
    return is_meant(words, told, person.phones)


def said_in(form: Mapping[str, str], account_url: str) -> Override:
    """What the form of a row says. Raises NotAContact for what somebody has mistyped, ValueError for what no form of
    ours sends."""
    what, interest = form.get("what", "plan"), form.get("interest", "") or None
    if interest not in (None, *INTERESTS):
        raise ValueError(interest)
    if what == "skip":
        return Override(skip=True)
    if what == "new":
        return Override(as_new=True, interest=interest)
    if what == "other":
        return Override(contact_id=contact_named(form.get("contact", ""), account_url), interest=interest)
    contact_id = None if what == "plan" else int(what.removeprefix("contact-"))
    return Override(contact_id=contact_id, interest=interest)
