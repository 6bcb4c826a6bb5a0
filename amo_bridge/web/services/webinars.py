"""Webinars for pages and API: Bizon365, uploads, drafts, decisions, imports."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from amo_bridge.config.webinar import Interest, Kind
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.runtime.worker import BIZON, IMPORTS
from amo_bridge.storage.secrets import known_account
from amo_bridge.text.names import normalise, same_name
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.context import audit, current_account
from amo_bridge.webinars.bizon import BizonReports, BizonSettings
from amo_bridge.webinars.bizon import State as BizonState
from amo_bridge.webinars.formats.guards import MOST_BYTES
from amo_bridge.webinars.formats.tables import FIELDS, NO_COLUMN, WORDS, Field
from amo_bridge.webinars.imports.drafts import NO_NAMES, DraftService, FilesProgress, Upload
from amo_bridge.webinars.imports.model import BEGUN, Counts, Import, ImportRow, State
from amo_bridge.webinars.imports.report import Progress, results, stage_name
from amo_bridge.webinars.imports.repository import ImportRepository
from amo_bridge.webinars.imports.service import ImportService
from amo_bridge.webinars.plan import Override, Standing

LONGEST_TOKEN = 500
BIZON_STATES: Mapping[BizonState, Any] = {
    "waiting": _l("Ждёт отчёта"), "taken": _l("Получен"), "failed": _l("Не получен"),
}  # fmt: skip
BIZON_STATE_KINDS: Mapping[BizonState, str] = {"waiting": "warning", "taken": "good", "failed": "bad"}


@dataclass(frozen=True)
class BizonService:
    """``address``: what is to be written into Bizon365's settings."""

    settings: BizonSettings
    reports: BizonReports
    address: str
    states: Mapping[BizonState, Any]
    state_kinds: Mapping[BizonState, str]


def bizon_service() -> BizonService | None:
    """Of the account that the page is about; None where Bizon365 is switched off. Raises StoreUnavailable, NotMet."""
    here = current_account()
    webinar = here.config.webinar
    if webinar is None or webinar.bizon is None:
        return None
    settings = BizonSettings(here.config, here.bridge.environment)
    base = here.config.bridge.public_url or request.host_url.rstrip("/")
    return BizonService(
        settings,
        BizonReports(here.account_store, here.clock),
        f"{base}/hooks/bizon/{settings.hook_secret}",
        BIZON_STATES,
        BIZON_STATE_KINDS,
    )


def keep_token(bizon: BizonService, token: str) -> None:
    """An empty one is forgotten. What waits for a report is tried with the new one."""
    bizon.settings.keep_token(token)
    bizon.reports.try_again()
    current_account().bridge.request_job(BIZON)
    audit("bizon.token", "Токен Бизон365 задан" if token else "Токен Бизон365 удалён")


def fetch_again(bizon: BizonService, webinar_id: str) -> bool:
    """Fetch this report once more; False if Bizon365 has told of none such."""
    if not bizon.reports.try_again(webinar_id):
        return False
    current_account().bridge.request_job(BIZON)
    audit("bizon.again", f"Отчёт Бизон365 {webinar_id[:200]}: попробовать ещё раз")
    return True


# Who a person of a webinar is taken for: the contacts that somebody chooses among, and one that he names himself.

_NUMBER = re.compile(r"№?\s*(\d{1,15})")
_CARD = re.compile(r"/contacts/detail/(\d{1,15})/?")


class NotAContact(BridgeError):
    """What somebody typed names no contact of this account (in the reader's language)."""


def contacts_of(rows: Iterable[ImportRow], here: AccountView) -> dict[int, MirroredContact]:
    """Those that the rows speak of, as far as they are known."""
    spoken_of = {
        number for kept in rows for number in (*kept.row.candidates, kept.said.contact_id, kept.contact_id) if number
    }
    return ContactIndex(here.account_store).get(spoken_of)


def contact_named(typed: str, account_url: str) -> int:
    """The number of the contact, typed as such or as the address of its card. Raises NotAContact."""
    text = typed.strip()
    if found := _NUMBER.fullmatch(text):
        return int(found[1])
    try:
        address = urlsplit(text if "//" in text else f"//{text}")
    except ValueError as error:
        raise NotAContact(_no_card()) from error
    card = _CARD.fullmatch(address.path)
    if card is None:
        raise NotAContact(_no_card())
    if address.netloc != urlsplit(account_url).netloc:
        raise NotAContact(_("Это ссылка на другой аккаунт, а нужен контакт этого."))
    return int(card[1])


