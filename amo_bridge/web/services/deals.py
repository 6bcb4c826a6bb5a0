"""Deal for pages and API: what is known of it, its journal by steps, repeat and undo of a step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from flask import url_for

from amo_bridge.channels.storage import listed_files
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.forecast import EVER, Coming
from amo_bridge.engine.journal import Entry
from amo_bridge.engine.replay import ManualRepeat, NotRepeatable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.undo import Undo, Undoing
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror
from amo_bridge.runtime.connection import account_client
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, user, who

# A number, also as pages print it, or the address of the deal's page in amoCRM.
NUMBER = re.compile(
    r"(?:.*/leads/detail/|(?:сделка|deal)?\s*(?:№|no\.)?\s*)?(\d{1,18})/?(?:[?#].*)?", re.DOTALL | re.IGNORECASE
)
SILENT = ("skipped",)
MOST_COMING = 20
LONGEST_WORDS = 100
FEWEST_DIGITS = 7
"""Of what may be a phone."""
FEWEST_LETTERS = 3
"""Of a surname's beginning, as the index of contacts knows it."""


def address_of(here: AccountView, deal_id: int) -> str:
    """The deal's page; for whoever may not see it, its card in amoCRM."""
    if user().may(Role.VIEWER):
        return url_for("deal.show", deal_id=deal_id)
    return deal_url(here.config.account.url, deal_id)


def addresses_of(here: AccountView) -> Callable[[int], str]:
    """``address_of`` for the rows of a table: Flask is asked for the address once."""
    beginning = address_of(here, 0).removesuffix("0")
    return lambda deal_id: f"{beginning}{deal_id}"


@dataclass
class Step:
    """What came, and what the rules said to it. ``event_id``: None for what belongs to no event."""

    event_id: int | None
    at: datetime
    what: str
    note: str = ""
    said: list[Entry] = field(default_factory=list)

    @property
    def loud(self) -> list[Entry]:
        return [entry for entry in self.said if entry.verdict not in SILENT]

    @property
    def silent(self) -> list[Entry]:
        return [entry for entry in self.said if entry.verdict in SILENT]


@dataclass(frozen=True)
class KnownDeal:
    """``record``: as it was last seen, if it was; ``stage``: its title, empty where the account's names are not known.
    ``link``: its page in amoCRM. ``steps``: newest first. ``coming``: what the clock will do, the nearest first.
    ``enquiry_count``: how many enquiries lie on it; ``file_count``: how many copies of its files are in the document
    storage."""

    deal_id: int
    record: DealRecord | None
    stage: str
    link: str
    steps: list[Step]
    coming: list[Coming] = field(default_factory=list)
    enquiry_count: int = 0
    file_count: int = 0

    @property
    def is_known(self) -> bool:
        return self.record is not None or bool(self.steps)

    @property
    def runs(self) -> list[list[Step]]:
        """The steps; those in a row to which no rule answered are together."""
        return [
            part
            for is_loud, some in groupby(self.steps, key=lambda step: bool(step.loud))
            for part in ([[step] for step in some] if is_loud else [list(some)])
        ]


def deal_of(here: AccountView, deal_id: int) -> KnownDeal:
    """Raises NotMet."""
    record = Mirror(here.account_store).record(deal_id)
    return KnownDeal(
        deal_id,
        record,
        stage=_stage(here, record) if record else "",
        link=f"{here.config.account.url}/leads/detail/{deal_id}",
        steps=steps_of(here.journal.of_deal(deal_id)),
        coming=here.upcoming.within(EVER, deal_id=deal_id, most=MOST_COMING),
        enquiry_count=EnquiryRepository(here.account_store, here.clock).count(EnquiryFilter(deal_id=deal_id)),
        file_count=len(listed_files(here.account_store, deal_id)),
    )


def steps_of(entries: Iterable[Entry]) -> list[Step]:
    """The journal's lines put together by event, newest first."""
    steps: dict[int | tuple[datetime, str], Step] = {}
    for entry in entries:
        key = entry.event_id if entry.event_id is not None else (entry.at, entry.what)
        step = steps.setdefault(key, Step(entry.event_id, entry.at, entry.what))
        if entry.verdict == "came":
            step.what, step.note = entry.what, entry.reason
        else:
            step.said.append(entry)
    return list(reversed(steps.values()))


@dataclass(frozen=True)
class FoundDeal:
    """A deal of a list. ``person``: who is responsible for it; ``client``: the contact by whom it was found."""

    deal_id: int
    name: str
    stage: str
    person: str
    client: str


