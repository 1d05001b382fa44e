# SPDX-License-Identifier: Apache-2.0
"""What template tests share: the tools tree."""

from __future__ import annotations

import pytest

from tests.templates import debian13


@pytest.fixture(scope="session")
def debian13_tools() -> debian13.Tools:
    """Return the Debian 13 tools tree; its absence is an error, so that no check is left out unseen."""
    return debian13.find()
