<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What changes of comments, terms and users make stale.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

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
