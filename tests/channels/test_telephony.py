"""The exchanges behind auto-dial, over HTTP: stand-ins that check what the vendors check, with their own faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
import responses

from amo_bridge.channels.telephony import (
    AskedCall,
    CallEnd,
    CallOrder,
    Novofon,
    Novofon2,
    OnlinePbx,
    Telephony,
    Zadarma,
)
from amo_bridge.config.channels import Novofon2Section, NovofonSection, OnlinePbxSection, ZadarmaSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.standins.calls import CallScript, Outcome
from amo_bridge.standins.server import StandIns, serving

CLIENT = "+79161234567"
ORDER = CallOrder("dial-1-7-1", "100", 100500, CLIENT, "Автодозвон. Ольга, сделка Ромашка. Соединяем.")
MOSCOW = timezone(timedelta(hours=3))
VENDORS = ("onlinepbx", "novofon2", "zadarma", "novofon")


@dataclass
class Exchange:
    """A vendor's stand-in, and our client of it."""

    name: str
    stand_ins: StandIns
    client: Telephony

    def goes(self, outcome: Outcome, talk: int = 45) -> None:
        self.stand_ins.board(self.name).scripts.append(CallScript(outcome, talk))

    def call(self, order: CallOrder = ORDER) -> AskedCall:
        asked_at = datetime.fromtimestamp(self.stand_ins.timeline.now(), UTC)
        return AskedCall(order.ref, self.client.call(order), order.extension, order.phone, asked_at)

    def fault(self, kind: str, path: str = "*", count: int | None = 1) -> None:
        self.stand_ins.faults.add(kind, vendor=self.name, path=path, count=count)

    def later(self, seconds: float = 600) -> None:
        self.stand_ins.timeline.advance(seconds)

    @property
    def made(self) -> int:
        return len(self.stand_ins.board(self.name).calls)


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(live=False)
    with serving(made):
        yield made


def exchange_of(name: str, stand_ins: StandIns) -> Exchange:
    told = stand_ins[name].settings()
    clients: dict[str, Telephony] = {
        "onlinepbx": OnlinePbx(
            OnlinePbxSection(api=stand_ins[name].url + "/onlinepbx", domain="test.onpbx.ru"), told.get("auth_key", "")
        ),
        "novofon2": Novofon2(
            Novofon2Section(
                api=f"{stand_ins.url}/novofon2", reports=f"{stand_ins.url}/novofon2", number=told.get("line", "100")
            ),
            told.get("access_token", ""),
        ),
        "zadarma": Zadarma(
            ZadarmaSection(api=f"{stand_ins.url}/zadarma", key=told.get("key", "-")), told.get("secret", "")
        ),
        "novofon": Novofon(
            NovofonSection(api=f"{stand_ins.url}/novofon", key=told.get("key", "-")), told.get("secret", "")
        ),
    }
    return Exchange(name, stand_ins, clients[name])


@pytest.fixture(params=VENDORS)
def exchange(request: pytest.FixtureRequest, stand_ins: StandIns) -> Exchange:
    return exchange_of(request.param, stand_ins)


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        ("talked", "talked"),
        ("client_no_answer", "client"),
        ("client_busy", "client"),
        ("client_rejects", "client"),
        ("no_such_number", "wrong"),
        ("manager_rejects", "manager"),
        ("manager_busy", "manager"),
        ("manager_no_answer", "manager"),
    ],
)
def test_the_history_tells_how_a_call_ended(exchange: Exchange, outcome: Outcome, end: CallEnd) -> None:
    exchange.goes(outcome)
    call = exchange.call()
    assert exchange.client.find(call) is None, "it goes on"
    exchange.later()
    found = exchange.client.find(call)
    if end == "manager" and exchange.client.silence_is_refusal:
        assert found is None
        return
    assert found is not None
    assert (found.end, found.seconds) == (end, 45 if end == "talked" else 0)


def test_a_call_whose_answer_was_lost_is_found_and_was_made_once(exchange: Exchange) -> None:
    exchange.goes("talked", 70)
    exchange.client.check()
    exchange.fault("lost_answer")
    asked_at = datetime.fromtimestamp(exchange.stand_ins.timeline.now(), UTC)
    with pytest.raises(ChannelUncertain):
        exchange.client.call(ORDER)
    exchange.later()
    found = exchange.client.find(AskedCall(ORDER.ref, "", ORDER.extension, CLIENT, asked_at))
    assert found is not None
    assert (found.end, found.seconds, exchange.made) == ("talked", 70, 1)


def test_another_call_to_the_same_client_is_not_taken_for_ours(exchange: Exchange) -> None:
    asked_at = datetime.fromtimestamp(exchange.stand_ins.timeline.now(), UTC)
    other = CallOrder("by-hand", "101", 100501, CLIENT, "")
    exchange.goes("talked")
    exchange.client.call(other)
    exchange.later()
    assert exchange.client.find(AskedCall(ORDER.ref, "", "100", CLIENT, asked_at)) is None


def test_too_often_is_later_and_a_wrong_key_is_an_outage(exchange: Exchange) -> None:
    exchange.client.check()
    exchange.fault("limited")
    with pytest.raises((ChannelBusy, ChannelRefused)) as busy:
        exchange.client.call(ORDER)
    assert exchange.name == "onlinepbx" or isinstance(busy.value, ChannelBusy)
    exchange.fault("unauthorised", count=None)
    with pytest.raises(ChannelDown) as down:
        exchange.client.call(ORDER)
    assert "AMO_BRIDGE_" in str(down.value)
    assert exchange.made == 0


def test_check_says_that_it_lets_us_in(exchange: Exchange) -> None:
    assert "пускает" in exchange.client.check()


