# SPDX-License-Identifier: Apache-2.0
"""Page cache agent: takes the application's list of bans and applies it to the Varnish of this edge.

/health on its socket answers 200 while every ban is known to be applied; only then Varnish uses its cache.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path

import cache_agent_io as io
from cache_bans import Agent, Site


def main(arguments: list[str] | None = None) -> int:
    """Run the agent until it is stopped, or one round with --once; return the exit code."""
    parser = argparse.ArgumentParser(description="Apply the application's page bans to this edge's Varnish.")
    parser.add_argument("--config", type=Path, default=Path("/etc/perennial/cache-agent.json"))
    parser.add_argument("--once", action="store_true", help="one round; exit 0 when all went well, else 1")
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    config = json.loads(parsed.config.read_text())
    sites = [Site(entry["id"], entry["domain"]) for entry in config["sites"]]
    source = io.HttpSource(config["app_socket"], io.credential("token"))
    varnish = io.VarnishCli(tuple(config["varnish"]), io.credential("varnish", strip=False))
    agent = Agent(sites, source, varnish, Path(config["state"]))
    if parsed.once:
        return 0 if agent.round(time.monotonic()) else 1
    io.serve(agent)
    io.run(agent, float(config["poll_seconds"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
