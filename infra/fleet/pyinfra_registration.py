# SPDX-License-Identifier: Apache-2.0
"""Makes the connector `@openssh` known to pyinfra, which finds connectors by entry points."""

from __future__ import annotations

import sys
from pathlib import Path

# Holds only the metadata of a distribution: Perennial runs from a checkout and is not packaged.
METADATA = str(Path(__file__).with_name("connectors"))


def register() -> None:
    """Put the metadata where Python looks for distributions; doing it twice changes nothing."""
    if METADATA not in sys.path:
        sys.path.append(METADATA)
