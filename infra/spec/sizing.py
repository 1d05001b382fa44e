# SPDX-License-Identifier: Apache-2.0
"""Workers and buffers from a host's size and roles; never from what a guest reads off a shared machine.

Sources: the largest PHP-FPM worker of WordPress holds about half of PHP_WORKER_MIB of its own after a load of
pages (`make bench`, row php-worker); the rest is left for plugins and uploads;
MariaDB's knowledge base advises most of the memory for InnoDB on a dedicated server, half is left to
connections and the page cache here because hosts are small; Varnish needs about 1 kB an object on top of its
storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.spec.model import Host, Platform

PHP_WORKER_MIB = 56
PHP_RESERVE_MIB = 288
PHP_WORKERS_PER_CPU = 6
# Beside one connection of each PHP worker: health pages, command lines and bursts, and what does not come
# through the listener (replication, exporter, checks, administration).
DATABASE_BURST = 24
DATABASE_OWN = 16


def php_workers(host: Host) -> int:
    """Return how many PHP-FPM workers fit in memory beside OPcache and nginx, and on the CPUs; at least 2."""
    by_memory = (host.size.memory_mib - PHP_RESERVE_MIB) // PHP_WORKER_MIB
    return max(2, min(by_memory, host.size.cpus * PHP_WORKERS_PER_CPU))


def sizing(platform: Platform, host: Host) -> dict[str, int]:
    """Return the sizes of `host` for all its roles; names end in their unit where they have one."""
    memory, cpus = host.size.memory_mib, host.size.cpus
    every_worker = sum(php_workers(app) for app in platform.with_role("app"))
    edges = len(platform.with_role("edge"))
    sizes = {"memory_mib": memory, "cpus": cpus}
    if "edge" in host.roles:
        sizes |= {
            "haproxy_maxconn": memory * 8,
            "haproxy_threads": cpus,
            "database_sessions": every_worker + DATABASE_BURST,
            "varnish_storage_mib": memory // 4,
        }
    if "app" in host.roles:
        sizes |= {
            "php_workers": php_workers(host),
            "php_memory_limit_mib": 128,
            "opcache_mib": max(64, memory // 8),
            "nginx_worker_connections": 1024,
            "nginx_keepalive_seconds": 65,
        }
    if "database" in host.roles:
        sizes |= {
            "innodb_buffer_pool_mib": memory // 2,
            "innodb_log_file_mib": max(48, memory // 10),
            # When the address moves, an edge keeps its idle sessions for a moment; the other one has its own.
            "max_connections": edges * (every_worker + DATABASE_BURST) + DATABASE_OWN,
            "table_open_cache": 1024,
        }
    if "monitoring" in host.roles:
        sizes |= {"prometheus_retention_mib": memory * 2}
    return sizes
