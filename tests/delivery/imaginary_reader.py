"""What an imaginary reader remembers of the destination that it looks at, and how its looks may end.

Between two transactions it does what `readback.onlooker.Onlooker` does, as slowly and as badly as a test wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils import timezone

from connectors.base import NeverSent, NoAnswer, Response
from offline_portal.delivery.readback import look
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import Desk
from tests.delivery.imaginary import ImaginaryVendor

SHOWN = {"shown": 1.0, "shown_in_part": 0.5, "shown_late": 0.0}
"""Truthful answers, and how much of what was hidden comes to show with them."""
REFUSED_WITH = {
    "forbidden": (403, {}), "error": (500, {}), "token_refused": (401, {}), "wait": (429, {"Retry-After": "3600"}),
    "wait_unsaid": (429, {}), "wait_503": (503, {"Retry-After": "3600"}),
}  # fmt: skip
ALL_ENDS = (*SHOWN, *REFUSED_WITH, "garbage", "lost", "never_sent", "held_up")
LOOK_ENDS = ("shown",) * 5 + ("shown_in_part",) * 3 + ALL_ENDS
"""All ways in which a look ends, the more usual ones more often. The first one is what examples shrink to."""


@dataclass(eq=False)
class Sitting:
    """What one reader remembers of one claimed Destination."""

    desk: Desk
    begun: list[Look] = field(default_factory=list)
    """Looks that are stored, and on the wire."""
    landed: list[Look] = field(default_factory=list)
    """Looks that came to an end which is not stored yet."""
    lapsed: bool = False
    """Its lease ran out."""

    def end(self, one: Look, how: str, vendor: ImaginaryVendor) -> None:
        """A look comes to its end."""
        self.begun.remove(one)
        if how == "held_up":
            one.error, one.said = NeverSent("The worker was held up before the request left."), look.of_held_up()
        elif how in ("lost", "never_sent"):
            one.error = NoAnswer("cut") if how == "lost" else NeverSent("refused")
            one.said = look.of_error(one.error, ())
        else:
            one.response = answer(one, how, vendor)
            again = how == "token_refused"
            one.said = look.of_refused_token() if again else look.of_answer(self.desk.connector, one.response, ())
        one.ended_at = timezone.now()
        self.landed.append(one)


def answer(one: Look, how: str, vendor: ImaginaryVendor) -> Response:
    """What comes back for a look."""
    if how in SHOWN:
        return vendor.show(one.request, SHOWN[how])
    if how == "garbage":
        return Response(200, {"Content-Type": "text/html"}, b"<html>Welcome to the proxy</html>")
    status, headers = REFUSED_WITH[how]
    return vendor.refuse(status, dict(headers))
