<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl core: installation and schema.
 */
final class Core_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'install'      => new Command(
				'--url=U --title=T --admin_user=N --admin_email=E --prompt=admin_password [--locale=zh_CN]',
				array( self::class, 'install' ),
				array( 'url', 'title', 'admin_user', 'admin_email', 'admin_password', 'locale', 'skip-email' ),
				0,
				0,
				Command::ANY
			),
			'is-installed' => new Command(
				'(exit code 0 or 1)',
				static fn( Args $args ) => wp_installing() ? 1 : 0,
				array(),
				0,
				0,
				Command::ANY
			),
			'version'      => new Command(
				'(version of the code)',
				static fn( Args $args ) => print wp_get_wp_version() . "\n",
				array( 'extra' ),
				0,
				0,
				Command::ANY
			),
			'update-db'    => new Command(
				'(bring the schema to the code\'s version)',
				array( self::class, 'update_db' )
			),
		);
	}

	/**
	 * Installs the site, or says that it is installed.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When a value is missing.
	 */
	public static function install( Args $args ): void {
		if ( ! wp_installing() ) {
			\Perennial\Table::ensure();
			Out::success( $args, 'The site is already installed.' );
			return;
		}
		foreach ( array( 'url', 'title', 'admin_user', 'admin_email', 'admin_password' ) as $flag ) {
			if ( null === $args->get( $flag ) ) {
				$hint = 'admin_password' === $flag ? '--prompt=admin_password (standard input)' : "--$flag=...";
				throw new Usage( "core install needs $hint." );
			}
		}
		if ( ! is_email( $args->get( 'admin_email' ) ) ) {
			throw new Usage( '"' . $args->get( 'admin_email' ) . '" is not a mail address.' );
		}
		$locale = Input::one_of(
			'locale',
			$args->get( 'locale', 'en_US' ),
			array_merge( array( 'en_US' ), get_available_languages() )
		);
		if ( ! $args->on( 'dry-run' ) ) {
			self::create(
				$args->get( 'title' ),
				$args->get( 'admin_user' ),
				$args->get( 'admin_email' ),
				$args->get( 'admin_password' ),
				$args->get( 'url' ),
				$locale
			);
		}
		Out::success( $args, 'WordPress installed.' );
	}

	/**
	 * Makes tables, options, roles and the administrator; the rest of the run sees an installed site.
	 *
	 * @param string $title    Site title.
	 * @param string $login    Administrator's login name.
	 * @param string $email    Administrator's address.
	 * @param string $password Administrator's password.
	 * @param string $url      Address of the site.
	 * @param string $locale   Locale such as zh_CN.
	 */
	public static function create(
		string $title,
		string $login,
		string $email,
		#[\SensitiveParameter] string $password,
		string $url,
		string $locale
	): void {
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		if ( ! defined( 'WP_SITEURL' ) ) {
			define( 'WP_SITEURL', $url );
		}
		// Dates and the first category take the site's language from the start.
		load_default_textdomain( $locale );
		$GLOBALS['wp_locale'] = new \WP_Locale();
		// A structure in place keeps WordPress from testing pretty addresses with a request to itself.
		$structure = static fn() => '/%year%/%monthnum%/%postname%/';
		add_filter( 'pre_option_permalink_structure', $structure );
		$result = wp_install(
			$title,
			$login,
			$email,
			true,
			'',
			wp_slash( $password ),
			'en_US' === $locale ? '' : $locale
		);
		remove_filter( 'pre_option_permalink_structure', $structure );
		Failure::check( $result );
		wp_update_user( wp_slash( array( 'ID' => $result['user_id'], 'display_name' => $title ) ) );
		update_option( 'permalink_structure', $structure() );
		update_option( 'comment_moderation', '1' );
		update_option( 'WPLANG', 'en_US' === $locale ? '' : $locale );
		wp_installing( false );
		wp_cache_flush();
		\Perennial\Table::ensure();
	}

	/**
	 * Upgrades the schema after a package upgrade; nothing to do is success.
	 *
	 * @param Args $args Command line.
	 */
	public static function update_db( Args $args ): void {
		global $wp_db_version;
		$before = (int) get_option( 'db_version' );
		if ( $before === (int) $wp_db_version ) {
			\Perennial\Table::ensure();
			Out::success( $args, "The database is at version $before already." );
			return;
		}
		if ( ! $args->on( 'dry-run' ) ) {
			require_once ABSPATH . 'wp-admin/includes/upgrade.php';
			wp_upgrade();
			\Perennial\Table::ensure();
			\Perennial\Bans::all();
		}
		Out::success( $args, "The database went from version $before to $wp_db_version." );
	}
}
