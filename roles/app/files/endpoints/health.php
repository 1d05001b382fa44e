<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * GET /perennial/health: 200 when PHP runs and the database answers a SELECT within 2 s, else 503.
 *
 * Does not load WordPress. The body is one word; what went wrong goes to the error log only.
 */

declare( strict_types = 1 );

require __DIR__ . '/tls.php';

/** Seconds the database may take to answer. */
const PERENNIAL_HEALTH_TIMEOUT = 2;

/**
 * Asks the configured database a question that reads a table of the site.
 *
 * @param string $prefix Table prefix.
 */
function perennial_database_answers( string $prefix ): bool {
	ini_set( 'default_socket_timeout', (string) PERENNIAL_HEALTH_TIMEOUT );
	$link = perennial_connect_site( PERENNIAL_HEALTH_TIMEOUT );
	if ( null === $link ) {
		error_log( 'perennial health: no database connection: ' . mysqli_connect_error() );
		return false;
	}
	$row = $link->query( "SELECT 1 FROM {$prefix}options LIMIT 1" );
	if ( ! $row instanceof mysqli_result || null === $row->fetch_row() ) {
		error_log( 'perennial health: the database does not answer: ' . $link->error );
		return false;
	}
	return true;
}

header( 'Content-Type: text/plain' );
header( 'Cache-Control: private, no-store' );
$table_prefix = 'wp_';
$config       = (string) ( $_SERVER['PERENNIAL_CONFIG'] ?? '' );
$healthy      = is_readable( $config ) && ( require $config ) && perennial_database_answers( $table_prefix );
http_response_code( $healthy ? 200 : 503 );
echo $healthy ? "ok\n" : "unavailable\n";
