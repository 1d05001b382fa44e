<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a change of a post makes stale.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Bans what shows this post, when visitors can see it.
 *
 * @param \WP_Post|int|null $post The post or its ID.
 */
function ban_post( \WP_Post|int|null $post ): void {
	$post = get_post( $post );
	if ( ! $post || wp_is_post_revision( $post ) ) {
		return;
	}
	if ( is_structural( $post->post_type ) ) {
		Bans::all();
	} elseif ( is_public_status( $post->post_status, $post ) ) {
		Bans::add( ...keys_of_post( $post ) );
	}
}

/**
 * Bans around a change of status: both publishing and taking down.
 *
 * @param string   $new_status The status now.
 * @param string   $old_status The status before.
 * @param \WP_Post $post       The post.
 */
function on_transition( string $new_status, string $old_status, \WP_Post $post ): void {
	if ( is_structural( $post->post_type ) ) {
		Bans::all();
	} elseif ( is_public_status( $new_status, $post ) || is_public_status( $old_status, $post ) ) {
		Bans::add( ...keys_of_post( $post ) );
	}
}

/**
 * Bans after a change of a post's terms, which publishes and removes it on archives.
 *
 * @param int    $post_id  The post.
 * @param array  $terms    Terms as given (unused).
 * @param int[]  $now      Term-taxonomy ids now.
 * @param string $taxonomy Taxonomy.
 * @param bool   $append   Whether terms were only added (unused).
 * @param int[]  $before   Term-taxonomy ids before.
 */
function on_terms( int $post_id, $terms, $now, string $taxonomy, $append, $before ): void {
	$changed = array_merge( array_diff( $now, $before ), array_diff( $before, $now ) );
	$post    = get_post( $post_id );
	if ( array() === $changed || ! $post || ! is_public_status( $post->post_status, $post ) ) {
		return;
	}
	foreach ( $changed as $term_taxonomy_id ) {
		$term = get_term_by( 'term_taxonomy_id', $term_taxonomy_id, $taxonomy );
		if ( $term ) {
			Bans::add( 't' . $term->term_id );
		}
	}
	Bans::add( ...keys_of_post( $post ) );
}

/**
 * Bans after a change of a visible post's metadata (thumbnail, template, custom fields).
 *
 * @param mixed  $meta_id Meta id or ids (unused).
 * @param int    $post_id The post.
 * @param string $key     Meta key.
 */
function on_meta( $meta_id, $post_id, $key ): void {
	// WordPress' own bookkeeping: shown nowhere, written often.
	$silent = array( '_edit_lock', '_edit_last', '_pingme', '_encloseme', '_wp_old_slug', '_wp_old_date' );
	if ( ! in_array( $key, $silent, true ) ) {
		ban_post( (int) $post_id );
	}
}

add_action( 'transition_post_status', __NAMESPACE__ . '\on_transition', 10, 3 );
// Before the write: the old author, date and terms are still readable.
add_action( 'pre_post_update', __NAMESPACE__ . '\ban_post' );
add_action( 'before_delete_post', __NAMESPACE__ . '\ban_post' );
add_action( 'wp_trash_post', __NAMESPACE__ . '\ban_post' );
add_action( 'delete_attachment', __NAMESPACE__ . '\ban_post' );
add_action( 'clean_post_cache', static fn( $post_id, $post ) => ban_post( $post ), 10, 2 );
add_action( 'set_object_terms', __NAMESPACE__ . '\on_terms', 10, 6 );
foreach ( array( 'added', 'updated', 'deleted' ) as $verb ) {
	add_action( $verb . '_post_meta', __NAMESPACE__ . '\on_meta', 10, 3 );
}
