# SPDX-License-Identifier: Apache-2.0
"""Tests, by what they need: unit, policy, templates; host and lab need a running lab."""
