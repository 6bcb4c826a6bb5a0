"""The sandbox as a server: real connections, starting and stopping."""

from __future__ import annotations

import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.sandbox_account import TOKEN
from support.sandbox_http import receiver

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.server import serving


@pytest.fixture
def url() -> Iterator[str]:
    world = load_world()
    with serving(world) as url:
        requests.post(f"{url}/sandbox/limits", json={"enabled": False}, timeout=10).raise_for_status()
        yield url
    world.close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield session


def test_one_connection_serves_a_session_with_a_204_between(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.connect()
    first = connection.sock
    for path, status in (("account", 200), ("leads", 204), ("account", 200)):
        connection.request("GET", f"/api/v4/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, connection.sock) == (status, first)
    connection.close()


def test_an_unread_body_does_not_run_into_the_next_request(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    for token, status in (("wrong", 401), (TOKEN, 200)):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/v4/leads", body=b'[{"name": "GET /x HTTP/1.1"}]', headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_a_stopped_sandbox_answers_no_open_connection() -> None:
    world = load_world()
    with serving(world) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/sandbox/", headers={"Accept": "application/json"})
        connection.getresponse().read()

    def ask_again() -> None:
        connection.request("GET", "/sandbox/")
        connection.getresponse()

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask_again()
    connection.close()
    world.close()


def test_a_webhook_on_its_way_is_finished_before_the_sandbox_stops() -> None:
    requested, stopping = threading.Event(), threading.Event()

    def answer(_number: int) -> int:
        requested.set()
        assert stopping.wait(1.5)
        return 204

    world = load_world()
    with receiver() as received:
        received.answer = answer
        with serving(world) as url:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            hook = {"destination": received.url, "settings": ["add_lead"]}
            requests.post(f"{url}/api/v4/webhooks", json=hook, headers=headers, timeout=10).raise_for_status()
            requests.post(f"{url}/api/v4/leads", json=[{}], headers=headers, timeout=10).raise_for_status()
            assert requested.wait(10)
            stopping.set()
        assert len(received.hooks) == 1
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hooks to ")]
    world.close()


def test_a_chunked_body_is_read(url: str, session: requests.Session) -> None:
    parts = iter([b'[{"name": ', b'"in parts"}]'])
    added = session.post(f"{url}/api/v4/leads", data=parts, timeout=10).json()
    href = added["_embedded"]["leads"][0]["_links"]["self"]["href"]
    assert session.get(href, timeout=10).json()["name"] == "in parts"


def test_links_name_the_address_the_client_used(url: str, session: requests.Session) -> None:
    added = session.post(f"{url}/api/v4/leads", json=[{"name": "a"}], timeout=10).json()
    href = added["_embedded"]["leads"][0]["_links"]["self"]["href"]
    assert href.startswith(f"{url}/api/v4/leads/")
    assert session.get(href, timeout=10).json()["name"] == "a"


def test_a_wrong_token_is_401(url: str) -> None:
    answer = requests.get(f"{url}/api/v4/account", headers={"Authorization": "Bearer no"}, timeout=10)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid user name or password")


def test_writes_from_many_threads_are_all_kept(url: str) -> None:
    def add(number: int) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        body = [{"name": f"{number}-{part}"} for part in range(10)]
        answer = requests.post(f"{url}/api/v4/leads", json=body, headers=headers, timeout=30)
        answer.raise_for_status()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    leads = requests.get(f"{url}/api/v4/leads?limit=250", headers=headers, timeout=10).json()["_embedded"]["leads"]
    assert len(leads) == len({lead["name"] for lead in leads}) == 80


START = """
import sys
from pathlib import Path
from amo_bridge.sandbox.server import run
run(port=0, state_file=Path(sys.argv[1]), on_ready=lambda url: (sys.stdout.write(url + chr(10)), sys.stdout.flush()))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM is not sent on Windows")
def test_sigterm_stops_it_cleanly_and_the_next_start_goes_on(tmp_path: Path, session: requests.Session) -> None:
    state = tmp_path / "state.sqlite"
    lead_ids = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", START, str(state)], stdout=subprocess.PIPE, text=True)
        try:
            url = _first_line(process)
            added = session.post(f"{url}/api/v4/leads", json=[{"name": "a"}], timeout=10).json()
            lead_ids.append(added["_embedded"]["leads"][0]["id"])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stdout is not None
            process.stdout.close()
    assert lead_ids[1] == lead_ids[0] + 1


def _first_line(process: subprocess.Popen[str]) -> str:
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=lambda out: lines.put(out.readline()), args=(process.stdout,), daemon=True).start()
    return lines.get(timeout=60).strip()
