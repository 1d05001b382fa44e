<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

require_once __DIR__ . '/accounts.php';
require_once __DIR__ . '/steps.php';

/**
 * Brings a site to a desired state: compares first, writes only what differs.
 */
final class Ensure {

	/** Keys of the desired state, in the order they are brought about; all but `url` and `admin` optional. */
	private const KEYS = array(
		'url',
		'title',
		'locale',
		'admin',
		'tagline',
		'timezone',
		'roles',
		'options',
		'accounts',
		'plugins',
		'theme',
		'permalink_structure',
	);

	/**
	 * Makes the comparison.
	 *
	 * @param array<string, mixed> $wanted Desired state.
	 * @param bool                 $check  Only say what would change.
	 * @throws Usage When a key is unknown, a type is wrong or a needed key is missing.
	 */
	public function __construct( private array $wanted, private bool $check ) {
		foreach ( $wanted as $key => $value ) {
			Input::one_of( 'key', (string) $key, self::KEYS );
			$is_list = in_array( $key, array( 'admin', 'roles', 'options', 'accounts', 'plugins' ), true );
			if ( $is_list !== is_array( $value ) ) {
				throw new Usage( "\"$key\" must be " . ( $is_list ? 'an object or a list.' : 'a text.' ) );
			}
		}
		foreach ( array( 'login', 'email' ) as $key ) {
			if ( ! is_string( $wanted['admin'][ $key ] ?? null ) ) {
				throw new Usage( "The desired state lacks admin.$key." );
			}
		}
		Input::one_of(
			'locale',
			$wanted['locale'] ?? 'en_US',
			array_merge( array( 'en_US' ), get_available_languages() )
		);
	}

	/**
	 * Runs all steps.
	 *
	 * @return string[] What changed (or would), such as `option blogname`.
	 */
	public function run(): array {
		if ( wp_installing() ) {
			if ( $this->check ) {
				return array( 'core install' );
			}
			$this->install();
			return array_merge( array( 'core install' ), $this->steps() );
		}
		return $this->steps();
	}

	/**
	 * Installs the site.
	 *
	 * @throws Usage When what installation needs is missing.
	 */
	private function install(): void {
		foreach ( array( 'url', 'title' ) as $key ) {
			if ( ! isset( $this->wanted[ $key ] ) ) {
				throw new Usage( "The site is not installed and the desired state lacks $key." );
			}
		}
		$admin = $this->wanted['admin'];
		if ( '' === ( $admin['password'] ?? '' ) ) {
			throw new Usage( 'The site is not installed and the desired state lacks admin.password.' );
		}
		Registry::group( 'core' );
		Core_Commands::create(
			$this->wanted['title'],
			$admin['login'],
			$admin['email'],
			$admin['password'],
			$this->wanted['url'],
			$this->wanted['locale'] ?? 'en_US'
		);
	}

	/**
	 * Runs the steps of an installed site.
	 *
	 * @return string[] What changed.
	 */
	private function steps(): array {
		$steps   = new Steps( $this->check );
		$options = array(
			'blogname'        => $this->wanted['title'] ?? null,
			'blogdescription' => $this->wanted['tagline'] ?? null,
			'WPLANG'          => isset( $this->wanted['locale'] ) ? (
				'en_US' === $this->wanted['locale'] ? '' : $this->wanted['locale']
			) : null,
			'timezone_string' => $this->wanted['timezone'] ?? null,
		);
		$steps->schema();
		$steps->roles( $this->wanted['roles'] ?? array() );
		$steps->options(
			array_filter( $options, static fn( $value ) => null !== $value ) + ( $this->wanted['options'] ?? array() )
		);
		$steps->defaults();
		$steps->admin( $this->wanted['admin'] );
		Accounts::ensure( $steps, $this->wanted['accounts'] ?? array() );
		if ( isset( $this->wanted['plugins'] ) ) {
			$steps->plugins( $this->wanted['plugins'] );
		}
		if ( isset( $this->wanted['theme'] ) ) {
			$steps->theme( $this->wanted['theme'] );
		}
		if ( isset( $this->wanted['permalink_structure'] ) ) {
			$steps->permalinks( $this->wanted['permalink_structure'] );
		}
		return $steps->changed;
	}
}
