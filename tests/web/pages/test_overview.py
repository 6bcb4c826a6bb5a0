"""The overview: what is well and what is not, today's actions, fourteen days in figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from support.browser import fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.channels.vendors import unconnected
from amo_bridge.clock import FixedClock
from amo_bridge.config.model import Config
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.rules.handler import Rule
from amo_bridge.runtime.config_reload import FileState
from amo_bridge.storage.tables import budgets, inbox, journal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.pages import overview as page
from amo_bridge.web.services import overview
from amo_bridge.web.services.overview import midnights
from amo_bridge.web.template_filters import age

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_kept", {})


@pytest.fixture
def well(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setattr(pages.bridge, "state", "ready")
    return pages


def test_all_is_well(well: Pages, admin: Visit) -> None:
    hook_came(well)
    words = words_of(admin.get("/"))
    assert "Всё хорошо. amoCRM сообщает о переменах" in words
    assert "Сегодня правила ещё ничего не делали" in words
    assert "amoCRM ещё ни о чём не сообщала" not in words


def test_a_channel_that_is_down_is_told(well: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    hook_came(well)
    monkeypatch.setattr(type(well.bridge), "channel_outages", {"storage": "401 токен не пускает"})
    words = words_of(admin.get("/"))
    assert "Канал «хранилище документов» не работает: 401 токен не пускает" in words
    assert "Всё хорошо" not in words


def test_as_long_as_no_hook_came_nobody_is_told_that_they_come(well: Pages, admin: Visit) -> None:
    words = words_of(admin.get("/"))
    assert "amoCRM ещё ни о чём не сообщала: подвиньте любую сделку" in words
    assert "amoCRM сообщала ещё не было" in words
    assert "Всё хорошо" not in words
    assert "amoCRM сообщает о переменах" not in words


def test_the_account_is_called_by_its_name_where_that_is_known(well: Pages, admin: Visit) -> None:
    assert agency().name not in words_of(admin.get("/"))
    well.know_account(agency())
    assert f"Обзор {agency().name}, " in words_of(admin.get("/"))


def test_the_access_card_says_what_kind_of_access_it_is(well: Pages, admin: Visit) -> None:
    assert "Доступ к amoCRM срок неизвестен долгосрочный токен" in words_of(admin.get("/"))
    well.bridge.environment = {}
    assert "Доступ к amoCRM срок неизвестен OAuth" in words_of(admin.get("/"))


def hook_came(pages: Pages) -> None:
    row = {"account": pages.account.key, "received_at": NOW.timestamp(), "state": "decoded", "body": b""}
    with pages.office.store.write() as connection:
        connection.execute(insert(inbox).values(row))


def test_a_bridge_that_is_starting_is_not_said_to_be_well(pages: Pages, admin: Visit) -> None:
    words = words_of(admin.get("/"))
    assert "Мост запускается" in words
    assert "Всё хорошо" not in words


def test_an_account_that_was_never_met_has_an_overview_all_the_same(pages: Pages, admin: Visit) -> None:
    with pages.office.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM accounts")
    pages.bridge.state = "waiting: нет токена"
    assert "Мост ещё не работает: нет токена" in words_of(admin.get("/"))
    assert admin.get("/overview/days").status_code == 200


def test_what_is_wrong_is_said_first_things_first(well: Pages, admin: Visit) -> None:
    well.refuse()
    well.refuse(kind="add_note")
    url = well.bridge.config.account.url
    with well.office.store.write() as connection:
        connection.execute(
            insert(budgets).values(account=url, next_free=0, stopped_kind="CrmUnpaid", stopped_reason="не оплачено")
        )
    well.bridge.watch.state = FileState(NOW, problems=("строка 3: лишнее",))
    words = words_of(admin.get("/"))
    assert "Всё хорошо" not in words
    told = [
        "amoCRM не принимает запросы: CrmUnpaid: не оплачено",
        "2 дела не выполнены и ждут решения",
        "Настройка в файле сломана",
    ]
    assert sorted(told, key=words.index) == told


def test_todays_actions_lead_to_the_deal_and_the_rule(well: Pages, admin: Visit) -> None:
    well.say("acts", actions='["задача «Связаться»"]')
    well.say("skipped", reason="не тот этап")
    well.say("acts", at=NOW - timedelta(days=2), actions='["позавчера"]')
    page = admin.get("/")
    assert "задача «Связаться»" in words_of(page)
    assert "не тот этап" not in words_of(page)
    assert "позавчера" not in words_of(page)
    assert 'href="/deals/30000001"' in page.text
    assert 'href="/rules/stage_creates_tasks.new_client"' in page.text


@pytest.mark.parametrize(
    ("states", "chip", "counted"),
    [
        (["done"], "сделано", (1, 0, 0)),
        (["failed"], "отказ", (0, 1, 0)),
        (["unsent"], "не отправлено", (0, 0, 1)),
        (["unsent", "unsent"], "не отправлено", (0, 0, 1)),
        (["done", "unsent"], "частично", (1, 0, 0)),
        (["done", "failed"], "частично", (0, 1, 0)),
        (["failed", "unsent"], "отказ", (0, 1, 0)),
        (["unknown"], "неизвестно", (0, 1, 0)),
        (["ready", "done"], "в работе", (1, 0, 0)),
        (["dropped"], "снято", (1, 0, 0)),
        ([], "сделано", (1, 0, 0)),
    ],
)
def test_what_was_decided_is_only_done_when_it_is(
    well: Pages, admin: Visit, states: list[str], chip: str, counted: tuple[int, int, int]
) -> None:
    rule = "stage_creates_tasks.new_client"
    well.say("acts", rule=rule, event_id=5, actions='["задача «Связаться»"]')
    for number, state in enumerate(states):
        well.refuse(rule=rule, event_id=5, state=state, key=str(number))
    well.refuse(rule="another", event_id=5)
    well.refuse(rule=rule, event_id=6)
    assert f"задача «Связаться» {chip}" in words_of(admin.get("/"))
    assert f"этап {chip} задача" in words_of(admin.get(f"/rules/{rule}"))
    today = well.account.history.by_stretch(midnights(NOW, well.account.zone, 14))[-1]
    assert (today.acted, today.failed, today.unsent) == counted


def test_channels_that_rules_want_and_nobody_has_connected_are_named(well: Pages, admin: Visit) -> None:
    assert "Каналы не подключены: почта, уведомления, аудитории, SMS" in words_of(admin.get("/"))
    config = well.bridge.config
    well.bridge.config = replace(config, rules=[rule for rule in config.rules if not unconnected_by(config, rule)])
    assert "Каналы не подключены" not in words_of(admin.get("/"))


def unconnected_by(config: Config, rule: Rule) -> bool:
    return any(rule.name in names for names in unconnected(config).values())


@pytest.mark.parametrize("width", [1280, 375])
def test_no_word_of_the_cards_is_broken(well: Pages, browser: Browser, width: int) -> None:
    well.add_user("Вера", Role.VIEWER)
    with served(well.app) as url, opened(browser, url, viewport={"width": width, "height": 860}) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Вера")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.get_by_text("Как работает сам мост").click()
        values = page.locator("#bridge .fact .value")
        expect(values).to_have_count(6)
        # As wide as the longest of what may stand there.
        values.evaluate_all("all => all.forEach(one => { one.textContent = '59\u00a0мин\u00a0назад'; })")
        lines = values.evaluate_all(
            "all => all.map(one => one.offsetHeight / parseFloat(getComputedStyle(one).lineHeight))"
        )
        assert [round(lines_of_one) for lines_of_one in lines] == [1] * 6
        assert fits_its_width(page)


def test_the_days_are_counted_by_the_accounts_own_midnights(well: Pages, admin: Visit) -> None:
    bounds = midnights(NOW, well.account.zone, 14)
    for moment, verdict in (
        (bounds[-2] + 1, "acts"),
        (bounds[-2] - 1, "acts"),
        (bounds[0], "failed"),
        (bounds[0] - 1, "acts"),
    ):
        well.say(verdict, at=datetime.fromtimestamp(moment, UTC))
    well.say("skipped", at=datetime.fromtimestamp(bounds[-2] + 1, UTC))
    well.say("came", at=datetime.fromtimestamp(bounds[-2] + 1, UTC))
    counts = well.account.history.by_stretch(bounds)
    assert [(one.acted, one.skipped, one.failed) for one in counts] == [
        (0, 0, 1),
        *[(0, 0, 0)] * 11,
        (1, 0, 0),
        (1, 1, 0),
    ]
    page = admin.get("/overview/days")
    assert page.text.count("<tr>") == 15
    assert "То же таблицей" in page.text


@pytest.mark.parametrize("is_loud_alone", [True, False])
def test_days_long_past_are_counted_among_many(well: Pages, is_loud_alone: bool) -> None:
    """What came later is not even read, so its share must be right."""
    begin = NOW - timedelta(days=60)
    row = {"account": well.account.key, "event_id": 1, "deal_id": 30000001, "what": "этап", "rule": "a.b", "clause": ""}
    rows = [
        {**row, "at": (begin + timedelta(hours=hour)).timestamp(), "verdict": "skipped" if hour % 3 else "acts"}
        for hour in range(60 * 24)
    ]
    with well.office.store.write() as connection:
        connection.execute(insert(journal), rows)
    bounds = [(begin + timedelta(days=day)).timestamp() for day in (20, 21, 23)]
    counts = well.account.history.by_stretch(bounds, is_loud_alone=is_loud_alone)
    skipped = (0, 0) if is_loud_alone else (16, 32)
    assert [(one.acted, one.skipped) for one in counts] == [(8, skipped[0]), (16, skipped[1])]


def test_a_day_of_twenty_five_hours_is_one_day() -> None:
    zone = ZoneInfo("Europe/Berlin")
    bounds = midnights(datetime(2026, 10, 26, 12, tzinfo=UTC), zone, 2)
    assert [round(end - begin) // 3600 for begin, end in pairwise(bounds)] == [25, 24]


def test_nothing_in_fourteen_days_is_said_in_words(well: Pages, admin: Visit) -> None:
    assert "За 14 дней правила ничего не решали" in words_of(admin.get("/overview/days"))


def test_the_part_that_refreshes_itself_is_no_whole_page(well: Pages, admin: Visit) -> None:
    part = admin.get("/overview/state", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text


@pytest.mark.parametrize(("seconds", "words"), [(None, "ещё не было"), (90, "1 мин назад"), (86400 * 2, "2 дня назад")])
def test_how_long_ago_is_never_broken_over_two_lines(pages: Pages, seconds: float | None, words: str) -> None:
    with pages.app.test_request_context("/"):
        pages.app.preprocess_request()
        assert age(seconds) == words.replace(" ", "\N{NO-BREAK SPACE}")


def test_tabs_that_are_open_together_share_what_is_made(well: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody of another role, or of another language, sees what was made for somebody else."""
    made: list[str] = []
    state = page._state
    monkeypatch.setattr(page, "_state", lambda here: made.append(here.name) or state(here))
    monkeypatch.setattr(page, "KEPT_FOR_SECONDS", 3600)
    admins = [well.visit(Role.ADMIN), well.visit(Role.ADMIN)]
    assert len({visit.get("/overview/state").text for visit in admins * 2}) == 1
    assert len(made) == 1
    well.visit(Role.VIEWER).get("/overview/state")
    assert len(made) == 2
    admins[0].post("/settings/language/en", page="/users")
    assert "amoCRM told" in admins[0].get("/overview/state").text
    assert len(made) == 3


