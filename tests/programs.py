# SPDX-License-Identifier: Apache-2.0
"""Programs and plug-ins of roles as modules: they are installed on hosts and cannot be imported from here."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from infra.spec import CHECKOUT


def program(path: str) -> Any:
    """Return the Python file `path`, given from the checkout's root, as a module of its own.

    It takes the place of an earlier one of its name in `sys.modules`, where dataclasses look their module up.
    """
    file = CHECKOUT / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
