<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What changes of comments, terms, users and settings make stale.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/** Options that shape pages: a change bans the whole site. Prefixes end with an underscore. */
const OUTPUT_OPTIONS = array(
	'blogname', 'blogdescription', 'siteurl', 'home', 'WPLANG', 'timezone_string', 'gmt_offset', 'date_format', 'time_format',
	'start_of_week', 'permalink_structure', 'category_base', 'tag_base', 'rewrite_rules', 'template', 'stylesheet', 'show_on_front',
	'page_on_front', 'page_for_posts', 'posts_per_page', 'posts_per_rss', 'rss_use_excerpt', 'blog_public', 'site_icon', 'site_logo',
	'sticky_posts', 'sidebars_widgets', 'active_plugins', 'show_avatars', 'avatar_default', 'thread_comments', 'thread_comments_depth',
	'page_comments', 'comments_per_page', 'default_comments_page', 'comment_order', 'comment_registration', 'require_name_email',
	'close_comments_for_old_posts', 'close_comments_days_old', 'show_comments_cookies_opt_in', 'wp_page_for_privacy_policy',
	'users_can_register', 'thumbnail_size_w', 'thumbnail_size_h', 'medium_size_w', 'large_size_w', 'blog_charset', 'default_role',
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

/**
 * Bans the post of a comment; `home` and the feeds show counts and comments.
 *
 * @param \WP_Comment|int|string|null $comment The comment or its ID.
 */
function ban_comment( $comment ): void {
	$comment = get_comment( $comment );
	if ( $comment ) {
		ban_post( (int) $comment->comment_post_ID );
	}
}

/**
 * Bans when a comment appears or disappears; a comment that waits for review is seen by nobody.
 *
 * @param int         $comment_id The comment.
 * @param \WP_Comment $comment    The comment.
 */
function on_new_comment( int $comment_id, \WP_Comment $comment ): void {
	if ( '1' === (string) $comment->comment_approved ) {
		ban_comment( $comment );
	}
}

/**
 * Bans on approval and on its withdrawal.
 *
 * @param string      $new_status Status now.
 * @param string      $old_status Status before.
 * @param \WP_Comment $comment    The comment.
 */
function on_comment_status( string $new_status, string $old_status, \WP_Comment $comment ): void {
	if ( 'approved' === $new_status || 'approved' === $old_status ) {
		ban_comment( $comment );
	}
}

/**
 * Bans the pages that name a term. A term's name, slug and place also shape menus and lists.
 *
 * @param int $term_id The term.
 */
function ban_term( int $term_id ): void {
	$term = get_term( $term_id );
	if ( $term instanceof \WP_Term && in_array( $term->taxonomy, array( 'nav_menu', 'wp_theme' ), true ) ) {
		Bans::all();
		return;
	}
	Bans::add( 't' . $term_id, 'sitemap', 'rest', 'list', 'feed', '404' );
}

/**
 * Bans the pages that name a user.
 *
 * @param int $user_id The user.
 */
function ban_user( int $user_id ): void {
	Bans::add( 'a' . $user_id, 'rest', 'feed', 'list', '404' );
}

/**
 * Bans after a profile change, and only when something that pages show has changed.
 *
 * @param int      $user_id The user.
 * @param \WP_User $before  The user as it was.
 */
function on_profile( int $user_id, \WP_User $before ): void {
	$now = get_userdata( $user_id );
	foreach ( array( 'display_name', 'user_nicename', 'user_url', 'user_email' ) as $field ) {
		if ( $now && $now->$field !== $before->$field ) {
			ban_user( $user_id );
			return;
		}
	}
}

/**
 * Bans after a change of a name or of the description, which live in the user's metadata.
 *
 * @param mixed  $meta_id Meta id or ids (unused).
 * @param int    $user_id The user.
 * @param string $key     Meta key.
 */
function on_user_meta( $meta_id, $user_id, $key ): void {
	if ( in_array( $key, array( 'first_name', 'last_name', 'nickname', 'description' ), true ) ) {
		ban_user( (int) $user_id );
	}
}

foreach ( array( 'added_option', 'updated_option', 'deleted_option' ) as $hook ) {
	add_action( $hook, __NAMESPACE__ . '\on_option' );
}
foreach ( array( 'switch_theme', 'customize_save_after', 'wp_update_nav_menu', 'wp_delete_nav_menu', 'activated_plugin', 'deactivated_plugin' ) as $hook ) {
	add_action( $hook, array( Bans::class, 'all' ), 10, 0 );
}
add_action( 'wp_insert_comment', __NAMESPACE__ . '\on_new_comment', 10, 2 );
add_action( 'transition_comment_status', __NAMESPACE__ . '\on_comment_status', 10, 3 );
add_action( 'edit_comment', __NAMESPACE__ . '\ban_comment' );
add_action( 'delete_comment', __NAMESPACE__ . '\ban_comment' );
foreach ( array( 'created_term', 'edit_terms', 'edited_term', 'pre_delete_term' ) as $hook ) {
	add_action( $hook, __NAMESPACE__ . '\ban_term', 10, 1 );
}
foreach ( array( 'added', 'updated', 'deleted' ) as $verb ) {
	add_action( $verb . '_term_meta', static fn( $meta_id, $term_id ) => ban_term( (int) $term_id ), 10, 2 );
}
add_action( 'profile_update', __NAMESPACE__ . '\on_profile', 10, 2 );
add_action( 'delete_user', __NAMESPACE__ . '\ban_user' );
foreach ( array( 'added', 'updated', 'deleted' ) as $verb ) {
	add_action( $verb . '_user_meta', __NAMESPACE__ . '\on_user_meta', 10, 3 );
}
