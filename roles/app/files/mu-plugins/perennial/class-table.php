<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * The table {prefix}perennial_bans: an append-only list that the edges' cache agents read.
 */
final class Table {

	/** Raised when the definition below changes; kept in the option of the same name. */
	private const VERSION = 1;

	private const VERSION_OPTION = 'perennial_bans_version';

	/** Names this table's life: agents that know another epoch drop their whole cache. */
	public const EPOCH_OPTION = 'perennial_bans_epoch';

	/** Seconds to wait for another request that is appending. */
	private const LOCK_WAIT = 5;

	/** Rows are kept this long, seconds: an agent away for longer drops everything anyway. */
	public const KEEP = 86400;

	/**
	 * Gives the table's name.
	 */
	public static function name(): string {
		return $GLOBALS['wpdb']->prefix . 'perennial_bans';
	}

	/**
	 * Creates the table and the epoch if they are missing. Safe to call at any time.
	 *
	 * @return bool Whether anything was created.
	 */
	public static function ensure(): bool {
		global $wpdb;
		$made = false;
		if ( (int) get_option( self::VERSION_OPTION ) !== self::VERSION || ! self::exists() ) {
			$charset = $wpdb->get_charset_collate();
			// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared
			$wpdb->query(
				'CREATE TABLE IF NOT EXISTS ' . self::name() . " (
				id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, site VARCHAR(32) NOT NULL, keys_ TEXT NOT NULL,
				created DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
				PRIMARY KEY (id), KEY site_id (site, id), KEY created (created)) ENGINE=InnoDB $charset"
			);
			// A new table starts at 1 again, so agents must not trust an older cursor.
			update_option( self::EPOCH_OPTION, wp_generate_uuid4(), true );
			update_option( self::VERSION_OPTION, self::VERSION, true );
			$made = true;
		}
		return $made;
	}

	/**
	 * Tells whether the table is there and has its epoch.
	 */
	public static function exists(): bool {
		global $wpdb;
		$found = $wpdb->get_var( $wpdb->prepare( 'SHOW TABLES LIKE %s', $wpdb->esc_like( self::name() ) ) );
		return self::name() === $found && '' !== (string) get_option( self::EPOCH_OPTION );
	}

	/**
	 * Appends one row.
	 *
	 * Rows become visible in the order of their ids: an agent that has read row 11 will never look for
	 * row 10 again, so two requests must not hold ids and commit in the other order. The lock lasts until
	 * the row is committed (and acknowledged by the replica); after LOCK_WAIT the row is written anyway.
	 *
	 * @param string[] $keys Cache keys to ban.
	 * @return bool Whether the row stands in the database.
	 */
	public static function append( array $keys ): bool {
		global $wpdb;
		$lock  = 'perennial-bans-' . site_id();
		$quiet = $wpdb->suppress_errors( true );
		$wpdb->query( $wpdb->prepare( 'SELECT GET_LOCK(%s, %d)', $lock, self::LOCK_WAIT ) );
		$inserted = self::insert( $keys );
		if ( ! $inserted && self::ensure() ) {
			$inserted = self::insert( $keys );
		}
		$wpdb->query( $wpdb->prepare( 'SELECT RELEASE_LOCK(%s)', $lock ) );
		$wpdb->suppress_errors( $quiet );
		return $inserted;
	}

	/**
	 * Inserts one row.
	 *
	 * @param string[] $keys Cache keys.
	 */
	private static function insert( array $keys ): bool {
		global $wpdb;
		$row = array(
			'site'  => site_id(),
			'keys_' => implode( ' ', $keys ),
		);
		return (bool) $wpdb->insert( self::name(), $row, '%s' );
	}

	/**
	 * Deletes rows older than KEEP, but never the newest one, which anchors the numbering.
	 *
	 * @return int Rows deleted.
	 */
	public static function prune(): int {
		global $wpdb;
		$table = self::name();
		// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared
		$last = (int) $wpdb->get_var( "SELECT MAX(id) FROM $table" );
		// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared
		$sql = "DELETE FROM $table WHERE created < NOW(6) - INTERVAL %d SECOND AND id < %d";
		return (int) $wpdb->query( $wpdb->prepare( $sql, self::KEEP, $last ) );
	}
}

add_action( 'perennial_prune_bans', array( Table::class, 'prune' ) );

add_action(
	'init',
	static function (): void {
		if ( wp_doing_cron() && ! wp_next_scheduled( 'perennial_prune_bans' ) ) {
			wp_schedule_event( time(), 'hourly', 'perennial_prune_bans' );
		}
	}
);
