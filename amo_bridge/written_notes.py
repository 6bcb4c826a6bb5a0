"""What people write on a card by hand: is a note theirs, and long enough to say something?

Letters are counted without the blanks between them.
"""

from __future__ import annotations

from amo_bridge.card import Note
from amo_bridge.events import NoteAdded

# amoCRM's note_type of what people write by hand.
TEXT_NOTE = 4


def says_nothing(told: NoteAdded, letters: int) -> str:
    """Why a note that was added is not a person's word of at least so many letters; empty if it is."""
    if told.note_type not in (None, TEXT_NOTE) or not told.user_id:
        return "это не примечание человека"
    return "" if _is_long(told.text, letters) else "примечание слишком короткое"


def says_something(note: Note, letters: int) -> bool:
    """Is a note on the card a person's, of at least so many letters?"""
    return bool(note.user_id) and _is_long(note.text, letters)


def _is_long(text: str, letters: int) -> bool:
    return len("".join(text.split())) >= letters
