"""``check`` knocks at the mail server and the bot; ``telegram who`` shows who has written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from support.command_line import EXAMPLE
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.standins.bots import MaxStandIn
from amo_bridge.standins.server import StandIns, serving

Run = Callable[..., Result]


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def telegram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telegram]:
    monkeypatch.setenv("AMO_BRIDGE_TELEGRAM_TOKEN", TOKEN)
    with telegram_server() as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, post: Post, telegram: Telegram) -> Path:
    letters = EXAMPLE.parent / "letters"
    sections = f"""
[mail]
host = "127.0.0.1"
port = {post.port}
tls = "none"
from = "info@agency.example"
templates = "{letters}"

[telegram]
api = "{telegram.url}"
"""
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8") + sections, "utf-8")
    return path


def test_check_knocks_at_both(connected: LocalCrm, run: Run, config: Path, post: Post) -> None:
    told = run("check", config=config)
    assert told.exit_code == 0
    assert f"почтовый сервер 127.0.0.1:{post.port} пускает" in told.output
    assert "бот Telegram @bridge_bot на связи" in told.output
    assert post.connections == 1


def test_check_says_who_does_not_let_us_in(
    connected: LocalCrm, run: Run, config: Path, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_TELEGRAM_TOKEN", "987654321:BBwrong-token-of-thirty-five-chars-x")
    config.write_text(config.read_text("utf-8").replace(f"port = {post.port}", "port = 1"), "utf-8")
    told = run("check", config=config)
    assert told.exit_code == 4
    assert "Не вышло: почтовый сервер 127.0.0.1:1 не отвечает" in told.stderr
    assert "Не вышло: Telegram не знает такого бота, проверьте AMO_BRIDGE_TELEGRAM_TOKEN" in told.stderr
    assert "BBwrong" not in told.output + told.stderr


def test_check_offline_knocks_nowhere(run: Run, config: Path, post: Post) -> None:
    assert run("check", "--offline", config=config).exit_code == 0
    assert post.connections == 0


def test_check_without_the_bots_token(
    connected: LocalCrm, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMO_BRIDGE_TELEGRAM_TOKEN")
    told = run("check", config=config)
    assert (told.exit_code, "нет токена бота Telegram (AMO_BRIDGE_TELEGRAM_TOKEN)" in told.stderr) == (4, True)


def test_check_names_rules_that_want_what_is_not_connected(run: Run) -> None:
    told = run("check", "--offline")
    assert told.exit_code == 0
    for channel in ("почта", "аудитории", "автодозвон"):
        assert f"канал «{channel}» не подключён" in told.stderr
    assert "stage_ladder.brief_awaited" in told.stderr


@pytest.mark.parametrize(
    ("url", "public_url", "is_told"),
    [
        ("https://agency.amocrm.ru", "", True),
        ("https://agency.amocrm.ru", "https://bridge.example", False),
        ("http://127.0.0.1:8090", "", False),
    ],
)
def test_check_warns_that_nobody_knows_the_pages_that_links_lead_to(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, public_url: str, is_told: bool
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", url)
    monkeypatch.setenv("AMO_BRIDGE_PUBLIC_URL", public_url)
    assert ("ссылок на документы в полях сделок не будет" in run("check", "--offline").stderr) is is_told


def test_check_warns_of_a_list_that_no_rule_means(run: Run, tmp_path: Path) -> None:
    """The rules' «Google Ads» would be a file to upload by hand, without a word."""
    lists = '[audiences]\nconsent = "Согласие"\n[audiences.lists]\n"Гугл" = {}\n"GoogleAds" = {}\n"vk" = {}\n'
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8") + lists, "utf-8")
    told = run("check", "--offline", config=path).stderr
    assert (
        '[audiences.lists."GoogleAds"]: такой аудитории не называет ни одно правило; может быть, «Google Ads»?' in told
    )
    assert '[audiences.lists."Гугл"]: такой аудитории не называет ни одно правило\n' in told
    assert '"vk"' not in told, "names are compared as everywhere"


def test_check_warns_of_series_without_consent_and_without_an_address(run: Run, config: Path) -> None:
    told = run("check", "--offline", config=config)
    assert "согласия никто не спросит" in told.stderr
    assert "серии писем без [bridge] public_url не отправляются" in told.stderr
    assert "канал «почта»" not in told.stderr


def test_who_has_written_to_the_bot(run: Run, config: Path, telegram: Telegram) -> None:
    chat = {"id": 42, "type": "private", "first_name": "Иван", "username": "ivan"}
    telegram.updates = [{"update_id": 1, "message": {"text": "/start", "chat": chat}}]
    told = run("telegram", "who", config=config)
    assert told.exit_code == 0
    for words in ("@bridge_bot", "42", "Иван @ivan", "личный", "/start"):
        assert words in told.output


def test_nobody_has_written_to_the_bot(run: Run, config: Path) -> None:
    told = run("telegram", "who", config=config)
    assert told.exit_code == 1
    assert "откройте https://t.me/bridge_bot, нажмите «Старт»" in told.stderr


def test_who_has_written_to_the_bot_in_max_and_its_groups(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_MAX_TOKEN", "max-test-token")
    stand_ins = StandIns(["max"], live=False)
    with serving(stand_ins) as url:
        bot = stand_ins["max"]
        assert isinstance(bot, MaxStandIn)
        bot.groups[-555] = "Отдел продаж"
        path = tmp_path / "config.toml"
        path.write_text(f'{EXAMPLE.read_text("utf-8")}\n[max]\napi = "{url}/max"\n', "utf-8")
        told = run("max", "who", config=path)
        assert told.exit_code == 0
        assert all(words in told.output for words in ("agency_bot", "-555", "Отдел продаж", "группа"))


def test_there_is_no_bot(run: Run) -> None:
    told = run("telegram", "who")
    assert (told.exit_code, "раздела [telegram] в настройке нет" in told.stderr) == (1, True)


def test_the_bot_has_no_token(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMO_BRIDGE_TELEGRAM_TOKEN")
    told = run("telegram", "who", config=config)
    assert (told.exit_code, "AMO_BRIDGE_TELEGRAM_TOKEN" in told.stderr) == (1, True)
