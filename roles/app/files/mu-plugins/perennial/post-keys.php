<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The cache keys under which a post is shown, listed or counted.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Tells whether visitors can see a post with this status.
 *
 * @param string   $status Post status.
 * @param \WP_Post $post   The post; an attachment inherits its parent's visibility.
 */
function is_public_status( string $status, \WP_Post $post ): bool {
	return 'publish' === $status || ( 'inherit' === $status && 'attachment' === $post->post_type );
}

/**
 * Lists every key whose pages show, list or count this post.
 *
 * @param \WP_Post $post The post as it stands now or as it stood before a change.
 * @return string[] Cache keys.
 */
function keys_of_post( \WP_Post $post ): array {
	$keys = array( 'p' . $post->ID, 'front', 'home', 'feed', 'sitemap', 'rest', 'list', '404' );
	$keys = array_merge( $keys, array( 'a' . $post->post_author ), keys_of_date( $post->post_date ) );
	if ( 'attachment' === $post->post_type ) {
		$keys[] = 'm' . $post->ID;
	}
	if ( $post->post_parent ) {
		$keys[] = 'p' . $post->post_parent;
	}
	$query = array(
		'post_parent' => $post->ID,
		'post_type'   => 'any',
		'numberposts' => 100,
		'fields'      => 'ids',
	);
	foreach ( get_children( $query ) as $child ) {
		array_push( $keys, 'p' . $child, 'm' . $child );
	}
	return array_merge( $keys, keys_of_terms( $post ) );
}

/**
 * Lists the keys of the year and month archives of a date.
 *
 * @param string $date Local date, `Y-m-d H:i:s`; a draft without date has none.
 * @return string[] Cache keys.
 */
function keys_of_date( string $date ): array {
	return preg_match( '/^(\d{4})-(\d{2})-/', $date, $part ) ? array(
		'd' . $part[1],
		'd' . $part[1] . $part[2],
	) : array();
}

/**
 * Lists the keys of a post's terms and of the terms above them.
 *
 * @param \WP_Post $post The post.
 * @return string[] Cache keys.
 */
function keys_of_terms( \WP_Post $post ): array {
	$keys = array();
	foreach ( get_object_taxonomies( $post->post_type ) as $taxonomy ) {
		$terms = get_the_terms( $post->ID, $taxonomy );
		foreach ( is_array( $terms ) ? $terms : array() as $term ) {
			$keys[] = 't' . $term->term_id;
			foreach ( get_ancestors( $term->term_id, $taxonomy, 'taxonomy' ) as $ancestor ) {
				$keys[] = 't' . $ancestor;
			}
		}
	}
	return $keys;
}
