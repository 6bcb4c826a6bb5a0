"""Recipients of effects for clients: the deal as it is now, its main contact, and his consent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Protocol

from amo_bridge.channels.port import NotSent
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.deal_view import DEAL_GONE
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import Deal
from amo_bridge.text.names import normalise

_YES = re.compile(
    r"(?:да|есть|согла(?:сен|сна|сие)|дано?|дала?|получено?|подписано?|yes|true|agreed|1|[+✓✔v])(?:\W.*)?"
)
_NO = re.compile(r".*\b(?:не|нет|без|отозван\w*|отказ\w*)\b.*")


class ForDeal(Protocol):
    """What is for the client of a deal: a row of the outbox, a running dial."""

    @property
    def id(self) -> int: ...
    @property
    def deal_id(self) -> int: ...


@dataclass(frozen=True)
class Recipient:
    """``contact``: the deal's main one; None if it has none."""

    deal: Deal
    record: DealRecord
    contact: ContactRecord | None


def recipients(rows: Sequence[ForDeal], client: CrmClient, rule_engine: RuleEngine) -> dict[int, Recipient | NotSent]:
    """Row id → whom it is for, or why nobody is to be reached about that deal. Raises CrmError."""
    filters = rule_engine.account.is_api_filter_enabled
    deals = deals_by_ids(client, {row.deal_id for row in rows}, filter_enabled=filters)
    main_ids = {deal.main_contact_id for deal in deals.values() if deal.main_contact_id}
    contacts = contacts_by_ids(client, main_ids, filter_enabled=filters) if main_ids else {}
    tag = rule_engine.config.bridge.opt_out_tag
    found: dict[int, Recipient | NotSent] = {}
    for row in rows:
        record = deals.get(row.deal_id)
        if record is None:
            found[row.id] = NotSent(DEAL_GONE)
            continue
        deal = rule_engine.viewer.deal(record)
        if deal.has_tag(tag):
            found[row.id] = NotSent(f"на сделке тег «{tag}»")
            continue
        found[row.id] = Recipient(deal, record, contacts.get(record.main_contact_id or 0))
    return found


def is_yes(value: object) -> bool:
    """Does a field say yes: a ticked box, a date (of the consent), a text that begins with «да», «согласен», «есть»?

    The law wants a consent that can be shown (Federal Law «On Advertising», article 18), so any other text is none:
    «не согласен», «отказ», «-».
    """
    if isinstance(value, bool | date):
        return value is not False
    if isinstance(value, tuple | list):
        return bool(value) and all(map(is_yes, value))
    told = normalise(str(value)) if value is not None else ""
    return _YES.fullmatch(told) is not None and _NO.fullmatch(told) is None
