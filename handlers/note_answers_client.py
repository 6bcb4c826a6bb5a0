"""A person's note «/клиенту …» on the deal or on its contact → its words go to the client by his messenger.

By the one by which the client has written to us last: the bot in Telegram or MAX, the community of VK. What came of it
is written on the deal.
Does nothing for other notes, and for notes that no person has written.
Covers A124 (clients are answered by the bots, from the deal).
"""

from __future__ import annotations

from amo_bridge.events import NoteAdded
from amo_bridge.rules import AddNote, AnswerClient, Deal, Options, Skip, command_words, handler, is_by_a_person

COMMAND = "/клиенту"
EMPTY = "Ответ клиенту НЕ ушёл: после «/клиенту» нет слов. Напишите примечание «/клиенту текст ответа»."


class NoteAnswersClient(Options):
    pass


@handler(on=NoteAdded, options=NoteAnswersClient, sends={"chats"}, only=lambda note: note.is_command)
def note_answers_client(event: NoteAdded, deal: Deal, options: NoteAnswersClient) -> Skip | AnswerClient | AddNote:
    text = command_words(event, COMMAND)
    if text is None:
        return Skip("примечание не начинается с «/клиенту»")
    if not is_by_a_person(event):
        return Skip("это не примечание человека")
    if not text:
        return AddNote(deal_id=deal.id, text=EMPTY)
    contact_id = event.entity_id if event.entity_type == "contact" else None
    return AnswerClient(deal_id=deal.id, text=text, note_id=event.note_id, contact_id=contact_id)
