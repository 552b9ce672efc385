"""How many examples a property is tried with: some by default, and as many as one likes on demand."""

import os

from hypothesis import HealthCheck, settings

FUZZ_EXAMPLES = int(os.environ.get("FAIRLEAD_FUZZ_EXAMPLES", "0"))
"""What `make fuzz` sets; 0 otherwise."""


def examples(count: int) -> settings:
    """At least `count` of them, however long they take."""
    return settings(max_examples=max(count, FUZZ_EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck))
