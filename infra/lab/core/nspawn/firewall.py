# SPDX-License-Identifier: Apache-2.0
"""The machine's nftables tables of ours; each is replaced as one transaction."""

from __future__ import annotations

from infra.lab.core.errors import LabError
from infra.lab.core.process import Budget, run


def table_name(lab: str) -> str:
    """The table of one lab (nftables names have no hyphen)."""
    return "perennial_" + lab.replace("-", "_")


def apply_rules(table: str, body: str, budget: Budget) -> None:
    """Replace a table of family inet by this content."""
    run(
        ["nft", "-f", "-"],
        budget,
        stdin=f"table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{body}\n}}\n",
    )


def has_table(table: str, budget: Budget) -> bool:
    """Whether the table exists with at least one rule."""
    try:
        return "drop" in run(["nft", "list", "table", "inet", table], budget)
    except LabError as error:
        if "No such file" in str(error):
            return False
        raise


def drop_table(table: str, budget: Budget) -> None:
    """Remove a table; one that is not there is fine."""
    run(["nft", "-f", "-"], budget, stdin=f"table inet {table}\ndelete table inet {table}\n")