def test_onlinepbx_logs_in_anew_when_its_pair_has_died(stand_ins: StandIns) -> None:
    exchange = exchange_of("onlinepbx", stand_ins)
    exchange.client.check()
    stand_ins["onlinepbx"].expire_pair()  # type: ignore[attr-defined]
    exchange.goes("talked")
    assert exchange.call().vendor_ref
    assert exchange.made == 1


def test_onlinepbx_without_a_uuid_is_found_by_numbers_and_time(stand_ins: StandIns) -> None:
    stand_ins["onlinepbx"].configure({"withholds_uuid": True})
    exchange = exchange_of("onlinepbx", stand_ins)
    exchange.goes("client_no_answer")
    call = exchange.call()
    assert call.vendor_ref == ""
    exchange.later()
    found = exchange.client.find(call)
    assert found is not None
    assert (found.end, bool(found.vendor_ref)) == ("client", True)


def test_novofon_says_which_address_it_wants_to_know(stand_ins: StandIns) -> None:
    stand_ins["novofon2"].configure({"is_address_known": False})
    with pytest.raises(ChannelDown, match="впишите адрес моста в список разрешённых"):
        exchange_of("novofon2", stand_ins).client.check()


@responses.activate
def test_novofon_tells_the_manager_by_voice() -> None:
    answer = {"jsonrpc": "2.0", "id": "x", "result": {"data": {"call_session_id": 5}}}
    calls = responses.post("https://callapi-jsonrpc.novofon.ru/v4.0", json=answer)
    assert Novofon2(Novofon2Section(number="74950000003"), "t").call(ORDER) == "5"
    assert Novofon2(Novofon2Section(number="74950000003", file=77), "t").call(ORDER) == "5"
    import json

    told = [json.loads(call.request.body)["params"] for call in calls.calls]
    assert told[0]["employee_message"] == {"type": "tts", "value": ORDER.says}
    assert told[1]["employee_message"] == {"type": "media", "value": "77"}
    assert (told[0]["contact"], told[0]["external_id"], told[0]["first_call"]) == ("79161234567", ORDER.ref, "employee")


def test_novofon_needs_its_own_number_of_the_employee() -> None:
    client = Novofon2(Novofon2Section(number="74950000003"), "t")
    assert "pbx_employee" in client.cause_of(CallOrder("r", "100", None, CLIENT, ""))
    assert client.cause_of(ORDER) == ""


@responses.activate
def test_zadarma_signs_as_its_documentation_shows() -> None:
    answered = responses.get("https://api.zadarma.com/v1/request/callback/", json={"status": "success"})
    client = Zadarma(ZadarmaSection(key="test-key"), "test-secret")
    client.call(CallOrder("r", "100", None, CLIENT, ""))
    request = answered.calls[0].request
    assert request.headers["Authorization"] == "test-key:OGUxMjE4YmIwNjcxY2VmMzc4YjdmNTk1MzEyMjAzZDljZDY4MzkwMA=="


def leg(to: str, minutes: float, disposition: str, call_id: str = "out_1", **more: object) -> dict[str, object]:
    """A row of the statistics, so many minutes after 10:00 of the 23rd by Moscow's clock."""
    start = datetime(2026, 11, 23, 10, tzinfo=MOSCOW) + timedelta(minutes=minutes)
    common = {"callstart": f"{start:%Y-%m-%d %H:%M:%S}", "pbx_call_id": call_id, "sip": "100", "seconds": 0}
    return {**common, "destination": to, "disposition": disposition, **more}


@responses.activate
@pytest.mark.parametrize(
    ("legs", "end"),
    [
        ([], None),
        ([leg("100", 0, "no answer")], "manager"),
        ([leg("100", 0, "answered"), leg("79161234567", 0.2, "no answer")], "client"),
        # Somebody else rings the manager, at once or later; a colleague does.
        ([leg("100", 0.5, "no answer", "in_1", sip="79990000000")], None),
        ([leg("100", 20, "no answer", "in_1", sip="79990000000")], None),
        ([leg("100", 20, "busy", "out_2", sip="101")], None),
        # The manager calls the client himself, later.
        ([leg("79161234567", 25, "answered", seconds=300)], None),
        ([leg("79161234567", 0, "no answer"), leg("79161234567", 6, "answered", "out_2", seconds=300)], "client"),
        ([leg("79161234567", 0, "no answer"), leg("79161234567", 0.1, "answered", seconds=30)], "talked"),
    ],
)
def test_zadarma_tells_our_call_from_others_of_the_same_people(legs: list[object], end: CallEnd | None) -> None:
    responses.get("https://api.zadarma.com/v1/statistics/pbx/", json={"status": "success", "stats": legs})
    asked = AskedCall("r", "", "100", CLIENT, datetime(2026, 11, 23, 10, tzinfo=MOSCOW))
    found = Zadarma(ZadarmaSection(key="k"), "s").find(asked)
    assert (found.end if found else None) == end


@responses.activate
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "0", "comment": "Недостаточно средств", "errorCode": "NO_MONEY"}, ChannelRefused),
        ([], ChannelUncertain),
    ],
)
def test_an_error_in_a_200_is_no_success(body: object, kind: type[ChannelError]) -> None:
    base = "https://api2.onlinepbx.ru/a.onpbx.ru"
    responses.post(f"{base}/auth.json", json={"status": "1", "data": {"key_id": "a", "key": "b"}})
    responses.post(f"{base}/call/now.json", json=body)
    with pytest.raises(kind):
        OnlinePbx(OnlinePbxSection(domain="a.onpbx.ru"), "k").call(ORDER)
