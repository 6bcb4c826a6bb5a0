"""Packed columns: bytes that lie in the store compressed, by a dictionary known beforehand.

A webhook repeats the names of amoCRM's fields, and what rules leave undone the sentences of the bridge: each row is
small, so that compression alone saves little, and nearly all of it is known. A packed value begins with a zero byte,
its dictionary's number and the deflated bytes; anything else is as it was written, so rows of older releases need no
change.

A dictionary is part of the stored format: it is never changed, another one gets another number.
"""

from __future__ import annotations

import zlib
from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.types import TypeDecorator

MARK = b"\0"
LONGEST = 64 * 1024 * 1024
"""Of a plain value, well above a webhook's: a body of an older release may have been made to swell to gigabytes."""
LEVEL, WINDOW, MEMORY = 6, -13, 5
"""Of deflate without header; a larger window and more memory cost more time than all the rest."""


def _form() -> bytes:
    """Bodies of amoCRM's webhooks: what comes often stands last."""
    fields = {
        "contacts": "id name responsible_user_id group_id date_create last_modified created_user_id modified_user_id "
        "company_name linked_company_id account_id linked_leads_id old_responsible_user_id created_at updated_at type",
        "task": "id element_id element_type task_type date_create text status account_id created_user_id last_modified "
        "responsible_user_id complete_till action_close main_user modified_by old_responsible_user_id created_at "
        "updated_at complete_before result%5D%5Bid result%5D%5Btext",
        "leads": "id name status_id old_status_id price responsible_user_id last_modified modified_user_id "
        "created_user_id date_create pipeline_id account_id tags%5D%5B0%5D%5Bid tags%5D%5B0%5D%5Bname "
        "old_responsible_user_id created_at updated_at",
    }
    note = (
        "text attachement date_create note_type element_type element_id catalog_id group_id timestamp_x account_id "
        "metadata created_by modified_by main_user_id id created_at updated_at"
    )
    parts = [
        "talk%5Bupdate%5D%5B0%5D%5Btalk_id%5D=&message%5Badd%5D%5B0%5D%5Bchat_id%5D=&unsorted%5Badd%5D",
        *(f"leads%5Bnote%5D%5B0%5D%5Bnote%5D%5B{name}%5D=" for name in note.split()),
        *(f"contacts%5Bupdate%5D%5B0%5D%5B{name}%5D=" for name in fields["contacts"].split()),
        "contacts%5Badd%5D%5B0%5D%5Btype%5D=contact",
        *(f"task%5Bupdate%5D%5B0%5D%5B{name}%5D=" for name in fields["task"].split()),
        "task%5Badd%5D%5B0%5D%5Bid%5D=",
        *(f"leads%5Bstatus%5D%5B0%5D%5B{name}%5D=" for name in fields["leads"].split()),
        "leads%5Badd%5D%5B0%5D%5Bid%5D=",
        *(f"leads%5Bupdate%5D%5B0%5D%5B{name}%5D=" for name in fields["leads"].split()),
        "leads%5Bupdate%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bid%5D=",
        "leads%5Bupdate%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bname%5D=%D0%A1%D1%83%D0%BC%D0%BC%D0%B0+%D1%81%D0%B4%D0%B5",
        "leads%5Bupdate%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bcode%5D=PHONE&EMAIL",
        "leads%5Bupdate%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bvalues%5D%5B0%5D%5Bvalue%5D=",
        "leads%5Bupdate%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bvalues%5D%5B0%5D%5Benum%5D=1",
        "account%5Bsubdomain%5D=",
        "account%5Bid%5D=",
        "account%5B_links%5D%5Bself%5D=https%3A%2F%2F.amocrm.ru",
    ]
    return "&".join(parts).encode()


