<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Database drop-in (WP_CONTENT_DIR/db.php): wpdb over TLS with a verified server certificate.
 *
 * Active when the site's configuration defines PERENNIAL_DB_CA; otherwise wpdb is left as it is.
 */

require_once '/usr/share/perennial/endpoints/tls.php';

/**
 * A wpdb that refuses a server of another name or another authority.
 */
class Perennial_DB extends wpdb {

	/** Errors that say "this server takes no writes": a former writer after a switchover. */
	private const READ_ONLY_ERRORS = array( 1290, 1792, 1836 );

	/**
	 * SQL modes of a session: the server's (role database) without those that WordPress does not bear.
	 * Written out, so that a session begins with one question instead of five.
	 */
	private const SQL_MODE = 'ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION';

	/** Statements that begin or end a transaction. */
	private const TRANSACTION =
		'/^\s*(START\s+TRANSACTION|BEGIN|SET\s+(SESSION\s+)?autocommit|COMMIT|ROLLBACK)\b/i';

	/** Whether a statement of this request began a transaction that none has ended. */
	private bool $began = false;

	/**
	 * Connects over verified TLS and selects the database; web requests use the connection of the one before.
	 *
	 * @param bool $allow_bail Whether a failure may end the request with WordPress' error page.
	 * @return bool Whether the connection stands.
	 */
	public function db_connect( $allow_bail = true ) {
		if ( $this->open( 'fpm-fcgi' === PHP_SAPI ) ) {
			return true;
		}
		error_log( 'perennial: database connection refused: ' . mysqli_connect_error() );
		if ( $allow_bail ) {
			$this->bail_unavailable();
		}
		return false;
	}

	/**
	 * Opens a connection and prepares its session.
	 *
	 * @param bool $kept As perennial_connect().
	 */
	private function open( bool $kept ): bool {
		$this->is_mysql = true;
		$target         = $this->parse_db_host( $this->dbhost );
		list( $host, $port ) = $target ? $target : array( $this->dbhost, null );

		$this->dbh = perennial_connect(
			$host,
			$port ? (int) $port : null,
			$this->dbuser,
			$this->dbpassword,
			PERENNIAL_DB_CA,
			$this->dbname,
			kept: $kept
		);
		if ( null === $this->dbh ) {
			return false;
		}
		$this->has_connected = true;
		$this->init_charset();
		$this->ready = true;
		return $this->begin_session();
	}

	/**
	 * Sets collation and SQL modes in one statement.
	 */
	private function begin_session(): bool {
		$names = "NAMES {$this->charset}" . ( $this->collate ? " COLLATE {$this->collate}" : '' );
		return mysqli_query( $this->dbh, "SET $names, SESSION sql_mode='" . self::SQL_MODE . "'" );
	}

	/**
	 * Runs a query; a write refused by a read-only server is sent once more over a new connection.
	 *
	 * The listener leads new connections to the present writer. Inside a transaction nothing is
	 * repeated: its earlier statements would be lost without notice.
	 *
	 * @param string $query SQL.
	 * @return int|bool As wpdb::query().
	 */
	public function query( $query ) {
		if ( preg_match( self::TRANSACTION, $query, $word ) ) {
			$this->began = ! in_array( strtoupper( $word[1] ), array( 'COMMIT', 'ROLLBACK' ), true );
		}
		$result = parent::query( $query );
		if ( false !== $result || ! $this->dbh instanceof mysqli ) {
			return $result;
		}
		if ( ! in_array( mysqli_errno( $this->dbh ), self::READ_ONLY_ERRORS, true ) || $this->in_transaction() ) {
			return $result;
		}
		// A kept connection would only go back to its pool; ended by the server, it is not used again.
		mysqli_query( $this->dbh, 'KILL CONNECTION_ID()' );
		mysqli_close( $this->dbh );
		return $this->open( false ) ? parent::query( $query ) : false;
	}

	/**
	 * Tells whether the session has an open transaction.
	 *
	 * A session that was cut off right after the refusal cannot be asked: then what was sent tells.
	 */
	private function in_transaction(): bool {
		$row = mysqli_query( $this->dbh, 'SELECT @@in_transaction' );
		return $row instanceof mysqli_result ? '0' !== $row->fetch_row()[0] : $this->began;
	}

	/**
	 * Ends the request with 503, so that no edge stores the answer and clients try again.
	 */
	private function bail_unavailable(): void {
		wp_load_translations_early();
		if ( file_exists( WP_CONTENT_DIR . '/db-error.php' ) ) {
			require_once WP_CONTENT_DIR . '/db-error.php';
			die();
		}
		if ( ! headers_sent() ) {
			header( 'Cache-Control: private, no-store' );
			header( 'Retry-After: 5' );
		}
		// Too early for the escaping functions; the texts are WordPress' own.
		// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped
		wp_die(
			'<h1>' . __( 'Error establishing a database connection' ) . '</h1>',
			'',
			array( 'response' => 503 )
		);
	}
}

if ( defined( 'PERENNIAL_DB_CA' ) ) {
	$GLOBALS['wpdb'] = new Perennial_DB( DB_USER, DB_PASSWORD, DB_NAME, DB_HOST );
}
