"""What a status looks like: its tone, icon and word, and what it means in one sentence."""

from __future__ import annotations

from typing import Literal, NamedTuple

Tone = Literal["good", "wait", "warn", "bad", "quiet"]


class Look(NamedTuple):
    """How a status is shown; `help` is for a person who meets it for the first time, `todo` says what to do."""

    tone: Tone
    icon: str
    word: str
    help: str = ""
    todo: str = ""


class Grade(NamedTuple):
    """How good the evidence of an accepted row is: `level` of 4 marks, a word, what it proves, and what to do."""

    level: int
    word: str
    help: str
    todo: str = ""


SENDS: dict[str, Look] = {
    "draft": Look(
        "quiet", "edit", "Draft",
        "Not sent: some steps are still open.",
        "Open it and go on where you left it.",
    ),
    "checking": Look(
        "wait", "motion", "Checking",
        "Every row is being checked.",
        "Nothing. Close the page if you like; it goes on without you.",
    ),
    "checked": Look(
        "wait", "check-circle", "Checked",
        "Checked and ready to be sent. Nothing has been sent.",
        "Look at its problems and duplicates, then send it in step five.",
    ),
    "awaiting_approval": Look(
        "warn", "user", "Awaiting approval",
        "Someone else must approve it.",
        "Ask somebody else from marketing ops, or an admin, to approve it. Any change to it asks anew.",
    ),
    "scheduled": Look(
        "wait", "calendar", "Scheduled",
        "It starts by itself at the time that was chosen.",
        "Nothing. Until then it can be cancelled.",
    ),
    "queueing": Look(
        "wait", "motion", "Queueing",
        "Its rows are being lined up.",
        "Nothing. It takes seconds, or a minute for a very large file.",
    ),
    "queued": Look(
        "wait", "clock", "Queued",
        "Lined up; sending starts in a moment.",
        "Nothing. If it stays so for minutes, an admin should look at Health.",
    ),
    "sending": Look(
        "wait", "send", "Sending",
        "Rows are on their way to the vendor.",
        "Nothing. You may pause or cancel it; rows that have left stay sent.",
    ),
    "paused": Look(
        "warn", "pause", "Paused",
        "Nothing is being sent until someone resumes it.",
        "Read the reason on its page. Resume it, or have an admin open the destination.",
    ),
    "finished": Look(
        "good", "check-circle", "Finished",
        "Every row that could be sent has a result.",
        "Look at the rows that are unknown, rejected or failed; the others are done.",
    ),
    "cancelled": Look(
        "quiet", "stop", "Cancelled",
        "Stopped by a person; what was sent stays sent.",
        "To send the rest after all, begin a new send with the same file. What was accepted is found as a duplicate.",
    ),
    "failed": Look(
        "bad", "cross-circle", "Failed",
        "The portal could not check or queue it.",
        "Read the reason on its page, and begin a new send. If it happens again, tell an admin.",
    ),
}

ROWS: dict[str, Look] = {
    "unchecked": Look(
        "quiet", "clock", "Not checked yet",
        "These rows have not been looked at yet.",
        "Nothing. The check is still running.",
    ),
    "ready": Look(
        "good", "check-circle", "Ready",
        "These rows can be sent.",
        "Nothing. Send them in step five.",
    ),
    "problem": Look(
        "bad", "problem", "Problem",
        "These rows cannot be sent until someone fixes them.",
        "Mend the marked cell in step four, or leave the row out. The bad rows can be downloaded as a spreadsheet.",
    ),
    "duplicate": Look(
        "warn", "twin", "Duplicate",
        "The same conversion was sent before, or stands earlier in the file.",
        "Nothing, if that is right: it stays out. Send duplicates only if the vendor shall really get them twice.",
    ),
    "excluded": Look(
        "quiet", "minus-circle", "Left out",
        "Someone decided not to send these rows.",
        "Nothing. Take it back in on step four as long as the send is not queued.",
    ),
    "queued": Look(
        "wait", "clock", "Queued",
        "Waiting for its turn.",
        "Nothing. While the send or its destination is paused, it waits.",
    ),
    "sending": Look(
        "wait", "send", "Sending",
        "On its way to the vendor right now.",
        "Nothing. An answer, or the lack of one, is noted within a minute.",
    ),
    "accepted": Look(
        "good", "check-circle", "Accepted",
        "The vendor took it.",
        "Nothing. How well it is known stands beside it.",
    ),
    "rejected": Look(
        "bad", "cross-circle", "Rejected",
        "The vendor refused it.",
        "Read the vendor’s words on the row. Send it mended in a new file, or again as it is once the cause is gone.",
    ),
    "unknown": Look(
        "warn", "question", "Unknown",
        "It may have arrived: no usable answer came back.",
        "Look it up at the vendor. Then open the row and decide: send it again, count it as arrived, or leave it.",
    ),
    "failed": Look(
        "bad", "alert", "Failed",
        "It surely did not arrive.",
        "Try it again on the page of the send; it counts once. If many fail, an admin should test the connection.",
    ),
    "cancelled": Look(
        "quiet", "stop", "Cancelled",
        "Not sent, because the send was cancelled.",
        "Nothing. To send it after all, begin a new send with the same file.",
    ),
}

UPLOADS: dict[str, Look] = {
    "reading": Look(
        "wait", "motion", "Reading",
        "The rows of the file are being read.",
        "Nothing. It goes on without you.",
    ),
    "ready": Look(
        "good", "check-circle", "Read",
        "All rows of the file have been read.",
        "Go on to the destination and the columns.",
    ),
    "refused": Look(
        "bad", "cross-circle", "Refused",
        "The file could not be read.",
        "Read the reason. Mostly it helps to open the file in a spreadsheet program and save it anew as XLSX or CSV.",
    ),
}

GRADES: dict[str, Grade] = {
    "stated": Grade(
        0, "a person’s word",
        "A person said that it arrived; the vendor did not.",
        "Keep what convinced you. The reason that was given stands on the row.",
    ),
    "delivered": Grade(
        1, "delivered",
        "The vendor answers everyone alike, so this proves delivery and no more.",
        "Compare the number with the vendor’s own report now and then: this vendor tells nothing of single rows.",
    ),
    "batch": Grade(
        2, "with its batch",
        "The vendor accepted the batch that this row was in.",
        "Nothing. If the vendor’s report differs, search for the batch’s rows there.",
    ),
    "row": Grade(
        3, "row by row",
        "The vendor accepted this row by itself.",
        "Nothing. The vendor’s receipt, where it gives one, stands on the row.",
    ),
    "confirmed": Grade(
        4, "read back",
        "The row was found again at the vendor.",
        "Nothing. It is the best proof there is.",
    ),
}

VERDICTS = ("ready", "problem", "duplicate", "excluded")
STATUSES = ("accepted", "queued", "sending", "unknown", "rejected", "failed", "cancelled")
BAR = (
    ("accepted", "good"),
    ("sending", "wait"),
    ("queued", "soft"),
    ("unknown", "warn"),
    ("rejected", "bad"),
    ("failed", "bad"),
    ("cancelled", "quiet"),
)
CHECK_BAR = (
    ("ready", "good"),
    ("problem", "bad"),
    ("duplicate", "warn"),
    ("excluded", "quiet"),
    ("unchecked", "soft"),
)


def plain(status: str) -> Look:
    """The look of a status that nobody declared: never an empty place, never a crash."""
    return Look("quiet", "info", status.replace("_", " ").capitalize())