def _no_card() -> str:
    return str(_("Нужен номер контакта или ссылка на его карточку в amoCRM."))


# What an import does and has done, in words: asked before it begins, told when it is over.

CREATES = ("create_person", "create_deal")
RESULTS: Mapping[str, Any] = {
    "deals": _l("создано сделок"), "contacts": _l("создано контактов"), "updated": _l("обновлено сделок"),
    "completed": _l("дополнено контактов"), "same": _l("без изменений"), "undone": _l("отменено"),
    "kept": _l("не отменено"), "intact": _l("возвращать нечего"),
    "failed": _l("не вышло"), "open": _l("ещё в работе"), "planned": _l("ещё не начато"),
    "left out": _l("не загружено"), "doubtful": _l("ждут решения"),
    "no_minutes": _l("сколько смотрели, неизвестно"), "no_client": _l("не клиенты"), "unmatched": _l("не сопоставить"),
    "banned": _l("забанены"), "skipped": _l("пропущены"), "other": _l("остальные, см. примечания"),
}  # fmt: skip


def came_of_it(rows: Iterable[ImportRow]) -> str:
    """What an import has done, in one sentence."""
    return results(rows).in_words(RESULTS)


def start_question(counts: Counts, doubts: Sequence[str] = ()) -> str:
    """«Создать в amoCRM 3 сделки и 2 контакта, обновить 4 сделки?», with what is in doubt."""
    asked = _start_question(counts)
    if not doubts:
        return asked
    return str(_("%(asked)s Есть сомнения: %(doubts)s.", asked=asked, doubts="; ".join(doubts)))


def _start_question(counts: Counts) -> str:
    people, updates = counts.what.get("create_person", 0), counts.what.get("update_deal", 0)
    made, changed = people + counts.what.get("create_deal", 0), _deals(updates)
    new = _("%(deals)s и %(contacts)s", deals=_deals(made), contacts=_contacts(people)) if people else _deals(made)
    if made and updates:
        return str(_("Создать в amoCRM %(new)s, обновить %(changed)s?", new=new, changed=changed))
    if made:
        return str(_("Создать в amoCRM %(new)s?", new=new))
    if updates:
        return str(_("Обновить в amoCRM %(changed)s?", changed=changed))
    return str(_("Записывать в amoCRM нечего. Всё равно закончить загрузку?"))


def undo_question(rows: Sequence[ImportRow]) -> str:
    """How many deals would be closed, how many put back."""
    closed = back = 0
    for kept in rows:
        closed += bool(kept.deal_id) and kept.before is None and kept.row.what in CREATES
        back += kept.before is not None
    told = [_("Отменить загрузку?")]
    if closed:
        told.append(
            ngettext(
                "%(num)s созданная сделка будет закрыта: удалить её через API нельзя.",
                "%(num)s созданных сделок будут закрыты: удалить их через API нельзя.",
                closed,
            )
        )
    if back:
        told.append(
            ngettext(
                "%(num)s изменённая сделка станет как была.", "%(num)s изменённых сделок станут как были.", back
            )
        )  # fmt: skip
    if any(kept.contact_was is not None for kept in rows):
        told.append(_("Почта и телефоны, которые загрузка добавила в контакты, будут убраны."))
    told.append(_("Что с тех пор меняли люди, останется.") if closed or back else _("Возвращать нечего."))
    return " ".join(told)


def did(kept: ImportRow, stage: str) -> str:
    """What was done about a person, or taken back; empty as long as nothing was. ``stage``: his by the webinar."""
    if kept.state == "undone":
        if kept.before is not None:
            return str(_("сделка снова как была"))
        has_deal = kept.deal_id is not None and kept.row.what in CREATES
        return str(_("сделка закрыта") if has_deal or kept.contact_was is None else _("контакт снова как был"))
    if kept.state == "intact":
        return str(_("менять было нечего"))
    if kept.state != "done":
        return ""
    told = _did_to_deal(kept, stage)
    if kept.contact_was is None:
        return told
    return str(_("%(deal)s; в контакт добавлено: %(told)s", deal=told, told=", ".join(kept.row.adds)))


def _did_to_deal(kept: ImportRow, stage: str) -> str:
    if kept.row.what == "create_person":
        return str(_("созданы контакт и сделка"))
    if kept.row.what == "create_deal":
        return str(_("создана сделка у его контакта"))
    if kept.before is None:
        return str(_("менять было нечего"))
    if kept.before["moved"]:
        return str(_("сделка обновлена и перенесена на «%(stage)s»", stage=stage))
    return str(_("сделка обновлена, этап прежний"))


