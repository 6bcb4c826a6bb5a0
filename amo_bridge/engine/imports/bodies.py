"""Rows of a plan → amoCRM's objects: a contact, a deal, a patch of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.config.webinar import WebinarSection
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.resolver import Terms
from amo_bridge.webinars.plan import Row


class BodyMaker:
    """``loader``: who answers for what is made. Raises UnknownName for a name that the account has lost."""

    def __init__(self, account: Account, terms: Terms, options: WebinarSection, loader: int) -> None:
        self._account = account
        self._terms = terms
        self._options = options
        self._loader = loader

    def contact(self, row: Row) -> dict[str, Any]:
        """A new contact. Its name is whatever the person typed, kept as text."""
        person = row.person
        values = [
            {"field_id": self._account.field(code, "contacts").id, "values": [self._work(one) for one in told]}
            for code, told in (("PHONE", person.phones), ("EMAIL", person.mails))
            if told
        ]
        name = person.name or (person.mails or person.phones)[0]
        return {"name": name, "responsible_user_id": self._loader, "custom_fields_values": values}

    def deal(self, row: Row, contact_id: int) -> dict[str, Any]:
        """A new deal of a contact's."""
        assert row.to_stage is not None
        stage = self._account.stage(row.to_stage)
        return {
            "name": self.name(row),
            "pipeline_id": stage.pipeline_id,
            "status_id": stage.status_id,
            "responsible_user_id": self._loader,
            "custom_fields_values": [one for one in self._values(row) if one["values"]],
            "_embedded": {
                "tags": [{"name": tag} for tag in self.tags(row)],
                "contacts": [{"id": contact_id, "is_main": True}],
            },
        }

    def patch(self, row: Row, record: DealRecord) -> dict[str, Any]:
        """What has to change on a deal as it is now; only the id when nothing has."""
        body: dict[str, Any] = {"id": record.id}
        values = [one for one in self._values(row) if not is_so(record, one)]
        if values:
            body["custom_fields_values"] = values
        if new := [tag for tag in self.tags(row) if tag not in record.tags]:
            body["tags_to_add"] = [{"name": tag} for tag in new]
        if row.to_stage is not None:
            stage = self._account.stage(row.to_stage)
            if stage.key != (record.pipeline_id, record.status_id):
                body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        return body

    def name(self, row: Row) -> str:
        """«почта, имя», or as the config says."""
        person = row.person
        told = {
            "почта": person.mails[0] if person.mails else "",
            "имя": person.name,
            "телефон": person.phones[0] if person.phones else "",
            "дата": f"{person.held_on:%d.%m.%Y}",
        }
        return self._options.name_of_deal(told) or (person.mails or person.phones)[0]

    def tags(self, row: Row) -> tuple[str, ...]:
        """The buttons, and what the config adds."""
        return tuple(dict.fromkeys((*row.figures.tags, *self._options.tags)))

    def _values(self, row: Row) -> list[dict[str, Any]]:
        return [self._terms.field_value(name, value) for name, value in row.figures.values(self._options).items()]

    def _work(self, value: str) -> dict[str, str]:
        return {"value": value, "enum_code": "WORK"}


def is_so(record: DealRecord, field: Mapping[str, Any]) -> bool:
    """Has the deal this value already? Numbers are texts in amoCRM."""
    known = [str(value) for value in record.fields.get(field["field_id"], ())]
    return known == [str(value["value"]) for value in field["values"] or ()]
