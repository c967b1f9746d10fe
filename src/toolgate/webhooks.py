"""For programs that receive the gate's webhooks: is a request genuine, and what does it say?

    received = verify(request.headers, await request.body(), secret)
    if first_time(received.id): ...

Delivery is at least once: the same ``received.id`` may come again and has to be ignored then. Requests are signed as
Standard Webhooks 1.0.0 says, so that its libraries verify them too. Not here: sending.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from toolgate.domain.webhook import TOLERANCE, Headers, Received, WebhookRefused, key_of, verified

__all__ = ["Headers", "Received", "WebhookRefused", "verify"]


def verify(
    headers: Headers,
    body: bytes,
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Received:
    """The webhook, verified.

    Args:
        headers: those of the request, names in any case: a dict, or what your web framework gives.
        body: the raw bytes of the request. JSON that was parsed and written again has another signature.
        secret: ``whsec_…`` or the raw text; several while a secret is being replaced.
        tolerance: seconds that the request may be old, or ahead of your clock.
        now: seconds since the epoch; the clock of this machine by default.

    Raises:
        WebhookRefused: if it is not genuine, or an old request that was sent again. Do nothing then.
        ValueError: for a secret that cannot be one.
        TypeError: for a body that is not bytes.
    """
    if not isinstance(body, bytes | bytearray):
        raise TypeError(f"body= is the raw bytes of the request, not {type(body).__name__}")
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets:
        raise ValueError("secret= names no secret")
    keys = [key_of(one) for one in secrets]
    moment = time.time() if now is None else now
    return verified(headers, bytes(body), keys, tolerance=tolerance, now=moment)
