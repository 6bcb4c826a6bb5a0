"""Service lines: read from whatever people type, written as text that is read back the same, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amo_bridge.rules.service_lines import MOST_SERVICES, Blogger, Service, ServiceLine, ServiceLines, Unread, read

BUZOVA = ServiceLine("Бузова Ольга", "Instagram", "Размещение фото")
CLIP = ServiceLine("Бузова Ольга", "YouTube", "Интеграция")
GUDKOV = ServiceLine("Гудков Саша", "YouTube", "Интеграция")
PLATFORMS = ("Instagram", "YouTube")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Бузова Ольга:\n— Instagram: Размещение фото\n— YouTube: Интеграция", id="как пишет мост"),
        pytest.param("Бузова Ольга:\n- Instagram: Размещение фото\n- YouTube: Интеграция", id="дефисы"),
        pytest.param("Бузова Ольга:\n• Instagram — Размещение фото\n* YouTube – Интеграция", id="точки и тире"),
        pytest.param("Бузова Ольга:\n1. Instagram: Размещение фото\n2) YouTube: Интеграция", id="номера"),
        pytest.param("1. Бузова Ольга:\n  Instagram: Размещение фото\n\n  YouTube: Интеграция ", id="без значков"),
        pytest.param("Бузова Ольга, Instagram, Размещение фото\nБузова Ольга, YouTube, Интеграция", id="по строке"),
        pytest.param(
            "Бузова Ольга; Instagram; Размещение фото\nбузова ольга; YouTube; Интеграция", id="точка с запятой"
        ),
        pytest.param("Бузова Ольга × Instagram × Размещение фото\nБузова Ольга × YouTube × Интеграция", id="крестик"),
        pytest.param("Бузова Ольга / Instagram / Размещение фото\nYouTube: Интеграция", id="вперемешку"),
        pytest.param("Бузова Ольга - Instagram - Размещение фото\n- YouTube - Интеграция", id="через дефис"),
        pytest.param("Бузова Ольга — Instagram: Размещение фото\n— YouTube: Интеграция", id="тире и двоеточие"),
        pytest.param("Бузова Ольга\tInstagram\tРазмещение фото\nБузова Ольга\tYouTube\tИнтеграция", id="из таблицы"),
        pytest.param(
            "ФИО блогера: Бузова Ольга\nУслуга 1: Размещение фото\nПлощадка 1: Instagram\n"
            "Услуга 2: Интеграция\nПлощадка 2: YouTube",
            id="по полям карточки",
        ),
        pytest.param("Бузова Ольга:\r\n— Instagram: Размещение фото\r\n— YouTube: Интеграция\r\n", id="Windows"),
        pytest.param("Бузова Ольга:\n— Размещение фото: Instagram\n— Интеграция, YouTube", id="услуга впереди"),
    ],
)
def test_what_people_type_is_read(text):
    found = read(text, PLATFORMS)
    assert (found.lines, found.unread) == ((BUZOVA, CLIP), ())


def test_several_bloggers_each_have_their_own_lines():
    found = read(
        "Бузова Ольга:\n— Instagram: Размещение фото\n\nГудков Саша (контакт 40000012):\n— YouTube: Интеграция"
    )
    assert found.lines == (BUZOVA, GUDKOV)
    assert [blogger.contact_id for blogger in found.bloggers] == [None, 40000012]


def test_a_blogger_named_twice_is_one_and_the_contact_is_remembered():
    found = read("Бузова Ольга:\n— Instagram: Размещение фото\n\nБУЗОВА  Ольга (контакт 7):\n— YouTube: Интеграция")
    assert found.bloggers == (
        Blogger("Бузова Ольга", (Service("Instagram", "Размещение фото"), Service("YouTube", "Интеграция")), 7),
    )


def test_a_service_may_hold_any_sign():
    text = "Бузова Ольга:\n— Instagram: Размещение фото, 2 шт. / закреп — 24 ч: срочно"
    (line,) = read(text).lines
    assert line.service == "Размещение фото, 2 шт. / закреп — 24 ч: срочно"


@pytest.mark.parametrize(
    ("text", "left", "why"),
    [
        pytest.param("уточнить у клиента", "уточнить у клиента", "чья это услуга", id="заметка"),
        pytest.param(
            "— Instagram: Размещение фото", "— Instagram: Размещение фото", "чья это услуга", id="нет блогера"
        ),
        pytest.param("Бузова Ольга:\n— Instagram", "— Instagram", "нет услуги", id="нет услуги"),
        pytest.param("Бузова Ольга:\n— Instagram:", "— Instagram:", "нет услуги", id="услуга не дописана"),
        pytest.param("Блогер: Бузова\nПлощадка 1: YouTube", "Площадка 1: YouTube", "нет пары", id="поле без пары"),
    ],
)
def test_what_can_not_be_read_is_kept_with_the_reason(text, left, why):
    found = read(text, PLATFORMS)
    assert found.lines == ()
    assert [piece.text for piece in found.unread] == [left]
    assert why in found.unread[0].why
    again = read(found.as_text(), PLATFORMS)
    assert [piece.text for piece in again.unread] == [left]


def test_a_seventh_service_is_told_of_and_kept():
    text = "Бузова Ольга:\n" + "\n".join(f"— Instagram: Фото {number}" for number in range(1, 8))
    found = read(text)
    assert len(found.lines) == MOST_SERVICES
    assert [piece.text for piece in found.unread] == ["— Instagram: Фото 7"]
    assert "больше 6 услуг" in found.unread[0].why


@pytest.mark.parametrize("text", ["", "  \n\n ", "———\n***"])
def test_nothing_is_nothing(text):
    assert read(text) == ServiceLines()


@pytest.mark.parametrize(
    ("platform", "service"), [("VK: видео", "Пост"), ("", "Пост"), ("VK", " "), ("- VK", "Пост"), ("1. VK", "Пост")]
)
def test_what_the_text_could_not_give_back_is_refused_in_words(platform, service):
    with pytest.raises(ValueError, match=r"площадк"):
        Service(platform, service)


# --- there and back ----------------------------------------------------------------------------------------------

signs = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


def made(kind, *parts):
    try:
        return kind(*parts)
    except ValueError:
        return None


services = st.builds(made, st.just(Service), signs, signs).filter(bool)
bloggers = st.builds(
    made,
    st.just(Blogger),
    signs,
    st.lists(services, max_size=MOST_SERVICES).map(tuple),
    st.none() | st.integers(1, 10**9),
).filter(bool)


@given(st.lists(bloggers, max_size=4, unique_by=lambda one: one.mark))
def test_what_is_written_is_read_back(group):
    lines = ServiceLines(tuple(group))
    assert read(lines.as_text()) == lines


@given(st.text(st.sampled_from("аБ :-—,;/|×\t\n1.)(") | st.characters(codec="utf-8"), max_size=80))
def test_whatever_is_typed_nothing_is_lost_and_it_settles(text):
    once = read(text, PLATFORMS)
    again = read(once.as_text(), PLATFORMS)
    assert again.bloggers == once.bloggers
    assert [piece.text for piece in again.unread] == [piece.text for piece in once.unread]
    shown = once.as_text()
    words = [word for word in "".join(sign if sign.isalpha() else " " for sign in text).split()]
    assert not [word for word in words if word.casefold() not in shown.casefold() and word.casefold() not in LABELS]


LABELS = ("фио", "блогера", "блогер", "площадка", "услуга", "контакт", "не", "разобрано")


def test_an_unread_piece_speaks_for_itself():
    assert str(Unread("— VK", "нет услуги")) == "«— VK» — нет услуги"
