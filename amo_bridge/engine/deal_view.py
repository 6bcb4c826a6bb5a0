"""Deal view: makes the ``Deal`` on which rules are evaluated from amoCRM's record.

Custom fields come by name, dates as dates in the account's time zone; amoCRM's own forms (strings for numbers, Unix
seconds for dates) go no further.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import EPOCH, ContactRecord, DealRecord, TaskRecord, api_text
from amo_bridge.engine.effects import NEW_URL
from amo_bridge.errors import BridgeError
from amo_bridge.events import EnquiryReceived
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.rules.deal import HIDDEN, Compound, Contact, Deal, Stay, Task, Value, as_text, nameless
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import normalise


class FieldReader:
    """Reads custom fields by name. ``entity``: leads or contacts. ``secret``: fields whose values are hidden."""

    def __init__(self, account: Account, entity: str = "leads", secret: Iterable[str] = ()) -> None:
        hidden = {normalise(name) for name in secret}
        self._fields = {field.id: field for field in account.fields(entity)}
        self._secret = {field_id for field_id, field in self._fields.items() if normalise(field.name) in hidden}
        self._zone = ZoneInfo(account.timezone)

    def values(self, record: DealRecord | ContactRecord) -> dict[str, Value]:
        """Filled custom fields: name → value. A field the account's copy does not know yet is left out."""
        found: dict[str, Value] = {}
        for field_id, raw in record.fields.items():
            field = self._fields.get(field_id)
            if field is None or not raw:
                continue
            value = self._value(field.type, raw)
            if value is not None:
                found[field.name] = HIDDEN if field_id in self._secret else value
        return found

    def text(self, record: DealRecord, field: Field) -> str:
        """What ``texts`` has of one custom field; empty if it is not filled."""
        raw = record.fields.get(field.id)
        value = self._value(field.type, raw) if raw and field.id in self._fields else None
        return "" if value is None else as_text(HIDDEN if field.id in self._secret else value)

    def texts(self, record: DealRecord) -> dict[str, str]:
        """All filled fields as text: custom ones and the built-in «Название», «Бюджет», «Причина отказа»."""
        built_in = {
            "Название": record.name,
            "Бюджет": str(record.price) if record.price else "",
            "Причина отказа": record.loss_reason or "",
        }
        custom = {name: as_text(value) for name, value in self.values(record).items()}
        return {name: text for name, text in (built_in | custom).items() if text}

    def _value(self, field_type: str, raw: tuple[object, ...]) -> Value | None:
        if field_type == "checkbox":
            return str(raw[0]).casefold() in ("true", "1")
        if field_type in ("date", "birthday", "date_time"):
            return self._moment(field_type, raw[0])
        if any(isinstance(item, Mapping) for item in raw):
            return compound(field_type, raw)
        texts = tuple(str(item) for item in raw if item not in (None, ""))
        if not texts:
            return None
        return texts if field_type == "multiselect" else ", ".join(texts)

    def _moment(self, field_type: str, raw: object) -> Value | None:
        try:
            local = datetime.fromtimestamp(int(str(raw)), UTC).astimezone(self._zone)
        except (ValueError, OverflowError, OSError):
            return str(raw) or None
        return local if field_type == "date_time" else local.date()


def compound(field_type: str, raw: Sequence[object]) -> Compound | None:
    """The value of a field that has parts; None if they say nothing."""
    texts = [_part_in_words(field_type, item) if isinstance(item, Mapping) else str(item or "") for item in raw]
    text = ", ".join(filter(None, texts))
    return Compound(field_type, text, tuple(raw)) if text else None


def _part_in_words(field_type: str, part: Mapping[str, Any]) -> str:
    """«ООО «Ромашка», ИНН 7701234567», «бриф.docx», «Чай × 2 шт.»: never amoCRM's own object."""

    def first_of(*keys: str) -> str:
        return next((str(part[key]).strip() for key in keys if part.get(key) not in (None, "")), "")

    if field_type == "legal_entity":
        number = first_of("vat_id", "unp", "bin", "egrpou")
        return ", ".join(filter(None, (first_of("name"), f"ИНН {number}" if number else "")))
    if field_type == "items":
        price = first_of("unit_price")
        quantity = " ".join(filter(None, (first_of("quantity"), first_of("unit_type"))))
        name = first_of("description", "name", "sku")
        return " ".join(filter(None, (name, f"× {quantity}" if quantity else "", f"по {price}" if price else "")))
    if field_type == "chained_list":
        element = first_of("catalog_element_id")
        return first_of("name", "value") or (f"элемент {element} списка {first_of('catalog_id')}" if element else "")
    if field_type == "linked_entity":
        return first_of("name") or (f"№ {first_of('entity_id')}" if first_of("entity_id") else "")
    known = first_of("file_name", "value", "name", "text", "title", "caption", "address_line_1")
    return known or ", ".join(str(one) for one in part.values() if isinstance(one, str | int | float) and one)