def now(job: Import, told: Progress) -> str:
    """What is being done, and how far that is."""
    settled = _("%(done)s из %(all)s", done=told.settled, all=told.all)
    if job.state == "running" and told.is_making_contacts:
        made = _("%(done)s из %(all)s", done=told.made, all=told.contacts)
        return str(_("Создаю контакты: %(how_many)s. Сделки — следом.", how_many=made))
    if job.state == "running" and told.settled == told.all:
        return str(_("Всё записано, проверяю."))
    words = {"running": _("Загружаю"), "undoing": _("Отменяю"), "paused": _("На паузе")}
    return f"{words[job.state]}: {settled}."


def _deals(many: int) -> str:
    return str(ngettext("%(num)s сделку", "%(num)s сделок", many))


def _contacts(many: int) -> str:
    return str(ngettext("%(num)s контакт", "%(num)s контактов", many))


# Looking for a person of a webinar by what somebody remembers of him: a name, a mail, a part of a phone.

# Fewer digits than these are in every number.
FEWEST_DIGITS = 3
_LIKE_A_NUMBER = re.compile(r"\+?[\d\s().-]+")
_NO_DIGIT = re.compile(r"\D")


def is_meant(sought: str, told: Iterable[str], phones: Iterable[str]) -> bool:
    """Case, «ё» and the way in which a number is typed are forgiven. ``told``: all that is said of the person;
    ``phones`` in E.164: «8 (916) 765» finds «+79167654321»."""
    return normalise(sought) in normalise(" ".join(told)) or _is_in_number(sought.strip(), phones)


def _is_in_number(sought: str, phones: Iterable[str]) -> bool:
    digits = _NO_DIGIT.sub("", sought)
    if len(digits) < FEWEST_DIGITS or not _LIKE_A_NUMBER.fullmatch(sought):
        return False
    # At home a number begins with 8, written in full with +7.
    in_full = f"7{digits[1:]}" if digits.startswith("8") else digits
    numbers = [_NO_DIGIT.sub("", phone) for phone in phones]
    return any(digits in number or number.startswith(in_full) for number in numbers)


# What the pages about webinars work with, and the words they use for what the store keeps.

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
    "doubtful": _l("Сомнительные"), "no_minutes": _l("Сколько смотрели, неизвестно"),
    "no_client": _l("Не клиенты"), "unmatched": _l("Не сопоставить"), "banned": _l("Забанены"),
    "skipped": _l("Пропущены"),
}  # fmt: skip
WHO: Mapping[Standing, Any] = {
    "new": _l("новый"), "known": _l("уже есть в amoCRM"), "owned": _l("у менеджера"), "loaded": _l("уже загружен"),
    "doubtful": _l("сомнительно"), "no_minutes": _l("сколько смотрел, неизвестно"), "no_client": _l("не клиент"),
    "unmatched": _l("не сопоставить"), "banned": _l("забанен"),
    "skipped": _l("пропущен"),
}  # fmt: skip
STANDING_KINDS: Mapping[Standing, str] = {
    "new": "good", "known": "good", "owned": "quiet", "loaded": "quiet", "doubtful": "warning", "no_minutes": "warning",
    "no_client": "quiet", "unmatched": "bad",
    "banned": "quiet", "skipped": "quiet",
}  # fmt: skip
ROWS: Mapping[str, Any] = {
    "planned": "", "ready": _l("в очереди"), "sending": _l("отправляется"), "doubt": _l("проверяется"),
    "done": _l("сделано"), "skipped": _l("не нужно"), "failed": _l("не вышло"), "undone": _l("отменено"),
    "kept": _l("не отменено"), "intact": _l("возвращать нечего"),
}  # fmt: skip
COLUMNS: Mapping[Field, Any] = {
    "name": _l("Имя"), "last_name": _l("Фамилия"), "mail": _l("Почта"), "phone": _l("Телефон"),
    "minutes": _l("Минут на вебинаре"), "buttons": _l("Нажатые кнопки"),
    "banner": _l("Клик по баннеру"), "date": _l("Дата вебинара"),
    "came": _l("Когда пришёл"), "left": _l("Когда ушёл"), "attended": _l("Был ли на вебинаре"), "role": _l("Роль"),
}  # fmt: skip
FILTERS = ("words", "interest", "standing", "state")
ON_A_PAGE = 100
FINDS_PEOPLE: frozenset[Field] = frozenset({"mail", "phone"})
ASKED: tuple[Field, ...] = tuple(field for field in FIELDS if field in COLUMNS)


