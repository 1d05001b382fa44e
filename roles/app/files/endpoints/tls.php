<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One way to open a database connection, shared by the db.php drop-in, the endpoints and wpctl.
 *
 * WordPress' own wpdb never names a certificate authority, so MYSQL_CLIENT_FLAGS alone encrypts
 * without verifying. Here the authority and the host name are always checked.
 */

declare( strict_types = 1 );

/** Seconds a connection attempt may take before it counts as failed. */
const PERENNIAL_DB_CONNECT_TIMEOUT = 3;

/**
 * Opens a verified TLS connection, or takes one that this process opened before.
 *
 * The server certificate must be issued by the authority in $authority and carry $host. There is
 * no fall-back to clear text: a server that does not offer TLS is refused by the driver.
 *
 * @param string      $host         Host name (checked against the certificate) or address.
 * @param int|null    $port         TCP port, null for the driver's default (3306).
 * @param string      $user         Database account.
 * @param string      $password     Its password.
 * @param string      $authority    Path of the PEM file of the only trusted authority.
 * @param string|null $database     Database to select, or null.
 * @param int         $read_timeout Seconds to wait for any answer; 0 keeps mysqlnd.net_read_timeout.
 * @param bool        $kept         Whether the process keeps the connection for its next request. The driver
 *                                  resets the session before it is used again (COM_CHANGE_USER: roll-back,
 *                                  no locks, no temporary tables) and opens another one when that fails.
 * @return mysqli|null The connection, or null on any failure; mysqli_connect_error() tells why.
 */
function perennial_connect(
	string $host,
	?int $port,
	string $user,
	#[\SensitiveParameter] string $password,
	string $authority,
	?string $database = null,
	int $read_timeout = 0,
	bool $kept = false
): ?mysqli {
	mysqli_report( MYSQLI_REPORT_OFF );
	$link = mysqli_init();
	if ( ! $link || ! is_readable( $authority ) ) {
		return null;
	}
	$link->options( MYSQLI_OPT_CONNECT_TIMEOUT, PERENNIAL_DB_CONNECT_TIMEOUT );
	if ( $read_timeout > 0 ) {
		$link->options( MYSQLI_OPT_READ_TIMEOUT, $read_timeout );
	}
	$link->options( MYSQLI_SET_CHARSET_NAME, 'utf8mb4' );
	$link->ssl_set( null, null, $authority, null, null );
	$flags = MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT;
	$server = $kept ? "p:$host" : $host;
	// The driver raises warnings besides returning false; the caller reports the error itself.
	// phpcs:ignore WordPress.PHP.NoSilencedErrors.Discouraged
	return @$link->real_connect( $server, $user, $password, $database, $port ?? 0, null, $flags ) ? $link : null;
}

/**
 * Opens the connection that a site's configuration file describes.
 *
 * @param int $read_timeout Seconds to wait for any answer.
 * @return mysqli|null The connection with the site's database selected, or null.
 */
function perennial_connect_site( int $read_timeout ): ?mysqli {
	$parts = explode( ':', DB_HOST, 2 );
	$port  = isset( $parts[1] ) ? (int) $parts[1] : null;
	return perennial_connect( $parts[0], $port, DB_USER, DB_PASSWORD, PERENNIAL_DB_CA, DB_NAME, $read_timeout );
}
