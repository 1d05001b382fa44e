<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The cache keys that follow from the kind of a page.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Gives the keys of the page kind that the main query found.
 *
 * @return string[] Cache keys; none means the kind is never stored.
 */
function keys_of_page(): array {
	$kinds = array(
		'404'     => is_404(),
		'feed'    => is_feed(),
		'sitemap' => (bool) ( get_query_var( 'sitemap' ) || get_query_var( 'sitemap-stylesheet' ) ),
		'front'   => is_front_page(),
		'home'    => is_home(),
		'list'    => is_post_type_archive(),
		'robots'  => is_robots(),
	);
	$keys  = array_keys( array_filter( $kinds ) );
	$id    = get_queried_object_id();
	if ( is_singular() ) {
		$keys[] = 'p' . $id;
		$keys[] = is_attachment() ? 'm' . $id : 'a' . (int) get_post_field( 'post_author', $id );
	} elseif ( is_author() ) {
		$keys[] = 'a' . $id;
	} elseif ( is_category() || is_tag() || is_tax() ) {
		$keys[] = 't' . $id;
	} elseif ( is_date() ) {
		$month  = is_year() ? '' : sprintf(
			'%02d',
			get_query_var( 'monthnum' ) ? get_query_var( 'monthnum' ) : substr( get_query_var( 'm' ), 4, 2 )
		);
		$keys[] = 'd' . (
			get_query_var( 'year' ) ? get_query_var( 'year' ) : substr( get_query_var( 'm' ), 0, 4 )
		) . $month;
	}
	return array_map( 'strval', $keys );
}
