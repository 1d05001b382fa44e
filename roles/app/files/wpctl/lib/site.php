<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * A site of this host, as its configuration file in /etc/wordpress describes it.
 */
final class Site {

	private const FOLDER = '/etc/wordpress';

	/** The account that web requests run as; wpctl must not make files of another owner. */
	private const ACCOUNT = 'www-data';

	/**
	 * Makes a site.
	 *
	 * @param string $id     Site id (PERENNIAL_SITE).
	 * @param string $domain Domain, from the file's name.
	 * @param string $config Path of the configuration file.
	 */
	public function __construct(
		public readonly string $id,
		public readonly string $domain,
		public readonly string $config
	) {
	}

	/**
	 * Lists the sites of this host.
	 *
	 * @param string $folder Folder of the configuration files.
	 * @return array<string, Site> By site id.
	 */
	public static function all( string $folder = self::FOLDER ): array {
		$sites = array();
		foreach ( glob( "$folder/config-*.php" ) as $path ) {
			$text = is_readable( $path ) ? (string) file_get_contents( $path ) : '';
			if ( preg_match( '/define\(\s*[\'"]PERENNIAL_SITE[\'"]\s*,\s*[\'"]([a-z0-9-]+)[\'"]/', $text, $part ) ) {
				$sites[ $part[1] ] = new self( $part[1], substr( basename( $path, '.php' ), 7 ), $path );
			}
		}
		return $sites;
	}

	/**
	 * Chooses the site.
	 *
	 * @param string|null $id     Given with --site; not needed when the host has one site.
	 * @param string      $folder Folder of the configuration files.
	 * @throws Usage   When the id is unknown or missing.
	 * @throws Failure When no site can be read.
	 */
	public static function choose( ?string $id, string $folder = self::FOLDER ): self {
		$sites = self::all( $folder );
		if ( array() === $sites ) {
			throw new Failure( "No readable site configuration in $folder (run as root or " . self::ACCOUNT . ').' );
		}
		if ( null === $id && count( $sites ) > 1 ) {
			throw new Usage( 'Name the site: --site=' . implode( ' | --site=', array_keys( $sites ) ) );
		}
		if ( null !== $id && ! isset( $sites[ $id ] ) ) {
			throw new Usage(
				"Unknown site \"$id\"." . Usage::nearest( $id, array_keys( $sites ) ) . ' Sites: ' . implode(
					', ',
					array_keys( $sites )
				) . '.'
			);
		}
		return $sites[ $id ?? array_key_first( $sites ) ];
	}

	/**
	 * Sets what Debian's wp-config.php and WordPress read from a web request.
	 */
	public function pose_as_request(): void {
		putenv( 'HTTP_HOST=' . $this->domain );
		$_SERVER = array(
			'HTTP_HOST'       => $this->domain,
			'SERVER_NAME'     => $this->domain,
			'SERVER_PROTOCOL' => 'HTTP/1.1',
			'REQUEST_METHOD'  => 'GET',
			'REQUEST_URI'     => '/',
			'REMOTE_ADDR'     => '127.0.0.1',
			'HTTPS'           => 'on',
			'SERVER_PORT'     => '443',
		) + $_SERVER;
		unset( $_SERVER['WORDPRESS_CONFIG'] );
	}

	/**
	 * Gives up root for the account of the web requests.
	 *
	 * @throws Failure When the account is missing or the change is refused.
	 */
	public static function drop_root(): void {
		if ( 0 !== posix_geteuid() ) {
			return;
		}
		$account = posix_getpwnam( self::ACCOUNT );
		if ( ! $account || ! posix_initgroups(
			self::ACCOUNT,
			$account['gid']
		) || ! posix_setgid( $account['gid'] ) || ! posix_setuid( $account['uid'] ) ) {
			throw new Failure( 'Cannot become ' . self::ACCOUNT . '.' );
		}
		putenv( 'HOME=/nonexistent' );
		umask( 0022 );
	}
}
