<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Facts about this site, from the constants of its configuration file.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Gives the site id, the prefix of cache keys, table rows and metrics labels.
 *
 * @return string Lower-case letters, digits and hyphens.
 */
function site_id(): string {
	return defined( 'PERENNIAL_SITE' ) ? (string) \PERENNIAL_SITE : 'default';
}

/**
 * Gives the cache key that every page of this site carries.
 */
function site_key(): string {
	return 's-' . site_id();
}

/**
 * Tells whether posts of this type never have an address of their own but shape other pages.
 *
 * Menus, templates, global styles and reusable blocks: a change of one changes any page.
 *
 * @param string $type Post type.
 */
function is_structural( string $type ): bool {
	$types = array(
		'nav_menu_item',
		'wp_template',
		'wp_template_part',
		'wp_global_styles',
		'wp_navigation',
		'wp_block',
		'custom_css',
	);
	return in_array( $type, $types, true );
}
