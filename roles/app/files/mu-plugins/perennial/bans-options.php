<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What changes of settings make stale: anything, so the whole site is banned.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/** Options that shape pages: a change bans the whole site. Prefixes end with an underscore. */
const OUTPUT_OPTIONS = array(
	'blogname', 'blogdescription', 'siteurl', 'home', 'WPLANG', 'timezone_string', 'gmt_offset',
	'date_format', 'time_format', 'start_of_week', 'permalink_structure', 'category_base', 'tag_base',
	'rewrite_rules', 'template', 'stylesheet', 'show_on_front', 'page_on_front', 'page_for_posts',
	'posts_per_page', 'posts_per_rss', 'rss_use_excerpt', 'blog_public', 'site_icon', 'site_logo',
	'sticky_posts', 'sidebars_widgets', 'active_plugins', 'show_avatars', 'avatar_default',
	'thread_comments', 'thread_comments_depth', 'page_comments', 'comments_per_page',
	'default_comments_page', 'comment_order', 'comment_registration', 'require_name_email',
	'close_comments_for_old_posts', 'close_comments_days_old', 'show_comments_cookies_opt_in',
	'wp_page_for_privacy_policy', 'users_can_register', 'thumbnail_size_w', 'thumbnail_size_h',
	'medium_size_w', 'large_size_w', 'blog_charset', 'default_role',
);

/** Option-name prefixes with the same effect. */
const OUTPUT_PREFIXES = array( 'theme_mods_', 'widget_', 'perennial_theme_' );

/**
 * Bans the whole site when an option that shapes pages changed.
 *
 * @param string $option Option name.
 */
function on_option( string $option ): void {
	if ( in_array( $option, OUTPUT_OPTIONS, true ) ) {
		Bans::all();
		return;
	}
	foreach ( OUTPUT_PREFIXES as $prefix ) {
		if ( str_starts_with( $option, $prefix ) ) {
			Bans::all();
		}
	}
}

foreach ( array( 'added_option', 'updated_option', 'deleted_option' ) as $hook ) {
	add_action( $hook, __NAMESPACE__ . '\on_option' );
}
foreach ( array(
	'switch_theme',
	'customize_save_after',
	'wp_update_nav_menu',
	'wp_delete_nav_menu',
	'activated_plugin',
	'deactivated_plugin',
) as $hook ) {
	add_action( $hook, array( Bans::class, 'all' ), 10, 0 );
}