def test_a_config_is_compared_with_the_account_again_when_names_are_others(well: Pages) -> None:
    well.know_account(agency())
    before = well.account.fit
    assert well.account.fit is before
    source = agency().source
    users = [{**one, "name": f"{one['name']} II"} for one in source["users"]]
    well.know_account(replace(agency(), source={**source, "users": users}))
    assert well.account.fit is not before
    assert well.account.fit.issues != before.issues


# --- people and deals first -------------------------------------------------------------------------------------------


@pytest.fixture
def late(well: Pages) -> Pages:
    """Ivan is late with two tasks, Maria with one of long ago; one of tomorrow and a finished one do not count."""
    hook_came(well)
    well.know_account(agency())
    noon = datetime.now(ZoneInfo("Europe/Moscow")).replace(hour=12)
    well.bridge.clock = well.account.clock = FixedClock(noon)
    ivan, maria = agency().user("Иван Петров").id, agency().user("Мария Кузнецова").id
    whose = [
        (ivan, noon - timedelta(hours=1)), (ivan, noon - timedelta(days=1)), (maria, noon - timedelta(days=9)),
        (maria, noon + timedelta(days=1)),
    ]  # fmt: skip
    copies = [
        MirroredTask(
            id=number, entity_type=None, entity_id=None, responsible_user_id=person, task_type_id=1, text="Позвонить",
            due=due, created_at=due, updated_at=due,
        )
        for number, (person, due) in enumerate(whose, start=1)
    ]  # fmt: skip
    copies.append(replace(copies[0], id=9, is_completed=True, completed_at=noon))
    with well.account.account_store.write() as connection:
        TaskRows(well.account.key).put(connection, copies)
    return well


