"""The audit log: a chain of entries that cannot be edited without it showing (see docs/audit.md)."""
