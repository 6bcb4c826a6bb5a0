"""``amo-bridge intake list`` and ``retry``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from amo_bridge.cli import main
from amo_bridge.clock import SystemClock
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry, PbxCall
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts

URL = "https://agency.amocrm.ru"


@pytest.fixture
def repository(tmp_path: Path) -> EnquiryRepository:
    store = Store.at("", tmp_path / "data")
    store.prepare()
    with store.write() as connection:
        connection.execute(accounts.insert().values(amo_id=1, amojo_id="", url=URL))
    repository = EnquiryRepository(AccountStore(store, 1), SystemClock())
    site = Enquiry(source="tilda", key="1", name="Анна", phones=("+79161234567",), text="Сколько стоит?")
    call = PbxCall(source="zadarma", key="2", direction="in", phone="+79031112233", talked=False)
    with store.write() as connection:
        for number, outcome in enumerate((site, call)):
            assert repository.add(connection, outcome, request_id=None, received_at=1_796_000_000.0 + number)
            assert not repository.add(connection, outcome, request_id=None, received_at=1_796_000_000.0)
    return repository


@pytest.fixture
def run(tmp_path: Path, repository: EnquiryRepository) -> Callable[..., tuple[int, str]]:
    config = tmp_path / "config.toml"
    config.write_text(f'[account]\nurl = "{URL}"\n[bridge]\ndata = "{tmp_path / "data"}"\n', "utf-8")

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["intake", *arguments, "--config", str(config)])
        return result.exit_code, result.output

    return run


def test_the_list_says_who_asked_and_what_became_of_it(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run("list", "--json")
    found = json.loads(said)
    assert (code, found["total"]) == (0, 2)
    call, site = found["enquiries"]
    assert (site["name"], site["phones"], site["state"]) == ("Анна", ["+79161234567"], "new")
    assert (call["kind"], call["phones"]) == ("call", ["+79031112233"])
    assert "Сколько" in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--source", "tilda"], 1),
        (["--kind", "call"], 1),
        (["--state", "done"], 0),
        (["--who", "8 (916) 123-45-67"], 1),
        (["--since", "2026-11-29"], 2),
        (["--until", "01.11.2026"], 0),
        (["--deal", "7"], 0),
        (["--most", "1"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_list_may_be_narrowed(run: Callable[..., tuple[int, str]], arguments: list[str], count: int) -> None:
    assert len(json.loads(run("list", "--json", *arguments)[1])["enquiries"]) == count


def test_only_what_is_settled_and_not_done_is_tried_again(
    run: Callable[..., tuple[int, str]], repository: EnquiryRepository
) -> None:
    assert run("retry", "1")[0] == 1
    repository.write([1], state="skipped", outcome="ни одно правило")
    repository.write([2], state="done", outcome="сделано")
    code, said = run("retry", "1", "2", "9", "--json")
    told = json.loads(said)
    assert (code, [one["id"] for one in told["enquiries"]], len(told["errors"])) == (1, [1], 2)
    again = repository.get(1)
    assert again is not None
    assert (again.state, again.attempts, again.outcome) == ("new", 1, "")
    assert run("retry")[0] == 1


EXPORT = "Время лида;ID Кампании;ID Объявления;Имя;Телефон\n2026-11-29 11:00;1;2;Белла;89000000072\n"


@pytest.fixture
def run_with_leads(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> Callable[..., tuple[int, str]]:
    config = tmp_path / "config.toml"
    config.write_text(f"{config.read_text('utf-8')}[intake.vkads]\n", "utf-8")
    return run


def test_an_export_of_leads_is_looked_at_and_taken_once(
    tmp_path: Path, run_with_leads: Callable[..., tuple[int, str]]
) -> None:
    file = tmp_path / "лиды.csv"
    file.write_text(EXPORT, "cp1251")
    expected = {"leads": 1, "new": 1, "is_repeat": False}
    for arguments in (["--check"], ["--check"], []):
        code, said = run_with_leads("upload", str(file), "--json", *arguments)
        assert (code, json.loads(said)) == (0, expected)
    code, said = run_with_leads("upload", str(file))
    assert (code, "этот файл уже загружали" in said) == (0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [("Товар;Цена\nСтол;5\n", "не выгрузка лидов"), ("Время лида;Имя\n", "лидов в файле нет"), (None, "не читается")],
)
def test_what_is_no_export_is_told(
    tmp_path: Path, run_with_leads: Callable[..., tuple[int, str]], text: str | None, words: str
) -> None:
    file = tmp_path / "лиды.csv"
    if text is not None:
        file.write_text(text, "utf-8")
    code, said = run_with_leads("upload", str(file))
    assert (code != 0, words in said) == (True, True), said


def test_an_export_is_not_taken_where_leads_are_off(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    (tmp_path / "лиды.csv").write_text(EXPORT, "utf-8")
    code, said = run("upload", str(tmp_path / "лиды.csv"))
    assert (code != 0, "нет раздела [intake.vkads]" in said) == (True, True)
