<?php
/**
 * Plugin Name: Perennial
 * Description: Page-cache keys and bans, visitor safety and metrics of the Perennial platform.
 * License: GPL-2.0-or-later
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

defined( 'ABSPATH' ) || exit;

require_once __DIR__ . '/perennial/site.php';
require_once __DIR__ . '/perennial/class-table.php';
require_once __DIR__ . '/perennial/class-bans.php';
require_once __DIR__ . '/perennial/post-keys.php';
require_once __DIR__ . '/perennial/bans-posts.php';
require_once __DIR__ . '/perennial/bans-other.php';
require_once __DIR__ . '/perennial/bans-options.php';
require_once __DIR__ . '/perennial/class-keys.php';
require_once __DIR__ . '/perennial/page-keys.php';
require_once __DIR__ . '/perennial/policy.php';
require_once __DIR__ . '/perennial/rest.php';
require_once __DIR__ . '/perennial/safety.php';
require_once __DIR__ . '/perennial/login.php';
require_once __DIR__ . '/perennial/private-only.php';
require_once __DIR__ . '/perennial/privacy.php';
require_once __DIR__ . '/perennial/stats.php';
