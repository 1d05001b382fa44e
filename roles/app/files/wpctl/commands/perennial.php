<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl perennial: desired state, metrics and cache bans of the platform.
 */
final class Perennial_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'ensure' => new Command(
				'--stdin [--check] (desired state as JSON on standard input)',
				array( self::class, 'ensure' ),
				array( 'stdin', 'check' ),
				0,
				0,
				Command::ANY
			),
			'stats'  => new Command( '--format=prometheus', array( self::class, 'stats' ) ),
			'ban'    => new Command( '[<key>...] (no key: everything)', array( self::class, 'ban' ), array(), 0, 100 ),
		);
	}

	/**
	 * Brings the site to the state on standard input and prints what was changed.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When the input is not an object in JSON.
	 */
	public static function ensure( Args $args ): void {
		require_once dirname( __DIR__ ) . '/lib/ensure.php';
		$wanted = json_decode( (string) stream_get_contents( STDIN ), true );
		if ( ! $args->on( 'stdin' ) || ! is_array( $wanted ) ) {
			throw new Usage( 'perennial ensure --stdin reads one JSON object: ' . json_last_error_msg() . '.' );
		}
		$check  = $args->on( 'check' ) || $args->on( 'dry-run' );
		$ensure = new Ensure( $wanted, $check );
		echo Out::json( array( 'changed' => $ensure->run(), 'check' => $check ) ) . "\n";
	}

	/**
	 * Prints figures about the site.
	 *
	 * @param Args $args Command line.
	 */
	public static function stats( Args $args ): void {
		$site = \Perennial\site_id();
		if ( 'prometheus' !== $args->get( 'format', 'prometheus' ) ) {
			Out::one( $args, array_map( static fn( array $stat ) => $stat['value'], \Perennial\stats() ) );
			return;
		}
		foreach ( \Perennial\stats() as $name => $stat ) {
			echo "# HELP $name {$stat['help']}\n# TYPE $name gauge\n$name{site=\"$site\"} {$stat['value']}\n";
		}
	}

	/**
	 * Appends a cache ban by hand.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When a key has other than letters, digits and hyphens.
	 */
	public static function ban( Args $args ): void {
		foreach ( $args->words as $key ) {
			if ( ! preg_match( '/^[a-z0-9-]{1,40}$/', $key ) ) {
				throw new Usage( "\"$key\" is not a cache key." );
			}
		}
		if ( ! $args->on( 'dry-run' ) ) {
			array() === $args->words ? \Perennial\Bans::all() : \Perennial\Bans::add( ...$args->words );
			\Perennial\Bans::flush();
		}
		Out::success( $args, 'Ban recorded.' );
	}
}
