"""How long the machines run: short on the desk and in a build, as long as it takes where the profile soaks."""

from __future__ import annotations

from hypothesis import settings

SOAK = "soak"


def effort(examples: int, steps: int) -> settings:
    """The profile's settings, with as many examples and steps as a plain run can afford."""
    if settings.get_current_profile_name() == SOAK:
        return settings()
    return settings(max_examples=examples, stateful_step_count=steps)
