"""Actions: what a rule may want done.

Each is one frozen dataclass. The resolver (engine/resolver.py) turns it into effects; docs/add-an-action.md says what a
new one takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, Self

from amo_bridge.dates.due import Due
from amo_bridge.dates.offset import Offset, due_after
from amo_bridge.lazy.dataclasses import dataclass

__all__ = [
    "Action",
    "AddNote",
    "AddTags",
    "AnswerClient",
    "AssignDeal",
    "Attachment",
    "ChangeTask",
    "CreateClientDeal",
    "CreateDeal",
    "CreateTask",
    "Decision",
    "FieldFilled",
    "FileThere",
    "FinishTask",
    "JoinAudience",
    "Lack",
    "LeaveAudience",
    "LinkContacts",
    "MoveDeal",
    "Notify",
    "Person",
    "Place",
    "RecordViolation",
    "RollBack",
    "Rota",
    "SendLetter",
    "SendSms",
    "SetFields",
    "Skip",
    "StartAutoDial",
    "StartSeries",
    "StopAutoDial",
    "StopSeries",
    "StoreFile",
    "TaskEnd",
    "Waiting",
    "Withheld",
]

Person = str | int
"""A role, a name or e-mail of the config; or a user's id."""
Place = Literal["deal", "contact", "nowhere"]


@dataclass(frozen=True)
class Skip:
    """Nothing to do, and why: one short Russian sentence that ``amo-bridge why`` will print."""

    reason: str


@dataclass(frozen=True)
class Waiting(Skip):
    """Not yet: while the deal is on its stage, the rule is evaluated on this event once more as soon as the deal has
    changed. At the end of a list of actions: some of the tasks that the event asks for have still to wait."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What every action has: the deal it is about. ``then``: what speaks of a change inside amoCRM is done after that
    change, and not at all if amoCRM refuses it or it turns out to be needless."""

    deal_id: int
    then: tuple[Action, ...] = ()

    def followed_by(self, *actions: Action) -> Self:
        """The same, with these done after it."""
        return replace(self, then=(*self.then, *actions))


@dataclass(frozen=True)
class Withheld:
    """Of a gate: the event is not to count, so the other rules that listen to it stay silent. ``reason``: why, as in
    Skip; ``actions``: what is done instead."""

    reason: str
    actions: tuple[Action, ...] = ()


Decision = Skip | Action | Sequence[Action | Waiting] | Withheld


# --- in amoCRM --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FieldFilled:
    """A task's end: this field of the deal is filled."""

    field: str


@dataclass(frozen=True)
class FileThere:
    """A task's end: a file of this name is attached to the deal. See ``WantedFile``."""

    named: str | None = None
    name_starts_with: tuple[str, ...] = ()


TaskEnd = Literal["stage left", "deal closed", "never"] | FieldFilled | FileThere


@dataclass(frozen=True, kw_only=True)
class CreateTask(Action):
    """Set a task. ``on``: the deal's card, the card of a contact (its main one unless ``contact_id`` says which), or
    nobody's. ``slot`` tells the tasks of one rule on one deal apart: by it the rule finds its own task again
    (``deal.own_tasks``). ``until``: what ends it, whichever comes first; the end of the deal does in any case but
    «never». None: as the handler says (``tasks_until``)."""

    text: str
    to: Person
    due: Due
    task_type: str | None = None
    on: Place = "deal"
    contact_id: int | None = None
    slot: str = ""
    until: tuple[TaskEnd, ...] | None = None

    def saying(self, text: str, *, slot: str | None = None) -> Self:
        """The same task with another text, and with another slot if one is named."""
        return replace(self, text=text, slot=self.slot if slot is None else slot)

    def counted_from(self, moment: datetime) -> Self:
        """The same task, due as if it had been set at that moment."""
        return replace(self, due=due_after(moment, Offset.parse(""), self.due))


@dataclass(frozen=True, kw_only=True)
class ChangeTask(Action):
    """Change an open task; what is None stays as it is."""

    task_id: int
    due: Due | None = None
    text: str | None = None
    to: Person | None = None


@dataclass(frozen=True, kw_only=True)
class FinishTask(Action):
    """Close a task with this result."""

    task_id: int
    result: str


