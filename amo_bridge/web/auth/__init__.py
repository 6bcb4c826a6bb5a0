"""Authentication: users and roles, passwords, sessions, one-time links, the audit of changes."""
