# SPDX-License-Identifier: Apache-2.0
"""The synthetic journey: what an author of a site does, done every few minutes by a program.

Pages that come from a cache look well while nobody can log in. So a program with an account of its own logs
in, posts, comments and logs out, through the address and the TLS that everybody uses.
"""

from infra.journey.journey import Report, run
from infra.journey.samples import samples

__all__ = ["Report", "run", "samples"]