def test_people_come_before_the_bridge_itself(late: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/"))
    assert "Просрочено задач 3 со сроком сегодня 1, вчера 1, раньше 1" in words
    assert "Кто не успевает Иван Петров 2 задачи Мария Кузнецова 1 задача" in words
    places = [
        words.index(one) for one in ("Ждут решения", "Кто не успевает", "Сегодня правила", "Как работает сам мост")
    ]
    assert places == sorted(places)
    assert words.index("Поиск пропущенного") > words.index("Как работает сам мост")


def test_nobody_is_said_to_be_in_time_before_tasks_are_known(well: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/"))
    assert "Просрочено задач 0 задач мост ещё не видел" in words
    assert "все успевают" not in words


def test_the_head_comes_from_a_name_to_the_persons_tasks(late: Pages) -> None:
    ivan = agency().user("Иван Петров").id
    assert f'<a href="/mine?person={ivan}">Иван Петров</a>' in late.visit(Role.HEAD).get("/").text
    assert f"/mine?person={ivan}" not in late.visit(Role.WEBINAR).get("/").text


@pytest.mark.parametrize(("role", "is_open"), [(Role.VIEWER, False), (Role.HEAD, False), (Role.ADMIN, True)])
def test_the_bridge_itself_is_unfolded_for_who_keeps_it(late: Pages, role: Role, is_open: bool) -> None:
    assert ('<details class="folded" open>' in late.visit(role).get("/").text) is is_open


def test_what_is_unfolded_stays_when_the_page_renews_itself(late: Pages, viewer: Visit) -> None:
    """Its contents come beside the state, not within."""
    assert '<div id="bridge" hx-swap-oob="innerHTML">' in viewer.get("/overview/state").text
    assert "<details" not in viewer.get("/overview/state").text


def test_the_heads_phone_shows_people_at_once(late: Pages, browser: Browser) -> None:
    late.add_user("Анна", Role.HEAD)
    with served(late.app) as site, opened(browser, site, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        page.goto("/login?next=/")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        for words in ("Просрочено задач", "Иван Петров"):
            box = page.get_by_text(words).first.bounding_box()
            assert box, words
            assert box["y"] + box["height"] < 740, "without scrolling"
        expect(page.get_by_text("Поиск пропущенного")).to_be_hidden()
        assert fits_its_width(page)
        assert serious_findings(page) == []
        page.get_by_text("Как работает сам мост").click()
        expect(page.get_by_text("Поиск пропущенного")).to_be_visible()
