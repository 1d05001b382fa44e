# SPDX-License-Identifier: Apache-2.0
"""The substrate of machines that exist already: Pulumi makes their secrets, roles make them a platform."""
