# SPDX-License-Identifier: Apache-2.0
"""Gets and drives the tools that the project stands on: packages, virtual environment, Pulumi CLI."""
