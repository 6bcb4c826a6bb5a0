"""Who may come in: users and their roles, passwords, sittings, links that work once; and who changed what."""
