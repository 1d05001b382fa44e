<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looks whether a site is installed, before WordPress decides how to load.
 */

namespace Perennial\Wpctl;

require_once '/usr/share/perennial/endpoints/tls.php';

/** Server error: the table does not exist. */
const NO_SUCH_TABLE = 1146;

/**
 * Tells whether the site's tables are there and filled.
 *
 * Also defines the constants of the configuration file, which Debian's wp-config.php then reads again
 * without harm (require_once of the same path).
 *
 * @param Site $site The site.
 * @throws Failure When the database does not answer: nobody may install over a site that is only away.
 */
function is_installed( Site $site ): bool {
	$table_prefix = 'wp_';
	require_once $site->config;
	$GLOBALS['table_prefix'] = $table_prefix;
	$link                    = \perennial_connect_site( 10 );
	if ( null === $link ) {
		throw new Failure(
			'Cannot connect to the database ' . DB_NAME . ' at ' . DB_HOST . ': ' . mysqli_connect_error()
		);
	}
	$row = $link->query( "SELECT option_value FROM {$table_prefix}options WHERE option_name = 'siteurl'" );
	if ( false === $row && NO_SUCH_TABLE !== $link->errno ) {
		throw new Failure( 'The database does not answer: ' . $link->error );
	}
	return false !== $row && null !== $row->fetch_row();
}
