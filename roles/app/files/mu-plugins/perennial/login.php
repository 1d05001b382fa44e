<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log-in and lost-password answers that do not tell whether an account exists.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/** Errors of wp_authenticate() that tell a wrong name from a wrong password. */
const TELLING_ERRORS = array( 'invalid_username', 'invalid_email', 'incorrect_password', 'invalidcombo' );

/**
 * Replaces telling errors by one and spends the time of a password check on unknown names too.
 *
 * @param \WP_User|\WP_Error|null $user     Result so far.
 * @param string                  $username Name as given.
 * @param string                  $password Password as given.
 */
function uniform_error( $user, $username, #[\SensitiveParameter] $password ) {
	if ( ! is_wp_error( $user ) || ! array_intersect( TELLING_ERRORS, $user->get_error_codes() ) ) {
		return $user;
	}
	if ( 'incorrect_password' !== $user->get_error_code() ) {
		wp_check_password( (string) $password, dummy_hash() );
	}
	return new \WP_Error( 'login_failed', esc_html__( 'The user name or the password is wrong.', 'perennial' ) );
}

/**
 * Gives a hash of this installation's present cost that no password opens.
 */
function dummy_hash(): string {
	$hash = get_option( 'perennial_dummy_hash' );
	if ( ! is_string( $hash ) || wp_password_needs_rehash( $hash ) ) {
		$hash = wp_hash_password( bin2hex( random_bytes( 24 ) ) );
		update_option( 'perennial_dummy_hash', $hash, false );
	}
	return $hash;
}

/**
 * Answers a lost-password request for an unknown account like one for a known account.
 *
 * @param \WP_Error      $errors Errors so far (unused).
 * @param \WP_User|false $user   The account, if there is one.
 */
function uniform_reset( $errors, $user ): void {
	if ( ! $user && ! empty( $_POST['user_login'] ) ) {
		wp_safe_redirect( add_query_arg( 'checkemail', 'confirm', wp_login_url() ) );
		exit;
	}
}

add_filter( 'authenticate', __NAMESPACE__ . '\uniform_error', 100, 3 );
add_action( 'lostpassword_post', __NAMESPACE__ . '\uniform_reset', 10, 2 );
// The form must not shake and refill the name only for known accounts.
add_filter( 'shake_error_codes', static fn( array $codes ) => array_merge( $codes, array( 'login_failed' ) ) );
