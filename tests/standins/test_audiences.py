"""The stand-ins of Yandex Audience and VK Ads: least sizes, pace, processing by the clock, tokens."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests

from amo_bridge.standins.audiences import VkAdsStandIn, YandexAudienceStandIn
from amo_bridge.standins.server import StandIns, wanted_names


@pytest.fixture
def yandex(stand_ins: StandIns) -> YandexAudienceStandIn:
    made = stand_ins["yandex_audience"]
    assert isinstance(made, YandexAudienceStandIn)
    return made


@pytest.fixture
def vk(stand_ins: StandIns) -> VkAdsStandIn:
    made = stand_ins["vkads"]
    assert isinstance(made, VkAdsStandIn)
    return made


def ask(yandex: YandexAudienceStandIn, method: str, path: str, **what: Any) -> requests.Response:
    headers = {"Authorization": f"OAuth {yandex.token}"}
    url = f"{yandex.url}/yandex_audience/v1/management{path}"
    return requests.request(method, url, headers=headers, timeout=5, **what)


def table(count: int, kind: str = "sha256") -> dict[str, Any]:
    lines = [f"{hashlib.new(kind, str(number).encode()).hexdigest()}," for number in range(count)]
    return {"file": ("clients.csv", "\n".join(["phone,email", *lines]).encode())}


def test_yandex_wants_a_hundred_hashed_lines(yandex: YandexAudienceStandIn) -> None:
    assert requests.get(f"{yandex.url}/yandex_audience/v1/management/segments", timeout=5).status_code == 403
    assert ask(yandex, "POST", "/segments/upload_csv_file", files=table(99)).status_code == 400
    assert ask(yandex, "POST", "/segments/upload_csv_file", files=table(100, "md5")).status_code == 400
    assert ask(yandex, "POST", "/segments/upload_csv_file", files=table(100)).json()["segment"]["status"] == "uploaded"


def test_yandex_processes_by_the_clock_and_says_few_data(stand_ins: StandIns, yandex: YandexAudienceStandIn) -> None:
    number = ask(yandex, "POST", "/segments/upload_csv_file", files=table(100)).json()["segment"]["id"]
    body = {"segment": {"id": number, "name": "Ретаргетинг", "hashed": True, "content_type": "crm"}}
    assert ask(yandex, "POST", f"/segment/{number}/confirm", json=body).json()["segment"]["status"] == "is_processed"
    change = f"/segment/{number}/modify_data?modification_type=replace"
    assert ask(yandex, "POST", change, files=table(100)).status_code == 409, "while it is processed"
    stand_ins.timeline.advance(600)
    assert ask(yandex, "GET", "/segments").json()["segments"][0]["status"] == "processed"
    assert ask(yandex, "POST", change, files=table(5)).status_code == 400
    assert ask(yandex, "POST", f"{change}&check_size=false", files=table(5)).status_code == 200
    stand_ins.timeline.advance(600)
    assert ask(yandex, "GET", "/segments").json()["segments"][0]["status"] == "few_data"


def token(vk: VkAdsStandIn, **form: str) -> requests.Response:
    told = {"grant_type": "client_credentials", "client_id": vk.client_id, "client_secret": vk.client_secret, **form}
    return requests.post(f"{vk.url}/vkads/api/v2/oauth2/token.json", data=told, timeout=5)


def test_vk_refuses_a_sixth_token_and_renewing_kills_the_old_one(vk: VkAdsStandIn) -> None:
    pairs = [token(vk).json() for _ in range(5)]
    assert token(vk).status_code == 403
    new = token(vk, grant_type="refresh_token", refresh_token=pairs[0]["refresh_token"])
    assert new.status_code == 200
    lists = f"{vk.url}/vkads/api/v3/remarketing/users_lists.json"
    for pair, status in ((pairs[0], 401), (new.json(), 200)):
        headers = {"Authorization": f"Bearer {pair['access_token']}"}
        assert requests.get(lists, headers=headers, timeout=5).status_code == status


def test_vk_wants_sizes_hashes_and_a_pause(stand_ins: StandIns, vk: VkAdsStandIn) -> None:
    headers = {"Authorization": f"Bearer {token(vk).json()['access_token']}"}

    def post(count: int, kind: str = "md5", **form: str) -> requests.Response:
        lines = "\n".join(hashlib.new(kind, str(number).encode()).hexdigest() for number in range(count))
        return requests.post(
            f"{vk.url}/vkads/api/v3/remarketing/users_lists.json",
            data={"name": "x", "type": "phones", **form},
            files={"file": ("phones.txt", lines.encode())},
            headers=headers,
            timeout=5,
        )

    assert post(2000, "sha256").json()["error"]["fields"]["file"][0]["code"] == "invalid_md5"
    assert post(1999).json()["error"]["fields"]["file"] == [{"code": "not_enough_ids"}]
    made = post(2000)
    assert (made.status_code, made.json()["status"]) == (201, "receiving")
    assert post(25, base=str(made.json()["id"])).status_code == 429, "a list a minute"
    stand_ins.timeline.advance(120)
    change = post(25, base=f"-{made.json()['id']}")
    assert change.status_code == 201
    stand_ins.timeline.advance(120)
    assert post(25, base=str(change.json()["id"])).status_code == 400, "not on top of a change"
    assert len(vk.lists[made.json()["id"]].phones) == 1975


def test_both_have_a_common_name() -> None:
    assert wanted_names("ads") == ("yandex_audience", "yandex_direct", "vkads")
