<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cache keys of the REST API. Its answers are made and sent by the REST server, not by a template.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/** Routes whose anonymous answers only change with posts, terms, comments or authors. */
const PUBLIC_ROUTES = '#^/('
	. 'wp/v2/(posts|pages|media|categories|tags|comments|taxonomies|types)(/\d+|/[a-z_-]+)?'
	. '|oembed/1\.0/embed)?$#';

/**
 * Starts listening for keys before a REST callback runs.
 *
 * @param mixed $result Filtered value, returned as it is.
 */
function watch_rest( $result ) {
	if ( 'cli' !== PHP_SAPI && ! is_personal_request() ) {
		Keys::listen();
	}
	return $result;
}

/**
 * Sends the verdict on a REST answer right before it is served.
 *
 * @param bool              $served  Filtered value, returned as it is.
 * @param \WP_HTTP_Response $result  The answer.
 * @param \WP_REST_Request  $request The request.
 */
function judge_rest( $served, $result, $request ) {
	$is_public = 200 === $result->get_status() && preg_match(
		PUBLIC_ROUTES,
		$request->get_route()
	) && is_public_response();
	Keys::add( 'rest' );
	$data = $result->get_data();
	if ( is_array( $data ) && ( $data['content']['protected'] ?? false ) ) {
		$is_public = false;
	}
	foreach ( is_array( $data ) ? ( array_is_list( $data ) ? $data : array( $data ) ) : array() as $item ) {
		if ( is_array( $item ) && isset( $item['id'], $item['type'] ) ) {
			Keys::add( ( 'attachment' === $item['type'] ? 'm' : 'p' ) . (int) $item['id'] );
		}
	}
	send_verdict( (bool) $is_public );
	return $served;
}

add_filter( 'rest_pre_dispatch', __NAMESPACE__ . '\watch_rest', 0 );
add_filter( 'rest_pre_serve_request', __NAMESPACE__ . '\judge_rest', PHP_INT_MAX, 3 );
