# SPDX-License-Identifier: Apache-2.0
"""Load, probes and verdicts: traffic that is bounded, open-loop where it judges, and written down."""
