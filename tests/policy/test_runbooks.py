# SPDX-License-Identifier: Apache-2.0
"""Every alert has its page, and every page can be followed."""

from __future__ import annotations

from infra.runbook import lint


def test_every_page_can_be_followed() -> None:
    """Public runbooks rot; here a changed rule, a dead link or an empty section is red."""
    assert [str(finding) for finding in lint.check()] == []
