<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl user application-password: passwords for programs, each revocable by itself.
 */
final class App_Password_Commands {

	/**
	 * Gives the commands, which stand in the group `user`.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'application-password create' => new Command(
				'<user> <name> --porcelain',
				array( self::class, 'create' ),
				array( 'app-id' ),
				2,
				2
			),
			'application-password list'   => new Command(
				'<user>',
				array( self::class, 'list' ),
				array(),
				1,
				1
			),
			'application-password delete' => new Command(
				'<user> <uuid>',
				array( self::class, 'delete' ),
				array(),
				2,
				2
			),
		);
	}

	/**
	 * Makes an application password and prints it once.
	 *
	 * @param Args $args Command line.
	 */
	public static function create( Args $args ): void {
		$user = Input::user( $args->word( 0 ) );
		$made = Failure::check(
			\WP_Application_Passwords::create_new_application_password(
				$user->ID,
				array( 'name' => $args->word( 1 ), 'app_id' => $args->get( 'app-id', '' ) )
			)
		);
		echo $made[0] . "\n";
	}

	/**
	 * Lists application passwords, without the hashes.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$rows = \WP_Application_Passwords::get_user_application_passwords( Input::user( $args->word( 0 ) )->ID );
		$rows = array_map( static fn( array $row ) => array_diff_key( $row, array( 'password' => 1 ) ), $rows );
		Out::rows( $args, $rows, array( 'uuid', 'name', 'created', 'last_used', 'last_ip' ), 'uuid' );
	}

	/**
	 * Revokes an application password.
	 *
	 * @param Args $args Command line.
	 */
	public static function delete( Args $args ): void {
		Failure::check(
			\WP_Application_Passwords::delete_application_password(
				Input::user( $args->word( 0 ) )->ID,
				$args->word( 1 )
			)
		);
		Out::success( $args, 'Application password revoked.' );
	}
}
