"""What came of an import, in one sentence, and by stage: nobody counts on a stage that he did not get to."""

from __future__ import annotations

from typing import Any

import pytest
from support.webinar_samples import DAY, attendee

from amo_bridge.config.webinar import Interest
from amo_bridge.webinars.imports.model import ImportRow
from amo_bridge.webinars.imports.report import carried_out, results, sums
from amo_bridge.webinars.plan import Override, Row
from amo_bridge.webinars.sorting import Figures, Sorted

NEW = {"standing": "new", "what": "create_person"}
KNOWN = {"standing": "known", "what": "create_deal"}
OWNED = {"standing": "owned", "what": "update_deal"}


def kept(row: dict[str, Any], state: str = "done", interest: Interest = "long", **changed: Any) -> ImportRow:
    plan = Row(person=attendee(), sorted=Sorted(interest, ""), why="", figures=Figures(DAY, 5), **row)
    return ImportRow(id=1, number=1, row=plan, said=Override(), step="", state=state, **changed)


def nothing(standing: str) -> ImportRow:
    return kept({"standing": standing, "what": "nothing"}, "skipped", "active")


MOVED = {"before": {"moved": None}}
EVERYBODY = [
    kept(NEW, made_contact=True),
    kept(KNOWN, contact_was={"EMAIL": {}}),
    kept(OWNED, **MOVED),
    kept(OWNED),
    nothing("loaded"),
    nothing("doubtful"),
    nothing("banned"),
    kept(OWNED, "skipped"),
    kept(NEW, "failed"),
]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], ""),
        (
            EVERYBODY,
            (
                "Создано сделок: 2, создано контактов: 1, обновлено сделок: 1, дополнено контактов: 1, "
                "без изменений: 2, не вышло: 1; не загружено: 3 (ждут решения: 1, забанены: 1, "
                "остальные, см. примечания: 1)."
            ),
        ),
        ([nothing("unmatched")], "Не загружено: 1 (не сопоставить: 1)."),
        ([kept(NEW, "planned"), kept(NEW, "planned")], "Ещё не начато: 2."),
        ([kept(NEW, "ready", made_contact=True), kept(KNOWN, "doubt")], "Ещё в работе: 2."),
        (
            [kept(NEW, "undone"), kept(OWNED, "kept", **MOVED), kept(OWNED, "intact")],
            "Отменено: 1, не отменено: 1, возвращать нечего: 1.",
        ),
    ],
)
def test_results_are_one_sentence(rows: list[ImportRow], words: str) -> None:
    assert results(rows).in_words() == words


def test_nobody_counts_on_a_stage_that_he_did_not_get_to() -> None:
    told, left_out = sums([one.row for one in EVERYBODY], carried_out(EVERYBODY))
    assert {interest: (sum(one.standings.values()), one.planned, one.done) for interest, one in told.items()} == {
        "active": (1, 0, 0), "long": (6, 6, 4), "short": (0, 0, 0),
    }  # fmt: skip
    assert left_out == {"doubtful": 1, "banned": 1}
