<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Archives of terms, authors and dates;
 * the list is that of index.php, the heading is in parts/heading.php.
 */

defined( 'ABSPATH' ) || exit;

require __DIR__ . '/index.php';
