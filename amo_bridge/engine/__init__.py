"""The engine: from a webhook's body to requests, step by step, all state in the store.

=====================================  ================================================================================
module                                 step
=====================================  ================================================================================
``inbox``                              1. receive: bodies committed before amoCRM gets its answer
``event_queue``                        2. decode: bodies → events, repetitions dropped; which may be processed next
``scheduler``, ``timers``              2. or by the clock: steps of schedules that fall due → events
``processor``                          3. process: reads the deals afresh, has the rules evaluated
``change_detection``                   3. mirror × fresh read → observed events
``deal_view``                          3. the deal as rules see it
``data_loader``, ``data_sources``      3. what rules need besides: tasks, calls, files, contacts …
``dispatcher``, ``gates``              4. decide: events × rules → verdicts; refusals and roll-backs
``resolver``, ``effects``, ``people``  4. actions → effects in amoCRM's ids; who can be told and how
``rule_engine``                        3, 4. these parts for one config and account, rebuilt when either changes
``recorder``                           5. record: journal, outbox, mirror, timers, the event's end in one transaction;
                                       a rule that acts too often is held back
``journal``, ``history``               5. what was decided and why; what became of it
``outbox``                             5, 6. effects under keys that never change, and their states
``sender``                             6. send: effects in batches; a lost answer is looked for
``write_results``                      7. own writes into the mirror, so that their webhooks change nothing
``timers``, ``forecast``               schedules: a deal's steps; what a rule would do with the deals there are
``replay``, ``manual_edits``           by hand: events evaluated again; edits from a page
``dead_letters``, ``violations``       what was given up; the ledger that rules write
``alerts``, ``evening_digest``         what people are told about the bridge and about their tasks
``metrics``, ``retention``             how it is doing, its last requests; what is deleted when
=====================================  ================================================================================
"""
