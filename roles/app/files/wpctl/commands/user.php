<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl user: accounts.
 */
final class User_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		$fields = array(
			'display_name',
			'first_name',
			'last_name',
			'user_url',
			'description',
			'locale',
			'user_pass',
		);
		require_once __DIR__ . '/app-password.php';
		return App_Password_Commands::all() + array(
			'create'   => new Command(
				'<login> <email> [--role=R] --prompt=user_pass',
				array( self::class, 'create' ),
				array( ...$fields, 'role' ),
				2,
				2
			),
			'list'     => new Command(
				'[--role=R] [--search=text]',
				array( self::class, 'list' ),
				array( 'role', 'search', 'number' )
			),
			'get'      => new Command( '<id|login|email>', array( self::class, 'get' ), array(), 1, 1 ),
			'update'   => new Command(
				'<user> [--display_name=N] [--user_email=E] [--prompt=user_pass]',
				array( self::class, 'update' ),
				array( ...$fields, 'user_email', 'role' ),
				1,
				1
			),
			'delete'   => new Command(
				'<user> --reassign=<user> | --yes',
				array( self::class, 'delete' ),
				array( 'reassign', 'yes' ),
				1,
				1
			),
			'set-role' => new Command( '<user> <role>', array( self::class, 'set_role' ), array(), 2, 2 ),
		);
	}

	/**
	 * Creates an account; without --prompt=user_pass it gets a random password that nobody knows.
	 *
	 * @param Args $args Command line.
	 */
	public static function create( Args $args ): void {
		$data = self::given( $args );
		$role = Input::role( $args->get( 'role', get_option( 'default_role' ) ) );
		$data = array(
			'user_login' => $args->word( 0 ),
			'user_email' => $args->word( 1 ),
			'role' => $role,
		) + $data + array( 'user_pass' => wp_generate_password( 40 ) );
		if ( ! is_email( $data['user_email'] ) ) {
			throw new Usage( "\"{$data['user_email']}\" is not a mail address." );
		}
		$id = $args->on( 'dry-run' ) ? 0 : Failure::check( wp_insert_user( wp_slash( $data ) ) );
		Out::created( $args, $id, "User $id created." );
	}

	/**
	 * Picks the given account fields.
	 */
	private static function given( Args $args ): array {
		$data = array();
		foreach ( array(
			'display_name',
			'first_name',
			'last_name',
			'user_url',
			'description',
			'locale',
			'user_pass',
			'user_email',
		) as $field ) {
			if ( null !== $args->get( $field ) ) {
				$data[ $field ] = $args->get( $field );
			}
		}
		return $data;
	}

	/**
	 * Turns an account into a row, without its password hash.
	 */
	private static function row( \WP_User $user ): array {
		return array(
			'ID' => $user->ID,
			'user_login' => $user->user_login,
			'display_name' => $user->display_name,
			'user_email' => $user->user_email,
			'user_registered' => $user->user_registered,
			'roles' => implode( ',', $user->roles ),
			'user_nicename' => $user->user_nicename,
		);
	}

	/**
	 * Lists accounts.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$search = $args->get( 'search' );
		$users  = get_users(
			array(
				'role' => $args->get( 'role', '' ),
				'search' => null === $search ? '' : "*$search*",
				'number' => (int) $args->get( 'number', '-1' ),
				'orderby' => 'ID',
			)
		);
		Out::rows(
			$args,
			array_map( array( self::class, 'row' ), $users ),
			array( 'ID', 'user_login', 'display_name', 'user_email', 'user_registered', 'roles' ),
			'ID'
		);
	}

	/**
	 * Shows one account.
	 *
	 * @param Args $args Command line.
	 */
	public static function get( Args $args ): void {
		Out::one( $args, self::row( Input::user( $args->word( 0 ) ) ) );
	}

	/**
	 * Changes an account.
	 *
	 * @param Args $args Command line.
	 */
	public static function update( Args $args ): void {
		$user = Input::user( $args->word( 0 ) );
		$data = self::given( $args );
		if ( null !== $args->get( 'role' ) ) {
			$data['role'] = Input::role( $args->get( 'role' ) );
		}
		if ( ! $args->on( 'dry-run' ) ) {
			// No mail: the operator tells the person.
			add_filter( 'send_password_change_email', '__return_false' );
			add_filter( 'send_email_change_email', '__return_false' );
			Failure::check( wp_update_user( wp_slash( array( 'ID' => $user->ID ) + $data ) ) );
		}
		Out::success( $args, "User {$user->ID} updated." );
	}

	/**
	 * Deletes an account; its posts go to another one, or are deleted with --yes.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When neither is said.
	 */
	public static function delete( Args $args ): void {
		require_once ABSPATH . 'wp-admin/includes/user.php';
		$user = Input::user( $args->word( 0 ) );
		$heir = null === $args->get( 'reassign' ) ? null : Input::user( $args->get( 'reassign' ) )->ID;
		if ( null === $heir && ! $args->on( 'yes' ) ) {
			throw new Usage( 'Say --reassign=<user> for the posts, or --yes to delete them too.' );
		}
		if ( ! $args->on( 'dry-run' ) && ! wp_delete_user( $user->ID, $heir ) ) {
			throw new Failure( "User {$user->ID} was not deleted." );
		}
		Out::success( $args, "User {$user->ID} deleted." );
	}

	/**
	 * Gives an account one role.
	 *
	 * @param Args $args Command line.
	 */
	public static function set_role( Args $args ): void {
		$user = Input::user( $args->word( 0 ) );
		$role = Input::role( $args->word( 1 ) );
		if ( ! $args->on( 'dry-run' ) ) {
			$user->set_role( $role );
		}
		Out::success( $args, "User {$user->ID} has the role $role." );
	}
}
