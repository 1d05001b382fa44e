<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl cap: capabilities of roles.
 */
final class Cap_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'list'   => new Command( '<role>', array( self::class, 'list' ), array(), 1, 1 ),
			'add'    => new Command(
				'<role> <capability>...',
				static fn( Args $args ) => self::change( $args, true ),
				array(),
				2,
				100
			),
			'remove' => new Command(
				'<role> <capability>...',
				static fn( Args $args ) => self::change( $args, false ),
				array(),
				2,
				100
			),
		);
	}

	/**
	 * Lists what a role may do.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$role = get_role( Input::role( $args->word( 0 ) ) );
		$rows = array_map(
			static fn( $name ) => array( 'name' => $name ),
			array_keys( array_filter( $role->capabilities ) )
		);
		Out::rows( $args, $rows, array( 'name' ), 'name' );
	}

	/**
	 * Adds or removes capabilities.
	 *
	 * @param Args $args Command line.
	 * @param bool $add  Which of the two.
	 */
	private static function change( Args $args, bool $add ): void {
		$role = get_role( Input::role( $args->word( 0 ) ) );
		$caps = array_filter(
			array_slice( $args->words, 1 ),
			static fn( $cap ) => $role->has_cap( $cap ) !== $add
		);
		foreach ( $args->on( 'dry-run' ) ? array() : $caps as $cap ) {
			$add ? $role->add_cap( $cap ) : $role->remove_cap( $cap );
		}
		Out::success(
			$args,
			( $add ? 'Added ' : 'Removed ' ) . count( $caps ) . " capabilities: role \"{$role->name}\"."
		);
	}
}
