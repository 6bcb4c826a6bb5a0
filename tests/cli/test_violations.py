"""``amo-bridge violations``: the ledger shown, exported, corrected."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.engine.violations import Breach, Violations
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store

Run = Callable[..., Result]
IVAN, MARINA = "Иван Петров", "Марина Котова"


def breach(at: datetime, person: str = IVAN, penalty: int | None = 5000, why: str = "поздно") -> Breach:
    return Breach(
        at=at, user_id=101, person=person, clause="M7", deal_id=30000001, deal_name="=1+1", rule="stage_ladder.launch",
        why=why, penalty=penalty, currency="RUB",
    )  # fmt: skip


@pytest.fixture
def ledger(connected: LocalCrm, config: Config, bridge: RunningBridge) -> None:
    """The last minute of October by Moscow's clocks, the first of November, and one of another person."""
    store = Store.at(config.bridge.database, config.data_folder)
    key = known_key(store, connected.url)
    assert key is not None
    with store.write() as connection:
        book = Violations(AccountStore(store, key), SystemClock())
        book.record(connection, "a", breach(datetime(2026, 10, 31, 20, 59, tzinfo=UTC)))
        book.record(connection, "b", breach(datetime(2026, 10, 31, 21, 0, tzinfo=UTC)))
        book.record(connection, "c", breach(datetime(2026, 11, 15, tzinfo=UTC), MARINA, None))
    store.close()


def numbers(told: Result) -> list[int]:
    return [one["number"] for one in json.loads(told.stdout)["violations"]]


def test_the_ledger_with_its_totals(ledger: None, run: Run) -> None:
    shown = " ".join(run("violations").stdout.replace("│", " ").split())
    assert "31.10.2026 23:59 Иван Петров M7 30000001 =1+1 поздно 5 000 ₽ учтено" in shown
    assert "Иван Петров: 2, штраф 10 000 ₽" in shown
    assert shown.endswith("Марина Котова: 1")


def test_a_month_is_the_accounts_own(ledger: None, run: Run) -> None:
    assert numbers(run("violations", "--month", "2026-10", "--json")) == [1]
    assert numbers(run("violations", "--month", "2026-11", "--json")) == [2, 3]
    assert numbers(run("violations", "--month", "2026-11", "--person", "иван петров", "--json")) == [2]
    assert numbers(run("violations", "--clause", "m7", "--json")) == [1, 2, 3]
    assert numbers(run("violations", "--clause", "C4", "--json")) == []
    assert run("violations", "--month", "2026-12").stdout == "Нарушений нет.\n"


def test_the_file_is_harmless_to_excel(ledger: None, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "нарушения.csv"
    told = run("violations", "--csv", str(file))
    assert told.exit_code == 0
    assert "нарушений: 3" in told.stdout
    text = file.read_text("utf-8-sig")
    assert ";'=1+1;" in text
    assert len(text.splitlines()) == 4
    assert run("violations", "--csv", "-").stdout_bytes == file.read_bytes(), (
        "«-» is the screen, and nothing else on it"
    )
    refused = run("violations", "--csv", str(tmp_path / "нет" / "x.csv"))
    assert (refused.exit_code, "такого файла или папки нет" in refused.stderr) == (1, True)


def test_forgiven_with_a_reason_and_taken_back(ledger: None, run: Run) -> None:
    told = run("violations", "forgive", "1", "--why", "клиент просил", "--who", MARINA)
    assert told.exit_code == 0
    assert "прощено, Марина Котова: клиент просил" in " ".join(told.stdout.replace("│", " ").split())
    assert "Иван Петров: 2, из них прощено 1, штраф 5 000 ₽" in run("violations").stdout.replace("\xa0", " ")
    run("violations", "restore", "1", "--why", "не просил")
    one = json.loads(run("violations", "--json").stdout)["violations"][0]
    assert one["state"] == "counts"
    assert [decided["why"] for decided in one["decisions"]] == ["клиент просил", "не просил"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("forgive", "1"), 2, "--why"),
        (("forgive", "--why", "так"), 2, "номера"),
        (("forgive", "1", "--why", "  "), 2, "причину"),
        (("forgive", "1", "--why", "так", "--month", "2026-11"), 2, "--month"),
        (("forgive", "1", "--why", "так", "--clause", "M7"), 2, "--clause"),
        (("list", "1"), 2, "forgive"),
        (("--month", "ноябрь"), 2, "например 2026-11"),
        (("--month", "2026-13"), 2, "например 2026-11"),
        (("forgive", "77", "--why", "так"), 1, "77"),
        (("--person", "Иван Петрав"), 1, "может быть, «Иван Петров»?"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(
    ledger: None, run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    told = run("violations", *arguments)
    assert told.exit_code == code
    assert words in told.stderr
    assert [one["state"] for one in json.loads(run("violations", "--json").stdout)["violations"]] == ["counts"] * 3


def test_before_the_bridge_has_run(run: Run) -> None:
    assert run("violations").exit_code == 3
