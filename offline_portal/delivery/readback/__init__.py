"""Asking a vendor afterwards what it has stored: which rows are looked for (`asking`), by whom (`watch`, `onlooker`),
what came of it (`findings`)."""
