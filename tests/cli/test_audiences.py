"""``amo-bridge audiences``: sizes, who waits for what, the file for upload by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.running_bridge import EXAMPLE

from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.channels.audience_records import Next, Verdict
from amo_bridge.channels.audience_services import Digests
from amo_bridge.cli import main
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts

URL = "https://agency.amocrm.ru"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    config = tmp_path / "config.toml"
    section = '\n[audiences]\nconsent = "Согласие на рассылку"\n'
    config.write_text(EXAMPLE.read_text("utf-8") + section, "utf-8")
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", URL)
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "data"))
    store = Store.in_folder(tmp_path / "data")
    store.prepare()
    with store.write() as connection:
        connection.execute(accounts.insert().values(amo_id=1, amojo_id="a", url=URL))
        now = datetime.now(UTC)
        log = AudienceLog(AccountStore(store, 1))
        log.put(connection, "Google Ads", 5, None, Verdict(Digests(("hash",)), "", now), Next("queued", ""), now)
    store.close()
    return lambda *arguments: CliRunner().invoke(main, ["audiences", *arguments, "--config", str(config)])


def test_the_file_is_printed_and_confirmed_once(run: Callable[..., Result]) -> None:
    assert run("file", "google ads").stdout == "phone,email\nhash,\n", "however it is written"
    assert run("uploaded", "Google Ads").exit_code == 0
    (row,) = json.loads(run("--json").stdout)["audiences"]
    assert (row["size"], row["queued"]) == (1, 0)
    again = run("uploaded", "Google Ads")
    assert again.exit_code != 0
    assert "подтверждать нечего" in again.output


def test_an_audience_that_is_not_there_is_told(run: Callable[..., Result]) -> None:
    told = run("file", "VK")
    assert told.exit_code != 0
    assert "аудитории «VK» нет; есть Google Ads" in told.output
