<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl plugin: plugins.
 */
final class Plugin_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'list'       => new Command( '[--status=active]', array( self::class, 'list' ), array( 'status' ) ),
			'activate'   => new Command(
				'<plugin>...',
				static fn( Args $args ) => self::change( $args, true ),
				array(),
				1,
				50
			),
			'deactivate' => new Command(
				'<plugin>...',
				static fn( Args $args ) => self::change( $args, false ),
				array(),
				1,
				50
			),
		);
	}

	/**
	 * Gives all plugins by their short name, the folder's.
	 *
	 * @return array<string, array{file: string, version: string}> File and version by name.
	 */
	public static function known(): array {
		require_once ABSPATH . 'wp-admin/includes/plugin.php';
		$known = array();
		foreach ( get_plugins() as $file => $data ) {
			$known[ str_contains( $file, '/' ) ? dirname( $file ) : basename( $file, '.php' ) ] = array(
				'file' => $file,
				'version' => $data['Version'],
			);
		}
		return $known;
	}

	/**
	 * Lists plugins; must-use ones are always active.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$rows = array();
		foreach ( self::known() as $name => $data ) {
			$rows[] = array(
				'name' => $name,
				'status' => is_plugin_active( $data['file'] ) ? 'active' : 'inactive',
				'version' => $data['version'],
			);
		}
		foreach ( get_mu_plugins() as $file => $data ) {
			$rows[] = array(
				'name' => basename( $file, '.php' ),
				'status' => 'must-use',
				'version' => $data['Version'],
			);
		}
		$status = $args->get( 'status' );
		Out::rows(
			$args,
			array_values( array_filter( $rows, static fn( $row ) => null === $status || $row['status'] === $status ) ),
			array( 'name', 'status', 'version' ),
			'name'
		);
	}

	/**
	 * Activates or deactivates plugins.
	 *
	 * @param Args $args Command line.
	 * @param bool $on   Which of the two.
	 */
	private static function change( Args $args, bool $on ): void {
		$known = self::known();
		$names = array_map(
			static fn( $name ) => Input::one_of( 'plugin', $name, array_keys( $known ) ),
			$args->words
		);
		foreach ( $names as $name ) {
			if ( ! $args->on( 'dry-run' ) ) {
				self::set( $known[ $name ]['file'], $on );
			}
			Out::success( $args, "Plugin \"$name\" is " . ( $on ? 'active.' : 'inactive.' ) );
		}
	}

	/**
	 * Switches one plugin.
	 *
	 * @param string $file Its main file, relative to the plugin folder.
	 * @param bool   $on   Active or not.
	 */
	public static function set( string $file, bool $on ): void {
		if ( ! $on ) {
			deactivate_plugins( $file );
		} elseif ( ! is_plugin_active( $file ) ) {
			Failure::check( activate_plugin( $file ) );
		}
	}
}