@dataclass(frozen=True, kw_only=True)
class MoveDeal(Action):
    """Move the deal to a stage. Rules about entering that stage will fire. ``reason``: why it is lost, if it is."""

    to: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class AssignDeal(Action):
    """Make somebody responsible for the deal. Rules about a new responsible user do not fire: nobody has taken it."""

    to: Person


@dataclass(frozen=True)
class Lack:
    """What a move needs and the deal lacks. ``do``: an imperative («заполните», «закройте задачи»); ``what``: the name
    of the missing thing, if it has one."""

    do: str
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class RollBack(Action):
    """Put the deal back on the stage it came from, and tell the person who moved it why, by a task on the deal.

    ``to`` is a (pipeline id, status id) pair, or None when nobody knows where the deal came from: then only the task is
    set. Rules about entering that stage do not fire again. Several roll-backs of one move become one, with one task
    that lists everything that is ``missing``. ``because`` says what was tried, in the genitive: «перехода на этап …».
    The engine's own: ``loss_reason_id``, the reason that a lost deal had, which amoCRM forgets when it is opened;
    ``is_explained``: an open task says the same already.
    """

    to: tuple[int, int] | None
    because: str
    missing: tuple[Lack, ...]
    tell: Person
    due: Due
    loss_reason_id: int | None = None
    is_explained: bool = False

    @property
    def explanation(self) -> str:
        return f"Для {self.because} {self.needs}"

    @property
    def needs(self) -> str:
        """Everything that is missing, in words: «заполните: «A», «B»; закройте задачи: «C»»."""
        names_of: dict[str, list[str]] = {}
        for lack in self.missing:
            names_of.setdefault(lack.do, []).append(lack.what)
        return "; ".join(_with_names(do, [name for name in names if name]) for do, names in names_of.items())


def _with_names(do: str, names: list[str]) -> str:
    return f"{do}: {', '.join(f'«{name}»' for name in names)}" if names else do


@dataclass(frozen=True, kw_only=True)
class AddNote(Action):
    """Add a text note to the deal."""

    text: str


@dataclass(frozen=True, kw_only=True)
class SetFields(Action):
    """Fill custom fields of the deal: field name → text, number, bool, date, or None to empty it."""

    values: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class AddTags(Action):
    """Add tags to the deal; tags it has already are left alone."""

    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LinkContacts(Action):
    """Link contacts to the deal; those that are linked already are left alone, and the main contact stays who it is."""

    contact_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CreateDeal(Action):
    """Create a deal that goes on where ``deal_id`` (the source) ended.

    Created once for a source deal and ``slot``, whatever happens to the source later. ``link_field`` of both deals is
    filled with the other's address. ``file_uuids``: files of the source that the new deal gets too. ``then`` is done
    after it exists; «{new.url}» and «{new.id}» in texts are replaced.
    """

    name: str
    to: str
    responsible: Person
    price: int | None = None
    tags: tuple[str, ...] = ()
    contact_ids: tuple[int, ...] = ()
    company_id: int | None = None
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    link_field: str | None = None
    file_uuids: tuple[str, ...] = ()
    slot: str = ""


@dataclass(frozen=True)
class Rota:
    """Whose turn it is: one of ``people`` who is at work. ``share``: "in turn", or by "load", to whoever has fewest
    open deals. ``turn``: how many were dealt before; ``load``: (user, open deals), of which ``place`` others get theirs
    first."""

    people: tuple[Person, ...]
    share: Literal["in turn", "load"] = "in turn"
    turn: int = 0
    load: tuple[tuple[int, int], ...] = ()
    place: int = 0


@dataclass(frozen=True, kw_only=True)
class CreateClientDeal(Action):
    """Create a deal for somebody who wants something; ``deal_id`` is the deal to come, below 0 (``Deal.is_to_come``).

    ``contact_id``: whose deal it is; None: the contact is created with it, of ``contact_name``, ``phones``, ``mails``.
    ``form``: the name of the form under which it goes into amoCRM's «Неразобранное» instead of ``to``; of ``to`` counts
    the pipeline then. Made once for each deal to come.
    """

    name: str
    to: str
    responsible: Person | Rota
    contact_id: int | None = None
    contact_name: str = ""
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    form: str = ""
    page: str = ""
    source: str = ""