class Viewer:
    """Makes deals and contacts as rules see them.

    ``pages_url``: where the bridge's own pages are, empty if unknown. ``secret``: fields whose values are hidden.
    """

    def __init__(
        self,
        account: Account,
        account_url: str,
        pages_url: str = "",
        secret: Iterable[str] = (),
        card_name: Callable[[str, int], str] = nameless,
    ) -> None:
        self._card_name = card_name
        self._account = account
        self.pages_url = pages_url
        self._url = account_url
        self._reader = FieldReader(account, secret=secret)
        self._contact_reader = FieldReader(account, "contacts")
        self._users = {user.id: user for user in account.users}

    def deal(
        self,
        record: DealRecord,
        mirrored: MirroredDeal | None = None,
        people: Mapping[int, MirroredContact] | None = None,
    ) -> Deal:
        """``mirrored``: gives the stays on stages, if the deal is on the same stage there. ``people``: contacts of the
        index, for schedules; the deal's own among them become its contacts, with the fields that the index keeps."""
        is_same = mirrored is not None and mirrored.stage == (record.pipeline_id, record.status_id)
        stays = mirrored.stays if mirrored is not None and is_same else ()
        deal = Deal(
            id=record.id,
            name=record.name,
            url=deal_url(self._url, record.id),
            page=f"{self.pages_url}/deals/{record.id}",
            stage=self._account.stage_of(record.pipeline_id, record.status_id),
            price=record.price,
            responsible=self._users.get(record.responsible_user_id),
            loss_reason=record.loss_reason,
            tags=record.tags,
            main_contact_id=record.main_contact_id,
            contact_ids=record.contact_ids,
            company_id=record.company_id,
            fields=self._reader.values(record),
            card_name=self._card_name,
            stays=tuple(Stay(self._account.past_stage(*stay.stage), stay.since) for stay in stays),
        )
        return deal if people is None else replace(deal, contacts=tuple(self._people(record, people)))

    def _people(self, record: DealRecord, people: Mapping[int, MirroredContact]) -> Iterator[Contact]:
        for contact_id in record.contact_ids:
            if contact := people.get(contact_id):
                yield self.contact(contact, is_main=contact_id == record.main_contact_id)

    def contact(self, mirrored: MirroredContact, *, is_main: bool = False) -> Contact:
        """A contact of the index, with the fields that the index keeps."""
        fields = self._contact_reader.values(ContactRecord(id=mirrored.id, fields=mirrored.fields))
        return Contact(id=mirrored.id, name=mirrored.name, is_main=is_main, fields=fields)


def task_view(record: TaskRecord, slot: str = "", made_by: str = "", set_as: str | None = None) -> Task:
    """A task as rules see it. ``slot``, ``made_by``, ``set_as``: of the rule that created it, if one did."""
    return Task(
        id=record.id,
        text=record.text,
        is_completed=record.is_completed,
        due=record.complete_till,
        responsible_user_id=record.responsible_user_id,
        slot=slot,
        result=record.result,
        task_type_id=record.task_type_id,
        created_by=record.created_by,
        created_at=record.created_at,
        changed_at=record.updated_at,
        made_by=made_by,
        set_as=set_as or "",
    )


DEAL_GONE = "сделки нет в аккаунте: удалена, объединена или не видна мосту"
"""What is said of a deal that amoCRM does not give."""


def deal_url(account_url: str, deal_id: int) -> str:
    """Address of the deal's card in amoCRM; of a deal to come the place where it is filled in."""
    return NEW_URL if deal_id < 0 else f"{account_url}/leads/detail/{deal_id}"


def deal_to_come(event: EnquiryReceived, account: Account) -> DealRecord:
    """What stands for the deal of an enquiry while there is none: rules are evaluated on it, nothing is read."""
    stage = account.stages[0]
    return DealRecord(
        id=event.deal_id,
        name=event.who,
        pipeline_id=stage.pipeline_id,
        status_id=stage.status_id,
        responsible_user_id=event.knew or account.current_user_id,
        contact_ids=(event.contact_id,) if event.contact_id else (),
        main_contact_id=event.contact_id,
        updated_at=event.at or EPOCH,
    )


# --- names on the card ------------------------------------------------------------------------------------------------
# Of contacts and companies: from the mirror, else read from amoCRM and cached.

KEPT_SECONDS = 600.0
MOST_KEPT = 10_000


class CardNames:
    """Safe for several threads."""

    def __init__(self, store: AccountStore, client: CrmClient, clock: Clock) -> None:
        self._contacts = ContactIndex(store)
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[str, int], tuple[float, str]] = {}
        self._lock = threading.Lock()

    def name(self, entity: str, card_id: int) -> str:
        """``entity``: contacts or companies. Empty if it can't be known just now: texts then say «—»."""
        try:
            if entity == "contacts" and (known := self._contacts.get([card_id]).get(card_id)) and known.name:
                return known.name
            return self._asked(entity, card_id)
        except BridgeError as error:
            log.warning("a card's name is not known", entity=entity, card=card_id, error=str(error))
            return ""

    def _asked(self, entity: str, card_id: int) -> str:
        now = self._clock.now().timestamp()
        with self._lock:
            kept = self._kept.get((entity, card_id))
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        name = api_text((self._client.get(f"/api/v4/{entity}/{card_id}") or {}).get("name"))
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[entity, card_id] = (now, name)
        return name
