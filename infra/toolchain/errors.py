# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the tools; each error knows its exit code (the project's one table)."""

from __future__ import annotations


class ToolchainError(Exception):
    """A tool could not be made ready; the message says what, where and which command mends it."""

    exit_code = 1


class ConfigurationError(ToolchainError):
    """Something on this machine or in this checkout is set wrongly."""

    exit_code = 64


class IntegrityError(ToolchainError):
    """A file that must be whole is damaged."""

    exit_code = 6


class KeyMissingError(ToolchainError):
    """The passphrase is missing or is not the one that the state was encrypted with."""

    exit_code = 7


class LockedError(ToolchainError):
    """Another run holds the environment."""

    exit_code = 8
