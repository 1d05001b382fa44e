<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * GET /perennial/bans?after=<id>: the cache bans after a cursor, for the edges' cache agents.
 *
 * Needs `Authorization: Bearer <PERENNIAL_CACHE_TOKEN>`; anything else is 403. Does not load
 * WordPress: the agents ask twice a second.
 */

declare( strict_types = 1 );

require __DIR__ . '/tls.php';

/** Rows in one answer; an agent that is behind asks again at once. */
const PERENNIAL_BANS_LIMIT = 500;

/**
 * Ends the request.
 *
 * @param int                       $status HTTP status.
 * @param array<string, mixed>|null $body   Sent as JSON.
 */
function perennial_answer( int $status, ?array $body = null ): never {
	http_response_code( $status );
	header( 'Cache-Control: private, no-store' );
	header( 'Content-Type: application/json' );
	echo null === $body ? '' : json_encode( $body, JSON_THROW_ON_ERROR );
	exit;
}

/**
 * Compares the request's token in constant time.
 */
function perennial_token_fits(): bool {
	$given = (string) ( $_SERVER['HTTP_AUTHORIZATION'] ?? '' );
	$token = defined( 'PERENNIAL_CACHE_TOKEN' ) ? (string) PERENNIAL_CACHE_TOKEN : '';
	return strlen( $token ) >= 16 && hash_equals( 'Bearer ' . $token, $given );
}

/**
 * Reads epoch, range and rows.
 *
 * @param mysqli $link   Database connection.
 * @param string $prefix Table prefix.
 * @param int    $after  Cursor: the last id the agent has applied.
 * @return array<string, mixed> The answer.
 * @throws mysqli_sql_exception When the database refuses.
 */
function perennial_bans( mysqli $link, string $prefix, int $after ): array {
	mysqli_report( MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT );
	$site  = array( PERENNIAL_SITE );
	$epoch = $link->query(
		"SELECT option_value FROM {$prefix}options WHERE option_name = 'perennial_bans_epoch'"
	)->fetch_row();
	$range = $link->execute_query(
		"SELECT COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM {$prefix}perennial_bans WHERE site = ?",
		$site
	)->fetch_row();
	$rows  = $link->execute_query(
		"SELECT id, keys_ FROM {$prefix}perennial_bans WHERE site = ? AND id > ? ORDER BY id LIMIT "
			. PERENNIAL_BANS_LIMIT,
		array( PERENNIAL_SITE, $after )
	);
	$bans  = array();
	foreach ( $rows as $row ) {
		$bans[] = array( 'id' => (int) $row['id'], 'keys' => explode( ' ', $row['keys_'] ) );
	}
	return array(
		'epoch' => (string) ( $epoch[0] ?? '' ),
		'last' => (int) $range[1],
		'first' => (int) $range[0],
		'bans' => $bans,
	);
}

$table_prefix = 'wp_';
$config       = (string) ( $_SERVER['PERENNIAL_CONFIG'] ?? '' );
if ( ! is_readable( $config ) || ! ( require $config ) || ! perennial_token_fits() ) {
	perennial_answer( 403 );
}
$after = $_GET['after'] ?? '0';
if ( ! is_string( $after ) || ! preg_match( '/^\d{1,18}$/', $after ) ) {
	perennial_answer( 400 );
}
$link = perennial_connect_site( 2 );
if ( null === $link ) {
	perennial_answer( 503 );
}
try {
	perennial_answer( 200, perennial_bans( $link, $table_prefix, (int) $after ) );
} catch ( mysqli_sql_exception $error ) {
	error_log( 'perennial bans: ' . $error->getMessage() );
	perennial_answer( 503 );
}
