<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl db: the database.
 */
final class Db_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array( 'check' => new Command( '', array( self::class, 'check' ) ) );
	}

	/**
	 * Checks every table of the site.
	 *
	 * @param Args $args Command line.
	 * @throws Failure When a table is not sound.
	 */
	public static function check( Args $args ): void {
		global $wpdb;
		$tables = $wpdb->get_col( $wpdb->prepare( 'SHOW TABLES LIKE %s', $wpdb->esc_like( $wpdb->prefix ) . '%' ) );
		$bad    = array();
		foreach ( $tables as $table ) {
			foreach ( $wpdb->get_results( 'CHECK TABLE `' . esc_sql( $table ) . '`' ) as $row ) {
				if ( 'status' === $row->Msg_type && 'OK' !== $row->Msg_text ) {
					$bad[] = "$table: {$row->Msg_text}";
				}
			}
		}
		if ( array() !== $bad || array() === $tables ) {
			throw new Failure(
				'Database check: ' . ( array() === $tables ? 'no tables' : implode( '; ', $bad ) ) . '.'
			);
		}
		Out::success( $args, count( $tables ) . ' tables checked.' );
	}
}
