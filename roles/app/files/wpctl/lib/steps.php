<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * The single steps of `perennial ensure`; each compares, notes and, unless only checking, writes.
 */
final class Steps {

	/** Options of the theme's footer. */
	private const FOOTER = array(
		'perennial_theme_icp',
		'perennial_theme_police',
		'perennial_theme_complaint_url',
		'perennial_theme_terms_url',
		'perennial_theme_contact_url',
	);

	/**
	 * What changed or would change.
	 *
	 * @var string[]
	 */
	public array $changed = array();

	/**
	 * Makes the steps.
	 *
	 * @param bool $check Only note.
	 */
	public function __construct( private bool $check ) {
	}

	/**
	 * Notes a difference and removes it.
	 *
	 * @param bool     $differs Whether there is one.
	 * @param string   $what    Its name.
	 * @param callable $mend    Removes it.
	 */
	public function step( bool $differs, string $what, callable $mend ): void {
		if ( $differs ) {
			$this->changed[] = $what;
			if ( ! $this->check ) {
				Failure::check( $mend() );
			}
		}
	}

	/**
	 * The schema of WordPress, and our table.
	 */
	public function schema(): void {
		$old = (int) get_option( 'db_version' ) !== (int) $GLOBALS['wp_db_version'];
		$this->step( $old, 'core update-db', static function (): void {
			require_once ABSPATH . 'wp-admin/includes/upgrade.php';
			wp_upgrade();
			\Perennial\Bans::all();
		} );
		$this->step(
			! \Perennial\Table::exists(),
			'table perennial_bans',
			array( \Perennial\Table::class, 'ensure' )
		);
	}

	/**
	 * Options that every page reads: one that is missing costs a query each time, an empty one costs none.
	 */
	public function defaults(): void {
		foreach ( array( 'can_compress_scripts', 'https_migration_required', ...self::FOOTER ) as $name ) {
			$this->step(
				null === get_option( $name, null ),
				"option $name",
				static fn() => add_option( $name, '', '', true )
			);
		}
	}

	/**
	 * Roles with exactly these capabilities; roles not named are left as they are.
	 *
	 * @param array<string, array{name: string, capabilities: string[]}> $roles By role.
	 * @throws Usage When a role is not described so.
	 */
	public function roles( array $roles ): void {
		foreach ( $roles as $role => $data ) {
			if ( ! is_string( $data['name'] ?? null ) || ! is_array( $data['capabilities'] ?? null ) || in_array(
				$role,
				array( 'administrator' ),
				true
			) ) {
				throw new Usage( "Role \"$role\" needs name and capabilities, and cannot be administrator." );
			}
			$now  = wp_roles()->roles[ $role ] ?? null;
			$caps = array_fill_keys( $data['capabilities'], true );
			$have = array_filter( $now['capabilities'] ?? array() );
			ksort( $caps );
			ksort( $have );
			$differs = null === $now || $have !== $caps || $now['name'] !== $data['name'];
			$this->step( $differs, "role $role", static fn() => self::set_role( $role, $data['name'], $caps ) );
		}
	}

	/**
	 * Writes a role anew, so that it has no capability beside the given ones.
	 */
	private static function set_role( string $role, string $name, array $caps ): void {
		$default = get_option( 'default_role' );
		remove_role( $role );
		add_role( $role, $name, $caps );
		update_option( 'default_role', $default ); // remove_role() made it `subscriber`.
	}

	/**
	 * Options; numbers and switches compare as the texts that the database keeps.
	 *
	 * @param array<string, mixed> $options By name.
	 */
	public function options( array $options ): void {
		$stored = static fn( $value ) => is_array( $value ) ? serialize( $value ) : (
			is_bool( $value ) ? (string) (int) $value : (string) $value
		);
		foreach ( $options as $name => $value ) {
			$value = sanitize_option( $name, is_bool( $value ) ? (int) $value : $value );
			$now   = get_option( $name, null );
			$this->step(
				null === $now || $stored( $now ) !== $stored( $value ),
				"option $name",
				static fn() => update_option( $name, $value )
			);
		}
	}

	/**
	 * The administrator: made with its password when missing; later neither password nor address is touched.
	 *
	 * @param array{login: string, email: string, password?: string} $admin Account.
	 */
	public function admin( array $admin ): void {
		$user = get_user_by( 'login', $admin['login'] );
		$this->step( ! $user, "user {$admin['login']}", static function () use ( $admin ) {
			$password = $admin['password'] ?? throw new Usage(
				'The administrator is missing and the desired state lacks admin.password.'
			);
			return wp_insert_user(
				wp_slash(
					array(
						'user_login' => $admin['login'],
						'user_email' => $admin['email'],
						'user_pass' => $password,
						'role' => 'administrator',
					)
				)
			);
		} );
		$demoted = $user && ! in_array( 'administrator', $user->roles, true );
		$this->step( $demoted, "role of {$admin['login']}", static fn() => $user->set_role( 'administrator' ) );
	}

	/**
	 * Exactly these plugins are active.
	 *
	 * @param string[] $plugins Folder names.
	 */
	public function plugins( array $plugins ): void {
		$active = array_map(
			static fn( $file ) => str_contains( $file, '/' ) ? dirname( $file ) : basename( $file, '.php' ),
			(array) get_option( 'active_plugins' )
		);
		if ( array() === array_diff( $plugins, $active ) && array() === array_diff( $active, $plugins ) ) {
			return;
		}
		Registry::group( 'plugin' );
		$known = Plugin_Commands::known();
		foreach ( array_diff( $plugins, $active ) as $name ) {
			Input::one_of( 'plugin', $name, array_keys( $known ) );
			$this->step( true, "plugin $name", static fn() => Plugin_Commands::set( $known[ $name ]['file'], true ) );
		}
		foreach ( array_diff( $active, $plugins ) as $name ) {
			$this->step(
				true,
				"plugin $name",
				static fn() => update_option(
					'active_plugins',
					array_values(
						array_filter( get_option( 'active_plugins' ), static fn( $file ) => ! str_starts_with( $file, $name ) )
					)
				)
			);
		}
	}

	/**
	 * The active theme.
	 *
	 * @param string $theme Folder name.
	 */
	public function theme( string $theme ): void {
		if ( get_option( 'stylesheet' ) === $theme ) {
			return;
		}
		Input::one_of( 'theme', $theme, array_map( 'strval', array_keys( wp_get_themes() ) ) );
		$this->step( true, "theme $theme", static fn() => switch_theme( $theme ) );
	}

	/**
	 * The structure of addresses, with its rules.
	 *
	 * @param string $structure Structure.
	 */
	public function permalinks( string $structure ): void {
		Registry::group( 'rewrite' );
		$differs = get_option( 'permalink_structure' ) !== $structure;
		$this->step( $differs, 'permalink_structure', static fn() => Rewrite_Commands::set( $structure ) );
	}
}
