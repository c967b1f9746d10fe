"""The sinks that a configuration names, with what sends to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.ports import Sink

if TYPE_CHECKING:
    from toolgate.config import Settings
    from toolgate.config.notify import SinkSettings
    from toolgate.domain.rows import NoticeRow
    from toolgate.ports import Failed, Notifier, Sent


def sinks_of(settings: Settings, *, ready: bool) -> list[Sink]:
    """Every sink. ``ready``: look up what its references stand for now, and not at the first notice.

    A gateway that keeps house must fail when it starts, not when somebody waits. One that a command opens for a
    moment sends nothing, and runs where the secrets may be out of reach.

    Raises:
        ConfigurationError: if ``ready``, for a reference that leads nowhere, or an address or secret of no use.
    """
    public = settings.server.public_url
    sinks = []
    for said in settings.sinks:
        notifier = _Configured(said, None if public is None else public.value)
        if ready:
            notifier.look_up()
        sinks.append(Sink(name=said.name, wanted=said.wanted, notifier=notifier))
    return sinks


class _Configured:
    """A notifier as the configuration has it, looked up once."""

    def __init__(self, said: SinkSettings, public_url: str | None) -> None:
        self._said = said
        self._public_url = public_url
        self._found: Notifier | None = None

    def __repr__(self) -> str:
        return f"<{self._said.kind} {self._said.name}>"

    def look_up(self) -> Notifier:
        if self._found is None:
            self._found = _notifier(self._said, self._public_url)
        return self._found

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        return await self.look_up().send(notice, now=now)


def _notifier(said: SinkSettings, public_url: str | None) -> Notifier:
    # Here, as most gateways have no sink, and its client takes a while to import.
    from toolgate.adapters.notify import SlackNotifier, WebhookNotifier  # noqa: PLC0415

    if said.kind == "slack":
        return SlackNotifier(said.url(), public_url=public_url)
    return WebhookNotifier(said.url(), said.secrets(), public_url=public_url)
