"""The stand-in of Meta: the challenge, signatures of the raw bytes, answers only over the Graph API."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import requests

from amo_bridge.standins.meta import MetaStandIn
from amo_bridge.standins.server import StandIns
from tests.standins.conftest import Received


@pytest.fixture
def meta(stand_ins: StandIns) -> MetaStandIn:
    made = stand_ins["meta"]
    assert isinstance(made, MetaStandIn)
    return made


def test_an_address_that_does_not_repeat_the_challenge_is_refused(meta: MetaStandIn, received: Received) -> None:
    with pytest.raises(ValueError, match=r"hub\.challenge"):
        meta.configure({"webhook_url": received.url})
    assert meta.webhook_url == ""


def test_a_lead_is_told_by_its_number_and_signed(stand_ins: StandIns, meta: MetaStandIn, received: Received) -> None:
    meta.webhook_url = received.url
    number = meta.lead({"full_name": "Дарья Тестова", "чем_вы_занимаетесь?": "Кофейня"})
    stand_ins.timeline.advance()
    (raw,) = received.bodies
    assert json.loads(raw)["entry"][0]["changes"][0]["value"]["leadgen_id"] == number
    assert b"\xd0" not in raw
    proof = hmac.new(meta.app_secret.encode(), raw, hashlib.sha256).hexdigest()
    assert received.headers[0]["X-Hub-Signature-256"] == f"sha256={proof}"
    url = f"{meta.url}/meta/v25.0/{number}"
    told = requests.get(url, params={"fields": "field_data", "access_token": meta.token}, timeout=5).json()
    assert told["field_data"][1] == {"name": "чем_вы_занимаетесь?", "values": ["Кофейня"]}


def test_graph_refuses_in_its_own_words(meta: MetaStandIn) -> None:
    url = f"{meta.url}/meta/v25.0/1"
    dead = requests.get(url, params={"access_token": "old"}, timeout=5).json()["error"]
    gone = requests.get(url, params={"access_token": meta.token}, timeout=5).json()["error"]
    assert (dead["code"], gone["code"], gone["error_subcode"]) == (190, 100, 33)
    proof = "fca2e9876e71a5903406e106525795f427504e80197e3b31c89451fd4069c332"
    good = requests.get(
        f"{meta.url}/meta/v25.0/me", params={"access_token": meta.token, "appsecret_proof": proof}, timeout=5
    )
    assert good.status_code == 200
    bad = requests.get(
        f"{meta.url}/meta/v25.0/me", params={"access_token": meta.token, "appsecret_proof": "0"}, timeout=5
    )
    assert bad.status_code == 400
