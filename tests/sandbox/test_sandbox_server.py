"""The sandbox as a server: real connections, a client written elsewhere, starting and stopping."""

from __future__ import annotations

import asyncio
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
from aioamocrm import AmoCRMClient, LongLivedToken, NotFoundError, ValidationError
from sandbox_account import INTEGRATION, TOKEN

from amo_bridge.sandbox.server import serving
from amo_bridge.sandbox.world import World


@pytest.fixture
def url() -> Iterator[str]:
    world = World.load()
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
    world = World.load()
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


def known(entity_id: int | None) -> int:
    assert entity_id is not None
    return entity_id


def test_a_client_written_elsewhere_works_against_it(url: str) -> None:
    async def story() -> None:
        auth = LongLivedToken(TOKEN)
        async with AmoCRMClient(base_url=url, auth=auth, rate_limit=None) as amo:
            account = await amo.account.get()
            users = {user.name: user.id async for user in amo.users.iterate()}
            assert users[INTEGRATION] == account.current_user_id
            pipeline = next(one for one in await amo.pipelines.list() if one.is_main)
            stage = next(status for status in pipeline.statuses if status.name == "Бриф получен")
            fields = {field.name: known(field.id) async for field in amo.leads.custom_fields.iterate()}
            contacts = [contact async for contact in amo.contacts.iterate(query="Соколова")]
            anna = known(contacts[0].id)
            (made,) = await amo.leads.create([{"name": "Чужой клиент", "price": 5}])
            lead_id = known(made.id)
            lead = await amo.leads.get(lead_id)
            lead.set_field(fields["Тип оплаты"], "Предоплата")
            lead.status_id = stage.id
            await amo.leads.update([lead])
            await amo.leads.link(lead_id, "contacts", anna, metadata={"is_main": True})
            (link,) = await amo.leads.links(lead_id)
            assert link.to_entity_id == anna
            (task,) = await amo.tasks.create(
                [{"text": "x", "complete_till": 2_000_000_000, "entity_type": "leads", "entity_id": lead_id}]
            )
            await amo.tasks.complete(known(task.id), result="Согласовано")
            read_task = await amo.tasks.get(known(task.id))
            assert read_task.result is not None
            assert read_task.result.text == "Согласовано"
            await amo.leads.notes.create([{"entity_id": lead_id, "note_type": "common", "params": {"text": "да"}}])
            (note,) = [note async for note in amo.leads.notes.iterate(entity_id=lead_id)]
            assert note.text == "да"
            after = await amo.leads.get(lead_id, with_=["contacts"])
            assert after.field_value(fields["Тип оплаты"]) == "Предоплата"
            assert after.status_id == stage.id
            with pytest.raises(NotFoundError):
                await amo.leads.get(1)
            with pytest.raises(ValidationError):
                await amo.leads.create([{"status_id": 1}])

    asyncio.run(story())


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
