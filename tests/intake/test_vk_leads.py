"""Leads of VK Ads are read from its list beside the webhook, each once; with the stand-in and a clock moved by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from support.fakes import ACCOUNT, NOON
from support.running_bridge import config_for

from amo_bridge.channels.vk_ads import MOST_LISTED, VkAdsApi
from amo_bridge.config.advertising import VkAdsSection
from amo_bridge.config.intake import IntakeSection, LeadFormsSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.ingest import Ingest
from amo_bridge.intake.model import Enquiry
from amo_bridge.intake.reception import VENDORS, receive
from amo_bridge.intake.repository import request_row
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.intake.vk_leads import LATE, PERIOD_SECONDS, LeadPoll
from amo_bridge.standins.audiences import VkAdsStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.vk_leads import FORM
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import intake_requests

ROMAN = {"first_name": "Роман", "phone": "+79000000071", "email": "roman@example.com"}
BELLA = {"first_name": "Белла", "phone": "+79000000072"}
JSON = {"Content-Type": "application/json"}


class LeadOffice:
    """A bridge that reads the list; time goes along for it and for VK."""

    def __init__(self, store: Store, stand_ins: StandIns, folder: Path, **section: Any) -> None:
        self.store, self.stand_ins = AccountStore(store, ACCOUNT), stand_ins
        self.section = LeadFormsSection(**section)
        config = config_for("http://127.0.0.1:1", folder)
        self.config = replace(config, intake=IntakeSection(vkads=self.section))
        self.repository = EnquiryRepository(self.store, self)
        self.told: list[str] = []
        self.poll = self.restarted()

    @property
    def vk(self) -> VkAdsStandIn:
        made = self.stand_ins["vkads"]
        assert isinstance(made, VkAdsStandIn)
        return made

    def restarted(self) -> LeadPoll:
        """As after a restart: nothing is remembered but the store."""
        section = VkAdsSection(api=f"{self.stand_ins.url}/vkads", client_id=self.vk.client_id)
        self.poll = LeadPoll(
            VkAdsApi(section, self.vk.client_secret),
            self.section,
            VendorSettings(forms=self.section.forms),
            self.store,
            self,
            lambda text, about: self.told.append(text),
        )
        return self.poll

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.stand_ins.timeline.now(), UTC)

    def later(self, **time: float) -> int:
        """Let time pass, read; how many leads were new."""
        self.stand_ins.timeline.advance(timedelta(**time).total_seconds())
        taken = self.poll.send()
        self.ingest()
        return taken

    def take(self, body: bytes, headers: dict[str, str] = JSON) -> str:
        """A request that was posted; why it is nothing new, if it is not."""
        request = VendorRequest("POST", body, headers=headers, received_at=self.now().timestamp())
        reception = receive(VENDORS["vkads"], request, VendorSettings(), path_secret=None)
        row = request_row(
            ACCOUNT, vendor="vkads", key=reception.key, request=request, headers=headers, state="new", why=""
        )
        with self.store.write() as connection:
            if not insert_new(connection, intake_requests, [row]):
                return "повтор запроса"
        self.ingest()
        with self.store.read() as connection:
            return str(connection.execute(select(intake_requests.c.why).order_by(intake_requests.c.id.desc())).scalar())

    def ingest(self) -> None:
        while Ingest(self.store, self.config, {}, self).run():
            """In portions."""

    def hooked(self) -> None:
        """What VK has posted reaches the bridge."""
        for attempt in self.vk.attempts:
            self.take(attempt.body)
        self.vk.attempts.clear()

    def leads(self) -> list[Enquiry]:
        """Oldest first."""
        return [row.body for row in reversed(self.repository.find(EnquiryFilter(), most=1000))]

    def names(self) -> list[str | None]:
        return [lead.name for lead in self.leads()]

    def asked(self) -> int:
        """How often VK was asked for leads since the last time this was asked."""
        count = sum("leads.json" in one.path for one in self.vk.requests)
        self.vk.requests.clear()
        return count


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(["vkads"], live=False)
    made.timeline._stands_at = NOON.timestamp()
    with serving(made):
        yield made


@pytest.fixture
def office(store: Store, stand_ins: StandIns, tmp_path: Path) -> LeadOffice:
    made = LeadOffice(store, stand_ins, tmp_path)
    made.poll.send()
    return made


def test_a_lead_is_read_once_however_often_the_list_is(office: LeadOffice) -> None:
    office.later(minutes=5)
    office.vk.lead_forms.fill(ROMAN, {"Ниша": "Стоматология"})
    assert office.later(minutes=5) == 1
    assert [office.later(minutes=5) for _ in range(30)] == [0] * 30
    (lead,) = office.leads()
    assert (lead.key, lead.name, lead.phones, lead.emails) == (
        "lead:4", "Роман", ("+79000000071",), ("roman@example.com",)
    )  # fmt: skip
    assert "Ниша: Стоматология" in lead.text
    assert lead.extra["form_id"] == str(FORM)


def test_what_was_before_the_bridge_is_none_of_its_business(store: Store, stand_ins: StandIns, tmp_path: Path) -> None:
    office = LeadOffice(store, stand_ins, tmp_path)
    office.vk.lead_forms.fill(ROMAN)
    stand_ins.timeline.advance(60)
    assert (office.later(minutes=1), office.later(hours=2)) == (0, 0)


def test_older_leads_are_read_from_the_day_that_the_config_says(
    store: Store, stand_ins: StandIns, tmp_path: Path
) -> None:
    office = LeadOffice(store, stand_ins, tmp_path, since=(NOON + timedelta(days=1)).date())
    office.vk.lead_forms.fill({"first_name": "Рано"})
    for number in range(60):
        stand_ins.timeline.advance(86400)
        office.vk.lead_forms.fill({"first_name": str(number), "phone": f"+7900000{number:04}"})
    assert office.later(minutes=5) == 60
    assert office.asked() <= 60 // 7 + 2
    assert office.names() == [str(number) for number in range(60)]


def test_the_webhook_and_the_list_tell_of_one_lead(office: LeadOffice) -> None:
    office.vk.lead_forms.subscriptions[1] = {"resource": "LEAD", "callback_url": "http://127.0.0.1:1/hook"}
    office.stand_ins.faults.add("hook_duplicate", vendor="vkads")
    office.vk.lead_forms.fill(ROMAN)
    office.stand_ins.timeline.advance(1)
    assert len(office.vk.attempts) == 2
    office.hooked()
    assert (office.later(minutes=5), office.names()) == (0, ["Роман"])
    # The other way round: the webhook comes when the list was read.
    office.vk.lead_forms.fill(BELLA)
    assert office.later(minutes=5) == 1
    office.hooked()
    assert office.names() == ["Роман", "Белла"]


def test_a_lead_that_the_list_shows_hours_later_is_taken(office: LeadOffice) -> None:
    office.vk.lead_forms.list_delay = timedelta(hours=5).total_seconds()
    office.vk.lead_forms.fill(ROMAN)
    for _ in range(4):
        assert office.later(hours=1) == 0
    assert sum(office.later(minutes=10) for _ in range(14)) == 1
    assert timedelta(hours=5) < LATE


def test_a_quiet_hour_costs_few_requests(office: LeadOffice) -> None:
    office.later(minutes=3)
    office.asked()
    for _ in range(3600):
        office.stand_ins.timeline.advance(1)
        office.poll.send()
    assert office.asked() <= 3600 / PERIOD_SECONDS + 1


def test_many_leads_are_read_page_by_page(office: LeadOffice) -> None:
    for number in range(3 * MOST_LISTED + 1):
        office.stand_ins.timeline.advance(1)
        office.vk.lead_forms.fill({"first_name": str(number), "phone": f"+7900000{number:04}"})
    assert office.later(minutes=5) == 3 * MOST_LISTED + 1
    assert office.asked() == 4


def test_other_forms_of_the_cabinet_are_left_alone(store: Store, stand_ins: StandIns, tmp_path: Path) -> None:
    office = LeadOffice(store, stand_ins, tmp_path, forms=(FORM,))
    office.poll.send()
    office.vk.lead_forms.fill(ROMAN, form=77)
    office.vk.lead_forms.fill(BELLA)
    assert (office.later(minutes=5), office.names()) == (1, ["Белла"])
    told = json.dumps({"resource": "LEAD", "data": {"id": 9, "form_id": 77, "contact_info": ROMAN}})
    assert "лид формы 77" in office.take(told.encode())
    assert office.names() == ["Белла"]


FAULTS = [
    ("limited", "*leads.json", ChannelBusy),
    ("unauthorised", "*", ChannelDown),
    ("broken", "*leads.json", ChannelUncertain),
    ("broken", "*token.json", ChannelUncertain),
    ("lost_answer", "*leads.json", ChannelUncertain),
    ("refuse_before", "*", ChannelError),
]


@pytest.mark.parametrize(("kind", "path", "error"), FAULTS)
def test_whatever_vk_answers_no_lead_is_lost_or_doubled(
    office: LeadOffice, kind: str, path: str, error: type[ChannelError]
) -> None:
    office.vk.lead_forms.fill(ROMAN)
    office.stand_ins.timeline.advance(300)
    office.stand_ins.faults.add(kind, vendor="vkads", path=path, count=None)
    office.restarted()
    with pytest.raises(error):
        office.poll.send()
    assert office.poll.is_put_off
    assert office.poll.send() == 0, "it is not asked again at once"
    office.stand_ins.faults.clear()
    assert office.later(minutes=10) == 1
    assert not office.poll.is_put_off
    assert (office.later(minutes=10), office.names()) == (0, ["Роман"])


def test_a_break_between_two_pages_takes_nothing_twice(office: LeadOffice) -> None:
    for number in range(2 * MOST_LISTED):
        office.stand_ins.timeline.advance(1)
        office.vk.lead_forms.fill({"first_name": str(number), "phone": f"+7900000{number:04}"})
    office.stand_ins.timeline.advance(300)
    first = office.poll._api.leads
    pages: list[int] = []

    def breaks(*asked: Any, passed: int = 0) -> Any:
        if passed and not pages:
            pages.append(passed)
            raise ChannelBusy("429")
        return first(*asked, passed=passed)

    office.poll._api.leads = breaks  # type: ignore[method-assign]
    with pytest.raises(ChannelBusy):
        office.poll.send()
    office.restarted()
    assert office.later(minutes=10) == MOST_LISTED
    with office.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(intake_requests)).scalar_one() == 2 * MOST_LISTED
    assert sorted(office.names(), key=lambda name: int(name or 0)) == [str(n) for n in range(2 * MOST_LISTED)]


def test_a_dead_token_is_renewed_in_the_middle(office: LeadOffice) -> None:
    office.vk.lead_forms.fill(ROMAN)
    office.vk.expire_tokens()
    assert office.later(minutes=5) == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"is_listed": False}, "404"),
        ({"may_read": False}, "no scope for lead forms"),
        ({"errs_in_200": True}, "internal_error"),
    ],
    ids=["списка нет", "нет права", "ошибка в ответе 200"],
)
def test_a_cabinet_that_hands_out_no_leads_is_told_with_what_is_left(
    office: LeadOffice, state: dict[str, bool], words: str
) -> None:
    for name, value in state.items():
        setattr(office.vk.lead_forms, name, value)
    with pytest.raises((ChannelRefused, ChannelDown)):
        office.later(minutes=5)
    (told,) = office.told
    assert words in told
    assert "остаются вебхук" in told
    assert office.vk.client_secret not in told


# --- the cabinet's export --------------------------------------------------------------------------------------------

CSV = {"Content-Type": "text/csv"}


def test_an_export_takes_what_is_missing_and_doubles_nothing(office: LeadOffice) -> None:
    office.vk.lead_forms.fill(ROMAN, {"Ниша": "Кафе"})
    office.later(minutes=5)
    office.vk.lead_forms.fill(BELLA, {"Ниша": "Бар"})
    assert "повтор" in office.take(office.vk.lead_forms.csv(), CSV)
    assert office.names() == ["Роман", "Белла"]
    assert office.take(office.vk.lead_forms.csv(), CSV) == "повтор запроса"
    # Then the list tells of the lead that came by the export.
    office.later(minutes=5)
    office.vk.lead_forms.fill({"first_name": "Вера", "phone": "+79000000073"})
    office.take(office.vk.lead_forms.csv(), CSV)
    office.later(hours=2)
    assert office.names() == ["Роман", "Белла", "Вера"]


def test_a_person_who_fills_the_form_again_is_another_lead(office: LeadOffice) -> None:
    office.vk.lead_forms.fill(ROMAN)
    office.stand_ins.timeline.advance(3600)
    office.vk.lead_forms.fill(ROMAN)
    office.take(office.vk.lead_forms.csv(), CSV)
    assert office.names() == ["Роман", "Роман"]
    office.later(minutes=5)
    assert office.names() == ["Роман", "Роман"]


def test_an_export_with_minutes_alone_is_known_too(office: LeadOffice) -> None:
    office.vk.lead_forms.fill(ROMAN)
    office.later(minutes=5)
    lead = office.vk.lead_forms.leads[0]
    row = f"{datetime.fromtimestamp(lead.at, UTC) + timedelta(hours=3):%d.%m.%Y %H:%M};1;2;Роман;89000000071"
    office.take(f"Время лида;ID Кампании;ID Объявления;Имя;Телефон\n{row}\n".encode("cp1251"), CSV)
    assert office.names() == ["Роман"]
