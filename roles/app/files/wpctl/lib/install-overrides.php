<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Replacements for functions that WordPress lets an installation define first.
 */

// phpcs:disable WordPress.NamingConventions.PrefixAllGlobals

/**
 * Sends no mail about the new site.
 */
function wp_new_blog_notification(): void {
}

/**
 * Makes the one term that WordPress cannot do without, and no sample posts.
 */
function wp_install_defaults(): void {
	$name = __( 'Uncategorized' );
	$term = wp_insert_term(
		$name,
		'category',
		array( 'slug' => sanitize_title( _x( 'Uncategorized', 'Default category slug' ) ) )
	);
	if ( ! is_wp_error( $term ) ) {
		update_option( 'default_category', $term['term_id'] );
	}
}
