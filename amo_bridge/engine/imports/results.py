"""What came of an import in one sentence, and in numbers by stage: what was to be done beside what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amo_bridge.config.webinar import Interest
from amo_bridge.engine.imports.records import Kept
from amo_bridge.storage.tables import OPEN_IMPORT_STATES
from amo_bridge.webinars.plan import Row, Standing

NOT_LOADED: tuple[Standing, ...] = ("doubtful", "unmatched", "banned", "skipped")
"""People who get to no stage, whatever the webinar says of them."""
WORDS: Mapping[str, str] = {
    "deals": "создано сделок", "contacts": "создано контактов", "updated": "обновлено сделок",
    "completed": "дополнено контактов", "same": "без изменений", "undone": "отменено", "kept": "не отменено",
    "intact": "возвращать нечего",
    "failed": "не вышло", "open": "ещё в работе", "planned": "ещё не начато", "left out": "не загружено",
    "doubtful": "ждут решения", "unmatched": "не сопоставить", "banned": "забанены", "skipped": "пропущены",
    "other": "остальные, см. примечания",
}  # fmt: skip
_LEFT_OUT = (*NOT_LOADED, "other")


@dataclass(frozen=True)
class Results:
    """How much of each of ``WORDS`` there was."""

    counts: Mapping[str, int]

    def in_words(self, words: Mapping[str, Any] = WORDS) -> str:
        """«Создано сделок: 3, создано контактов: 2; не загружено: 2 (ждут решения: 1, забанены: 1).»"""
        did = _listed(words, self.counts, (name for name in WORDS if name not in ("left out", *_LEFT_OUT)))
        left = sum(self.counts.get(name, 0) for name in _LEFT_OUT)
        why = f"{words['left out']}: {left} ({_listed(words, self.counts, _LEFT_OUT)})" if left else ""
        told = "; ".join(filter(None, (did, why)))
        return f"{told[:1].upper()}{told[1:]}." if told else ""


def results(rows: Iterable[Kept]) -> Results:
    """Of a whole import."""
    return Results(Counter(name for kept in rows for name in _did(kept)))


@dataclass
class Sum:
    """A stage's people: by who they are to amoCRM; for how many something is ``planned``, and ``done``."""

    standings: Counter[Standing] = field(default_factory=Counter)
    planned: int = 0
    done: int = 0


def sums(rows: Iterable[Row], done: Iterable[Row] = ()) -> tuple[dict[Interest, Sum], Counter[Standing]]:
    """By the stage that the webinar sorts them onto; and those who get to none. ``done``: of the rows, those that have
    been carried out."""
    found: dict[Interest, Sum] = {interest: Sum() for interest in ("active", "long", "short")}
    left_out: Counter[Standing] = Counter()
    for row in rows:
        if row.standing in NOT_LOADED:
            left_out[row.standing] += 1
        else:
            found[row.sorted.interest].standings[row.standing] += 1
            found[row.sorted.interest].planned += row.what != "nothing"
    for row in done:
        found[row.sorted.interest].done += 1
    return found, left_out


def carried_out(rows: Iterable[Kept]) -> list[Row]:
    """Those of whom something was written, and stands."""
    return [kept.row for kept in rows if kept.state == "done" and kept.row.what != "nothing"]


def _did(kept: Kept) -> Iterable[str]:
    if kept.state == "done":
        yield from _done(kept)
        if kept.contact_was is not None:
            yield "completed"
    elif kept.state == "skipped":
        yield _skipped(kept.row)
    else:
        yield "open" if kept.state in OPEN_IMPORT_STATES else kept.state


def _done(kept: Kept) -> Iterable[str]:
    if kept.row.what == "update_deal":
        yield "same" if kept.before is None else "updated"
    elif kept.row.what != "nothing":
        yield "deals"
    if kept.made_contact:
        yield "contacts"


def _skipped(row: Row) -> str:
    if row.standing in NOT_LOADED:
        return row.standing
    return "same" if row.what == "nothing" else "other"


def _listed(words: Mapping[str, Any], counts: Mapping[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{words[name]}: {counts[name]}" for name in names if counts.get(name))
