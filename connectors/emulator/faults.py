"""What the switches that every vendor has do to an answer, down to the bytes on the wire."""

import asyncio
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from email.utils import formatdate
from itertools import repeat
from typing import Any

from aiohttp import web

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call, Vendor, phrase

SILENT_CUTS = ("in_request", "before_storing", "after_storing")
COMMON = (
    Switch("delay_ms", "integer", "Waits before it answers; conversions are stored before the wait."),
    Switch("status", "integer", "Answers with this code: from 300 in the vendor's shape of an error, storing "
           "nothing; below with its ordinary answer.", least=200, most=599),
    Switch("message", "text", "The text in the error's body.", with_=("status",)),
    Switch("retry_after", "line", "Header Retry-After: seconds, date:SECONDS for a date that far ahead, or "
           "any text as it is. Without status the code is 429."),
    Switch("rate_limit", "integer", "At most this many requests a second and account; more are answered 429 "
           "with Retry-After: 1.", least=1),
    Switch("max_bytes", "integer", "A larger body is answered 413, a longer URL 414.", least=1),
    Switch("redirect", "line", "Answers 302, or the 3xx in status, with this Location."),
    Switch("lose", "boolean", "Answers as if all were well and stores nothing."),
    Switch("cut", "choice", "Closes the connection: in the middle of the request, before storing, after "
           "storing without an answer, after half of the answer, or after a whole answer that promised to "
           "keep it open.",
           choices=(*SILENT_CUTS, "in_answer", "after_answer")),
    Switch("reset", "boolean", "Cuts by a reset instead of an orderly end.", with_=("cut",)),
    Switch("slow", "choice", "One byte of the body at a time, or header lines without end.",
           choices=("body", "headers")),
    Switch("slow_ms", "integer", "Pause between bytes or header lines; 1000 unless set.", least=1,
           with_=("slow",)),
    Switch("garbage", "choice", "An answer that no client can use in place of the vendor's, with its code.",
           choices=("html", "empty", "text", "wrong_json", "truncated_json", "huge", "gzip_bomb",
                    "endless_headers")),
    Switch("garbage_mb", "integer", "Megabytes of huge and of the unpacked gzip_bomb; 1024 unless set.",
           least=1, with_=("garbage",)),
    Switch("store", "boolean", "Whether conversions are stored. Unset: not with an error or a redirect made "
           "by these switches, else yes.",
           with_=("status", "retry_after", "rate_limit", "max_bytes", "redirect", "garbage", "slow",
                  "delay_ms")),
)  # fmt: skip
MEGABYTE = b" " * 1048576
HTML = b"<!doctype html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
GARBAGE = {
    "html": (HTML, "text/html; charset=utf-8"),
    "empty": (b"", "application/json"),
    "text": (b"OK \x00\x1b[31m\xff<script>alert(1)</script>", "text/plain"),
    "wrong_json": (b'{"results":{"unexpected":[1,2,{"status":null}]}}', "application/json"),
    "endless_headers": (b"", "text/plain"),
}


def instead(vendor: Vendor, met: Mapping[str, Any], call: Call) -> Answer | None:
    """The error or redirect that the switches put in place of the vendor's own answer, if any."""
    limit = met.get("max_bytes")
    if limit is not None and len(call.body) > limit:
        return vendor.refusal(413, why="switch max_bytes")
    if limit is not None and not call.body and len(call.path) + len(call.query) > limit:
        return vendor.refusal(414, why="switch max_bytes")
    if "redirect" in met:
        status = met.get("status", 302)
        headers = {"Location": met["redirect"]}
        return Answer(status if 300 <= status < 400 else 302, headers=headers, why="switch redirect")
    over_limit = "rate_limit" in met
    status = 429 if over_limit else met.get("status", 429 if "retry_after" in met else 200)
    if status < 300:
        return None
    answer = vendor.refusal(status, met.get("message", ""), "switch rate_limit" if over_limit else "switch status")
    if over_limit or "retry_after" in met:
        answer.headers["Retry-After"] = retry_after(met.get("retry_after", "1"))
    return answer


def retry_after(wanted: str) -> str:
    """The header's value: `date:5` becomes the HTTP date in five seconds, anything else stays."""
    ahead = wanted.removeprefix("date:")
    if ahead != wanted and ahead.lstrip("-").isdigit():
        return formatdate(time.time() + int(ahead), usegmt=True)
    return wanted


def described(met: Mapping[str, Any]) -> str:
    """The switches that met a request, for the ledger and for people: `status=503 delay_ms=50`."""
    return " ".join(f"{name}={value}" for name, value in met.items())


