<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accounts of programs that try the site out, as the synthetic journey does: WordPress has no capability to
 * publish in private alone, so whoever has ours gets nothing public out, and no session that lasts.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/** Capability that takes away: its accounts write in private. */
const PRIVATE_ONLY = 'perennial_private_only';

/** States of a post that no visitor sees and that come to nothing by themselves. */
const UNSEEN_STATES = array( 'private', 'draft', 'auto-draft', 'trash', 'inherit' );

/** Seconds: longer than a run of the journey; the session of one that was killed is over soon. */
const SHORT_SESSION = 10 * MINUTE_IN_SECONDS;

/**
 * Makes private what such an account would show to others, now or later.
 *
 * @param array $data Columns of a post to be written.
 */
function keep_private( array $data ): array {
	if ( ! in_array( $data['post_status'], UNSEEN_STATES, true ) && current_user_can( PRIVATE_ONLY ) ) {
		$data['post_status'] = 'private';
	}
	return $data;
}

add_filter( 'wp_insert_post_data', __NAMESPACE__ . '\keep_private', PHP_INT_MAX );
add_filter(
	'auth_cookie_expiration',
	static fn( $seconds, $user_id ) => user_can( $user_id, PRIVATE_ONLY ) ? SHORT_SESSION : $seconds,
	PHP_INT_MAX,
	2
);
// The platform sets the password; nobody reads mail for the account.
add_filter(
	'allow_password_reset',
	static fn( $allow, $user_id ) => $allow && ! user_can( $user_id, PRIVATE_ONLY ),
	10,
	2
);
add_filter(
	'wp_is_application_passwords_available_for_user',
	static fn( $available, $user ) => $available && ! user_can( $user, PRIVATE_ONLY ),
	10,
	2
);
