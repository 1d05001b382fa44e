# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the whole suite; those of the lab cost nothing until a test asks for one."""

import signal

from tests.lab_session import authority, fleet, host, platform, pytest_generate_tests, site, spec_host

__all__ = ["authority", "fleet", "host", "platform", "pytest_generate_tests", "site", "spec_host"]

# A shell starts what it puts into the background with the interrupt ignored, and every program started from
# there inherits that: tests that interrupt one would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
