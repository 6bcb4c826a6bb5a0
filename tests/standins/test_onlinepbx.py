"""The stand-in of onlinePBX: errors in HTTP 200, the pair that expires, the history and its links."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from amo_bridge.standins.calls import CallScript, Outcome
from amo_bridge.standins.onlinepbx import OnlinePbxStandIn
from amo_bridge.standins.server import StandIns
from tests.standins.conftest import Received


@pytest.fixture
def pbx(stand_ins: StandIns) -> OnlinePbxStandIn:
    made = stand_ins["onlinepbx"]
    assert isinstance(made, OnlinePbxStandIn)
    return made


class Client:
    def __init__(self, pbx: OnlinePbxStandIn) -> None:
        self.pbx = pbx
        self.pair = ""

    def ask(self, method: str, **form: str) -> dict[str, Any]:
        url = f"{self.pbx.url}/onlinepbx/{self.pbx.domain}/{method}.json"
        answer = requests.post(url, data=form, headers={"x-pbx-authentication": self.pair}, timeout=5)
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told

    def enter(self, **more: str) -> Client:
        data = self.ask("auth", auth_key=self.pbx.auth_key, **more)["data"]
        self.pair = f"{data['key_id']}:{data['key']}"
        return self


def test_without_the_pair_nothing_is_told_but_with_status_200(pbx: OnlinePbxStandIn) -> None:
    client = Client(pbx)
    assert client.ask("user/get") == {"status": "0", "comment": "Not authenticated", "isNotAuth": True}
    assert client.ask("auth", auth_key="wrong")["status"] == "0"


def test_an_expired_pair_is_renewed_only_when_a_new_one_is_asked_for(
    stand_ins: StandIns, pbx: OnlinePbxStandIn
) -> None:
    client = Client(pbx).enter()
    assert [user["num"] for user in client.ask("user/get")["data"]] == ["100", "101"]
    stand_ins.timeline.advance(3 * 24 * 3600)
    assert client.ask("user/get")["isNotAuth"]
    assert client.enter().ask("user/get")["isNotAuth"], "the same dead pair"
    assert client.enter(new="true").ask("user/get")["status"] == "1"


def test_a_call_back_stands_in_the_history_a_minute_later(stand_ins: StandIns, pbx: OnlinePbxStandIn) -> None:
    client = Client(pbx).enter()
    uuid = client.ask("call/now", **{"from": "100", "to": "79000000102"})["data"]["uuid"]
    assert client.ask("mongo_history/search", uuid=uuid)["data"] == []
    stand_ins.timeline.advance(200)
    (row,) = client.ask("mongo_history/search", uuid=uuid)["data"]
    assert (row["accountcode"], row["caller_id_number"], row["destination_number"]) == (
        "outbound", "100", "79000000102",
    )  # fmt: skip
    assert (row["user_talk_time"], row["hangup_cause"]) == (45, "NORMAL_CLEARING")
    assert client.ask("mongo_history/search", phone_numbers="79000000102")["data"] == [row]


ENDS: list[tuple[Outcome, str, int]] = [
    ("manager_rejects", "CALL_REJECTED", 1),
    ("manager_busy", "USER_BUSY", 1),
    ("manager_no_answer", "NO_ANSWER", 1),
    ("client_no_answer", "NO_ANSWER", 2),
    ("client_busy", "USER_BUSY", 2),
]


@pytest.mark.parametrize(("outcome", "cause", "legs"), ENDS, ids=[end[0] for end in ENDS])
def test_the_history_tells_who_did_not_talk(
    outcome: Outcome, cause: str, legs: int, stand_ins: StandIns, pbx: OnlinePbxStandIn
) -> None:
    pbx.board.default = CallScript(outcome)
    client = Client(pbx).enter()
    uuid = client.ask("call/now", **{"from": "100", "to": "79000000102"})["data"]["uuid"]
    stand_ins.timeline.advance(200)
    (row,) = client.ask("mongo_history/search", uuid=uuid)["data"]
    assert (row["user_talk_time"], row["hangup_cause"], len(row["events"])) == (0, cause, legs)


def test_a_plus_before_the_number_makes_it_unknown(stand_ins: StandIns, pbx: OnlinePbxStandIn) -> None:
    client = Client(pbx).enter()
    uuid = client.ask("call/now", **{"from": "100", "to": "+79000000102"})["data"]["uuid"]
    stand_ins.timeline.advance(200)
    (row,) = client.ask("mongo_history/search", uuid=uuid)["data"]
    assert row["hangup_cause"] == "UNALLOCATED_NUMBER"


def test_the_uuid_may_be_missing_then_the_number_finds_the_call(stand_ins: StandIns, pbx: OnlinePbxStandIn) -> None:
    pbx.configure({"withholds_uuid": True})
    client = Client(pbx).enter()
    assert client.ask("call/now", **{"from": "100", "to": "79000000102"})["data"] == {}
    stand_ins.timeline.advance(200)
    assert len(client.ask("mongo_history/search", phone_numbers="79000000102")["data"]) == 1


def test_a_record_is_handed_out_by_a_link_that_dies(stand_ins: StandIns, pbx: OnlinePbxStandIn) -> None:
    client = Client(pbx).enter()
    uuid = client.ask("call/now", **{"from": "100", "to": "79000000102"})["data"]["uuid"]
    stand_ins.timeline.advance(200)
    link = client.ask("mongo_history/search", uuid=uuid, download="1")["data"]
    assert requests.get(link, timeout=5).headers["Content-Type"] == "audio/mpeg"
    stand_ins.timeline.advance(601)
    dead = requests.get(link, timeout=5)
    assert (dead.status_code, dead.text) == (404, "KEY_IS_EXPIRED")


def test_more_than_a_week_is_refused(pbx: OnlinePbxStandIn) -> None:
    answer = Client(pbx).enter().ask("mongo_history/search", start_stamp_from="0", start_stamp_to="700000")
    assert (answer["status"], answer["errorCode"]) == ("0", "PERIOD_TOO_LONG")


@pytest.mark.parametrize("form", ["json", "form"])
def test_a_missed_call_is_told_twice_with_one_uuid(
    form: str, stand_ins: StandIns, pbx: OnlinePbxStandIn, received: Received
) -> None:
    pbx.configure({"webhook_url": received.url, "webhook_format": form})
    pbx.board.call_in("79000000112", "", pbx.line, CallScript("client_no_answer"))
    stand_ins.timeline.advance(60)
    bodies = [json.loads(body) for body in received.bodies] if form == "json" else received.forms
    assert [body["event"] for body in bodies] == ["call_start", "call_missed", "call_end"]
    assert len({body["uuid"] for body in bodies}) == 1
    assert str(bodies[1]["dialog_duration"]) == "0"
