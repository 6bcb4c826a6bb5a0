"""The client writes or calls → what this stage asks for: a task, a move.

``kinds``: by what he answered (call, mail, chat, sms); empty is anything. ``with_files``: only a letter with a file.
``subject``: only a letter whose subject, or the name of a file of it, has one of these words; with any other letter
``otherwise`` is done. Names of files are known of letters that the bridge fetched itself (``[[intake.mail]]``).
An answer on the client's own card is about the newest of his deals that wait for one (``deals = "newest"``), about
``"each"`` of them, or a task asks which (``"ask"``). With an open deal of his in one of the pipelines of
``unless_open_in`` only a task is set on that one. Automatic replies and bounces are no answers; of a letter that may be
one a task asks a person.
Does nothing if the deal is on another stage, he answered in another way, or the condition of ``when`` does not hold. A
second message while the task of the first is still open sets no second one.
Covers A111 («Работа с потерянными»: the client answers → task, back to «Продажи»); A11, M4 («Анкета» by mail).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from amo_bridge.events import ClientAnswered
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    Conditional,
    CreateTask,
    Deal,
    OtherDeal,
    PipelineName,
    Skip,
    StageName,
    Waiting,
    handler,
    normalise,
    open_deal_in,
    rivals_of,
    task_asking_which,
    task_on,
    task_to_read,
)

SLOT = "answered"


class ClientAnswerStartsDeeds(Conditional):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    kinds: tuple[Literal["call", "mail", "chat", "sms"], ...] = ()
    with_files: bool = False
    subject: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    deals: Literal["newest", "each", "ask"] = "newest"
    unless_open_in: tuple[PipelineName, ...] = ()
    do: ActionsSpec
    otherwise: ActionsSpec | None = None

    def has_subject(self, *texts: str) -> bool:
        """Does the subject or the name of a file have one of the words?"""
        return not self.subject or any(normalise(word) in normalise(text) for word in self.subject for text in texts)


@handler(on=ClientAnswered, options=ClientAnswerStartsDeeds, needs={"own_tasks", "other_deals"})
def client_answer_starts_deeds(
    event: ClientAnswered, deal: Deal, options: ClientAnswerStartsDeeds
) -> Skip | list[Action | Waiting]:
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» ответа клиента не ждут")
    if options.kinds and event.by not in options.kinds:
        return Skip("клиент ответил не тем способом, которого ждёт правило")
    if options.with_files and not event.files:
        return Skip("в ответе клиента нет файлов")
    if unmet := options.unmet(deal):
        return unmet
    rivals = rivals_of(event, deal, options.stages) if options.deals != "each" else []
    if any(other.is_newer for other in rivals):
        return Skip("этот ответ — о более новой сделке клиента")
    wanted = _wanted(event, deal, options, rivals)
    if isinstance(wanted, Skip):
        return wanted
    still_open = {task.slot for task in deal.own_open_tasks()}
    new = [deed for deed in wanted if not (isinstance(deed, CreateTask) and deed.slot in still_open)]
    if any(isinstance(deed, Action) for deed in new):
        return new
    return Skip("задача об ответе клиента ещё открыта")


def _wanted(
    event: ClientAnswered, deal: Deal, options: ClientAnswerStartsDeeds, rivals: list[OtherDeal]
) -> Skip | list[Action | Waiting]:
    if event.doubt:
        return [task_to_read(event, deal, slot=SLOT)]
    if event.by == "mail" and not options.has_subject(event.text, *event.file_names):
        if options.otherwise is None:
            return Skip(f"тема письма «{event.text}» не та, которой ждёт правило")
        return [*options.otherwise.for_deal(deal, slot=f"{SLOT}.otherwise")]
    if sale := open_deal_in(options.unless_open_in, deal):
        return [
            task_on(sale, deal, next((task for task in options.do.task or () if task.suits(deal)), None), slot=SLOT)
        ]
    if rivals and options.deals == "ask":
        return [task_asking_which(deal, rivals, slot=SLOT)]
    return [*options.do.for_deal(deal, slot=SLOT), *options.do.waiting(deal)]
