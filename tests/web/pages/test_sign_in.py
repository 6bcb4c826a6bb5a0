"""Coming in and going out: the first admin, the log-in and its limits, the cookie, the link for a new password."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from support.pages import PASSWORD, Pages, Visit, token_in, words_of
from time_machine import TimeMachineFixture

from amo_bridge.storage.tables import tries
from amo_bridge.web.auth.rate_limit import PER_NAME
from amo_bridge.web.auth.users import Role


@pytest.fixture
def empty(tmp_path: Path) -> Pages:
    """Pages without a single user."""
    return Pages.in_folder(tmp_path / "data")


def log_in(visit: Visit, login: str = "Анна", password: str = PASSWORD, **how: object) -> int:
    return visit.post("/login", {"login": login, "password": password}, **how).status_code


NEW = {"login": "Анна", "password": PASSWORD, "again": PASSWORD}


def test_the_first_admin_makes_himself_known_by_the_link_and_nobody_after_him(empty: Pages) -> None:
    link = f"/setup/{empty.office.links.for_first_admin()}"
    visit = empty.stranger()
    answer = visit.post(link, NEW)
    assert (answer.status_code, answer.location) == (302, "/")
    assert "вы администратор" in words_of(visit.get("/"))
    assert [(user.login, user.role) for user in empty.office.users.all()] == [("Анна", Role.ADMIN)]
    assert [deed.deed for deed in empty.office.audit.last(9)] == ["user.first"]
    again = empty.stranger().get(link)
    assert again.status_code == 403
    assert "уже использована" in words_of(again)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "короткий", "again": "короткий"}, "Слишком простой пароль"),
        ({"password": "моя Анна навсегда", "again": "моя Анна навсегда"}, "разных, без имени внутри"),
        ({"password": "abababababab", "again": "abababababab"}, "нужно не меньше 10 знаков, из них 5 разных"),
        ({"again": "что-то другое"}, "Пароли не совпали"),
        ({"login": " "}, "Введите имя"),
        ({"login": "я" * 81}, "Имя не длиннее 80 знаков"),
    ],
)
def test_what_is_wrong_with_the_form_is_told_and_the_link_still_works(
    empty: Pages, change: dict[str, str], told: str
) -> None:
    link = f"/setup/{empty.office.links.for_first_admin()}"
    answer = empty.stranger().post(link, NEW | change)
    assert told in words_of(answer)
    assert not empty.office.users.all()
    assert empty.stranger().get(link).status_code == 200


def test_a_guessed_link_opens_nothing(empty: Pages) -> None:
    empty.office.links.for_first_admin()
    assert empty.stranger().get("/setup/guessed").status_code == 403


def test_in_and_out(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    visit = pages.stranger()
    assert visit.get("/").location == "/login"
    assert log_in(visit) == 302
    assert visit.get("/").status_code == 200
    cookie = visit.client.get_cookie("amo_bridge")
    assert cookie is not None
    visit.post("/logout", page="/")
    assert visit.get("/").location == "/login"
    thief = pages.stranger()
    thief.client.set_cookie("amo_bridge", cookie.value)
    assert thief.get("/").location == "/login", "a copied cookie is worth nothing after the end"


def test_a_wrong_password_and_an_unknown_name_are_told_alike(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    told = []
    for login in ("Анна", "Никто"):
        answer = pages.stranger().post("/login", {"login": login, "password": "не тот пароль"})
        assert answer.status_code == 401
        told.append(words_of(answer))
    assert "Имя или пароль не подходят" in told[0]
    assert told[0] == told[1]


def test_guessing_one_name_is_stopped_and_told_when_to_come_again(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    pages.add_user("Борис", Role.ADMIN)
    guesser = pages.stranger()
    for _ in range(8):
        assert log_in(guesser, password="не тот пароль") == 401
    answer = guesser.post("/login", {"login": "Анна", "password": PASSWORD})
    assert answer.status_code == 429
    assert "Слишком много попыток" in words_of(answer)
    assert "через 15 минут" in words_of(answer)
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert log_in(pages.stranger(), "Борис") == 302, "somebody else is not locked out"
    assert log_in(guesser) == 429
    (deed,) = pages.office.audit.last(9)
    assert (deed.who, deed.deed) == ("Анна", "log-in.locked"), "once, however often somebody tries on"
    assert "адрес 127.0.0.1" in deed.words


ELSEWHERE = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.7"}}


def guess(pages: Pages, login: str, times: int, address: str = "127.0.0.1") -> list[int]:
    how = {"environ_overrides": {"REMOTE_ADDR": address}}
    return [log_in(pages.stranger(), login, "не тот пароль", **how) for _ in range(times)]


def test_whoever_knows_a_name_can_not_shut_its_owner_out(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    assert guess(pages, "Анна", 9) == [401] * 8 + [429]
    assert log_in(pages.stranger(), "Анна", **ELSEWHERE) == 302


def test_guessing_from_very_many_addresses_closes_a_name_but_not_for_its_own_browser(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    pages.add_user("Борис", Role.ADMIN)
    own, others = pages.stranger(), pages.stranger()
    assert (log_in(own, "Анна"), log_in(others, "Борис")) == (302, 302)
    for number in range(PER_NAME // 5):
        assert guess(pages, "Анна", 5, f"198.51.100.{number}") == [401] * 5
    assert log_in(pages.stranger(), "Анна", **ELSEWHERE) == 429
    for visit in (own, others):
        visit.client.delete_cookie("amo_bridge")
    assert log_in(others, "Анна", **ELSEWHERE) == 429, "the browser of somebody else is none of hers"
    assert log_in(own, "Анна", **ELSEWHERE) == 302
    assert "с разных адресов" in pages.office.audit.last(1)[0].words


def test_a_known_browser_is_not_shut_out_by_who_shares_its_address_and_has_a_limit_of_its_own(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    own = pages.stranger()
    assert log_in(own) == 302
    own.client.delete_cookie("amo_bridge")
    assert [log_in(pages.stranger(), f"имя {number}", "не тот пароль") for number in range(30)] == [401] * 30
    assert log_in(pages.stranger()) == 429
    assert [log_in(own, password="не тот пароль") for _ in range(9)] == [401] * 8 + [429]
    assert log_in(own) == 429


def test_a_new_password_makes_a_browser_unknown_again(pages: Pages) -> None:
    user = pages.add_user("Анна", Role.ADMIN)
    thief = pages.stranger()
    assert log_in(thief) == 302
    thief.client.delete_cookie("amo_bridge")
    with pages.office.store.write() as connection:
        pages.office.users.set_password(connection, user, "совершенно новый")
    assert guess(pages, "Анна", 8) == [401] * 8
    assert log_in(thief, password="не тот пароль") == 429, "it is counted with its address"


@pytest.mark.parametrize("cookie", ["", "nonsense", "WyJ4IixbXV0.aaaa.bbbb"])
def test_a_forged_browser_is_unknown(pages: Pages, cookie: str) -> None:
    pages.add_user("Анна", Role.ADMIN)
    guess(pages, "Анна", 8)
    forger = pages.stranger()
    forger.client.set_cookie("amo_bridge_device", cookie)
    assert log_in(forger) == 429


def test_the_cookie_of_a_browser_is_its_own(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    visit = pages.stranger()
    answer = visit.post("/login", {"login": "Анна", "password": PASSWORD}, headers={"X-Forwarded-Proto": "https"})
    (told,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("amo_bridge_device=")]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(told.split("; "))


def test_sixty_tries_at_once_get_eight_looks_at_the_password(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    pages.add_user("Анна", Role.ADMIN)
    looks: list[str] = []
    monkeypatch.setattr("amo_bridge.web.auth.users.fits", lambda kept, password: looks.append(password))
    visits = [pages.stranger() for _ in range(60)]
    tokens = [token_in(visit.get("/login")) for visit in visits]
    together = threading.Barrier(len(visits))

    def one_try(visit: Visit, token: str) -> int:
        together.wait(60)
        form = {"csrf_token": token, "login": "Анна", "password": "не тот пароль"}
        return visit.client.post("/login", data=form).status_code

    with ThreadPoolExecutor(len(visits)) as pool:
        codes = sorted(pool.map(one_try, visits, tokens))
    assert codes == [401] * 8 + [429] * 52
    assert len(looks) == 8


def test_log_ins_are_counted_for_whoever_watches(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    log_in(pages.stranger())
    guess(pages, "Анна", 10)
    counted = pages.bridge.process_metrics.log_ins
    assert {name: counted.labels(name)._value.get() for name in ("in", "wrong", "refused")} == {
        "in": 1, "wrong": 8, "refused": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_addresses_that_one_customer_has_count_together(pages: Pages, address: str, other: str, together: bool) -> None:
    pages.add_user("Анна", Role.ADMIN)
    assert guess(pages, "Анна", 8, address) == [401] * 8
    assert guess(pages, "Анна", 1, other) == [429 if together else 401]


def test_what_is_typed_for_a_name_that_nobody_has_is_not_kept(pages: Pages) -> None:
    """People type their password there."""
    pages.add_user("Анна", Role.ADMIN)
    for _ in range(9):
        log_in(pages.stranger(), "мой пароль", "не тот пароль")
    (deed,) = pages.office.audit.last(9)
    assert deed.who == "неизвестный"
    assert "мой пароль" not in str(deed)


def test_another_replica_counts_on_and_a_quarter_of_an_hour_later_it_is_forgotten(
    pages: Pages, time_machine: TimeMachineFixture
) -> None:
    pages.add_user("Анна", Role.ADMIN)
    for _ in range(8):
        assert log_in(pages.stranger(), password="не тот пароль") == 401
    replica = Pages(pages.bridge)
    assert log_in(replica.stranger()) == 429
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=16))
    assert log_in(replica.stranger(), password="не тот пароль") == 401
    assert log_in(replica.stranger()) == 302
    with pages.office.store.read() as connection:
        left = connection.execute(select(tries)).all()
    assert len(left) == 3, "one try, by name, address and both; the old ones are gone"
    assert "анна" not in str(left).casefold()


def test_guessing_many_names_from_one_address_is_stopped(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    guesser = pages.stranger()
    codes = [log_in(guesser, f"имя {number}", "не тот пароль") for number in range(31)]
    assert codes == [401] * 30 + [429]
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.7"}}
    assert log_in(pages.stranger(), "Анна", PASSWORD, **elsewhere) == 302


def test_who_comes_in_often_is_not_taken_for_a_guesser(pages: Pages) -> None:
    pages.add_user("Анна", Role.ADMIN)
    assert {log_in(pages.stranger()) for _ in range(12)} == {302}


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ("/deals/7", "/deals/7"),
        ("/deals/?deal=7", "/deals/?deal=7"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_after_the_log_in_one_is_where_one_wanted_to_be_and_never_elsewhere(
    pages: Pages, wanted: str, where: str
) -> None:
    pages.add_user("Анна", Role.ADMIN)
    visit = pages.stranger()
    answer = visit.post("/login", {"login": "Анна", "password": PASSWORD}, query_string={"next": wanted})
    assert answer.location == where


def test_a_page_that_needs_a_log_in_remembers_itself(pages: Pages) -> None:
    assert pages.stranger().get("/deals/7").location == "/login?next=/deals/7"


def test_a_part_of_a_page_sends_the_whole_page_to_the_log_in(pages: Pages) -> None:
    answer = pages.stranger().get("/deals/7", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


@pytest.mark.parametrize(
    ("how", "secure"),
    [({}, False), ({"base_url": "https://bridge.example"}, True), ({"headers": {"X-Forwarded-Proto": "https"}}, True)],
)
def test_the_cookie_is_for_the_browser_alone(pages: Pages, how: dict[str, object], secure: bool) -> None:
    cookie = pages.stranger().get("/login", **how).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is secure


def test_the_link_for_a_password_sets_it_once(pages: Pages) -> None:
    user = pages.add_user("Анна", Role.VIEWER)
    link = f"/password/{pages.office.links.for_password(user)}"
    visit = pages.stranger()
    assert visit.post(link, {"password": "совершенно новый", "again": "совершенно новый"}).location == "/"
    assert visit.get("/").status_code == 200
    assert log_in(pages.stranger(), password="совершенно новый") == 302
    assert pages.stranger().get(link).status_code == 403


def test_a_disabled_user_can_not_set_a_password(pages: Pages) -> None:
    pages.add_user("Борис", Role.ADMIN)
    user = pages.add_user("Анна", Role.VIEWER)
    link = f"/password/{pages.office.links.for_password(user)}"
    pages.office.users.disable(user)
    assert pages.stranger().get(link).status_code == 403


def test_every_process_of_the_installation_knows_the_cookie(pages: Pages) -> None:
    visit = pages.visit(Role.VIEWER)
    cookie = visit.client.get_cookie("amo_bridge")
    assert cookie is not None
    replica = Pages.of(pages.bridge.config)
    elsewhere = replica.stranger()
    elsewhere.client.set_cookie("amo_bridge", cookie.value)
    assert elsewhere.get("/").status_code == 200
    replica.close()