async def send(request: web.BaseRequest, answer: Answer, met: Mapping[str, Any]) -> web.StreamResponse:
    """Send the answer as the switches want it; what aiohttp would not do is written to the socket itself."""
    if "garbage" in met:
        return await send_garbage(request, answer, met)
    if met.get("cut") == "in_answer":
        await write(request, head(answer, len(answer.body) or 1) + answer.body[: len(answer.body) // 2])
        return hang_up(request, met)
    if met.get("cut") == "after_answer":
        await write(request, head(answer, len(answer.body)) + answer.body)
        return hang_up(request, met)
    if "slow" in met:
        return await send_slowly(request, answer, met)
    return ordinary(answer)


def ordinary(answer: Answer) -> web.Response:
    """The answer as aiohttp sends it."""
    headers = {"Content-Type": answer.content_type, **answer.headers}
    if answer.why:
        headers["Emulator-Reason"] = "".join(c if c.isascii() and c.isprintable() else "?" for c in answer.why)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


async def send_garbage(request: web.BaseRequest, answer: Answer, met: Mapping[str, Any]) -> web.StreamResponse:
    """Answer with what no client can use."""
    kind = met["garbage"]
    if kind == "endless_headers":
        await write(request, status_line(answer.status))
        return await drip(request, (b"X-Endless: %s\r\n" % (b"x" * 1000) for _ in range(10**6)), 0, met)
    if kind in ("huge", "gzip_bomb"):
        return await stream(request, answer.status, met.get("garbage_mb", 1024), zipped=kind == "gzip_bomb")
    if kind == "truncated_json":
        whole = answer.body if answer.body.startswith(b"{") else b'{"status":"unfinished"}'
        return ordinary(Answer(answer.status, whole[: len(whole) // 2], headers=answer.headers))
    body, content_type = GARBAGE[kind]
    return ordinary(Answer(answer.status, body, content_type, answer.headers))


async def stream(request: web.BaseRequest, status: int, megabytes: int, zipped: bool) -> web.StreamResponse:
    """Stream a huge body; zipped, it is small on the wire and huge only where it is unpacked."""
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    await response.prepare(request)
    for piece in bomb(megabytes) if zipped else repeat(MEGABYTE, megabytes):
        await response.write(piece)
    await response.write_eof()
    return response


def bomb(megabytes: int) -> Iterator[bytes]:
    """One gzip stream of blanks. A full flush ends a piece so that the same piece can follow again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    for _ in range(megabytes):
        checksum = zlib.crc32(MEGABYTE, checksum)
        yield piece
    yield b"\x03\x00" + struct.pack("<II", checksum, megabytes * len(MEGABYTE) % 2**32)


async def send_slowly(request: web.BaseRequest, answer: Answer, met: Mapping[str, Any]) -> web.StreamResponse:
    """One byte of the body, or one header line, at a time."""
    pause = met.get("slow_ms", 1000) / 1000
    if met["slow"] == "headers":
        await write(request, status_line(answer.status))
        return await drip(request, (b"X-Slow-%d: 1\r\n" % n for n in range(10**6)), pause, met)
    await write(request, head(answer, len(answer.body)))
    return await drip(request, (answer.body[n : n + 1] for n in range(len(answer.body))), pause, met)


async def drip(
    request: web.BaseRequest, pieces: Iterable[bytes], pause: float, met: Mapping[str, Any]
) -> web.StreamResponse:
    """Write piece after piece with a pause before each until the client goes away, then hang up."""
    for piece in pieces:
        await asyncio.sleep(pause)
        if not await write(request, piece):
            break
    return hang_up(request, met)


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return f"HTTP/1.1 {status} {phrase(status)}\r\n".encode()


def head(answer: Answer, length: int) -> bytes:
    """Status line and headers of an answer that promises `length` bytes."""
    lines = {"Content-Type": answer.content_type, "Content-Length": str(length), **answer.headers}
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return status_line(answer.status) + fields.encode() + b"\r\n"


async def write(request: web.BaseRequest, piece: bytes) -> bool:
    """Write bytes past aiohttp; False once the client is gone."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return False
    transport.write(piece)
    try:
        await request.writer.drain()
    except ConnectionError:
        return False
    return True


def hang_up(request: web.BaseRequest, met: Mapping[str, Any]) -> web.Response:
    """Close the connection, by a reset if the switch wants it; the response returned goes nowhere."""
    if request.transport is not None:
        if met.get("reset"):
            request.transport.abort()
        else:
            request.transport.close()
    return web.Response()
