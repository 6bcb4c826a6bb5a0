"""THE REGULATION, event side: one file per kind of rule.

Each file is a sentence: ``file_moves_deal`` — a file moves a deal. Inside: what starts the rule, what it does, when it
does nothing, which clauses of the regulation it serves; the options of its block in the config; and one pure function
``(event, deal, options) → action(s) | Skip("почему")``.

A new rule of a known kind is a block in the config. A new kind is one file here, one test file in ``tests/handlers/``
and one block in ``config.example.toml``; nothing is registered by hand. See docs/add-a-rule.md.
"""
