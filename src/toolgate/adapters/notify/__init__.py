"""Receivers of notices: a signed webhook, and Slack's incoming webhooks.

Here: what a request looks like and what its answer means. Not here: when it is made and made again
(``operations.notify``), which notices a receiver wants (``domain.notice``).
"""

from toolgate.adapters.notify.slack import SlackNotifier
from toolgate.adapters.notify.webhook import WebhookNotifier

__all__ = ["SlackNotifier", "WebhookNotifier"]