# --- outside amoCRM ---------------------------------------------------------------------------------------------------

# Each goes through a port (``amo_bridge/channels``). A port may have no vendor yet; then the journal says plainly that
# nothing was sent.


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that goes along with a letter, one of these: ``file``, that lies beside the templates; the newest one of
    the deal whose name begins with one of ``deal_file``; what is made from the template ``document``, once for a deal
    and its coming onto the stage, under the name ``named``, and put among the deal's files."""

    file: str = ""
    deal_file: tuple[str, ...] = ()
    document: str = ""
    named: str = ""

    @property
    def words(self) -> str:
        """Which it is (Russian)."""
        return self.file or (f"документ «{self.document}»" if self.document else f"{self.deal_file[0]} …")


@dataclass(frozen=True, kw_only=True)
class SendLetter(Action):
    """Send the client (the main contact's e-mail) a letter by a template of the folder ``[mail] templates``.

    ``service``: it is about work in hand; otherwise it is advertising, which needs the client's consent and shows how
    to unsubscribe. Letters of one deal and one ``thread`` answer each other. ``no_address``: who gets a task when
    the client has no address; None: nobody. ``attach``: all of these go along, or nothing goes out.
    """

    template: str
    service: bool = True
    thread: str = ""
    no_address: Person | None = "manager"
    attach: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Notify(Action):
    """Tell people something about the deal, each by the channels the config gives. ``urgent``: in quiet hours too.
    ``files``: send along the newest file of the deal whose name begins so; ``pictures``: or that is a picture.
    ``{Телефон}`` in the text is the client's phone when it is sent."""

    to: tuple[Person, ...]
    text: str
    urgent: bool = False
    files: tuple[str, ...] = ()
    pictures: bool = False


@dataclass(frozen=True, kw_only=True)
class AnswerClient(Action):
    """Write to the client by the messenger by which he has written to us last. ``note_id``: the note that says so,
    which must not be one of the bridge's own; ``contact_id``: whom, the deal's main contact if nobody is named."""

    text: str
    note_id: int | None = None
    contact_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class JoinAudience(Action):
    """Add the client to an advertising audience."""

    audience: str


@dataclass(frozen=True, kw_only=True)
class LeaveAudience(Action):
    """Remove the client from an advertising audience."""

    audience: str


@dataclass(frozen=True, kw_only=True)
class StoreFile(Action):
    """Copy a file of the deal into the deal's folder of the document storage, which is called ``folder`` when it is
    made. ``link_field``: the deal's field for the folder's address. ``links``: field for the address of the newest copy
    whose name begins with one of these. ``file_uuid`` is amoCRM's."""

    file_name: str
    file_uuid: str | None
    folder: str
    link_field: str | None = None
    links: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class SendSms(Action):
    """Send an SMS to the client's phone. ``service``: it is about work in hand; otherwise it is advertising, which
    needs the client's consent."""

    text: str
    service: bool = False


@dataclass(frozen=True, kw_only=True)
class StartAutoDial(Action):
    """Let the PBX call the manager and then the client, again and again until they have talked, the dialling is stopped
    or the deal leaves its present stage."""


@dataclass(frozen=True, kw_only=True)
class StopAutoDial(Action):
    """Stop the dialling. ``because``: one short Russian sentence, as in Skip."""

    because: str = ""


@dataclass(frozen=True, kw_only=True)
class StartSeries(Action):
    """Begin a series of letters from its first one; nothing if it is running for this deal. It ends when the deal
    leaves the stage it is on now, or the client answers or unsubscribes."""

    series: str


@dataclass(frozen=True, kw_only=True)
class StopSeries(Action):
    """End a series, or all of them (None). ``because``: as in Skip."""

    series: str | None = None
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordViolation(Action):
    """Record that a person broke a clause of the regulation. ``penalty``: in the account's currency, taken off the pay.
    ``why``: what was done; without it the rule's own words are stored."""

    person: Person
    clause: str
    penalty: int | None = None
    why: str = ""
