<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl role: roles.
 */
final class Role_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'list'   => new Command( '', array( self::class, 'list' ) ),
			'create' => new Command(
				'<role> <name> [--clone=R]',
				array( self::class, 'create' ),
				array( 'clone' ),
				2,
				2
			),
			'delete' => new Command( '<role>', array( self::class, 'delete' ), array(), 1, 1 ),
		);
	}

	/**
	 * Lists roles.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$rows = array();
		foreach ( wp_roles()->roles as $role => $data ) {
			$rows[] = array(
				'role' => $role,
				'name' => $data['name'],
				'capabilities' => array_keys( array_filter( $data['capabilities'] ) ),
			);
		}
		Out::rows( $args, $rows, array( 'name', 'role' ), 'role' );
	}

	/**
	 * Creates a role.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When it exists.
	 */
	public static function create( Args $args ): void {
		$model = null === $args->get( 'clone' ) ? array() : get_role(
			Input::role( $args->get( 'clone' ) )
		)->capabilities;
		if ( get_role( $args->word( 0 ) ) || (
			! $args->on( 'dry-run' ) && ! add_role( $args->word( 0 ), $args->word( 1 ), $model )
		) ) {
			throw new Failure( "Role \"{$args->word( 0 )}\" exists already." );
		}
		Out::success( $args, "Role \"{$args->word( 0 )}\" created." );
	}

	/**
	 * Deletes a role.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When accounts have it.
	 */
	public static function delete( Args $args ): void {
		$role  = Input::role( $args->word( 0 ) );
		$users = count( get_users( array( 'role' => $role, 'fields' => 'ID' ) ) );
		if ( $users > 0 ) {
			throw new Failure( "$users accounts have the role \"$role\"." );
		}
		if ( ! $args->on( 'dry-run' ) ) {
			remove_role( $role );
		}
		Out::success( $args, "Role \"$role\" deleted." );
	}
}
