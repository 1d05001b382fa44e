<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Closes what a visitor does not need: XML-RPC, lists of accounts, version numbers.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

if ( defined( 'XMLRPC_REQUEST' ) && XMLRPC_REQUEST ) {
	http_response_code( 403 );
	exit;
}

/**
 * Removes what the page head and the response headers tell about the software.
 */
function hide_software(): void {
	foreach ( array( 'wp_generator', 'rsd_link', 'wlwmanifest_link', 'wp_shortlink_wp_head' ) as $callback ) {
		remove_action( 'wp_head', $callback );
	}
	remove_action( 'template_redirect', 'wp_shortlink_header', 11 );
	add_filter( 'the_generator', '__return_empty_string' );
	add_filter( 'xmlrpc_enabled', '__return_false' );
	add_filter( 'pings_open', '__return_false' );
	add_filter(
		'wp_headers',
		static function ( array $headers ): array {
			unset( $headers['X-Pingback'], $headers['Last-Modified'], $headers['ETag'] );
			return $headers;
		},
		PHP_INT_MAX
	);
}

/**
 * Gives scripts and styles a digest as their version, not WordPress' own.
 *
 * @param \WP_Dependencies $assets Scripts or styles.
 */
function mask_version( \WP_Dependencies $assets ): void {
	$assets->default_version = substr( hash_hmac( 'sha256', wp_get_wp_version(), wp_salt( 'nonce' ) ), 0, 8 );
}

/**
 * Answers 404 to `?author=N`, which would lead from a number to a name.
 *
 * @param \WP $wp The request.
 */
function refuse_author_number( \WP $wp ): void {
	// Read from the query string itself: addresses of author archives fill author_name, not author.
	if ( isset( $_GET['author'] ) && ! is_user_logged_in() ) {
		$wp->query_vars = array( 'error' => '404' );
	}
}

/**
 * Removes the routes that list accounts for visitors.
 *
 * @param array $endpoints REST routes.
 */
function hide_users_routes( array $endpoints ): array {
	if ( is_user_logged_in() ) {
		return $endpoints;
	}
	return array_filter(
		$endpoints,
		static fn( $route ) => ! preg_match( '#^/wp/v2/users(/|$)#', $route ),
		ARRAY_FILTER_USE_KEY
	);
}

/**
 * Gives new accounts an address and a shown name that do not tell the login name.
 *
 * @param array $data     Columns to be written.
 * @param bool  $update   Whether the account exists already.
 * @param ?int  $user_id  The account (unused).
 * @param array $userdata Values as given.
 */
function hide_login_name( array $data, bool $update, $user_id, array $userdata ): array {
	$login = (string) ( $userdata['user_login'] ?? '' );
	if ( ! $update && sanitize_title( $login ) === ( $data['user_nicename'] ?? '' ) ) {
		$data['user_nicename'] = 'u' . bin2hex( random_bytes( 6 ) );
	}
	if ( ! $update && ( $data['display_name'] ?? '' ) === $login ) {
		$data['display_name'] = __( 'Member', 'perennial' ) . ' ' . substr( $data['user_nicename'], 1, 4 );
	}
	return $data;
}

add_action( 'init', __NAMESPACE__ . '\hide_software' );
add_action( 'wp_default_styles', __NAMESPACE__ . '\mask_version', PHP_INT_MAX );
add_action( 'wp_default_scripts', __NAMESPACE__ . '\mask_version', PHP_INT_MAX );
add_action( 'parse_request', __NAMESPACE__ . '\refuse_author_number' );
add_filter( 'rest_endpoints', __NAMESPACE__ . '\hide_users_routes' );
add_filter(
	'wp_sitemaps_add_provider',
	static fn( $provider, $name ) => 'users' === $name ? false : $provider,
	10,
	2
);
add_filter( 'wp_pre_insert_user_data', __NAMESPACE__ . '\hide_login_name', 10, 4 );
add_filter( 'wp_is_application_passwords_available', static fn( $available ) => $available && is_ssl() );
// Code comes with the hosts' configuration, never through the browser.
add_filter(
	'file_mod_allowed',
	static fn( $allowed ) => $allowed && ! ( defined( 'DISALLOW_FILE_MODS' ) && DISALLOW_FILE_MODS )
);
