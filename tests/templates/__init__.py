# SPDX-License-Identifier: Apache-2.0
"""Templates rendered as in a converge, judged by the daemons of Debian 13."""
