<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl rewrite: permanent addresses.
 */
final class Rewrite_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'structure' => new Command( '<structure>', array( self::class, 'structure' ), array(), 1, 1 ),
			'flush'     => new Command( '', array( self::class, 'flush' ) ),
		);
	}

	/**
	 * Sets the structure of addresses.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When it cannot lead to one post.
	 */
	public static function structure( Args $args ): void {
		$structure = $args->word( 0 );
		if ( ! preg_match( '#^/.*%(postname|post_id)%#', $structure ) ) {
			throw new Usage(
				'A structure starts with / and holds %postname% or %post_id%, for example /%year%/%monthnum%/%postname%/'
			);
		}
		if ( ! $args->on( 'dry-run' ) ) {
			self::set( $structure );
		}
		Out::success( $args, "Structure set to $structure." );
	}

	/**
	 * Writes the structure and the rules made from it.
	 *
	 * @param string $structure Structure.
	 */
	public static function set( string $structure ): void {
		$GLOBALS['wp_rewrite']->set_permalink_structure( $structure );
		flush_rewrite_rules( false );
	}

	/**
	 * Makes the rules anew.
	 *
	 * @param Args $args Command line.
	 */
	public static function flush( Args $args ): void {
		flush_rewrite_rules( false );
		Out::success( $args, 'Rewrite rules flushed.' );
	}
}
