<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl option: settings.
 */
final class Option_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'get'    => new Command( '<name> [--format=json]', array( self::class, 'get' ), array(), 1, 1 ),
			'update' => new Command(
				'<name> <value|-> [--format=json]',
				array( self::class, 'update' ),
				array(),
				2,
				2
			),
			'delete' => new Command( '<name>', array( self::class, 'delete' ), array(), 1, 1 ),
			'list'   => new Command( '[--search=prefix*]', array( self::class, 'list' ), array( 'search' ) ),
		);
	}

	/**
	 * Prints an option.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When it does not exist.
	 */
	public static function get( Args $args ): void {
		$missing = new \stdClass();
		$value   = get_option( $args->word( 0 ), $missing );
		if ( $missing === $value ) {
			throw new Failure( "No option \"{$args->word( 0 )}\"." );
		}
		echo (
			is_scalar( $value ) && 'json' !== $args->get( 'format' ) ? (string) $value : Out::json( $value )
		) . "\n";
	}

	/**
	 * Sets an option; the same value again is success too.
	 *
	 * @param Args $args Command line.
	 */
	public static function update( Args $args ): void {
		$name  = $args->word( 0 );
		$value = '-' === $args->word( 1 ) ? rtrim( Input::text( '-' ), "\n" ) : $args->word( 1 );
		$value = sanitize_option( $name, Input::value( $args, $value ) );
		$same  = maybe_serialize( get_option( $name ) ) === maybe_serialize( $value );
		if ( ! $same && ! $args->on( 'dry-run' ) ) {
			update_option( $name, $value );
		}
		Out::success( $args, $same ? "\"$name\" has this value already." : "\"$name\" updated." );
	}

	/**
	 * Deletes an option.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When it does not exist.
	 */
	public static function delete( Args $args ): void {
		if ( false === get_option( $args->word( 0 ) ) || (
			! $args->on( 'dry-run' ) && ! delete_option( $args->word( 0 ) )
		) ) {
			throw new Failure( "No option \"{$args->word( 0 )}\"." );
		}
		Out::success( $args, "\"{$args->word( 0 )}\" deleted." );
	}

	/**
	 * Lists options.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		global $wpdb;
		$like = str_replace( '*', '%', $wpdb->esc_like( $args->get( 'search', '*' ) ) );
		$rows = $wpdb->get_results(
			$wpdb->prepare(
				"SELECT option_name, option_value, autoload FROM $wpdb->options
				WHERE option_name LIKE %s ORDER BY option_name",
				$like
			),
			ARRAY_A
		);
		Out::rows( $args, $rows, array( 'option_name', 'option_value' ), 'option_name' );
	}
}
