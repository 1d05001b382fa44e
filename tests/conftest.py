# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the whole suite; those of the lab cost nothing until a test asks for one."""

from tests.lab_session import authority, fleet, host, platform, pytest_generate_tests, site, spec_host

__all__ = ["authority", "fleet", "host", "platform", "pytest_generate_tests", "site", "spec_host"]
