"""Skips: decisions of rules to do nothing about an event, packed into one row of the journal.

Most of what rules decide is that nothing is to be done, and dozens of them hear of one event. Rows of older releases,
and what one rule alone left undone, are a row for the rule (``verdict`` «skipped», ``rule``). The others lie together
in ``skips``, on the event's own row or on one that has nothing else (``verdict`` «skips»): JSON with the rules in the
order in which they were asked, each with its clause and the number of its reason; one of the same handler as the rule
before is named by its block alone (.new_client). Whoever reads the journal reads both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.engine import Connection

from amo_bridge.events import Event
from amo_bridge.events.codec import with_subclasses
from amo_bridge.storage.tables import journal

if TYPE_CHECKING:
    from amo_bridge.rules.handler import Rule

PACKED = "skips"
"""The verdict of a row that has nothing but what is packed in it."""
LOOKED_THROUGH = 1000
"""Rows of a type of event among which one rule's skips are looked for: the newest."""


class Skip(NamedTuple):
    """One rule that did nothing about an event, and why (Russian). ``what``: the event, in words."""

    rule: str
    clause: str
    what: str
    reason: str

    @property
    def verdict(self) -> str:
        return "skipped"


class NumberedSkip(NamedTuple):
    """A skip with the row that has it; ``at``: Unix seconds."""

    row_id: int
    at: float
    event_id: int | None
    deal_id: int | None
    skip: Skip


def pack(kind: type[Event], skips: Sequence[Skip], what: str) -> dict[str, Any]:
    """The columns for skips about one event. ``what``: what the row itself says of the event."""
    reasons: dict[str, int] = {}
    rules, last = [], ""
    for skip in skips:
        handler, _, block = skip.rule.partition(".")
        name = f".{block}" if handler == last else skip.rule
        rules.append((name, skip.clause, reasons.setdefault(skip.reason, len(reasons))))
        last = handler
    packed: dict[str, Any] = {"why": list(reasons), "rules": rules}
    if skips[0].what != what:
        packed["what"] = skips[0].what
    text = json.dumps(packed, ensure_ascii=False, separators=(",", ":"))
    return {"kind": kind.__name__, "skip_count": len(skips), "skips": text}


NOTHING_PACKED: Mapping[str, Any] = {"kind": None, "skip_count": None, "skips": None}


def unpack(row: Row[Any]) -> Iterator[Skip]:
    """What is packed in a row of the journal: none for a row of one decision."""
    if row.skips is None:
        return
    packed = json.loads(row.skips)
    what, handler = packed.get("what", row.what), ""
    for name, clause, reason in packed["rules"]:
        rule = handler + name if name.startswith(".") else name
        handler = rule.partition(".")[0]
        yield Skip(rule, clause, what, packed["why"][reason])


def kinds_heard(rule: Rule) -> set[str]:
    """The names of the types of events that the rule listens to."""
    return {kind.__name__ for heard in rule.handler.on for kind in with_subclasses(heard)}


def newest_skips(
    connection: Connection, account: int, rules: Iterable[Rule], most: int
) -> dict[str, list[NumberedSkip]]:
    """Rule → what it left undone lately, newest first, as far as it is packed: of the last ``most`` events of each type
    that the rule listens to."""
    kinds = {rule.name: kinds_heard(rule) for rule in rules}
    found: dict[str, list[NumberedSkip]] = {name: [] for name in kinds}
    for kind in sorted(set().union(*kinds.values())):
        for row in connection.execute(_of_kind(account, kind, most)):
            for skip in unpack(row):
                if kind in kinds.get(skip.rule, ()):
                    found[skip.rule].append(NumberedSkip(row.id, row.at, row.event_id, row.deal_id, skip))
    return {name: sorted(skips, key=lambda one: -one.row_id)[:most] for name, skips in found.items()}


def skips_of_rule(connection: Connection, account: int, rule: Rule, most: int) -> list[NumberedSkip]:
    """What one rule left undone lately, newest first, as far as it is packed; a rule that listens to few of the events
    of a type is looked for among the last ``LOOKED_THROUGH`` of them."""
    found = []
    for kind in sorted(kinds_heard(rule)):
        # A block of another handler may have this name too, so it is only known from the row itself.
        named = _of_kind(account, kind, LOOKED_THROUGH).where(_among_newest(account, kind), _names_block(rule))
        found += list(islice(_of_rule(rule, connection.execute(named)), most))
    return sorted(found, key=lambda one: -one.row_id)[:most]


def _of_rule(rule: Rule, rows: Iterable[Row[Any]]) -> Iterator[NumberedSkip]:
    for row in rows:
        for skip in unpack(row):
            if skip.rule == rule.name:
                yield NumberedSkip(row.id, row.at, row.event_id, row.deal_id, skip)


def _names_block(rule: Rule) -> ColumnElement[bool]:
    return journal.c.skips.contains(f'.{rule.block}",', autoescape=True)


def _among_newest(account: int, kind: str) -> ColumnElement[bool]:
    """Among the ``LOOKED_THROUGH`` newest rows of the type."""
    numbers = select(journal.c.id).where(journal.c.account == account, journal.c.kind == kind)
    oldest = numbers.order_by(journal.c.id.desc()).offset(LOOKED_THROUGH - 1).limit(1).scalar_subquery()
    return journal.c.id >= func.coalesce(oldest, 0)


def _of_kind(account: int, kind: str, most: int) -> Any:
    columns = (journal.c[name] for name in ("id", "at", "event_id", "deal_id", "what", "skips"))
    mine = (journal.c.account == account, journal.c.kind == kind)
    return select(*columns).where(*mine).order_by(journal.c.id.desc()).limit(most)
