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
