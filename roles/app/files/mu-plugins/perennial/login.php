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
		spend_check( (string) $password );
	}
	return new \WP_Error( 'login_failed', esc_html__( 'The user name or the password is wrong.', 'perennial' ) );
}

/**
 * Spends the time of a password check, against a hash of this installation's present cost.
 *
 * @param string $password Password as given.
 */
function spend_check( #[\SensitiveParameter] string $password ): void {
	$hash = get_option( 'perennial_dummy_hash' );
	if ( is_string( $hash ) && ! wp_password_needs_rehash( $hash ) ) {
		wp_check_password( $password, $hash );
		return;
	}
	// Making a hash takes as long as checking one. Nobody knows the password of this one.
	update_option( 'perennial_dummy_hash', wp_hash_password( bin2hex( random_bytes( 24 ) ) ), false );
}

/**
 * Leads to the page that says a mail may be on its way.
 */
function confirm_reset(): never {
	wp_safe_redirect( add_query_arg( 'checkemail', 'confirm', wp_login_url() ) );
	exit;
}

/**
 * Answers a lost-password request for an unknown account like one for a known account.
 *
 * @param \WP_Error      $errors Errors so far (unused).
 * @param \WP_User|false $user   The account, if there is one.
 */
function uniform_reset( $errors, $user ): void {
	if ( ! $user && ! empty( $_POST['user_login'] ) ) {
		confirm_reset();
	}
}

/**
 * Hides that a mail to a known account could not be sent or is not allowed.
 *
 * @param \WP_Error|null $errors Errors of the request.
 */
function uniform_failure( $errors ): void {
	$hidden = array( 'retrieve_password_email_failure', 'no_password_reset', ...TELLING_ERRORS );
	if ( is_wp_error( $errors ) && array_intersect( $hidden, $errors->get_error_codes() ) ) {
		error_log( 'perennial: password reset: ' . implode( ', ', $errors->get_error_codes() ) );
		confirm_reset();
	}
}

add_filter( 'authenticate', __NAMESPACE__ . '\uniform_error', 100, 3 );
add_action( 'lostpassword_post', __NAMESPACE__ . '\uniform_reset', 10, 2 );
add_action( 'lost_password', __NAMESPACE__ . '\uniform_failure' );
// The form must not shake and refill the name only for known accounts.
add_filter(
	'shake_error_codes',
	static fn( array $codes ) => array_merge( $codes, array( 'login_failed' ) )
);
