# SPDX-License-Identifier: Apache-2.0
"""Removes a lab that no Pulumi state knows any more: ``python -m infra.lab.core.nspawn remove LAB``."""

from __future__ import annotations

import argparse
import sys

from pydantic import TypeAdapter, ValidationError

from infra.lab.core.errors import LabError
from infra.lab.core.model import LabName
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.core.process import Budget

_SECONDS = 300.0
_USAGE, _FAILED = 64, 1


def main(arguments: list[str]) -> int:
    """Remove one lab by its name: hosts, volumes with their data, network; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.lab.core.nspawn", description=main.__doc__)
    parser.add_argument("act", choices=["remove"])
    parser.add_argument("lab", help="the lab's name; its data volumes are deleted")
    chosen = parser.parse_args(arguments)
    try:
        lab = TypeAdapter(LabName).validate_python(chosen.lab)
        NspawnBackend().networks.remove_lab(lab, Budget(_SECONDS))
    except ValidationError as error:
        print(f"{chosen.lab!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return _USAGE
    except LabError as error:
        print(error, file=sys.stderr)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
