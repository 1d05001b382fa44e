<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Collects the cache keys that one request made stale and appends them as one row.
 *
 * The row is written at the end of the request, when every change stands in the database. A request
 * that runs for long (import, cron) writes earlier rows too, so that no ban waits for its end.
 */
final class Bans {

	/** Seconds a collected key may wait in a long request before it is written. */
	private const MAX_WAIT = 1.0;

	/** Above this number of keys the whole site is banned instead: cheaper for the edges. */
	private const MAX_KEYS = 200;

	/**
	 * Keys collected so far, as array keys.
	 *
	 * @var array<string, true>
	 */
	private static array $keys = array();

	private static float $since = 0.0;

	/**
	 * Marks keys as stale.
	 *
	 * @param string ...$keys Cache keys.
	 */
	public static function add( string ...$keys ): void {
		if ( array() === $keys || wp_installing() ) {
			return;
		}
		if ( array() === self::$keys ) {
			self::$since = microtime( true );
		} elseif ( microtime( true ) - self::$since > self::MAX_WAIT ) {
			self::flush();
			self::$since = microtime( true );
		}
		self::$keys += array_fill_keys( $keys, true );
	}

	/**
	 * Marks every page of the site as stale.
	 */
	public static function all(): void {
		self::add( site_key() );
	}

	/**
	 * Appends the collected keys as one row; nothing collected, nothing written.
	 */
	public static function flush(): void {
		if ( array() === self::$keys ) {
			return;
		}
		$keys = self::$keys;
		if ( isset( $keys[ site_key() ] ) || count( $keys ) > self::MAX_KEYS ) {
			$keys = array( site_key() => true );
		} else {
			// Pages with too many keys to list carry this one, see Keys::header().
			$keys['many'] = true;
		}
		self::$keys = array();
		if ( ! Table::append( array_keys( $keys ) ) ) {
			error_log( 'perennial: a cache ban was lost: ' . implode( ' ', array_keys( $keys ) ) );
		}
	}
}

// Not the `shutdown` action: plugins may end it early, and its other callbacks may change posts.
register_shutdown_function(
	static function (): void {
		register_shutdown_function( array( Bans::class, 'flush' ) );
	}
);
