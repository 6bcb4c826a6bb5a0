"""Audiences: who is let in and who leaves, that few requests carry thousands, and that nothing is lost or doubled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from support.audience_office import CONSENT, FIRST_CONTACT, FIRST_DEAL, AudienceOffice
from support.fakes import ACCOUNT, NOON

from amo_bridge.channels.audience_lists import confirm_file, make_file
from amo_bridge.channels.audience_records import Member, Next, Verdict, next_state
from amo_bridge.channels.audience_services import Digests
from amo_bridge.channels.mail import address_key
from amo_bridge.config.advertising import AudienceList
from amo_bridge.crm.records import ContactRecord
from amo_bridge.errors import CrmTemporary
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(["yandex_audience", "vkads"], live=False)
    with serving(made):
        yield made


@pytest.fixture
def office(store: Store, stand_ins: StandIns) -> AudienceOffice:
    return AudienceOffice(store, stand_ins)


def phones(*numbers: int, algorithm: str = "md5") -> set[str]:
    return {hashlib.new(algorithm, f"7916{number:07}".encode()).hexdigest() for number in numbers}


# --- what goes to a service -------------------------------------------------------------------------------------------


def test_hashes_are_those_of_the_vendors_vectors() -> None:
    person = ContactRecord(id=1, updated_at=NOON, phones=("8 (900) 000-00-01",), emails=(" Anna@Example.COM",))
    sha, mail = (
        "ee492c8edd7808b00b791428859219c0aaa7c9079cc0794d54911c679429f0e1",
        "f7d54c22dda5b1780276601cd005909b70543fc4a6ba72d735b4cb9bbb611f01",
    )
    assert Digests.of(person, "yandex", "RU") == Digests((sha,), (mail,))
    assert Digests.of(person, "vk", "RU") == Digests(("54cd65d6ee17bccfa07646546fdca084",))


GOOD, BAD = Digests(("a",)), Digests(("b",))
STATES = [
    # state, has changed digests, problem, held → next
    ("", False, "", True, Next("queued", "")),
    ("", False, "нет согласия", True, Next("refused", "нет согласия")),
    ("queued", False, "", False, Next("out", "ушла")),
    ("queued", False, "нет согласия", True, Next("refused", "нет согласия")),
    ("refused", False, "", True, Next("queued", "")),
    ("refused", False, "нет согласия", False, Next("out", "ушла")),
    ("in", False, "", True, Next("in", "")),
    ("in", True, "", True, Next("leaving", "телефон или почта изменились")),
    ("in", False, "", False, Next("leaving", "ушла")),
    ("in", False, "нет согласия", True, Next("leaving", "нет согласия", True)),
    ("leaving", False, "", True, Next("in", "")),
    ("leaving", False, "", False, Next("leaving", "ушла")),
    ("out", False, "", False, Next("out", "ушла")),
    ("out", False, "", True, Next("queued", "")),
]


@pytest.mark.parametrize(("state", "is_changed", "problem", "is_held", "wanted"), STATES)
def test_where_a_client_goes(state: str, is_changed: bool, problem: str, is_held: bool, wanted: Next) -> None:
    sent = GOOD.to_json()
    member = Member(1, "VK", 5, state, NOON, "", sent, sent, False, NOON, None) if state else None  # type: ignore[arg-type]
    verdict = Verdict(BAD if is_changed else GOOD, problem, NOON, is_own_wish=bool(problem))
    assert next_state(member, verdict, is_held=is_held, why_left="ушла") == wanted


# --- Yandex -----------------------------------------------------------------------------------------------------------


def test_three_thousand_clients_go_to_yandex_in_a_few_requests(office: AudienceOffice) -> None:
    office.dry_run = True
    office.join("Яндекс", *office.clients(250))
    office.fill("Яндекс", 2750, first=250)
    office.dry_run = False
    office.later(minutes=24)
    assert office.states("Яндекс") == {"in": 3000}
    (segment,) = office.yandex.segments.values()
    assert (segment.name, segment.status, len(segment.lines)) == ("Яндекс", "processed", 3000)
    assert {line.rstrip(",") for line in segment.lines} == phones(*range(3000), algorithm="sha256")
    posts = [call.path for call in office.yandex.requests if call.method == "POST"]
    assert len(posts) == 2, "one file, one confirmation"
    assert len(office.yandex.requests) < 12
    assert len(office.crm.asked) <= 4, "deals and contacts are read by the hundred"
    assert len(office.notes()) == 3000
    assert office.notes()[0] == "Клиент в аудитории «Яндекс» (Яндекс Аудитории)"


def test_a_segment_waits_for_a_hundred(office: AudienceOffice) -> None:
    office.fill("Яндекс", 99)
    office.later(minutes=5)
    assert office.yandex.segments == {}
    assert "99 из 100" in office.log.list_of("Яндекс").words
    office.fill("Яндекс", 1, first=99)
    office.later(minutes=24)
    assert office.states("Яндекс") == {"in": 100}


def test_changes_gather_for_an_hour_and_whoever_opts_out_does_not_wait(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.fill("Яндекс", 1, first=100)
    office.later(minutes=5)
    assert office.states("Яндекс") == {"in": 100, "queued": 1}
    office.client(3, consent="нет")
    office.later(minutes=1)
    (segment,) = office.yandex.segments.values()
    gone = phones(3, algorithm="sha256").pop()
    assert f"{gone}," not in segment.lines, "within a minute"
    office.later(minutes=24)
    assert office.state("Яндекс", 3) == ("refused", f"нет согласия: поле «{office.section.consent}»")
    assert office.states("Яндекс") == {"in": 100, "refused": 1}
    assert any(text.startswith("Клиента больше нет в аудитории «Яндекс»") for text in office.notes())


def test_the_last_ones_are_taken_out_too(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.leave("Яндекс", *range(FIRST_DEAL, FIRST_DEAL + 100))
    office.later(hours=2)
    (segment,) = office.yandex.segments.values()
    assert (segment.lines, office.states("Яндекс")) == (set(), {"out": 100})


def test_a_segment_that_failed_is_told_and_tried_again_in_an_hour(office: AudienceOffice) -> None:
    office.yandex.fails_to_process = 1
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    kept = office.log.list_of("Яндекс")
    assert "не смог обработать" in kept.trouble
    assert office.states("Яндекс") == {"queued": 100}
    office.later(minutes=80)
    assert office.states("Яндекс") == {"in": 100}
    assert office.log.list_of("Яндекс").trouble == ""


def test_a_segment_deleted_in_the_cabinet_is_made_anew(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.yandex.segments.clear()
    office.fill("Яндекс", 1, first=100)
    office.later(hours=3)
    (segment,) = office.yandex.segments.values()
    assert (len(segment.lines), office.states("Яндекс")) == (101, {"in": 101})


# --- VK ---------------------------------------------------------------------------------------------------------------


def test_vk_begins_with_a_base_list_and_goes_on_in_pools(office: AudienceOffice) -> None:
    office.with_real_sizes()
    office.fill("VK", 1999)
    office.later(minutes=3)
    assert office.vk.lists == {}
    assert "1999 из 2000" in office.log.list_of("VK").words
    office.fill("VK", 1001, first=1999)
    office.later(minutes=10)
    (base,) = office.vk.lists.values()
    assert base.phones == phones(*range(3000))
    (segment,) = office.vk.segments.values()
    assert segment["relations"][0]["params"]["source_id"] == base.id
    office.fill("VK", 7, first=3000)
    office.later(minutes=10)
    assert office.log.list_of("VK").words == "в очереди 7 из 25"
    office.fill("VK", 18, first=3007)
    office.later(minutes=10)
    assert office.states("VK") == {"in": 3025}
    assert base.phones == phones(*range(3025))
    assert len(office.vk.lists) == 2
    assert len(office.vk.tokens) == 1


def test_a_token_that_dies_in_the_middle_loses_nothing_and_doubles_nothing(office: AudienceOffice) -> None:
    office.vk.expire_tokens()
    office.fill("VK", 60)
    office.vk.expire_tokens()
    office.later(minutes=5)
    office.vk.expire_tokens()
    office.fill("VK", 40, first=60)
    office.later(minutes=10)
    base, change = sorted(office.vk.lists.values(), key=lambda one: one.id)
    assert base.phones == phones(*range(100))
    assert len(change.lines) == 40
    assert office.states("VK") == {"in": 100}
    assert len(office.vk.tokens) == 1, "each renewed, none left behind"


def test_with_five_tokens_of_others_it_waits_and_says_so(office: AudienceOffice) -> None:
    office.vk.tokens = {str(number): 1e12 for number in range(5)}
    office.fill("VK", 60)
    office.later(minutes=5)
    assert "токен: их уже пять" in office.log.list_of("VK").trouble
    office.vk.tokens.clear()
    office.later(minutes=30)
    assert office.states("VK") == {"in": 60}


def test_whoever_opts_out_of_vk_does_not_wait_for_24_others(office: AudienceOffice) -> None:
    office.fill("VK", 60)
    office.later(minutes=10)
    office.leave("VK", FIRST_DEAL + 5)
    office.later(minutes=10)
    assert office.state("VK", 5)[0] == "leaving"
    assert office.log.list_of("VK").words == "уходят 1 из 25"
    office.client(6, tags=["Отписан"])
    office.later(minutes=10)
    base = min(office.vk.lists.values(), key=lambda one: one.id)
    assert base.phones == phones(*range(5), *range(7, 60))
    assert office.state("VK", 5)[0] == "out"
    gone = office.log.members([FIRST_CONTACT + 5])["VK", FIRST_CONTACT + 5]
    assert (gone.digests, gone.sent_digests) == ("", ""), "nothing of him is kept"
    assert office.state("VK", 6) == ("refused", "тег «Отписан»")


def test_at_most_a_list_a_minute_and_ten_an_hour(office: AudienceOffice) -> None:
    office.fill("VK", 60)
    office.later(minutes=10)
    for number in range(6, 14):
        office.client(number, consent="")
        office.later(minutes=4)
    assert not [call for call in office.vk.requests if call.path == "limited"]
    assert office.log.list_of("VK").trouble == ""
    office.later(hours=1)
    assert office.states("VK")["refused"] == 8


# --- consent and holds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"consent": ""}, "нет согласия"),
        ({"consent": "нет"}, "нет согласия"),
        ({"tags": ["Отписан"]}, "тег «Отписан»"),
        ({"phone": None}, "у клиента нет ни телефона, ни почты"),
    ],
)
def test_nobody_is_let_in_without_consent_and_he_joins_when_it_is_there(
    office: AudienceOffice, how: dict[str, object], words: str
) -> None:
    office.client(1, **how)  # type: ignore[arg-type]
    office.join("Яндекс", FIRST_DEAL + 1)
    assert words in office.words()[0]
    assert office.state("Яндекс", 1)[0] == "refused"
    office.later(minutes=1)
    office.client(1)
    office.later(minutes=1)
    assert office.state("Яндекс", 1) == ("queued", "")
    office.client(1, **how)  # type: ignore[arg-type]
    office.later(minutes=1)
    assert office.state("Яндекс", 1)[0] == "refused"


def test_a_tag_on_the_deal_counts_too(office: AudienceOffice) -> None:
    office.client(1)
    office.join("Яндекс", FIRST_DEAL + 1)
    office.later(minutes=1)
    office.deal(FIRST_DEAL + 1, 1, tags=("Отписан",))
    office.later(minutes=1)
    assert office.state("Яндекс", 1) == ("refused", "тег «Отписан»")


def test_the_link_in_a_letter_counts_too(office: AudienceOffice) -> None:
    office.client(1)
    office._clients[FIRST_CONTACT + 1]["custom_fields_values"].append(
        {"field_id": 2, "field_code": "EMAIL", "values": [{"value": "olga@romashka.example"}]}
    )
    office.unsubscribe_address(address_key(ACCOUNT, "olga@romashka.example"))
    office.join("Яндекс", FIRST_DEAL + 1)
    assert office.state("Яндекс", 1) == ("refused", "клиент отписался от рассылок")


def test_a_deal_takes_its_client_out_only_if_no_other_holds_him(office: AudienceOffice) -> None:
    office.client(1)
    office.deal(77, 1)
    office.join("Яндекс", FIRST_DEAL + 1)
    office.join("Яндекс", 77)
    office.leave("Яндекс", FIRST_DEAL + 1)
    assert office.state("Яндекс", 1)[0] == "queued"
    office.leave("Яндекс", 77)
    assert office.state("Яндекс", 1)[0] == "out"
    assert [line.split(":")[0] for line in office.words()] == ["done"] * 4
    office.leave("Яндекс", 77)
    assert "никого в аудитории не держала" in office.words()[-1]


def test_the_same_twice_changes_nothing(office: AudienceOffice) -> None:
    office.client(1)
    for _ in range(2):
        office.join("Яндекс", FIRST_DEAL + 1)
    assert office.states("Яндекс") == {"queued": 1}


def test_another_main_contact_takes_the_place_of_the_first(office: AudienceOffice) -> None:
    office.client(1)
    office.client(2)
    office.join("Яндекс", FIRST_DEAL + 1)
    office.later(minutes=1)
    office.deal(FIRST_DEAL + 1, 2)
    office.later(minutes=1)
    assert (office.state("Яндекс", 1)[0], office.state("Яндекс", 2)[0]) == ("out", "queued")


def test_a_new_number_replaces_the_old_one(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.client(1, phone="+79260000000")
    office.later(hours=4)
    (segment,) = office.yandex.segments.values()
    assert office.states("Яндекс") == {"in": 100}
    assert hashlib.sha256(b"79260000000").hexdigest() + "," in segment.lines
    assert not any(line.startswith(phones(1, algorithm="sha256").pop()) for line in segment.lines)


@pytest.mark.parametrize("contact", [1, 2])
def test_an_opt_out_outlasts_a_read_that_failed(
    office: AudienceOffice, monkeypatch: pytest.MonkeyPatch, contact: int
) -> None:
    """A tag on the deal, with the same main contact or with another one."""
    office.client(1)
    office.client(2)
    office.join("Яндекс", FIRST_DEAL + 1)
    office.later(minutes=1)
    office.deal(FIRST_DEAL + 1, contact, tags=("Отписан",))
    with monkeypatch.context() as patch:
        office.crm_fails(patch)
        with pytest.raises(CrmTemporary):
            office.later(minutes=1)
    office.restart()
    office.later(minutes=1)
    assert office.state("Яндекс", contact) == ("refused", "тег «Отписан»")
    assert office.states("Яндекс").get("queued", 0) == 0


def test_without_the_field_of_consent_nobody_is_in_and_it_is_told_once(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.client(100)
    office.client(101, tags=["Отписан"])
    office.has_consent_field = False
    office.join("Яндекс", FIRST_DEAL + 100, FIRST_DEAL + 101)
    office.later(hours=2)
    assert office.states("Яндекс") == {"refused": 102}
    assert f"«{CONSENT}» нет в аккаунте" in office.state("Яндекс", 0)[1]
    assert office.state("Яндекс", 101) == ("refused", "тег «Отписан»")
    (told,) = office.alerts()
    assert "Согласие не проверить" in told
    office.has_consent_field = True
    office.later(hours=2)
    assert office.states("Яндекс") == {"in": 101, "refused": 1}


def test_in_a_dry_run_nothing_is_uploaded(office: AudienceOffice) -> None:
    office.dry_run = True
    office.fill("Яндекс", 100)
    office.later(minutes=5)
    assert (office.yandex.requests, office.states("Яндекс")) == ([], {"queued": 100})


# --- lost answers -----------------------------------------------------------------------------------------------------

FAULTS = ["lost_answer", "refuse_before", "broken", "limited", "unauthorised"]
# What is asked of a vendor is the same on both databases; all other tests here try both.
exchange_alone = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@exchange_alone
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("path", ["*upload_csv_file", "*confirm", "*modify_data", "*segments"])
def test_whatever_happens_at_yandex_all_are_in_once(
    office: AudienceOffice, stand_ins: StandIns, kind: str, path: str
) -> None:
    stand_ins.faults.add(kind, vendor="yandex_audience", path=path)
    office.fill("Яндекс", 120)
    office.later(minutes=60)
    office.leave("Яндекс", FIRST_DEAL)
    office.later(minutes=150)
    confirmed = [one for one in office.yandex.segments.values() if one.status != "uploaded"]
    assert [len(one.lines) for one in confirmed] == [119]
    assert office.states("Яндекс") == {"in": 119, "out": 1}
    assert len(office.notes()) == 121


@exchange_alone
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("path", ["*users_lists.json", "*users_lists/*.json", "*segments.json", "*token.json"])
def test_whatever_happens_at_vk_all_are_in_once(
    office: AudienceOffice, stand_ins: StandIns, kind: str, path: str
) -> None:
    stand_ins.faults.add(kind, vendor="vkads", path=path)
    office.fill("VK", 60)
    office.later(minutes=60)
    stand_ins.faults.add(kind, vendor="vkads", path=path)
    office.fill("VK", 30, first=60)
    office.later(minutes=60)
    base = min(office.vk.lists.values(), key=lambda one: one.id)
    assert base.phones == phones(*range(90))
    assert [one.base for one in office.vk.lists.values()].count(0) == 1, "one base list"
    assert len(office.vk.segments) == 1
    assert office.states("VK") == {"in": 90}


def test_a_process_that_died_while_it_asked_is_settled_by_asking(office: AudienceOffice) -> None:
    office.fill("VK", 60)
    upload = office.log.open_upload("VK")
    assert upload is not None
    with office.store.write() as connection:
        office.log.set_upload(connection, upload.id, state="asking", ref="")
    office.restart()
    office.later(minutes=10)
    assert (len(office.vk.lists), office.states("VK")) == (1, {"in": 60})


def test_one_dead_service_holds_the_other_up_in_nothing(office: AudienceOffice, stand_ins: StandIns) -> None:
    stand_ins.faults.add("unauthorised", vendor="vkads", count=None)
    office.fill("VK", 60)
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    assert (office.states("VK"), office.states("Яндекс")) == ({"queued": 60}, {"in": 100})


def test_a_list_is_kept_though_its_segment_is_refused(office: AudienceOffice, stand_ins: StandIns) -> None:
    office.vk.refuses_segments = True
    office.fill("VK", 60)
    office.later(minutes=10)
    assert office.states("VK") == {"in": 60}
    assert (office.log.list_of("VK").list_ref, office.log.list_of("VK").segment_ref) == ("7001", "")
    assert ["сегмент для объявлений не создан" in told for told in office.alerts()] == [True]
    office.fill("VK", 30, first=60)
    office.later(minutes=70)
    assert office.states("VK") == {"in": 90}
    assert [one.base for one in office.vk.lists.values()].count(0) == 1, "one base list"
    office.vk.refuses_segments = False
    office.later(minutes=64)
    assert len(office.vk.segments) == 1
    assert office.log.list_of("VK").segment_ref == str(*office.vk.segments)


def test_a_segment_of_the_same_name_but_of_another_list_is_left_alone(office: AudienceOffice) -> None:
    other = {"object_type": "remarketing_users_list", "params": {"source_id": 5, "type": "positive"}}
    office.vk.segments[5000] = {"id": 5000, "name": "VK", "relations": [other]}
    office.fill("VK", 60)
    office.later(minutes=10)
    (made,) = (number for number in office.vk.segments if number != 5000)
    assert office.log.list_of("VK").segment_ref == str(made)


def test_a_found_segment_is_known_though_the_answer_to_confirming_is_lost(
    office: AudienceOffice, stand_ins: StandIns
) -> None:
    stand_ins.faults.add("lost_answer", vendor="yandex_audience", path="*upload_csv_file")
    stand_ins.faults.add("lost_answer", vendor="yandex_audience", path="*confirm")
    office.fill("Яндекс", 100)
    office.later(minutes=60)
    assert (len(office.yandex.segments), office.states("Яндекс")) == (1, {"in": 100})


def test_whoever_opts_out_does_not_wait_for_slow_looks_at_others(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.yandex.processing_seconds = 40 * 60
    office.fill("Яндекс", 1, first=100)
    office.later(hours=1)
    assert office.log.open_upload("Яндекс") is not None
    office.client(3, consent="нет")
    office.client(100, consent="нет")
    office.later(minutes=5)
    (segment,) = office.yandex.segments.values()
    segment.status = "processed"
    for _ in range(2):
        office.later(minutes=1)
    assert not {f"{one}," for one in phones(3, 100, algorithm="sha256")} & segment.lines


def test_whoever_opts_out_does_not_wait_out_a_refusal_of_others(office: AudienceOffice, stand_ins: StandIns) -> None:
    office.fill("VK", 60)
    office.later(minutes=10)
    office.vk.least_change = 1000
    office.fill("VK", 30, first=60)
    office.later(minutes=2)
    assert office.log.list_of("VK").trouble
    office.vk.least_change = 25
    office.client(3, consent="нет")
    office.later(minutes=5)
    base = min(office.vk.lists.values(), key=lambda one: one.id)
    assert base.phones == phones(*range(3), *range(4, 60))
    assert office.states("VK") == {"in": 59, "refused": 1, "queued": 30}


def test_a_removal_that_is_refused_is_not_repeated_each_round(office: AudienceOffice) -> None:
    office.fill("VK", 60)
    office.later(minutes=10)
    office.vk.least_change = 1000
    office.client(3, consent="нет")
    office.later(minutes=40)
    removals = [one for one in office.log.uploads_of("VK", most=50) if one.kind == "remove"]
    assert 3 <= len(removals) <= 6


def test_a_deleted_contact_leaves(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.forget_contact(3)
    office.later(hours=3)
    assert office.states("Яндекс") == {"in": 99, "refused": 1}
    assert "контакта в аккаунте нет" in office.state("Яндекс", 3)[1]


def test_what_each_round_asks_for_is_found_by_indexes(store: Store, office: AudienceOffice) -> None:
    office.client(1)
    office.join("Яндекс", FIRST_DEAL + 1)
    queries: list[tuple[str, Any]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *told: queries.append((told[2], told[3])))
    office.log.holds_of([1])
    office.log.holds_of_deal(1)
    office.log.members([1])
    office.log.unchecked()
    office.log.to_check()
    asked = [told for told in queries if "audience" in told[0]]
    wanted = (
        ["audience_holds_of"], ["audience_holds_deal"], ["audience_members_contact"], ["audience_members_unchecked"],
        ["contacts"], ["letters_contact"], ["audience_members_unchecked"],
    )  # fmt: skip
    is_sqlite = store.engine.dialect.name == "sqlite"
    plans = []
    with store.read() as connection:
        if not is_sqlite:
            # The tables are empty: PostgreSQL would read them whole.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for query, values in asked:
            explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            plan = connection.exec_driver_sql(f"{explain} {query}", values).all()
            plans.append(" ".join(str(row) for row in plan))
    assert len(plans) == len(wanted)
    missed = [plan for plan, names in zip(plans, wanted, strict=True) if not all(name in plan for name in names)]
    # PostgreSQL takes any index that begins with the account as long as the tables are empty.
    assert missed == [] or not is_sqlite
    assert [plan for plan in plans if "Seq Scan" in plan] == []
    assert [plan for plan in plans if "SCAN audience" in plan or "SCAN letters" in plan] == []


# --- files ------------------------------------------------------------------------------------------------------------


def test_an_audience_that_is_not_listed_is_a_file_that_a_person_uploads(office: AudienceOffice) -> None:
    office.join("Google Ads", *office.clients(3))
    now = office.hands.now()
    file = make_file(office.store, office.section, "Google Ads", now).decode().splitlines()
    assert file == ["phone,email", *(f"{phones(one, algorithm='sha256').pop()}," for one in range(3))]
    assert office.states("Google Ads") == {"queued": 3}
    office.leave("Google Ads", FIRST_DEAL)
    assert confirm_file(office.store, "Google Ads", now)
    assert not confirm_file(office.store, "Google Ads", now), "once"
    office.round()
    assert office.states("Google Ads") == {"in": 2, "leaving": 1}
    assert len(make_file(office.store, office.section, "Google Ads", now).splitlines()) == 3
    confirm_file(office.store, "Google Ads", now)
    office.round()
    assert office.states("Google Ads") == {"in": 2, "out": 1}
    assert office.notes() == ["Клиент в аудитории «Google Ads»"] * 2, "who was in for a moment only is not told of"


def test_an_audience_that_moves_to_a_service_begins_there_anew(office: AudienceOffice) -> None:
    office.join("Реклама", *office.clients(100))
    make_file(office.store, office.section, "Реклама", office.hands.now())
    confirm_file(office.store, "Реклама", office.hands.now())
    lists = {**office.section.lists, "Реклама": AudienceList(service="yandex")}
    office.section = office.section.model_copy(update={"lists": lists})
    office.later(minutes=24)
    assert [len(one.lines) for one in office.yandex.segments.values()] == [100]
    assert office.states("Реклама") == {"in": 100}


def test_an_audience_that_moves_away_names_what_it_leaves_behind(office: AudienceOffice) -> None:
    office.fill("VK", 60)
    office.later(minutes=10)
    office.fill("VK", 30, first=60)
    assert office.log.open_upload("VK") is not None
    segment = office.log.list_of("VK").segment_ref
    office.move("VK", AudienceList())
    office.later(minutes=1)
    assert office.log.open_upload("VK") is None
    assert office.states("VK") == {"queued": 90}
    (told,) = office.alerts()
    assert f"список 7001 и сегмент {segment}, удалите в кабинете" in told


@pytest.mark.parametrize("crm_fails", [False, True])
def test_hashes_of_another_format_go_nowhere(
    office: AudienceOffice, monkeypatch: pytest.MonkeyPatch, crm_fails: bool
) -> None:
    office.join("Реклама", *office.clients(3))
    office.move("Реклама", AudienceList(format="vk"))
    if crm_fails:
        office.crm_fails(monkeypatch)
        with pytest.raises(CrmTemporary):
            office.round()
    else:
        office.later(minutes=1)
    file = make_file(office.store, office.section, "Реклама", office.hands.now()).decode().split()
    assert set(file) == (set() if crm_fails else phones(0, 1, 2))


def test_queued_clients_are_judged_before_they_go_to_another_service(office: AudienceOffice) -> None:
    office.fill("Яндекс", 60)
    office.move("Яндекс", AudienceList(service="vk"))
    office.later(minutes=10)
    (base,) = office.vk.lists.values()
    assert (base.phones, office.states("Яндекс")) == (phones(*range(60)), {"in": 60})


def test_sizes_are_kept_by_day(office: AudienceOffice) -> None:
    office.fill("Яндекс", 100)
    office.later(minutes=24)
    office.hands.advance(timedelta(days=1))
    office.round()
    assert [kept[1:] for kept in office.log.sizes("Яндекс")] == [(100, 0), (100, 0)]