def find_deals(here: AccountView, words: str, most: int) -> list[int]:
    """Numbers of deals by their number, name, or a client's phone, mail or surname; the newest first. Raises NotMet."""
    if not words:
        return []
    mirror, read = Mirror(here.account_store), NUMBER.fullmatch(words)
    # A number may be a phone too, or stand in a name.
    own = [int(read[1])] if read and (mirror.record(int(read[1])) or here.journal.of_deal(int(read[1]))) else []
    named = mirror.named(words, most)
    clients = {deal for one in _clients(here, words) for deal in one.deal_ids}
    return sorted(dict.fromkeys([*own, *named, *clients]), reverse=True)[:most]


def listed(here: AccountView, deal_ids: Iterable[int], words: str = "") -> list[FoundDeal]:
    """As a list shows them, in this order; what is not known of one is empty. Raises NotMet."""
    names = here.user_names
    numbers = list(deal_ids)
    known = Mirror(here.account_store).records_of(numbers)
    client_of = {deal: one.name for one in _clients(here, words) for deal in one.deal_ids} if words else {}
    found = []
    for number in numbers:
        record = known.get(number)
        stage, person = (_stage(here, record), names.get(record.responsible_user_id, "")) if record else ("", "")
        found.append(FoundDeal(number, record.name if record else "", stage, person, client_of.get(number, "")))
    return found


def _clients(here: AccountView, words: str) -> list[MirroredContact]:
    index = ContactIndex(here.account_store)
    if "@" in words:
        return [one for found in index.by_mails([words]).values() for one in found]
    if len(re.sub(r"\D", "", words)) >= FEWEST_DIGITS:
        return [one for found in index.by_phones([words]).values() for one in found]
    return index.by_surname(words) if len(words) >= FEWEST_LETTERS else []


class JudgedStep(NamedTuple):
    """What the rules would do about an event now. ``done_at``: those that acted on it already → when."""

    verdicts: list[Verdict]
    done_at: Mapping[str, datetime]


def judge(here: AccountView, deal_id: int, event_id: int) -> JudgedStep:
    """What the rules would do about this event now; nothing is changed. Raises BridgeError, ConfigError."""
    repeating = _repeating(here)
    return JudgedStep(repeating.evaluate(deal_id, event_id), repeating.done_at(event_id))


def carry_out(
    here: AccountView, deal_id: int, event_id: int, rule: str, mark: str, *, once_more: bool = False
) -> Verdict:
    """For good: the rule does what it would do; once for each ``mark``. ``once_more``: although it was done already.

    Raises BridgeError, ConfigError.
    """
    done = _repeating(here).carry_out(deal_id, event_id, rule, mark, who(), once_more=once_more)
    audit("deal.repeat", f"Сделка {deal_id}: повторено правило {rule}")
    here.bridge.wake()
    return done


def undoing(here: AccountView, deal_id: int, event_id: int, rule: str) -> list[Undoing]:
    """What of a decision could be taken back now; nothing is changed. Raises BridgeError, ConfigError."""
    return _undo(here).preview(deal_id, event_id, rule)


def undo(here: AccountView, deal_id: int, event_id: int, rule: str) -> list[Undoing]:
    """Take back what a rule did, as far as it goes. Raises BridgeError, ConfigError."""
    done = _undo(here).carry_out(deal_id, event_id, rule, who())
    audit("deal.undo", f"Сделка {deal_id}: отменено сделанное правилом {rule}")
    here.bridge.wake()
    return done


def _undo(here: AccountView) -> Undo:
    """Raises NotMet, NotRepeatable, ConfigError."""
    rule_engine, client = _at_work(here)
    return Undo(here.account_store, rule_engine, client, here.clock)


def _stage(here: AccountView, record: DealRecord) -> str:
    known, key = here.crm_account, (record.pipeline_id, record.status_id)
    return known.stage_of(*key).title if known and known.has_stage(*key) else ""


def _repeating(here: AccountView) -> ManualRepeat:
    """Raises NotMet, NotRepeatable, ConfigError."""
    rule_engine, client = _at_work(here)
    return ManualRepeat(here.account_store, rule_engine, client, here.clock)


def _at_work(here: AccountView) -> tuple[RuleEngine, CrmClient]:
    """What judges and what asks amoCRM. Raises NotMet, NotRepeatable, ConfigError."""
    known = here.crm_account
    if known is None:
        raise NotMet("мост ещё не знакомился с аккаунтом")
    if here.bridge.role == "web":
        raise NotRepeatable("этот процесс только принимает сообщения: повторить может тот, что работает с amoCRM")
    client = account_client(here.config, here.bridge.environment)
    return RuleEngine.of(here.fit.config, known, here.clock), client
