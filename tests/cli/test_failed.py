"""``amo-bridge failed``: a refusal of amoCRM, seen, tried again, let go."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import insert, select
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.errors import CrmRefused
from amo_bridge.storage.tables import outbox

Run = Callable[..., Result]
IVAN = "Иван Петров"


@pytest.fixture
def deal(connected: LocalCrm, office: CrmUser, bridge: RunningBridge) -> int:
    """A deal whose first task amoCRM refused; by now it would take it."""

    def refuse(*asked: object) -> None:
        raise CrmRefused("Ответственный не найден", status=422, method="POST", path="/api/v4/tasks")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("amo_bridge.crm.writes.write", refuse)
        contact = office.new_contact(IVAN, "Ольга")
        deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
        bridge.settle(connected)
    assert office.tasks(deal) == []
    return deal


def test_nothing_has_failed(connected: LocalCrm, bridge: RunningBridge, run: Run) -> None:
    told = run("failed")
    assert (told.exit_code, told.stdout) == (0, "Всё выполнено.\n")


def test_before_the_bridge_has_run(run: Run) -> None:
    told = run("failed")
    assert told.exit_code == 3
    assert "базы ещё нет" in told.stderr


def test_a_refusal_is_shown_with_its_deal_rule_and_reason(deal: int, run: Run) -> None:
    told = run("failed")
    assert told.exit_code == 1
    shown = " ".join(told.stdout.replace("│", " ").split())
    for words in ("F1", str(deal), "stage_creates_tasks.new_client", "422", "Ответственный"):
        assert words in shown


DISABLED = "0.responsible_user_id: The value you selected is not a valid choice. (NotSupportedChoice)"


@pytest.fixture
def many(deal: int, bridge: RunningBridge) -> int:
    """Fifteen refusals of one reason besides the first one."""
    with bridge._store.write() as connection:
        (row,) = connection.execute(select(outbox)).mappings()
        copies = [
            {**{key: value for key, value in row.items() if key != "id"}, "key": f"copy {number}", "error": DISABLED}
            for number in range(15)
        ]
        connection.execute(insert(outbox), copies)
    return deal


def words_of(told: Result) -> str:
    return " ".join(told.stdout.replace("│", " ").split())


def test_refusals_are_grouped_by_reason_the_most_frequent_first_with_what_to_do(many: int, run: Run) -> None:
    shown = words_of(run("failed"))
    assert shown.startswith("Сотрудник, на которого это ставят, отключён или его нет. (15) Включите его в amoCRM")
    assert "… и ещё 5: amo-bridge failed --all" in shown
    assert "amo-bridge failed retry --group person" in shown
    assert shown.index("(15)") < shown.index("(1)")


def test_all_of_them_are_shown_when_asked_for(many: int, run: Run) -> None:
    shown = words_of(run("failed", "--all"))
    assert "и ещё" not in shown
    assert all(f"F{number} " in shown for number in range(1, 17))


def test_all_of_one_reason_are_put_back_at_once(many: int, run: Run) -> None:
    told = run("failed", "retry", "--group", "person", "--who", "Мария")
    assert (told.exit_code, "Возвращено в работу: 15" in told.stdout) == (0, True)
    (left,) = json.loads(run("failed", "--json").stdout)["failures"]
    assert left["name"] == "F1"


def test_programs_are_told_the_reason_too(many: int, run: Run) -> None:
    rows = json.loads(run("failed", "--json").stdout)["failures"]
    assert [row["name"] for row in rows] == [f"F{number}" for number in range(1, 17)]
    assert {row["group"] for row in rows[1:]} == {"person"}
    assert all(row["reason"] and row["advice"] for row in rows)


def test_for_programs(deal: int, run: Run) -> None:
    (one,) = json.loads(run("failed", "--json").stdout)["failures"]
    assert (one["name"], one["deal_id"], one["rule"]) == ("F1", deal, "stage_creates_tasks.new_client")


def test_tried_again_it_is_done_by_the_running_bridge(
    deal: int, connected: LocalCrm, office: CrmUser, bridge: RunningBridge, run: Run
) -> None:
    assert run("failed", "retry", "F1", "--who", "Мария").exit_code == 0
    bridge.settle(connected)
    assert len(office.tasks(deal)) == 1
    assert run("failed").exit_code == 0
    history = run("why", str(deal)).stdout
    assert "вручную" in history
    assert "Мария" in history


def test_let_go_it_is_not_done(
    deal: int, connected: LocalCrm, office: CrmUser, bridge: RunningBridge, run: Run
) -> None:
    told = run("failed", "drop", "--all")
    assert told.exit_code == 0
    assert "Снято" in told.stdout
    bridge.settle(connected)
    assert office.tasks(deal) == []
    assert run("failed").exit_code == 0
    assert "снято вручную" in run("why", str(deal)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("retry", "F99"), 1, "среди отказов нет: F99"),
        (("drop", "7"), 1, "«7» — не номер отказа"),
        (("retry",), 2, "назовите номера отказов, причину или скажите --all"),
        (("drop", "F1", "--all"), 2, "назовите номера отказов, причину или скажите --all"),
        (("drop", "--group", "person", "--all"), 2, "назовите номера отказов, причину или скажите --all"),
        (("retry", "--group", "person"), 1, "по причине «person» отказов нет; есть: отказов нет"),
        (("list", "F1"), 2, "нужны для retry и drop"),
        (("list", "--group", "person"), 2, "нужны для retry и drop"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    bridge: RunningBridge, connected: LocalCrm, run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    told = run("failed", *arguments)
    assert told.exit_code == code
    assert words in told.stderr
