#!/usr/bin/env python3
"""Whether this folder still holds what the portal exported.

    python3 verify.py [--key HEX] [--head OLDER.json]

Needs Python 3.9 or newer, and neither the portal nor any package. Ends with 0 if all of it holds, else with 1, and says
where it does not. `--key` is the portal's public key, as its page *Audit* shows it: without it, the signatures prove
only that everything was signed with one key. `--head` is the head.json of an older export: with it, a log that was
rewritten since is found out.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ENTRY = ("seq", "at", "actor", "action", "object", "detail")
ATTEMPT = ("id", "batch_id", "fence", "worker", "version", "started_at", "deliveries", "request_digest")
ANSWER = ("attempt_id", "ended_at", "status", "error", "vendor_date", "copy_id", "copy_digest")
OUTCOME = ("attempt_id", "delivery_id", "status", "evidence", "code", "message", "receipt")
NO_HASH = "0" * 64


class Broken(Exception):
    """It does not hold; the text says where."""


# Ed25519 (RFC 8032), no more of it than verifying takes

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two points in extended coordinates."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: tuple[int, ...]) -> tuple[int, ...]:
    """A point added up `number` times."""
    total = NEUTRAL
    while number:
        if number & 1:
            total = added(total, point)
        point, number = added(point, point), number >> 1
    return total


def point_of(raw: bytes) -> tuple[int, ...]:
    """The point that 32 bytes stand for. Raises ValueError."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if len(raw) != 32 or y >= P:
        raise ValueError
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def bytes_of(point: tuple[int, ...]) -> bytes:
    """The 32 bytes of a point."""
    scale = pow(point[2], P - 2, P)
    x, y = point[0] * scale % P, point[1] * scale % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def signature_holds(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of the key signed exactly this message."""
    try:
        x, y, z, t = point_of(key)
    except ValueError:
        return False
    number = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or number >= ORDER or bytes_of(times(8, (x, y, z, t))) == bytes_of(NEUTRAL):
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return bytes_of(added(times(number, BASE), times(challenge, (P - x, y, z, P - t)))) == signature[:32]


# Texts and digests, as the portal's docs/audit.md tells them


def canonical(value: Any) -> bytes:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def sha256(raw: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def salted(copy: dict[str, Any], *texts: str) -> str:
    """The digest of a copy, which lies with its salt."""
    return sha256(bytes.fromhex(copy["salt"]) + "\n".join(texts).encode())


def digest_of(*tables: list[list[Any]]) -> str:
    """The digest of an entry over a group of requests."""
    return sha256(canonical([sorted(rows, key=lambda row: row[:2]) for rows in tables]))


def columns(row: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """What a digest covers of a row."""
    return [row[name] for name in names]


def lines_of(name: str) -> Iterator[Any]:
    """The lines of a file, each a JSON value. Raises Broken."""
    try:
        with (FOLDER / name).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise Broken(f"{name}: line {number} is no JSON") from None
    except OSError as error:
        raise Broken(f"{name} cannot be read: {error.strerror}") from None


def document(path: Path) -> dict[str, Any]:
    """A file that is one JSON object, spelled as the portal spells it. Raises Broken."""
    try:
        raw = path.read_bytes()
        found = json.loads(raw)
    except OSError as error:
        raise Broken(f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Broken(f"{path.name} is no JSON") from None
    spelled = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if not isinstance(found, dict) or raw != spelled.encode():
        raise Broken(f"{path.name} was changed: the portal does not write it so")
    return found


def signed(path: Path, key: str) -> dict[str, Any]:
    """A document whose signature holds, by this key (empty: by whichever it names). Raises Broken."""
    found = document(path)
    said = {name: value for name, value in found.items() if name != "signature"}
    try:
        named, signature = bytes.fromhex(found["public_key"]), bytes.fromhex(found["signature"])
    except (KeyError, TypeError, ValueError):
        raise Broken(f"{path.name} is not signed") from None
    if key and found["public_key"] != key:
        raise Broken(f"{path.name} is signed with another key: {found['public_key']}")
    # Bytes have one spelling here, or a letter could change its case unnoticed.
    if found["signature"] != signature.hex() or not signature_holds(named, signature, canonical(said)):
        raise Broken(f"{path.name} was changed: its signature does not hold")
    return found


# The chain


class Chain:
    """Follows chain.jsonl, whose lines are whole entries, and of the others their digests."""

    def __init__(self, head: dict[str, Any], older: dict[str, Any] | None) -> None:
        self.head, self.older = head, older
        self.seq, self.hash = 0, NO_HASH
        self.first = 0
        self.shown = 0

    def entries(self) -> Iterator[dict[str, Any]]:
        """Each whole entry, once it fits. Raises Broken."""
        lines = lines_of("chain.jsonl")
        begin = next(lines, None)
        if not isinstance(begin, dict) or set(begin) != {"after", "hash"}:
            raise Broken("chain.jsonl does not say behind which entry it begins")
        self.seq, self.hash = begin["after"], begin["hash"]
        self.first = self.seq + 1
        if self.seq == 0 and self.hash != NO_HASH:
            raise Broken("chain.jsonl begins with the first entry, but with another hash than 64 zeros")
        self._compare_with_older()
        for line in lines:
            if isinstance(line, str):
                self._follow(line)
            else:
                yield self._whole(line)
        self._arrive()

    def _whole(self, entry: Any) -> dict[str, Any]:
        seq = self.seq + 1
        if not isinstance(entry, dict) or set(entry) != {*ENTRY, "previous", "hash"}:
            raise Broken(f"entry {seq} is not written as an entry")
        if entry["seq"] != seq:
            raise Broken(f"entry {seq} is missing: entry {entry['seq']} stands in its place")
        if entry["previous"] != self.hash:
            raise Broken(f"entry {seq} does not follow from what stands before it: that, or this one, was replaced")
        self._follow(sha256(canonical({name: entry[name] for name in ENTRY})))
        if entry["hash"] != self.hash:
            raise Broken(f"entry {seq} was changed: its hash does not fit what it says")
        self.shown += 1
        return entry

    def _follow(self, digest: str) -> None:
        self.seq += 1
        self.hash = sha256(f"{self.hash}{digest}".encode("utf-8", "surrogatepass"))
        self._compare_with_older()

    def _compare_with_older(self) -> None:
        if self.older and self.older["seq"] == self.seq and self.older["hash"] != self.hash:
            raise Broken(f"entry {self.seq} is not the one in the older head: the log was rewritten up to there")

    def _arrive(self) -> None:
        last = self.head["seq"]
        if self.seq < last:
            raise Broken(f"entry {self.seq + 1} is missing: the head stands at entry {last}")
        if self.seq > last:
            raise Broken(f"entry {last + 1} stands behind the head")
        if self.hash != self.head["hash"]:
            raise Broken(f"entry {last} is not the one in the head: something between {self.first} and it was changed")
        if self.older and self.older["seq"] > last:
            raise Broken(f"the older head stands at entry {self.older['seq']}: all from {last + 1} on was cut off")
        if self.older and self.older["seq"] < self.first - 1:
            raise Broken(
                f"the older head stands at entry {self.older['seq']}, before the first one here ({self.first}): "
                "the two cannot be compared. Ask for an export that begins there"
            )


# The story of a send


class Story:
    """Compares requests, answers and outcomes with the entries that cover them, as these come by."""

    def __init__(self) -> None:
        self.send = document(FOLDER / "send.json")
        self.attempts, self.outcomes = lines_of("attempts.jsonl"), lines_of("outcomes.jsonl")
        self.counts = dict.fromkeys(("requests", "answers", "outcomes", "recomputed", "masked", "not kept"), 0)
        self.said: dict[int, set[str]] = {}
        """What the outcomes and people's decisions say of each delivery."""

    def take(self, entry: dict[str, Any]) -> None:
        """An entry of the chain. Raises Broken."""
        seq, action, detail = entry["seq"], entry["action"], entry["detail"]
        if action == "delivery.resolved" and detail.get("as") == "accepted":
            self.said.setdefault(int(entry["object"].partition(":")[2]), set()).add("accepted")
        if entry["object"] != f"send:{self.send['id']}":
            return
        if action == "delivery.attempts":
            self._begun(seq, detail, self._group("attempts.jsonl", self.attempts, seq))
        if action == "delivery.outcomes":
            self._ended(seq, detail, self._group("outcomes.jsonl", self.outcomes, seq))

    def finish(self) -> None:
        """Nothing was added, and every row is what its outcomes say. Raises Broken."""
        for name, left in (("attempts.jsonl", self.attempts), ("outcomes.jsonl", self.outcomes)):
            if (more := next(left, None)) is not None:
                raise Broken(f"{name} holds what no entry covers, of entry {more.get('entry')}")
        rows = 0
        with (FOLDER / "rows.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows += 1
                status, said = row["status"], self.said.get(int(row["delivery"]), set())
                if status in ("accepted", "rejected", "failed") and status not in said:
                    raise Broken(f"rows.csv: line {row['line']} is {status}, but no outcome says so")
        checked = self.send["counts"]["total"] - self.send["counts"]["unchecked"]
        if self.send["status"] != "checking" and rows != checked:
            raise Broken(f"rows.csv has {rows} rows; the send has {checked}")

    def _group(self, name: str, groups: Iterator[Any], seq: int) -> dict[str, Any]:
        group = next(groups, None)
        if not isinstance(group, dict) or group.get("entry") != seq:
            raise Broken(f"{name}: what entry {seq} covers is missing, or stands elsewhere")
        return group

    def _begun(self, seq: int, detail: dict[str, Any], group: dict[str, Any]) -> None:
        attempts = group["attempts"]
        if sorted(one["id"] for one in attempts) != sorted(detail["attempts"]):
            raise Broken(f"attempts.jsonl: entry {seq} covers other attempts")
        if digest_of([columns(one, ATTEMPT) for one in attempts]) != detail["digest"]:
            raise Broken(f"attempts.jsonl: an attempt that entry {seq} covers was changed")
        for one in attempts:
            self.counts["requests"] += 1
            copy = one["request"]
            if self._can_recompute(copy) and salted(
                copy, copy["method"], copy["url"], copy["headers"], copy["body"]
            ) != one["request_digest"]:
                raise Broken(f"attempts.jsonl: the request of attempt {one['id']} was changed")

    def _ended(self, seq: int, detail: dict[str, Any], group: dict[str, Any]) -> None:
        answers, outcomes = group["answers"], group["outcomes"]
        counts: dict[str, int] = {}
        for one in outcomes:
            counts[one["status"]] = counts.get(one["status"], 0) + 1
            self.said.setdefault(one["delivery_id"], set()).add(one["status"])
        if counts != detail["outcomes"]:
            raise Broken(f"outcomes.jsonl: entry {seq} counts other outcomes")
        covered = [columns(one, ANSWER) for one in answers], [columns(one, OUTCOME) for one in outcomes]
        if not any("masked" in one for one in outcomes) and digest_of(*covered) != detail["digest"]:
            raise Broken(f"outcomes.jsonl: an answer or an outcome that entry {seq} covers was changed")
        self.counts["outcomes"] += len(outcomes)
        for one in answers:
            self.counts["answers"] += 1
            copy = one["copy"]
            if self._can_recompute(copy) and salted(copy, copy["headers"], copy["body"]) != one["copy_digest"]:
                raise Broken(f"outcomes.jsonl: the answer to attempt {one['attempt_id']} was changed")

    def _can_recompute(self, copy: dict[str, Any] | None) -> bool:
        """Not where personal values are masked, or nothing was kept; the digest stands in the chain all the same."""
        how = "not kept" if copy is None or copy["body"] is None else "masked" if copy["salt"] is None else "recomputed"
        self.counts[how] += 1
        return how == "recomputed"


# The whole folder


def check_files(files: dict[str, str]) -> None:
    """Every file is the one that was exported. Raises Broken."""
    for name, digest in sorted(files.items()):
        found = hashlib.sha256()
        try:
            with (FOLDER / name).open("rb") as file:
                while piece := file.read(1 << 20):
                    found.update(piece)
        except OSError as error:
            raise Broken(f"{name} cannot be read: {error.strerror}") from None
        if found.hexdigest() != digest:
            raise Broken(f"{name} was changed after it was exported")


def verified(key: str, older: dict[str, Any] | None) -> list[str]:
    """What holds, in sentences. Raises Broken."""
    head = signed(FOLDER / "head.json", key)
    manifest = signed(FOLDER / "manifest.json", head["public_key"])
    chain = Chain(head, older)
    story = Story() if (FOLDER / "send.json").exists() or "send.json" in manifest["files"] else None
    for entry in chain.entries():
        if story:
            story.take(entry)
    if story:
        story.finish()
    check_files(manifest["files"])
    said = [f"It holds: {chain.shown} entries, in a chain from entry {chain.first} to {chain.seq}, the head."]
    if story:
        counts = ", ".join(f"{count} {name}" for name, count in story.counts.items())
        said.append(f"Send {story.send['id']}: {counts}.")
    if older:
        said.append(f"The log was not rewritten since entry {older['seq']}.")
    known = "the key given" if key else f"the key {head['public_key']}; compare it with the portal's page Audit"
    return [*said, f"Signed on {head['at']} with {known}."]


def main(arguments: list[str] | None = None) -> int:
    """Ends with 0 or 1."""
    parser = argparse.ArgumentParser(description="Whether this folder still holds what the portal exported.")
    parser.add_argument("--key", default="", metavar="HEX", help="the portal's public key, as its page Audit shows it")
    parser.add_argument("--head", type=Path, metavar="FILE", help="the head.json of an older export")
    asked = parser.parse_args(arguments)
    try:
        key = asked.key.strip().lower()
        older = signed(asked.head, key) if asked.head else None
        for sentence in verified(key, older):
            print(sentence)
    except Broken as broken:
        print(f"It does not hold: {broken}.", file=sys.stderr)
        return 1
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, csv.Error) as error:
        print(f"It does not hold: something is not written as the portal writes it ({error!r}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
