"""«Не выполнено»: by reason, with what to do; all of one reason are repeated or dropped at once."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from support.api_client import Program
from support.pages import Pages, Visit, agency, words_of

from amo_bridge.storage.tables import outbox

DISABLED = "responsible_user_id: The value you selected is not a valid choice. (NotSupportedChoice)"
STRANGE = "Something strange about {}"


@pytest.fixture
def refused(pages: Pages) -> Pages:
    """Two of one known reason, two of one that nobody knows."""
    pages.know_account(agency())
    for number, error in enumerate((DISABLED, DISABLED, STRANGE.format(1), STRANGE.format(2))):
        pages.refuse(key=f"k{number}", error=error)
    return pages


def states(pages: Pages) -> list[str]:
    with pages.office.store.read() as connection:
        return list(connection.execute(select(outbox.c.state).order_by(outbox.c.id)).scalars())


def test_they_stand_by_reason_in_russian_with_what_to_do(refused: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/failed"))
    assert words.count("Сотрудник, на которого это ставят, отключён или его нет.") == 1
    assert "Включите его в amoCRM или назовите в настройке другого и повторите." in words
    assert words.count("amoCRM этого не приняла; причина — её словами.") == 1
    assert STRANGE.format(2) in words
    assert "Повторить все такие" not in words, "a viewer decides nothing"


@pytest.mark.parametrize(
    ("decision", "expected"),
    [("retry", ["ready", "ready", "failed", "failed"]), ("drop", ["dropped", "dropped", "failed", "failed"])],
)
def test_all_of_a_reason_at_once(refused: Pages, admin: Visit, decision: str, expected: list[str]) -> None:
    page = admin.get("/failed").text
    keys = re.findall(r'name="group" value="([^"]+)"', page)
    assert len(set(keys)) == 2
    admin.post(f"/failed/{decision}", {"group": "person"})
    assert states(refused) == expected


def test_programs_read_the_reason_and_decide_about_all_of_it(refused: Pages, master: Program) -> None:
    told = master.get("/failures")["failures"]
    assert [one["group"] for one in told[:2]] == ["person", "person"]
    assert told[0]["reason"] == "Сотрудник, на которого это ставят, отключён или его нет."
    assert "повторите" in told[0]["advice"]
    assert told[2]["group"] == told[3]["group"] != "person", "numbers aside, the same words"
    assert master.ask("POST", "/failures/drop", {"group": told[2]["group"]}).status_code == 200
    assert states(refused) == ["failed", "failed", "dropped", "dropped"]
    assert master.ask("POST", "/failures/drop", {}).status_code == 422
