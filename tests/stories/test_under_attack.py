"""The bridge as a process, while strangers hold connections open, a body never ends and uploads keep the pages busy."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.command_line import Served, spoilt
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import wait_until

from amo_bridge.clock import SystemClock
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.server.connections import most_connections
from amo_bridge.storage.database import Store
from amo_bridge.web.auth.users import ApiTokens, Role

IVAN, NEW = "Иван Петров", "Продажи / Новый клиент"
HALF_OPEN, SLOW_BODIES, UPLOADS = 2000, 200, 12
# More than a sheet may have, so that it is gone through and refused; it is received, spooled and parsed all the same.
UPLOAD = b"mail,minutes\n" + b"a@example.org,60\n" * 600_000
WEBINAR = """
[webinar]
active_stage = "Продажи / Новый клиент"
long_stage = "Продажи / Новый клиент"
short_stage = "Продажи / Новый клиент"
responsible = "Иван Петров"
date_field = "Дата первой встречи"
minutes_field = "Цели проекта"
"""
# amoCRM gives up after two seconds, and so does whoever asks whether the process lives.
PATIENCE = 2


def hook_url(bridge: Served, crm: LocalCrm) -> str:
    answer = requests.get(f"{crm.url}/api/v4/webhooks", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    told: str = answer.json()["_embedded"]["webhooks"][0]["destination"]
    return bridge.url + urlsplit(told).path


def uploading(url: str, token: str, stop: threading.Event, codes: set[int]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    while not stop.is_set():
        files = {"files": ("people.csv", UPLOAD)}
        codes.add(requests.post(f"{url}/api/v1/webinars", files=files, headers=headers, timeout=120).status_code)


@pytest.mark.timeout(300)
def test_hooks_and_health_are_answered_and_work_goes_on(sandbox: LocalCrm, office: CrmUser, tmp_path: Path) -> None:
    most_connections()
    with ExitStack() as stack:
        config = spoilt(tmp_path)
        config.write_text(config.read_text("utf-8") + WEBINAR, "utf-8")
        bridge = Served(tmp_path, sandbox.url, config=config)
        stack.callback(bridge.end)
        bridge.wait_ready()
        address = ("127.0.0.1", urlsplit(bridge.url).port or 0)
        hook = hook_url(bridge, sandbox)
        with closing(Store.in_folder(tmp_path / "data")) as store:
            token = ApiTokens(store, SystemClock()).issue("attack", Role.WEBINAR, "test")

        def client(said: bytes) -> socket.socket:
            one = stack.enter_context(socket.create_connection(address, timeout=30))
            one.sendall(said)
            return one

        held = [client(b"POST /x HTTP/1.1\r\nHost: x\r\nX-half: ") for _ in range(HALF_OPEN)]
        path = urlsplit(hook).path.encode()
        slow = [
            client(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nhalf")
            for _ in range(SLOW_BODIES)
        ]
        stop, codes = threading.Event(), set[int]()
        uploads = [threading.Thread(target=uploading, args=(bridge.url, token, stop, codes)) for _ in range(UPLOADS)]
        stack.callback(stop.set)
        for thread in uploads:
            thread.start()

        answered = {"health": 0, "hooks": 0}
        for turn in range(20):
            for one in (*held[turn::20], *slow[turn::20]):
                one.sendall(b"a")
            answered["health"] += requests.get(f"{bridge.url}/health/live", timeout=PATIENCE).ok
            answered["hooks"] += requests.post(hook, data=b"leads[add][0][id]=1", timeout=PATIENCE).ok
        assert answered == {"health": 20, "hooks": 20}

        deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
        wait_until(lambda: office.tasks(deal), "the regulation is carried out meanwhile")
        stop.set()
        for thread in uploads:
            thread.join(120)
        assert codes
        assert codes <= {422, 503}, "the files came as far as the page that reads them, or were too much at once"
        assert bridge.stop() == 0, bridge.told
        assert "Traceback" not in bridge.told
