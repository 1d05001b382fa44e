<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A page; the layout is that of single.php, which leaves out date and author.
 */

defined( 'ABSPATH' ) || exit;

require __DIR__ . '/single.php';
