"""``amo-bridge check``: every mistake at once, and an exit code that a script can act on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from click.testing import Result
from support.command_line import spoilt
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.config.account_fit import fit
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.runtime.connection import account_client
from amo_bridge.storage.accounts import KnownNames, key_of
from amo_bridge.storage.database import AccountStore, Store

Run = Callable[..., Result]


def test_all_is_right(connected: LocalCrm, run: Run) -> None:
    told = run("check")
    assert told.exit_code == 0
    assert "ошибок нет" in told.output
    assert f"Аккаунт «Агентство» ({connected.url}) знает все имена из настройки" in told.output


def test_it_leaves_nothing_behind(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    run("check")
    assert {request.split()[0] for request in connected.requests()} == {"GET"}
    assert not list(tmp_path.iterdir())


def test_offline_asks_nobody(connected: LocalCrm, run: Run) -> None:
    assert run("check", "--offline").exit_code == 0
    assert connected.requests() == {}


def test_a_wrong_file(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    told = run("check", config=spoilt(tmp_path, ("dry_run =", "dryrun ="), ('country = "RU"', 'country = "Россия"')))
    assert told.exit_code == 2
    assert told.stderr.startswith("Настройка не годится, ошибок: 2\n")
    assert "[bridge] dryrun: такого ключа нет; может быть, «dry_run»?" in told.stderr
    assert "[calendar] country" in told.stderr


MISTAKES = [("dry_run =", "dryrun ="), ('country = "RU"', "country = RU"), ("Елена Орлова", "Елена Арлова")]


def test_syntax_keys_and_names_are_told_in_one_pass(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    told = run("check", config=spoilt(tmp_path, *MISTAKES))
    assert told.exit_code == 2
    assert told.stderr.startswith("Настройка не годится, ошибок: 3\n")
    assert "это не TOML: значение не читается" in told.stderr
    assert "[bridge] dryrun: такого ключа нет" in told.stderr
    assert "«Елена Орлова»?" in told.stderr


def test_names_that_can_not_be_compared_do_not_hide_the_rest(run: Run, tmp_path: Path) -> None:
    told = run("check", config=spoilt(tmp_path, *MISTAKES))
    assert told.exit_code == 2
    assert told.stderr.startswith("Настройка не годится, ошибок: ")
    assert "[bridge] dryrun" in told.stderr


def test_offline_a_wrong_file_asks_nobody(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    told = run("check", "--offline", config=spoilt(tmp_path, *MISTAKES))
    assert told.stderr.startswith("Настройка не годится, ошибок: 2\n")
    assert connected.requests() == {}


def test_wrong_names(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    changes = [("Елена Орлова", "Елена Арлова"), ('"Согласование" }', '"Сагласование" }'), ('"roistat"]', '"roystat"]')]
    told = run("check", config=spoilt(tmp_path, *changes))
    assert told.exit_code == 2
    assert told.stderr.startswith("Настройка не годится, ошибок: 3\n")
    for right in ("«Елена Орлова»?", "«Согласование»?", "«roistat»?"):
        assert right in told.stderr


def test_no_config(run: Run, tmp_path: Path) -> None:
    told = run("check", config=tmp_path / "config.toml")
    assert told.exit_code == 2
    assert "начните с копии config.example.toml" in told.stderr


def test_no_token(connected: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMO_BRIDGE_TOKEN")
    told = run("check")
    assert told.exit_code == 2
    assert "Нет токена amoCRM" in told.stderr


def test_a_token_from_a_file(connected: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sandbox-token\n")
    monkeypatch.delenv("AMO_BRIDGE_TOKEN")
    monkeypatch.setenv("AMO_BRIDGE_TOKEN_FILE", str(tmp_path / "token"))
    assert run("check").exit_code == 0


def test_a_token_that_amocrm_does_not_take(connected: LocalCrm, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "wrong")
    told = run("check")
    assert told.exit_code == 3
    assert "токен не подошёл" in told.stderr


def test_amocrm_can_not_be_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "any")
    told = run("check")
    assert told.exit_code == 3
    assert "Имена не сверены с аккаунтом http://127.0.0.1:9: не достучаться: проверьте адрес и сеть" in told.stderr


@pytest.mark.parametrize("fault", ["html_403", "blocked_page"])
def test_a_page_instead_of_the_api(fault: str, connected: LocalCrm, run: Run) -> None:
    connected.fault(fault)
    told = run("check")
    assert told.exit_code == 3
    assert "вместо API пришла страница" in told.stderr
    assert "<" not in told.stderr


def test_an_unpaid_account(connected: LocalCrm, run: Run) -> None:
    connected.fault("unpaid_402")
    told = run("check")
    assert (told.exit_code, "не оплачен" in told.stderr) == (3, True)


def test_rules_that_are_off_are_not_compared(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    config = spoilt(tmp_path, ("Продажи / Новый клиент", "Продажи / Никакой"))
    assert run("check", config=config).exit_code == 2
    config.write_text(config.read_text("utf-8").replace("enabled = true", "enabled = false"), "utf-8")
    assert run("check", config=config).exit_code == 0


def test_missing_names_tell_of_provision(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    told = run("check", config=spoilt(tmp_path, ('"roistat"]', '"roystat"]')))
    assert "чего аккаунту не хватает, создаст amo-bridge provision" in told.stderr


def test_what_was_renamed_is_told_and_written_into_the_file(connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    config = spoilt(tmp_path)
    bridge = load(config, {"AMO_BRIDGE_ACCOUNT_URL": connected.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    account = Account.read(account_client(bridge, {"AMO_BRIDGE_TOKEN": TOKEN}))
    store = Store.at("", bridge.data_folder)
    store.prepare()
    KnownNames(AccountStore(store, key_of(store, account, connected.url))).remember(fit(bridge, account).found)
    store.close()
    stage = account.stage("Продажи / Бриф получен")
    answer = requests.patch(
        f"{connected.url}/api/v4/leads/pipelines/{stage.pipeline_id}/statuses/{stage.status_id}",
        json={"name": "Бриф у нас"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    assert answer.ok, answer.text
    told = run("check", config=config)
    assert told.exit_code == 0
    assert "«Продажи / Бриф получен» в amoCRM теперь «Продажи / Бриф у нас»" in told.stderr
    before = config.read_text("utf-8")
    told = run("check", "--fix", config=config)
    assert told.exit_code == 0
    assert "Заменено в файле: «Продажи / Бриф получен» → «Продажи / Бриф у нас»" in told.output
    after = config.read_text("utf-8")
    assert '"Продажи / Бриф получен"' not in after
    changed = [pair for pair in zip(before.split("\n"), after.split("\n"), strict=True) if pair[0] != pair[1]]
    assert all(old.replace("Бриф получен", "Бриф у нас") == new for old, new in changed)
    assert "теперь" not in run("check", config=config).stderr
