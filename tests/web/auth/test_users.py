"""Users, sittings, links and the audit on each kind of store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amo_bridge.clock import FixedClock
from amo_bridge.storage.database import Store
from amo_bridge.web.auth.audit import Audit
from amo_bridge.web.auth.users import AT_MOST, IDLE, LIFE, AlreadyHere, LastAdmin, Links, Role, User, Users, is_weak

PASSWORD = "правильный пароль"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 25, 10, tzinfo=UTC))


@pytest.fixture
def users(store: Store, clock: FixedClock) -> Users:
    return Users(store, clock)


@pytest.fixture
def links(store: Store, clock: FixedClock) -> Links:
    return Links(store, clock)


def added(store: Store, users: Users, login: str, role: Role, password: str = PASSWORD) -> User:
    user = users.add(login, role)
    assert user is not None
    with store.write() as connection:
        users.set_password(connection, user.id, password)
    return user


def test_who_has_a_password_comes_in_under_any_spelling_of_his_name(store: Store, users: Users) -> None:
    added(store, users, "Анна Смирнова", Role.ADMIN)
    found = users.log_in("  анна   СМИРНОВА ", PASSWORD)
    assert found is not None
    user, secret = found
    assert (user.login, user.role) == ("Анна Смирнова", Role.ADMIN)
    assert users.sitting(secret, is_alive=True) == users.by_id(user.id)


@pytest.mark.parametrize(("login", "password"), [("Анна", "другой пароль"), ("Никто", PASSWORD), ("Анна", "")])
def test_nobody_else_does(store: Store, users: Users, login: str, password: str) -> None:
    added(store, users, "Анна", Role.ADMIN)
    assert users.log_in(login, password) is None


def test_an_invitation_is_withdrawn_with_its_link_and_a_user_is_not(store: Store, users: Users, links: Links) -> None:
    invited = users.add("Опечатка", Role.ADMIN)
    assert invited is not None
    secret = links.for_password(invited.id)
    users.withdraw(invited.id)
    assert users.all() == []
    assert links.user_of(secret) is None
    there = added(store, users, "Анна", Role.ADMIN)
    with pytest.raises(AlreadyHere):
        users.withdraw(there.id)
    assert [user.login for user in users.all()] == ["Анна"]


def test_a_user_without_a_password_can_not_come_in(users: Users) -> None:
    users.add("Анна", Role.ADMIN)
    assert users.log_in("Анна", "") is None


def test_a_name_is_taken_once(users: Users) -> None:
    assert users.add("Анна", Role.ADMIN) is not None
    assert users.add("АННА ", Role.VIEWER) is None


def test_a_sitting_ends_when_nobody_does_anything(store: Store, users: Users, clock: FixedClock) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    secret = users.sit_down(user.id)
    clock.advance(IDLE - timedelta(minutes=1))
    assert users.sitting(secret, is_alive=True) is not None
    clock.advance(IDLE - timedelta(minutes=1))
    assert users.sitting(secret, is_alive=False) is not None, "he was here a while ago"
    clock.advance(timedelta(minutes=2))
    assert users.sitting(secret, is_alive=True) is None, "a page that loads by itself is no sign of life"


def test_a_sitting_ends_at_last_however_busy_somebody_is(store: Store, users: Users, clock: FixedClock) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    secret = users.sit_down(user.id)
    for _ in range(int(AT_MOST / timedelta(hours=4)) - 1):
        clock.advance(timedelta(hours=4))
        assert users.sitting(secret, is_alive=True) is not None
    clock.advance(timedelta(hours=5))
    assert users.sitting(secret, is_alive=True) is None


def test_who_leaves_has_left(store: Store, users: Users) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    secret, other = users.sit_down(user.id), users.sit_down(user.id)
    users.stand_up(secret)
    assert users.sitting(secret, is_alive=True) is None
    assert users.sitting(other, is_alive=True) is not None


def test_a_disabled_user_is_out_at_once_and_comes_back_when_enabled(store: Store, users: Users) -> None:
    added(store, users, "Анна", Role.ADMIN)
    user = added(store, users, "Вера", Role.VIEWER)
    secret = users.sit_down(user.id)
    users.disable(user.id)
    assert users.sitting(secret, is_alive=True) is None
    assert users.log_in("Вера", PASSWORD) is None
    users.enable(user.id)
    assert users.log_in("Вера", PASSWORD) is not None


def test_a_new_password_ends_what_was_opened_with_the_old_one(store: Store, users: Users) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    secret = users.sit_down(user.id)
    with store.write() as connection:
        users.set_password(connection, user.id, "совсем новый пароль")
    assert users.sitting(secret, is_alive=True) is None
    assert users.log_in("Анна", PASSWORD) is None


def test_the_last_admin_stays(store: Store, users: Users) -> None:
    anna = added(store, users, "Анна", Role.ADMIN)
    users.add("Без пароля", Role.ADMIN)
    with pytest.raises(LastAdmin):
        users.disable(anna.id)
    with pytest.raises(LastAdmin):
        users.set_role(anna.id, Role.VIEWER)
    assert users.by_id(anna.id) == anna or users.by_id(anna.id).role is Role.ADMIN  # type: ignore[union-attr]
    boris = added(store, users, "Борис", Role.ADMIN)
    users.disable(anna.id)
    assert [user.is_disabled for user in users.all() if user.has_password] == [True, False]
    assert users.by_id(boris.id) is not None


def test_the_first_admin_is_the_first_only(store: Store, users: Users, links: Links) -> None:
    secret, other = links.for_first_admin(), links.for_first_admin()
    assert secret is not None
    assert other is not None
    with store.write() as connection:
        assert links.use(connection, "setup", secret)
        assert users.add_first(connection, "Анна", PASSWORD) is not None
    assert not links.is_good("setup", secret)
    assert not links.is_good("setup", other), "the link of another process"
    assert links.for_first_admin() is None
    with store.write() as connection:
        assert users.add_first(connection, "Борис", PASSWORD) is None


def test_a_link_works_once_and_not_for_ever(store: Store, users: Users, links: Links, clock: FixedClock) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    old, new = links.for_password(user.id), links.for_password(user.id)
    assert links.user_of(old) is None, "a newer one was made"
    assert links.user_of(new) == user.id
    with store.write() as connection:
        assert not links.use(connection, "setup", new)
        assert links.use(connection, "password", new)
        assert not links.use(connection, "password", new)
    late = links.for_password(user.id)
    clock.advance(LIFE["password"])
    assert links.user_of(late) is None


def test_no_secret_stands_in_the_store(store: Store, users: Users, links: Links) -> None:
    user = added(store, users, "Анна", Role.ADMIN)
    secrets = [users.sit_down(user.id), links.for_password(user.id), PASSWORD]
    with store.read() as connection:
        tables = ("users", "sittings", "links")
        rows = [str(connection.exec_driver_sql(f"SELECT * FROM {table}").all()) for table in tables]
    assert all(rows)
    assert not [secret for secret in secrets if any(secret in row for row in rows)]


def test_the_audit_is_read_from_its_end(store: Store, clock: FixedClock) -> None:
    audit = Audit(store, clock)
    for number in range(5):
        clock.advance(timedelta(minutes=1))
        audit.write("Анна", "rule.on", f"дело {number}", account="agency", details="+ да")
    last = audit.last(2)
    assert [deed.words for deed in last] == ["дело 4", "дело 3"]
    assert [deed.words for deed in audit.last(9, before=last[-1].id)] == ["дело 2", "дело 1", "дело 0"]
    assert (last[0].who, last[0].account, last[0].details, last[0].at) == ("Анна", "agency", "+ да", clock.now())


@pytest.mark.parametrize("password", ["короткий", "аааааааааааааа", "моя Анна навсегда", "1212121212121212"])
def test_weak_passwords(password: str) -> None:
    assert is_weak(password, "анна")


def test_a_good_password() -> None:
    assert not is_weak(PASSWORD, "анна")
