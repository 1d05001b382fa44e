<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * Accounts of programs, for `perennial ensure`: exactly this role and this password.
 */
final class Accounts {

	/**
	 * Brings all of them about.
	 *
	 * @param Steps   $steps    Notes what differs, and mends it.
	 * @param array[] $accounts Each with login, email, role and password.
	 * @throws Usage When one is not described so.
	 */
	public static function ensure( Steps $steps, array $accounts ): void {
		foreach ( $accounts as $account ) {
			foreach ( array( 'login', 'email', 'role', 'password' ) as $key ) {
				if ( ! is_string( $account[ $key ] ?? null ) || '' === $account[ $key ] ) {
					throw new Usage( "An account needs $key." );
				}
			}
			$user = get_user_by( 'login', $account['login'] );
			$user ? self::mend( $steps, $user, $account ) : self::create( $steps, $account );
		}
	}

	/**
	 * Makes an account that is missing; nobody gets a mail.
	 */
	private static function create( Steps $steps, array $account ): void {
		$data = array(
			'user_login' => $account['login'],
			'user_email' => $account['email'],
			'user_pass' => $account['password'],
			'role' => $account['role'],
		);
		$steps->step( true, "user {$account['login']}", static fn() => wp_insert_user( wp_slash( $data ) ) );
	}

	/**
	 * Puts role and password right; rights of its own beside the role go too.
	 */
	private static function mend( Steps $steps, \WP_User $user, array $account ): void {
		$steps->step(
			array( $account['role'] => true ) !== $user->caps,
			"role of {$account['login']}",
			static function () use ( $user, $account ): void {
				$user->remove_all_caps();
				$user->set_role( $account['role'] );
			}
		);
		$steps->step(
			! wp_check_password( $account['password'], $user->user_pass, $user->ID ),
			"password of {$account['login']}",
			static fn() => wp_set_password( $account['password'], $user->ID )
		);
	}
}
