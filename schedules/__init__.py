"""THE REGULATION, clock side: one file per kind of timed check, with the same face as a handler.

Each file is a sentence or the name of what it is: ``stage_ladder`` — step after step while a deal stays on a stage.
Inside: a pure function that plans a deal's steps, each with its moment, ``(deal, options, times) → steps``, and one
that judges when a step is due, ``(event, deal, options) → action(s) | Skip("почему")``. The clock is the engine's.

A new rule of a known kind is a block ``[schedules.…]`` in the config. A new kind is one file here, one test file in
``tests/schedules/`` and one block in ``config.example.toml``; nothing is registered by hand. See docs/schedules.md.
"""
