"""What a letter's template may speak of, in Russian words: клиент, сделка, менеджер, поле["…"], отписка."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from amo_bridge.crm.records import ContactRecord
from amo_bridge.rules.deal import Deal
from amo_bridge.text.names import normalise
from amo_bridge.text.templates import FIELD


class _Fields(Mapping[str, str]):
    """The deal's fields as texts; an empty one is an empty text, one that the account does not have is none at all."""

    def __init__(self, deal: Deal, known: Mapping[str, str]) -> None:
        self._deal = deal
        self._known = known

    def __getitem__(self, name: str) -> str:
        if normalise(name) not in self._known:
            raise KeyError(name)
        return self._deal.text(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)


def facts(deal: Deal, contact: ContactRecord, field_names: Mapping[str, str], unsubscribe: str) -> dict[str, Any]:
    """``field_names``: normalised → as written, of all fields that a deal of the account has. ``unsubscribe``: the
    link; empty in letters that need none."""
    return {
        "клиент": {"имя": contact.first_name or contact.name, "полное_имя": contact.name},
        "сделка": {
            "название": deal.name,
            "этап": deal.stage.name,
            "бюджет": str(deal.price) if deal.price else "",
        },
        "менеджер": {
            "имя": deal.responsible.name if deal.responsible else "",
            "почта": deal.responsible.email if deal.responsible else "",
        },
        FIELD: _Fields(deal, field_names),
        "отписка": unsubscribe,
    }
