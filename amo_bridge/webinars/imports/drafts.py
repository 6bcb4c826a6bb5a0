"""Files → a draft: who is in them, who of them is known, what would be done. Reads the store only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.people import People
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.matching import Found, ids_of
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import AccountStore
from amo_bridge.webinars.attendees import Attendee, gather
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import Export, ExportError
from amo_bridge.webinars.formats.tables import Field
from amo_bridge.webinars.imports.model import Import, ImportRow
from amo_bridge.webinars.imports.repository import ImportHistory, ImportRepository, keys_of
from amo_bridge.webinars.plan import Known, Override, Row, plan
from amo_bridge.webinars.preview import NO_SECTION, answers_about, doubts

NOT_FILLED = (
    "мост ещё не прочитал все контакты аккаунта: он не узнал бы знакомых. Подождите, пока первое чтение закончится "
    "(amo-bridge serve), и загрузите файл снова"
)
MOST_FILES = 20
NO_NAMES: Mapping[Field, str] = {}
FilesProgress = Callable[[int, int, int, int], None]
"""The file's place, how many files, rows of it that are read, all its rows."""


class NotFilled(ExportError):
    """Nobody could be told whether he is known: the first reading of the account is not over."""


@dataclass(frozen=True)
class Upload:
    """A file as it came: what it is called means nothing but to people."""

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class DraftService:
    """``account``: the names as last known; nothing here asks amoCRM. Raises ExportError for what can't be used."""

    def __init__(self, store: AccountStore, config: Config, account: Account, clock: Clock) -> None:
        if config.webinar is None:
            raise ExportError(NO_SECTION)
        self.options: WebinarSection = config.webinar
        self.book = ImportRepository(store, clock)
        self.memory = ImportHistory(store)
        self.opt_out_tag = config.bridge.opt_out_tag
        self.account = account
        self._clock = clock
        self.people = People(account, config.roles, config.absences, tell=config.bridge.tell)
        self._index = ContactIndex(store)
        self._mirror = Mirror(store)
        self._viewer = Viewer(account, config.account.url)

    def draft(
        self,
        uploads: Sequence[Upload],
        made_by: str,
        held_on: date | None = None,
        columns: Mapping[Field, str] = NO_NAMES,
        progress: FilesProgress | None = None,
    ) -> list[int]:
        """A draft for each webinar day in the files, the earliest first; their numbers."""
        exports = self.read_with(uploads, columns, held_on, progress)
        title = next((export.title for export in exports if export.title), "")
        files = self._files_json(uploads, exports)
        numbers = []
        for day, rows in self.preview(exports, held_on).items():
            odd = doubts(exports, [row.person for row in rows], day, held_on)
            numbers.append(self.book.add(day, title, files, rows, made_by, odd))
        return numbers

    def preview(self, exports: Sequence[Export], held_on: date | None = None) -> dict[date, list[Row]]:
        """What would become of everybody, by the day of the webinar; nothing is kept."""
        if not self._index.is_filled:
            raise NotFilled(NOT_FILLED)
        days = gather(exports, held_on, self.options.staff)
        return {day: plan(people, self.known(day, people), self.options) for day, people in days.items()}

    def read_with(
        self,
        uploads: Sequence[Upload],
        columns: Mapping[Field, str],
        held_on: date | None = None,
        progress: FilesProgress | None = None,
    ) -> list[Export]:
        """What the files say when these columns are what a person has named; that is remembered for all such tables."""
        exports = self.read(uploads, held_on, progress)
        answers = answers_about(exports, columns)
        if not answers:
            return exports
        known = self.memory.columns()
        for table, (named, titles) in answers.items():
            self.memory.remember_columns(table, {**known.get(table, {}), **named}, titles)
        return self.read(uploads, held_on, progress)

    def read(
        self, uploads: Sequence[Upload], held_on: date | None = None, progress: FilesProgress | None = None
    ) -> list[Export]:
        """What the files say; ``held_on``: the day as a person told it. ``progress``: is told how far it is. Raises
        ExportError, ColumnsUnknown."""
        if not uploads:
            raise ExportError("не выбран ни один файл")
        if len(uploads) > MOST_FILES:
            raise ExportError(f"файлов {len(uploads)}, за один раз принимается до {MOST_FILES}")
        zone, columns = ZoneInfo(self.account.timezone), self.memory.columns()
        day_first = self.options.zoom_dates == "day first"
        return [
            read_export(
                one.name,
                one.content,
                zone=zone,
                day_first=day_first,
                mappings=columns,
                held_on=held_on,
                progress=partial(progress, place, len(uploads)) if progress else None,
            )
            for place, one in enumerate(uploads, start=1)
        ]

    def drafts_beside(self, job: Import) -> dict[str, int]:
        """Other drafts of a draft's files: digest → number."""
        digests = [str(file["digest"]) for file in job.files]
        return self.memory.drafts_of(digests, job.held_on, job.id) if job.state == "draft" else {}

    def replan(self, number: int) -> list[tuple[ImportRow, Row]]:
        """Make a draft's plan anew, by what is known now and what a person decided meanwhile: each row as it was, and
        what is planned for it now."""
        planned = self._anew(number, {})
        changed = [(one, row) for one, row in planned if one.row != row]
        with self.book.writing() as connection:
            self.book.become_in(connection, number, ["draft"], "draft")
            self.book.keep_plan(connection, number, changed)
        return planned

    def planned_anew(self, number: int) -> list[tuple[ImportRow, Row]]:
        """Each row as it is, and what would be planned for it now; nothing is kept."""
        return self._anew(number, {})

    def planned(self, number: int, place: int, said: Override) -> Row:
        """What would become of one person now, if this were decided about him; nothing is kept."""
        key = self.book.row(number, place).row.person.key
        return next(row for kept, row in self._anew(number, {key: said}) if kept.number == place)

    def known(self, held_on: date, people: Sequence[Attendee], said: Iterable[Override] = ()) -> Known:
        """What the account knows of these people, in few reads of the store."""
        by_mail = self._index.by_mails({mail for one in people for mail in one.mails})
        by_phone = self._index.by_phones({phone for one in people for phone in one.phones})
        told = self.memory.figures_by_key(held_on, keys_of(people))
        earlier, decided = self.memory.contacts({one for person in people for one in (*person.mails, *person.phones)})
        named = [one.contact_id for one in said if one.contact_id]
        contacts = {one.id: one for owners in (*by_mail.values(), *by_phone.values()) for one in owners}
        known = (*named, *(one.contact_id for one in told.values() if one.contact_id), *earlier.values())
        contacts |= self._index.get(known)
        return Known(
            found=Found(ids_of(by_mail), ids_of(by_phone), _there(earlier, contacts), decided),
            has={one.id: frozenset((*one.mails, *one.phones)) for one in contacts.values()},
            pipelines=self.pipelines,
            deals=self._deals(contacts),
            told=told,
            figures_by_contact=self.memory.figures_by_contact(held_on, contacts),
            loader=self.loader,
            opt_out_tag=self.opt_out_tag,
        )

    @property
    def is_filter_enabled(self) -> bool:
        return self.account.is_api_filter_enabled

    @property
    def loader(self) -> int:
        """Who answers for deals that nobody has taken. Raises UnknownName."""
        named = self.people.user_id(self.options.responsible, DealRecord(id=0))
        return self.people.works_now(named, self._clock.now().date(), is_there=True)

    @property
    def pipelines(self) -> tuple[str, ...]:
        """Where the webinars' stages are. Raises UnknownName."""
        options = self.options
        stages = [options.active_stage, options.long_stage, options.short_stage, options.repeat_stage]
        return tuple(dict.fromkeys(self.account.stage(stage).pipeline for stage in stages if stage))

    def knows_contact(self, contact_id: int) -> bool:
        return bool(self._index.get([contact_id]))

    def view(self, record: DealRecord) -> Deal:
        """A deal in the account's words."""
        return self._viewer.deal(record)

    def _anew(self, number: int, more: Mapping[str, Override]) -> list[tuple[ImportRow, Row]]:
        """``more``: what is decided besides, by the person's key."""
        kept = self.book.rows(number)
        people = [one.row.person for one in kept]
        said = {one.row.person.key: one.said for one in kept if one.said != Override()}
        said.update(more)
        held_on = self.book.get(number).held_on
        rows = plan(people, self.known(held_on, people, said.values()), self.options, said)
        return [(one, one.row.planned_anew(row)) for one, row in zip(kept, rows, strict=True)]

    def _deals(self, contacts: Mapping[int, MirroredContact]) -> dict[int, list[Deal]]:
        known = self._mirror.get(number for one in contacts.values() for number in one.deal_ids)
        found: dict[int, list[Deal]] = {}
        for contact in contacts.values():
            records = [known[number].record for number in contact.deal_ids if number in known]
            found[contact.id] = [deal for record in records if (deal := self._seen(record))]
        return found

    def _seen(self, record: DealRecord) -> Deal | None:
        try:
            return self.view(record)
        except UnknownName:
            # A stage newer than our copy of the account: then it is none of the webinars' stages.
            return None

    def _files_json(self, uploads: Sequence[Upload], exports: Sequence[Export]) -> list[dict[str, object]]:
        return [
            {
                "name": upload.name, "digest": upload.digest, "source": export.source, "visits": len(export.visits),
                "remarks": list(export.remarks), "loaded_before": self.memory.loaded_by(upload.digest),
            }
            for upload, export in zip(uploads, exports, strict=True)
        ]  # fmt: skip


def _there(remembered: Mapping[str, int], contacts: Mapping[int, MirroredContact]) -> dict[str, int]:
    """Without contacts that are gone."""
    return {address: contact for address, contact in remembered.items() if contact in contacts}