def _skips() -> bytes:
    """What rules leave undone (``engine/journal.py``): names of handlers, sentences about stages, the JSON around."""
    reasons = (
        "этому человеку можно и так", "срок стал раньше", "задачу закрыл мост", "источник не из этого правила",
        "файл назван не так, как ждёт правило", "задача ещё открыта", "закрыл не человек", "поле пусто",
        "сделка не закрыта", "сделка не выиграна", "воронка «» не из этого правила", "изменились не услуги",
        "выигранные из воронки «» это правило не ведёт", "потерянные из воронки «» это правило не ведёт",
        "для причины «» пути нет", "это не примечание человека", "этап «» не ждёт этот файл", "поля заполнены",
        "не поговорили", "задача «» этим правилом не защищена", "задача «» этим правилом не считается",
        "сделка уже ушла с этого этапа", "на уходе с этапа это правило ничего не делает", "на уходе делать нечего",
        "этап сменился, но счёт идёт и на нём", "сделка пришла не с этапа этого правила", "изменилось не это поле",
        "ни один шаг ещё не наступал, отменять нечего", "изменилась не причина отказа",
        "на этапе «» задача не защищена",
        "на этапе «» сроки двигать можно", "на этапе «» это поле ничего не запускает", "на этапе «» срок задачи не ",
        "на этапе «» ответа клиента не ждут", "на этапе «» дата не ставит задачу",
        "этап «» не из этого правила", "переход на «» это правило не проверяет", "сделка не потеряна",
    )  # fmt: skip
    handlers = (
        "campaign_norms", "contacts_need_fields", "date_ladder", "stage_ladder", "task_frequency", "touch_frequency",
        "unanswered_client_is_escalated", "client_answer_starts_deeds", "closed_deal_closes_tasks",
        "deal_is_handed_over", "empty_field_is_asked_for", "enquiry_becomes_deal", "file_sets_tasks",
        "filled_field_starts_deeds", "finished_task_needs_proof", "last_task_brings_next_step", "loss_needs_note",
        "manager_takes_deal",
        "missed_call_moves_deal", "moved_deadline_needs_reason", "protected_task_is_restored", "series_sends_letters",
        "service_lines_set_tasks", "task_answer_decides", "task_type_sets_due", "won_deal_goes_on",
        "talk_asks_for_note", "stage_needs_call", "stage_needs_file", "stage_needs_finished_tasks", "stage_needs_task",
        "stage_needs_full_payment", "file_moves_deal", "lost_deal_is_routed", "date_field_sets_task",
        "stage_creates_tasks", "stage_needs_fields",
    )  # fmt: skip
    events = "задача «» закрыта: «» сделка изменилась смена этапа сделка пришла на этап « / » с « / "
    rules = ",".join(f'["{handler}.{number}","",{number}]' for number, handler in enumerate(handlers))
    why = '","'.join(reasons)
    return f'{events}»"}}[".one","",0],[".two","",1],{rules}],"what":"{{"why":["{why}"],"rules":[["'.encode()


WEBHOOK, SKIPS = 1, 2
DICTIONARIES = {WEBHOOK: _form(), SKIPS: _skips()}
# A copy of one that has read its dictionary is made faster than another.
_primed = {
    number: zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, MEMORY, zdict=known)
    for number, known in DICTIONARIES.items()
}


def pack(plain: bytes, number: int) -> bytes:
    """The bytes packed with this dictionary; as they are where that is shorter. Raises ValueError above ``LONGEST``."""
    if len(plain) > LONGEST:
        raise ValueError(f"a packed value has at most {LONGEST} bytes")
    deflate = _primed[number].copy()
    packed = MARK + bytes([number]) + deflate.compress(plain) + deflate.flush()
    return plain if len(packed) >= len(plain) and not plain.startswith(MARK) else packed


def unpack(stored: bytes) -> bytes:
    """The plain bytes of a packed value, or of one that is as it was written."""
    if not stored.startswith(MARK) or len(stored) < 2 or (known := DICTIONARIES.get(stored[1])) is None:
        return stored
    inflate = zlib.decompressobj(WINDOW, zdict=known)
    try:
        plain = inflate.decompress(stored[2:], LONGEST + 1)
    except zlib.error:
        return stored
    # Else a release that packed nothing wrote it, whatever somebody had sent.
    return plain if inflate.eof and not inflate.unused_data and len(plain) <= LONGEST else stored


class Packed(TypeDecorator[bytes]):
    """Bytes that lie in the store packed; statements and rows have them plain."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def process_bind_param(self, value: bytes | None, dialect: Any) -> bytes | None:
        """What is written."""
        return None if value is None else pack(value, self.number)

    def process_result_value(self, value: bytes | None, dialect: Any) -> bytes | None:
        """What was read."""
        return None if value is None else unpack(bytes(value))
