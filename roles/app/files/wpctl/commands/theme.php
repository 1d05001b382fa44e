<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl theme: themes.
 */
final class Theme_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'list'     => new Command( '', array( self::class, 'list' ) ),
			'activate' => new Command( '<theme>', array( self::class, 'activate' ), array(), 1, 1 ),
		);
	}

	/**
	 * Lists themes.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$rows = array();
		foreach ( wp_get_themes() as $name => $theme ) {
			$rows[] = array(
				'name' => (string) $name,
				'status' => get_stylesheet() === $name ? 'active' : 'inactive',
				'version' => $theme->get( 'Version' ),
			);
		}
		Out::rows( $args, $rows, array( 'name', 'status', 'version' ), 'name' );
	}

	/**
	 * Activates a theme; the active one again is success.
	 *
	 * @param Args $args Command line.
	 */
	public static function activate( Args $args ): void {
		$name = Input::one_of( 'theme', $args->word( 0 ), array_map( 'strval', array_keys( wp_get_themes() ) ) );
		Failure::check( wp_get_theme( $name )->errors() );
		if ( get_stylesheet() !== $name && ! $args->on( 'dry-run' ) ) {
			switch_theme( $name );
		}
		Out::success( $args, "Theme \"$name\" is active." );
	}
}
