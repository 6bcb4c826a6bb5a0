"""``amo-bridge channels``: what is connected, what went wrong, what an SMS would take and cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import responses
from click.testing import CliRunner, Result
from support.running_bridge import EXAMPLE

from amo_bridge.channels.vendor_states import VendorStates
from amo_bridge.cli import main
from amo_bridge.clock import SystemClock
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts

URL = "https://agency.amocrm.ru"
OLGA = "79161234567"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A bridge that has worked once, with SMS.ru connected."""
    config = tmp_path / "config.toml"
    config.write_text(EXAMPLE.read_text("utf-8") + "\n[smsru]\n", "utf-8")
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", URL)
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AMO_BRIDGE_SMSRU_ID", "key")
    store = Store.in_folder(tmp_path / "data")
    store.prepare()
    with store.write() as connection:
        connection.execute(accounts.insert().values(amo_id=1, amojo_id="a", url=URL))
    states = VendorStates(AccountStore(store, 1), SystemClock())
    states.connect(["smsru"])
    states.keep_balance("smsru", 42)
    store.close()
    return lambda *arguments: CliRunner().invoke(main, ["channels", *arguments, "--config", str(config)])


def test_it_says_what_is_connected(run: Callable[..., Result]) -> None:
    told = {one["channel"]: one for one in json.loads(run("--json").stdout)["channels"]}
    assert (told["sms"]["vendor"], told["sms"]["balance"]) == ("smsru", 42)
    assert told["sms"]["since"] is not None
    assert told["dial"]["vendor"] is None
    shown = run().stdout
    assert "[smsru]" in shown
    assert "не подключён" in shown


@responses.activate
def test_asked_to_it_asks_each_vendor(run: Callable[..., Result]) -> None:
    responses.post("https://sms.ru/my/balance", json={"status": "ERROR", "status_code": 300})
    assert "[smsru] не вышло: SMS.ru: неправильный ключ, проверьте AMO_BRIDGE_SMSRU_ID (300)" in run("--ask").stdout


@responses.activate
def test_it_tells_how_long_an_sms_is_and_what_it_costs(run: Callable[..., Result]) -> None:
    assert run("--sms", "a" * 200).stdout == "2 части, знаков 200, по 153 в части\n"
    assert run("--sms", "Привет").stdout.startswith("1 часть, знаков 6; не латиница")
    cost = {"status": "OK", "sms": {OLGA: {"status": "OK", "cost": "3.5"}}}
    responses.post("https://sms.ru/sms/cost", json=cost)
    assert run("--sms", "Hi", "--phone", "+7 916 123-45-67").stdout == "1 часть, знаков 2; цена 3.5 ([smsru])\n"