@dataclass(frozen=True)
class WebinarServices:
    """``drafting`` reads and plans, ``control`` begins, holds and takes back, ``book`` is what the store keeps."""

    drafting: DraftService
    control: ImportService

    @property
    def book(self) -> ImportRepository:
        return self.drafting.book

    def stage(self, interest: Kind) -> str:
        """The stage's own name."""
        if interest == "unknown":
            return str(_("сколько смотрел, неизвестно"))
        return stage_name(interest, self.drafting.options)


def webinar_services() -> WebinarServices:
    """Of the account that the page is about. Raises NotMet before the bridge has met it, ExportError when the config
    has no webinars."""
    here = current_account()
    names = known_account(here.config, here.bridge.environment)
    if names is None:
        raise NotMet("мост ещё не знакомился с аккаунтом")
    drafting = DraftService(here.account_store, here.config, names, here.clock)
    return WebinarServices(drafting, ImportService(here.account_store, drafting, dry_run=here.config.bridge.dry_run))


def useless_answer() -> str:
    """To whoever names columns by which nobody can be found."""
    return str(_("Назовите хотя бы столбец с почтой или с телефоном: без них участника не найти в amoCRM."))


def filtered(rows: Iterable[ImportRow], asked: Mapping[str, str]) -> list[ImportRow]:
    """Those whom somebody looks for by ``FILTERS``."""
    words = asked.get("words", "").strip()
    return [
        kept
        for kept in rows
        if asked.get("standing", "") in ("", kept.row.standing)
        and asked.get("interest", "") in ("", kept.row.sorted.interest)
        and asked.get("state", "") in ("", kept.state)
        and (not words or is_shown(kept, words))
    ]


def may_decide(job: Import, kept: ImportRow) -> bool:
    """May somebody decide about this person now? About anybody of a draft, later about those who were left out."""
    return job.state == "draft" or (job.state in BEGUN and kept.is_left_out)


def is_shown(kept: ImportRow, words: str) -> bool:
    """Is this the row somebody looks for, by name, mail, phone or by what is said of it?"""
    person, row = kept.row.person, kept.row
    told = (person.name, *person.mails, *person.phones, *person.unreadable, row.why, *row.remarks, kept.note)
    return is_meant(words, told, person.phones)


def override_in(form: Mapping[str, str], account_url: str) -> Override:
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


# What pages and programs alike do about webinars; all of it is written down.

SEVERAL_FILES = 3 * MOST_BYTES
FILES = "files"
"""The field of the form in which they come."""

Deed = Literal["start", "pause", "resume", "repeat", "undo", "drop"]
_DONE: dict[Deed, str] = {
    "start": "начата", "pause": "остановлена", "resume": "продолжена", "repeat": "повтор того, что не вышло",
    "undo": "отменяется", "drop": "удалена",
}  # fmt: skip


def uploads() -> list[Upload]:
    """The files that came with the request."""
    sent = request.files.getlist(FILES)
    return [Upload(one.filename or _("без имени"), one.read()) for one in sent if one.filename]


def draft(
    at_hand: WebinarServices,
    files: list[Upload],
    made_by: str,
    held_on: date | None,
    columns: Mapping[Field, str] = NO_NAMES,
    progress: FilesProgress | None = None,
) -> list[int]:
    """Files → drafts, their numbers. Raises ExportError, ColumnsUnknown."""
    numbers = at_hand.drafting.draft(files, made_by, held_on, columns, progress)
    names = ", ".join(one.name for one in files)
    audit("webinar.upload", f"Файлы вебинара прочитаны: {names}", details=f"загрузки: {numbers}")
    return numbers


def decide(at_hand: WebinarServices, number: int, place: int, said: Override) -> None:
    """A person's own decision about one row. Raises NoSuchImport."""
    at_hand.control.say(number, place, said)
    current_account().bridge.request_job(IMPORTS)
    audit("webinar.decide", f"Загрузка № {number}, строка {place}: {said.in_words}")


def decide_unknown_minutes(at_hand: WebinarServices, number: int, said: Override) -> int:
    """One decision about everybody of whom nobody knows how long he watched. Raises NoSuchImport."""
    count = at_hand.control.say_of_unknown_minutes(number, said)
    current_account().bridge.request_job(IMPORTS)
    audit("webinar.decide", f"Загрузка № {number}, сколько смотрели, неизвестно ({count}): {said.in_words}")
    return count


@dataclass(frozen=True)
class UnderstoodColumns:
    """A table that is understood by itself, to be asked about all the same; ``known``: field → title as it is read."""

    headers: tuple[str, ...]
    signature: str
    samples: tuple[tuple[str, ...], ...]
    known: Mapping[str, str]


