<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which responses the edges may store. Everything is private until the end of a request shows that the
 * same bytes may go to anybody.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

const CACHE_PUBLIC  = 'public, s-maxage=300, max-age=0, must-revalidate';
const CACHE_PRIVATE = 'private, no-store';

/** Query arguments whose answer belongs to one person or is not worth storing. */
const PRIVATE_ARGS = array(
	's', 'preview', 'preview_id', 'preview_nonce', 'unapproved', 'moderation-hash', 'replytocom',
	'password', '_wpnonce', 'customize_changeset_uuid', 'doing_wp_cron', 'rest_route', 'search',
	'context', '_method', '_envelope', '_jsonp',
);

/** Cookies (prefixes) that make a visitor known. */
const PERSONAL_COOKIES = array(
	'wordpress_logged_in_',
	'wordpress_sec_',
	'wp-postpass_',
	'comment_author_',
	'plat_',
);

/**
 * Tells whether the request itself rules out a public answer.
 */
function is_personal_request(): bool {
	$method = $_SERVER['REQUEST_METHOD'] ?? '';
	if ( ! in_array( $method, array( 'GET', 'HEAD' ), true ) || isset( $_SERVER['HTTP_AUTHORIZATION'] ) ) {
		return true;
	}
	if ( array_intersect( PRIVATE_ARGS, array_keys( $_GET ) ) ) {
		return true;
	}
	foreach ( array_keys( $_COOKIE ) as $cookie ) {
		foreach ( PERSONAL_COOKIES as $prefix ) {
			if ( str_starts_with( (string) $cookie, $prefix ) ) {
				return true;
			}
		}
	}
	return is_user_logged_in();
}

/**
 * Tells whether the response made so far may go to anybody.
 */
function is_public_response(): bool {
	if ( ! in_array( http_response_code(), array( 200, 404, 410 ), true ) || defined( 'DONOTCACHEPAGE' ) ) {
		return false;
	}
	foreach ( headers_list() as $line ) {
		if ( 0 === stripos( $line, 'set-cookie:' ) ) {
			return false;
		}
	}
	return ! is_personal_request();
}

/**
 * Sends the verdict; keys only with a public answer.
 *
 * @param bool $is_public Whether the edges may store the response.
 */
function send_verdict( bool $is_public ): void {
	if ( headers_sent() ) {
		return;
	}
	header( 'Cache-Control: ' . ( $is_public ? CACHE_PUBLIC : CACHE_PRIVATE ) );
	if ( $is_public ) {
		header( 'X-Keys: ' . Keys::header() );
		header_remove( 'Expires' );
		header_remove( 'Pragma' );
	}
}

/**
 * Starts collecting the keys of a front-end page and sends the verdict when it is complete.
 */
function watch_page(): void {
	$post = is_singular() ? get_post() : null;
	$keys = keys_of_page();
	if ( is_personal_request() || is_search() || is_preview() || array() === $keys || (
		$post && '' !== $post->post_password
	) ) {
		return;
	}
	Keys::add( ...$keys );
	foreach ( $GLOBALS['wp_query']->posts ?? array() as $shown ) {
		Keys::add( 'p' . $shown->ID );
	}
	Keys::listen();
	ob_start(
		static function ( string $body ): string {
			send_verdict( is_public_response() );
			return $body;
		}
	);
}

if ( 'cli' !== PHP_SAPI ) {
	header( 'Cache-Control: ' . CACHE_PRIVATE );
	// The edges answer conditional requests; a date that goes back (takedown) would make ours wrong.
	unset( $_SERVER['HTTP_IF_MODIFIED_SINCE'], $_SERVER['HTTP_IF_NONE_MATCH'] );
}
add_action( 'template_redirect', __NAMESPACE__ . '\watch_page', 0 );
add_filter(
	'nocache_headers',
	static fn( array $headers ) => array( 'Cache-Control' => CACHE_PRIVATE ) + $headers
);
// The body of a HEAD request is made, so that its keys equal those of GET.
add_filter( 'exit_on_http_head', '__return_false' );
