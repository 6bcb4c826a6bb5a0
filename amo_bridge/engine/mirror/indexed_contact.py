"""One contact as the index keeps it: in the form in which phones, mails and surnames can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from amo_bridge.crm.records import EPOCH, ContactRecord
from amo_bridge.crm.values import from_plain, to_plain
from amo_bridge.events import ClientReported
from amo_bridge.text.addresses import HOME, mails_in, numbers_in
from amo_bridge.text.names import normalise

NO_FIELDS: Mapping[int, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class IndexedContact:
    """A contact as last seen. ``phones`` in E.164 («+79161234567») and ``mails`` in lower case, comparable; numbers
    that are none are left out. ``fields``: field id → texts, only of the fields that are kept (``[contacts]`` of the
    config)."""

    id: int
    name: str = ""
    surname: str = ""
    responsible_user_id: int = 0
    company_id: int | None = None
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    deal_ids: tuple[int, ...] = ()
    fields: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    updated_at: datetime = EPOCH

    @classmethod
    def of(cls, record: ContactRecord, kept_fields: Iterable[int] = (), home: str = HOME) -> Self:
        """What is kept of a contact that was read. ``home``: the country of phones typed without one."""
        return cls(
            id=record.id,
            name=record.name,
            surname=record.last_name,
            responsible_user_id=record.responsible_user_id,
            company_id=record.company_id,
            phones=_each_once(numbers_in(cell, home) for cell in record.phones),
            mails=_each_once(mails_in(cell) for cell in record.emails),
            deal_ids=record.deal_ids,
            fields={
                number: tuple(str(value) for value in record.fields[number])
                for number in kept_fields
                if record.fields.get(number)
            },
            updated_at=record.updated_at,
        )

    @property
    def surname_keys(self) -> tuple[str, ...]:
        """By what the surname is found: the surname, where amoCRM has it apart; else every word of the name, as people
        type «Иванова Анна» and «Анна Иванова»."""
        return tuple(dict.fromkeys(normalise(self.surname or self.name).split()))

    def has(self, field_id: int, value: str) -> bool:
        """Is this one of the field's values (case and «ё» forgiven)? A field that is not kept has none."""
        return normalise(value) in {normalise(one) for one in self.fields.get(field_id, ())}

    def covers(self, event: ClientReported, kept_fields: Iterable[int] = (), home: str = HOME) -> bool:
        """Is what the event says already known here? amoCRM's times have whole seconds, so within the same second the
        contents decide. An event that tells no contents says of the same second nothing that could be known."""
        if event.at is None or event.at > self.updated_at:
            return False
        return event.at < self.updated_at or self._agrees(event, kept_fields, home)

    def _agrees(self, event: ClientReported, kept_fields: Iterable[int], home: str) -> bool:
        texts = {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
        told_phones, told_mails = (
            [text for field in event.fields if field.code == code for text, _ in field.values]
            for code in ("PHONE", "EMAIL")
        )
        pairs = (
            (event.name, self.name),
            (event.responsible_user_id or 0, self.responsible_user_id),
            (event.company_id, self.company_id),
            (set(event.deal_ids), set(self.deal_ids)),
            (set(_each_once(numbers_in(cell, home) for cell in told_phones)), set(self.phones)),
            (set(_each_once(mails_in(cell) for cell in told_mails)), set(self.mails)),
            ({number: texts[number] for number in kept_fields if texts.get(number)}, dict(self.fields)),
        )
        return all(told == known for told, known in pairs)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is empty: there may be a hundred thousand of them."""
        return {key: value for key, value in to_plain(self).items() if value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The contact that ``to_json`` told of."""
        return cls(**from_plain(cls, told))


def _each_once(some: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for each in some for one in each))
