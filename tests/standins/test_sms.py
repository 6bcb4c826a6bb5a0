"""The stand-ins of SMS.ru and SMSC, asked by the bridge's own clients and by requests as the reference has them."""

from __future__ import annotations

import pytest
import requests

from amo_bridge.channels.sms_services import Smsc, SmsRu, SmsService
from amo_bridge.config.channels import SmscSection, SmsRuSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.intake.delivery import SMSC_WORD, SMSRU_ID, of_smsc, of_smsru, prove_smsc, prove_smsru
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.standins.server import StandIns, wanted_names
from amo_bridge.standins.sms import SmscStandIn, SmsRuStandIn, SmsStandIn
from tests.standins.conftest import Received

PHONE, OFF = "79161234567", "79160000000"


@pytest.fixture(params=["smsru", "smsc"])
def stand_in(request: pytest.FixtureRequest, stand_ins: StandIns) -> SmsStandIn:
    made = stand_ins[request.param]
    assert isinstance(made, SmsStandIn)
    return made


def client_of(stand_in: SmsStandIn, secret: str = "", sender: str = "", *, test: bool = False) -> SmsService:
    api = stand_in.settings()["api"]
    if isinstance(stand_in, SmsRuStandIn):
        return SmsRu(SmsRuSection(api=api, sender=sender, test=test), secret or stand_in.api_id)
    assert isinstance(stand_in, SmscStandIn)
    return Smsc(SmscSection(api=api, login="agency", sender=sender, test=test), secret or stand_in.password)


def test_a_message_is_taken_paid_for_and_delivered_by_the_clock(stand_ins: StandIns, stand_in: SmsStandIn) -> None:
    client = client_of(stand_in)
    assert (client.balance(), client.price(PHONE, "я" * 71)) == (1000, 10)
    taken = client.send(501, PHONE, "Встреча завтра")
    assert (taken.cost, client.balance()) == (5, 995)
    reports = []
    for seconds in (0, 3, 20):
        stand_ins.timeline.advance(seconds)
        report = client.state(taken.vendor_id, PHONE)
        reports.append(report and report.state)
    assert reports == ["sent", "sent", "delivered"]
    assert [one.text for one in stand_in.messages.values()] == ["Встреча завтра"]


def test_a_telephone_that_is_off_and_a_trial(stand_ins: StandIns, stand_in: SmsStandIn) -> None:
    stand_in.configure({"unreachable": [OFF]})
    taken = client_of(stand_in).send(1, OFF, "Где вы?")
    stand_ins.timeline.advance(30)
    report = client_of(stand_in).state(taken.vendor_id, OFF)
    assert report is not None
    assert (report.state, report.words) == ("failed", "истекло время жизни")
    client_of(stand_in, test=True).send(2, PHONE, "Проба")
    assert len(stand_in.messages) == 1, "a trial sends nothing"


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ({"secret": "wrong"}, ChannelDown),
        ({"sender": "Nobody"}, ChannelError),
        ({"phone": "123"}, ChannelRefused),
        ({"balance": 1.0}, ChannelDown),
    ],
)
def test_refusals_come_with_status_200(stand_in: SmsStandIn, what: dict[str, object], kind: type[Exception]) -> None:
    stand_in.configure({"senders": ["Agency"], "balance": what.get("balance", 1000.0)})
    client = client_of(stand_in, str(what.get("secret", "")), str(what.get("sender", "")))
    with pytest.raises(kind):
        client.send(1, str(what.get("phone", PHONE)), "Слова")
    assert not stand_in.messages


@pytest.mark.parametrize(
    ("fault", "kind", "taken"),
    [
        ("limited", ChannelBusy, 0),
        ("unauthorised", ChannelDown, 0),
        ("broken", ChannelUncertain, 0),
        ("lost_answer", ChannelUncertain, 1),
    ],
)
def test_faults(stand_ins: StandIns, stand_in: SmsStandIn, fault: str, kind: type[Exception], taken: int) -> None:
    stand_ins.faults.add(fault, vendor=stand_in.name)
    with pytest.raises(kind):
        client_of(stand_in).send(1, PHONE, "Слова")
    assert len(stand_in.messages) == taken


def test_states_are_told_with_a_proof_that_the_bridge_takes(
    stand_ins: StandIns, stand_in: SmsStandIn, received: Received
) -> None:
    stand_in.configure({"webhook_url": received.url})
    client_of(stand_in).send(501, PHONE, "Слова")
    received.answers = [("100", 200)] * 9
    stand_ins.timeline.advance(30)
    assert len(received.bodies) == 2
    secrets = {SMSRU_ID: "00000000-TEST-TEST-TEST-000000000000", SMSC_WORD: "smsc-test-word"}
    settings = VendorSettings(home="RU", secrets=secrets)
    prove, parse = (prove_smsru, of_smsru) if isinstance(stand_in, SmsRuStandIn) else (prove_smsc, of_smsc)
    told = []
    for body in received.bodies:
        posted = VendorRequest("POST", body, headers={"content-type": "application/x-www-form-urlencoded"})
        assert prove(posted, settings) == "proven"
        told += [one.state for one in parse(posted, settings)]  # type: ignore[union-attr]
    assert told == ["sent", "delivered"]


def test_sms_ru_repeats_until_it_hears_100(stand_ins: StandIns, received: Received) -> None:
    stand_in = stand_ins["smsru"]
    assert isinstance(stand_in, SmsRuStandIn)
    stand_in.configure({"webhook_url": received.url})
    client_of(stand_in).send(1, PHONE, "Слова")
    received.answers = [("ok", 200), ("100", 200), ("100", 200)]
    stand_ins.timeline.advance(100)
    assert len(received.bodies) == 3


def test_two_messages_of_one_number_are_two(stand_ins: StandIns) -> None:
    stand_in = stand_ins["smsc"]
    assert isinstance(stand_in, SmscStandIn)
    for _ in range(2):
        client_of(stand_in).send(501, PHONE, "Слова")
    assert len(stand_in.messages) == 2


def test_a_client_answers(stand_ins: StandIns, received: Received) -> None:
    stand_in = stand_ins["smsc"]
    (answer,) = stand_in.actions()
    with pytest.raises(ValueError, match="адрес вебхука"):
        answer.do({"phone": PHONE, "text": "Да"})
    stand_in.configure({"webhook_url": received.url})
    answer.do({"phone": PHONE, "text": "Да"})
    stand_ins.timeline.advance(1)
    assert (received.forms[0]["phone"], received.forms[0]["mes"]) == (PHONE, "Да")


def test_they_are_found_by_name_and_closed_without_a_key(stand_ins: StandIns) -> None:
    assert wanted_names("sms") == ("smsru", "smsc")
    answer = requests.post(f"{stand_ins['smsru'].url}/smsru/my/balance", timeout=5)
    assert (answer.status_code, answer.json()["status_code"]) == (200, 200)
