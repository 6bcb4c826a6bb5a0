"""A deal that goes on where another ended → effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Effect
from amo_bridge.engine.resolve.terms import Terms, Way
from amo_bridge.rules.actions import Action, CreateDeal
from amo_bridge.rules.deal import Deal


class NewDealWays:
    """``any_action``: how whatever is to be done after the deal exists is resolved."""

    def __init__(self, terms: Terms, any_action: Way) -> None:
        self._terms = terms
        self._any_action = any_action
        self.ways: Mapping[type[Action], Way] = {CreateDeal: self._create}

    def _create(self, action: CreateDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        terms = self._terms
        stage = terms.account.stage(action.to)
        words = f"новая сделка «{action.name}» на этапе «{stage.title}»"
        if action.tags:
            words += f", теги: {', '.join(action.tags)}"
        body = self._body(action, deal, record)
        body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        then = [effect for follow in action.then for effect in self._any_action(follow, deal, record, at)]
        if action.link_field:
            back = {"id": deal.id, "custom_fields_values": [terms.field_value(action.link_field, NEW_URL)]}
            then.append(Effect("patch_deal", deal.id, back, f"поле «{action.link_field}» = адрес новой сделки"))
        if action.file_uuids:
            files = {"entity_id": NEW_ID, "file_uuids": list(action.file_uuids)}
            then.append(Effect("attach_files", deal.id, files, f"файлы новой сделки: {len(action.file_uuids)}"))
        return [
            Effect(
                "create_deal", deal.id, body, words,
                slot=action.slot, once=True, then=tuple(then), not_before=at.timestamp(),
            )
        ]  # fmt: skip

    def _body(self, action: CreateDeal, deal: Deal, record: DealRecord) -> dict[str, Any]:
        values = [self._terms.field_value(name, value) for name, value in action.values.items()]
        if action.link_field:
            values.append(self._terms.field_value(action.link_field, deal.url))
        body: dict[str, Any] = {
            "name": action.name,
            "responsible_user_id": self._terms.user_id(action.responsible, record),
            "_embedded": {
                "tags": [{"name": tag} for tag in action.tags],
                "contacts": [{"id": cid, "is_main": cid == deal.main_contact_id} for cid in action.contact_ids],
                "companies": [{"id": action.company_id}] if action.company_id else [],
            },
        }
        if action.price is not None:
            body["price"] = action.price
        if values:
            body["custom_fields_values"] = values
        return body
