"""``amo-bridge serve``, the process: what keeps it from starting, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from click.testing import Result
from support.command_line import Served, spoilt
from support.local_crm import TOKEN, LocalCrm, served
from support.running_bridge import wait_until

from amo_bridge.sandbox.account_file import AGENCY
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.world import World
from amo_bridge.server.options import left_in

Run = Callable[..., Result]
Serve = Callable[..., Served]


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Start it; whatever still runs at the end is killed."""

    def start(account_url: str, *arguments: str, **more: object) -> Served:
        process = Served(tmp_path, account_url, *arguments, **more)  # type: ignore[arg-type]
        request.addfinalizer(process.end)
        return process

    return start


@pytest.fixture
def another_world(tmp_path: Path) -> World:
    """An agency like ours, whose stages have other names."""
    path = tmp_path / "account.json"
    path.write_text(AGENCY.read_text("utf-8").replace("Бриф получен", "Бриф у нас"), "utf-8")
    assert json.loads(path.read_text("utf-8"))
    return load_world(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_works_from_any_folder_until_it_is_told_to_stop(
    number: int, sandbox: LocalCrm, serve: Serve, tmp_path: Path
) -> None:
    bridge = serve(sandbox.url)
    bridge.wait_ready()
    assert requests.get(f"{bridge.url}/health", timeout=10).json()["status"] == "ready"
    assert left_in(tmp_path / "data") == bridge.url, "so the commands print links that lead here"
    assert bridge.stop(number) == 0, bridge.told
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{bridge.url}/health", timeout=10)


def test_an_older_data_folder_is_closed_to_others_at_the_start(sandbox: LocalCrm, serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "old.key").write_text("secret")
    (data / "old.key").chmod(0o644)
    bridge = serve(sandbox.url)
    bridge.wait_ready()
    found = {path: path.stat().st_mode & 0o777 for path in data.rglob("*")}
    assert {path.name for path, mode in found.items() if mode != 0o600} == set()
    assert data / "amo-bridge.db-wal" in found
    assert data.stat().st_mode & 0o777 == 0o700
    assert f'"{data / "old.key"}"' in bridge.told
    assert bridge.stop() == 0


def test_the_environment_wins_over_the_file(sandbox: LocalCrm, serve: Serve, tmp_path: Path) -> None:
    config = spoilt(tmp_path, ("https://example.amocrm.ru", "http://127.0.0.1:9"), ('data = "data"', 'data = "other"'))
    bridge = serve(sandbox.url, config=config)
    bridge.wait_ready()
    assert bridge.stop() == 0
    assert (tmp_path / "data").is_dir()
    assert not (tmp_path / "other").exists()


def test_wrong_names_break_their_rules_and_it_works(another_world: World, serve: Serve) -> None:
    with served(another_world) as crm:
        bridge = serve(crm.url)
        bridge.wait_ready()
        health = requests.get(f"{bridge.url}/health", timeout=10)
        assert health.status_code == 200
        assert health.json()["status"] == "ready"
        words = "этапа «Продажи / Бриф получен» нет в аккаунте; может быть, «Продажи / Бриф у нас»?"
        assert any(issue.startswith("file_moves_deal.offer: ") and words in issue for issue in health.json()["issues"])
        assert bridge.stop() == 0, bridge.told
    assert "rule is broken" in bridge.told
    assert "Traceback" not in bridge.told


def test_an_account_that_was_met_is_not_waited_for(serve: Serve) -> None:
    world = load_world(AGENCY)
    with served(world) as crm:
        first = serve(crm.url)
        first.wait_ready()
        assert first.stop() == 0, first.told
    again = serve(crm.url)
    again.wait_for("amo-bridge: http")
    assert "Имена пока не сверены" not in again.told
    assert requests.get(f"{again.url}/health", timeout=10).status_code == 503, "amoCRM does not answer"


def test_names_that_were_changed_while_it_was_down_are_followed(another_world: World, serve: Serve) -> None:
    with served(load_world(AGENCY)) as crm:
        first = serve(crm.url)
        first.wait_ready()
        assert first.stop() == 0, first.told
    with served(another_world, int(crm.url.rpartition(":")[2])):
        again = serve(crm.url)
        again.wait_ready()
        issues = requests.get(f"{again.url}/health", timeout=10).json()["issues"]
        assert any("«Продажи / Бриф получен» в amoCRM теперь «Продажи / Бриф у нас»" in issue for issue in issues)
        assert again.stop() == 0, again.told
    assert "rule is broken" not in again.told


def test_wrong_names_found_later_break_their_rules(another_world: World, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bridge = serve(f"http://127.0.0.1:{port}")
    bridge.wait_for("amo-bridge: http")
    assert requests.get(f"{bridge.url}/health", timeout=10).status_code == 503
    with served(another_world, port):
        bridge.wait_for("rule is broken")
        assert bridge.stop() == 0, bridge.told
    assert "может быть, «Продажи / Бриф у нас»?" in bridge.told
    assert "Traceback" not in bridge.told


def test_it_waits_for_amocrm_and_stops_meanwhile_when_told(serve: Serve) -> None:
    bridge = serve("http://127.0.0.1:9")
    assert requests.get(f"{bridge.url}/health", timeout=10).status_code == 503
    assert bridge.stop() == 0, bridge.told


def test_a_wrong_config_keeps_rules_off_until_it_is_mended(sandbox: LocalCrm, serve: Serve, tmp_path: Path) -> None:
    first = serve(sandbox.url, config=spoilt(tmp_path), AMO_BRIDGE_HOOK_SECRET="secret")
    first.wait_ready()
    assert first.stop() == 0, first.told
    config = spoilt(tmp_path, ("enabled = true\nclause", "enabled = 1\nclause"))
    bridge = serve(sandbox.url, config=config, AMO_BRIDGE_HOOK_SECRET="secret")
    bridge.wait_ready()
    words = "enabled: нужно true или false без кавычек, а стоит 1"
    assert words in bridge.told
    health = requests.get(f"{bridge.url}/health", timeout=10).json()
    assert health["status"] == "config is broken"
    assert any(words in issue for issue in health["issues"])
    assert requests.post(f"{bridge.url}/hooks/amocrm/secret", data=b"x=1", timeout=10).status_code == 204
    assert requests.get(f"{bridge.url}/login", timeout=10).status_code == 200, "the pages are there"
    spoilt(tmp_path)
    bridge.wait_for("leading")
    assert bridge.stop() == 0, bridge.told


def test_no_token(sandbox: LocalCrm, serve: Serve) -> None:
    assert "Нет токена amoCRM" in given_up(serve(sandbox.url, AMO_BRIDGE_TOKEN=""), 2)


def given_up(bridge: Served, code: int) -> str:
    """What it said before it ended with this code, without a word of how it is made."""
    assert bridge.process.wait(timeout=60) == code, bridge.told
    assert "amo-bridge: http" not in bridge.told, "it never listened"
    assert not [word for word in ("Traceback", "gunicorn", "Worker") if word in bridge.told], bridge.told
    return bridge.told


def test_a_port_that_is_taken(connected: LocalCrm, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("serve", "--port", str(port))
    assert told.exit_code == 1
    assert f"Ошибка: порт {port} занять не удалось: он уже занят другой программой" in told.stderr


def test_a_folder_that_can_not_be_written(sandbox: LocalCrm, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = given_up(serve(sandbox.url, AMO_BRIDGE_DATA=str(tmp_path / "file" / "data")), 1)
    assert f"в папку для данных {tmp_path / 'file' / 'data'} нельзя писать" in told
    assert "AMO_BRIDGE_DATA" in told


def test_without_a_config_pages_make_one_and_the_bridge_goes_on_by_it(
    tmp_path: Path, sandbox: LocalCrm, serve: Serve
) -> None:
    """The process that served them ends, and the one that the arbiter starts after it works by what was written."""
    process = serve("", config=None, AMO_BRIDGE_TOKEN="", AMO_BRIDGE_DATA="")
    process.wait_for("/start/")
    link = re.search(r"http://\S+/start/\S+", process.told)
    assert link is not None
    with requests.Session() as browser:

        def post(path: str, page: str = "/start", **told: str) -> str:
            """As the form of that page sends it, with what it hides."""
            shown = browser.get(f"{process.url}{page}", timeout=30).text
            hidden = dict(re.findall(r'name="(csrf_token|mark)" value="([^"]+)"', shown))
            assert "csrf_token" in hidden, shown
            return browser.post(f"{process.url}{path}", data={**hidden, **told}, timeout=60).text

        browser.get(link[0], timeout=30)
        assert "воронок" in post("/start", address=sandbox.url, token=TOKEN)
        assert "Правил включено: 64" in post("/start/regulation", regulation="agency")
        saved = post("/start/save", page="/start/result")
    way_in = re.search(r"/setup/[\w-]+", saved)
    assert way_in is not None, saved
    wait_until(lambda: _is_ready(process.url), "the next process is ready")
    assert "Первый администратор" in requests.get(f"{process.url}{way_in[0]}", timeout=30).text
    back = requests.get(f"{process.url}/start", timeout=30)
    assert (back.status_code, "/login" in back.url) == (200, True), "who goes back finds the bridge at work"
    assert "dry_run = true" in (tmp_path / "elsewhere" / "config.toml").read_text("utf-8")
    assert process.stop() == 0


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=30).ok
    except requests.ConnectionError:
        # The process that ends may have taken the connection.
        return False


def test_a_config_that_was_named_and_is_not_there_is_refused(tmp_path: Path, serve: Serve) -> None:
    process = serve("", config=tmp_path / "confg.toml")
    assert process.process.wait(timeout=60) == 2
    assert "confg.toml" in process.told
