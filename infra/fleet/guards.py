# SPDX-License-Identifier: Apache-2.0
"""What an environment allows: guards that no switch overrides, and the confirmation of destructive acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    from infra.spec import Platform


def _refused(platform: Platform, message: str, next_: str) -> PerennialError:
    return PerennialError(message, where=f"environment {platform.name}", next_=next_, code=Exit.REFUSED)


def require_disposable(platform: Platform, what: str) -> None:
    """Refuse (4) `what` (down, a drill, an injected fault) where the environment is not disposable."""
    if not platform.environment.disposable:
        message = f"{what} is refused: this environment is not disposable"
        raise _refused(platform, message, "use an environment with `disposable: true`, such as lab")


def require_load(platform: Platform, requests_per_second: float) -> None:
    """Refuse (4) a load above the environment's `load_limit`, in requests per second."""
    limit = platform.environment.load_limit
    if requests_per_second > limit:
        message = f"{requests_per_second:g} requests per second are above the limit of {limit}"
        raise _refused(platform, message, f"ask for at most {limit}")


def require_confirmation(platform: Platform, host: str, given: str | None) -> None:
    """Refuse (4) a destructive act unless `--confirm 'ENV HOST'` names exactly this environment and host."""
    expected = f"{platform.name} {host}"
    if given != expected:
        wrong = f", got {given!r}" if given else ""
        raise _refused(
            platform,
            f"this cannot be undone and needs --confirm '{expected}'{wrong}",
            "look at --dry-run first",
        )