def columns_to_confirm(
    at_hand: WebinarServices, files: list[Upload], held_on: date | None, answered: Collection[str]
) -> UnderstoodColumns | None:
    """The first table that was not asked about yet. Raises ExportError, ColumnsUnknown."""
    tables = [table for export in at_hand.drafting.read(files, held_on) for table in export.tables]
    for table in tables:
        if table.signature not in answered:
            return UnderstoodColumns(table.titles, table.signature, table.samples, table.columns)
    return None


def remember_columns(
    at_hand: WebinarServices, signature: str, named: Mapping[Field, str], was: Mapping[Field, str], titles: list[str]
) -> bool:
    """What the form about a table says. ``was``: how it is read without, if it is understood by itself: then only what
    differs is an answer. False: nobody could be found by such columns."""
    if not any(named.get(name) for name in FINDS_PEOPLE):
        return False
    memory = at_hand.drafting.memory
    if was:
        changed = {name: named.get(name) or NO_COLUMN for name in ASKED if named.get(name, "") != was.get(name, "")}
        named = {**memory.columns().get(signature, {}), **changed}
        if not changed:
            return True
    memory.remember_columns(signature, named, titles)
    return True


class ReadingProgress:
    """How far files are that are being read just now, by the key that the page's form has made up."""

    MOST = 100

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, tuple[int, int, int, int]] = {}

    def of(self, key: str) -> FilesProgress:
        """Where the reading of this form tells how far it is."""

        def tell(*told: int) -> None:
            with self._lock:
                if key and (key in self._told or len(self._told) < self.MOST):
                    self._told[key] = told  # type: ignore[assignment]

        return tell

    def over(self, key: str) -> None:
        with self._lock:
            self._told.pop(key, None)

    def describe(self, key: str) -> str:
        """In the reader's language; empty when nothing is known of it."""
        with self._lock:
            told = self._told.get(key)
        if told is None:
            return ""
        place, files, rows, whole = told
        counts = {"rows": _in_thousands(rows), "whole": _in_thousands(whole)}
        read = _("строк прочитано: %(rows)s из %(whole)s", **counts)
        if files == 1:
            return str(read)
        which = _("Файл %(place)s из %(files)s", place=place, files=files)
        return f"{which}, {read}"


def _in_thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\u00a0")


READING = ReadingProgress()
"""One web process serves all pages, so it knows of all the files that are read."""


class WrongColumns(BridgeError):
    """An answer about columns that can't be used (in the reader's language)."""


def change_columns(at_hand: WebinarServices, signature: str, columns: Mapping[Field, str]) -> None:
    """Another answer about a kind of table. Raises NoSuchImport, WrongColumns."""
    answer = at_hand.drafting.memory.column_answer(signature)
    named = {name: title for name, title in columns.items() if title}
    if answer.finds_people and not any(named.get(name, NO_COLUMN) != NO_COLUMN for name in FINDS_PEOPLE):
        raise WrongColumns(useless_answer())
    for title in named.values():
        if title != NO_COLUMN and answer.titles and not any(same_name(title, known) for known in answer.titles):
            raise WrongColumns(_("Столбца «%(title)s» в этой таблице нет.", title=title))
    at_hand.drafting.memory.remember_columns(answer.signature, named, answer.titles)
    audit("webinar.columns", f"Ответ о столбцах изменён: {_columns_in_words(named)}")


def forget_columns(at_hand: WebinarServices, signature: str) -> None:
    """Such a table is asked about anew. Raises NoSuchImport."""
    answer = at_hand.drafting.memory.column_answer(signature)
    at_hand.drafting.memory.forget_columns(answer.signature)
    audit("webinar.columns", f"Ответ о столбцах забыт: {_columns_in_words(answer.columns)}")


def _columns_in_words(columns: Mapping[Field, str]) -> str:
    return ", ".join(
        f"{WORDS[name]} — {'нет' if title == NO_COLUMN else f'«{title}»'}" for name, title in columns.items()
    )


def repeat(at_hand: WebinarServices, number: int, place: int) -> None:
    """Work again on one person for whom it has failed. Raises NoSuchImport."""
    at_hand.control.repeat(number, place)
    current_account().bridge.request_job(IMPORTS)
    audit("webinar.repeat", f"Загрузка № {number}, строка {place}: повтор")


def act(at_hand: WebinarServices, number: int, deed: Deed) -> None:
    """Raises NoSuchImport."""
    getattr(at_hand.control, deed)(number)
    current_account().bridge.request_job(IMPORTS)
    audit(f"webinar.{deed}", f"Загрузка № {number}: {_DONE[deed]}")
