"""Documents for clients: made of a template once for a deal and its stage, kept among its files.

The files service keeps the bytes; a letter that is tried again, or another one of the same stage, takes them there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import Row, func, select

from amo_bridge.channels.attachments import refusal_of_crm, too_large, type_of
from amo_bridge.channels.letter import EnclosedFile
from amo_bridge.channels.recipients import Recipient
from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import FileTooLarge, download_file, files_by_ids, upload_file
from amo_bridge.crm.reads import companies_by_ids
from amo_bridge.crm.records import ContactRecord
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.outbox import Planned, Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelRefused, CrmError
from amo_bridge.rules.deal import BUILT_IN_FIELDS, Deal, as_text
from amo_bridge.storage.database import AccountStore, insert_new, insert_or_replace
from amo_bridge.storage.tables import documents, outbox
from amo_bridge.text.documents import AGENCY, SUFFIX, Card, DocumentTemplates
from amo_bridge.text.names import normalise
from amo_bridge.text.templates import FIELD, BadTemplate

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')
LONGEST_NAME = 120
KEY = ("account", "deal_id", "template", "entry")


class Documents:
    """``folder``: of the templates. ``client``: of the port's own thread."""

    def __init__(
        self,
        folder: Path,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._templates = DocumentTemplates(folder)
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock

    def enclosed(self, row: Sendable, wanted: Mapping[str, Any], about: Recipient, most: int) -> EnclosedFile:
        """The document, made and put among the deal's files if it is not there yet. Raises ChannelRefused with all that
        is missing, ChannelBusy while amoCRM keeps something back."""
        template, entry = str(wanted["document"]), str(row.body.get("entry", ""))
        known = self._known(about.deal.id, template, entry)
        try:
            if known is not None and (content := self._kept(known, most)) is not None:
                return EnclosedFile(known.name, content, type_of(known.name))
            number = known.number if known is not None else self._next_number(about.deal.id, template)
            content = self._templates.render(template, self._facts(about, f"{about.deal.id}-{number}"))
            name = file_name(wanted.get("named") or f"{template[:1].upper()}{template[1:]} {about.deal.id}-{number}")
            if len(content) > most:
                raise too_large(f"документ «{name}»", most)
            uuid = upload_file(self._client, self._drive, name, content, type_of(name))
        except BadTemplate as error:
            raise ChannelRefused(str(error)) from error
        except CrmError as error:
            raise refusal_of_crm(error, f"документ «{template}»") from error
        self._keep(row, template, entry, number, name, uuid)
        return EnclosedFile(name, content, type_of(name))

    @property
    def _drive(self) -> str:
        return self._rule_engine().account.drive_url

    def _known(self, deal_id: int, template: str, entry: str) -> Row[Any] | None:
        mine = (self._store.owns(documents), documents.c.deal_id == deal_id, documents.c.entry == entry)
        with self._store.read() as connection:
            rows = connection.execute(select(documents).where(*mine)).all()
        return next((row for row in rows if row.template == normalise(template)), None)

    def _next_number(self, deal_id: int, template: str) -> int:
        same = (documents.c.deal_id == deal_id, documents.c.template == normalise(template))
        query = select(func.max(documents.c.number)).where(self._store.owns(documents), *same)
        with self._store.read() as connection:
            return int(connection.execute(query).scalar() or 0) + 1

    def _kept(self, known: Row[Any], most: int) -> bytes | None:
        """As it lies in amoCRM; None if a person has deleted it: then it is made anew. Raises CrmError."""
        row = files_by_ids(self._client, self._drive, [known.file_uuid]).get(known.file_uuid)
        if row is None:
            return None
        content = BytesIO()
        try:
            download_file(self._client, self._drive, row, content, most=most)
        except FileTooLarge:
            raise too_large(f"документ «{known.name}»", most) from None
        return content.getvalue()

    def _keep(self, row: Sendable, template: str, entry: str, number: int, name: str, uuid: str) -> None:
        """With the order to put it on the deal's card, at once: it is there, whatever becomes of the letter."""
        now = self._clock.now()
        kept = {
            "account": self._store.account_id, "deal_id": row.deal_id, "template": normalise(template), "entry": entry,
            "number": number, "name": name, "file_uuid": uuid, "made_at": now.timestamp(),
        }  # fmt: skip
        body = {"entity_id": row.deal_id, "file_uuids": [uuid]}
        effect = Effect(
            "attach_files", row.deal_id, body, f"документ «{name}» в файлы сделки",
            not_before=self._account_clock.now().timestamp(),
        )  # fmt: skip
        digest = hashlib.sha256(uuid.encode()).hexdigest()[:32]
        planned = Planned(row.event_id, row.rule, f"document|{row.deal_id}|{digest}", effect)
        with self._store.write() as connection:
            insert_or_replace(connection, documents, KEY, [kept])
            insert_new(connection, outbox, [planned.row(self._store.account_id, now)])

    def _facts(self, about: Recipient, number: str) -> dict[str, Any]:
        """What a template may speak of. Raises CrmError."""
        rule_engine, deal, contact = self._rule_engine(), about.deal, about.contact
        today = rule_engine.calendar.local(self._account_clock.now()).strftime("%d.%m.%Y")
        manager, mail = deal.responsible, rule_engine.config.channels.mail
        deal_fields = {name: deal.text(name) for name in self._names("leads")}
        company = self._company(deal)
        return {
            AGENCY: Card("агентство ([mail] agency)", mail.agency if mail else {}),
            "документ": Card("документ", {"номер": number, "дата": today}),
            "сделка": Card(
                "сделка",
                {"название": deal.name, "этап": deal.stage.name, "бюджет": str(deal.price or ""), "номер": deal.id},
            ),
            "менеджер": Card(
                "менеджер", {"имя": manager.name if manager else "", "почта": manager.email if manager else ""}
            ),
            "клиент": self._card("клиент", contact, "contacts"),
            "компания": self._card("компания", company, "companies"),
            FIELD: Card("сделка", deal_fields),
        }

    def _card(self, title: str, record: ContactRecord | None, entity: str) -> Card:
        account = self._rule_engine().account
        values = FieldReader(account, entity).values(record) if record else {}
        names = self._names(entity)
        fields = Card(title, {name: as_text(value) for name, value in values.items()}, names)
        own = {
            "имя": (record.first_name or record.name) if record else "", "полное_имя": record.name if record else "",
            "название": record.name if record else "", "телефон": next(iter(record.phones), "") if record else "",
            "почта": next(iter(record.emails), "") if record else "",
        }  # fmt: skip
        return Card(title, {**own, FIELD: fields})

    def _company(self, deal: Deal) -> ContactRecord | None:
        if deal.company_id is None:
            return None
        filters = self._rule_engine().account.is_api_filter_enabled
        return companies_by_ids(self._client, {deal.company_id}, filters).get(deal.company_id)

    def _names(self, entity: str) -> dict[str, str]:
        """The fields that the account has, as they are compared → as they are written."""
        built_in = BUILT_IN_FIELDS if entity == "leads" else ()
        names = [*built_in, *(field.name for field in self._rule_engine().account.fields(entity))]
        return {normalise(name): name for name in names}


def file_name(text: str) -> str:
    """A name that every disk takes."""
    clean = " ".join(_NOT_IN_NAMES.sub(" ", text).removesuffix(SUFFIX).split())[:LONGEST_NAME].strip(" .")
    return f"{clean or 'документ'}{SUFFIX}"
