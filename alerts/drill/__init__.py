# SPDX-License-Identifier: Apache-2.0
"""Drills: a real fault on a real host, the alert that fires, the page that mends it, and the record of it."""
