<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * One run of wpctl: before and after WordPress is loaded.
 */
final class Runtime {

	/** Path of wp-load.php, or null when the command line was answered without it. */
	public ?string $wordpress = null;

	/** Whether the command has returned or failed with a message; any other end is a failure too. */
	private static bool $finished = false;

	/**
	 * Makes a run.
	 *
	 * @param string $name    Command name.
	 * @param ?Command $command The command.
	 * @param Args   $args    Its command line.
	 */
	private function __construct( private string $name, private ?Command $command, private Args $args ) {
	}

	/**
	 * Parses, validates, chooses the site and gets everything ready for wp-load.php.
	 *
	 * Ends the process with code 64 or 1 on an error.
	 *
	 * @param string[] $argv Words after the program's name.
	 */
	public static function prepare( array $argv ): self {
		ini_set( 'display_errors', 'stderr' );
		set_exception_handler( array( self::class, 'fail' ) );
		$args = Args::parse( $argv );
		if ( $args->on( 'help' ) || array( 'help' ) === array_slice( $args->words, 0, 1 ) ) {
			$words = array_values( array_diff( $args->words, array( 'help' ) ) );
			echo Registry::help( $words[0] ?? '' );
			return new self( 'help', null, $args );
		}
		list( $name, $command ) = Registry::find( $args );
		$command->validate( $name, $args );
		Site::drop_root();
		$site = Site::choose( $args->get( 'site' ) );
		$args->read_prompts( STDIN );
		$run            = new self( $name, $command, $args );
		$run->wordpress = $run->boot( $site );
		return $run;
	}

	/**
	 * Sets the environment of a web request and the constants that WordPress reads while loading.
	 *
	 * @param Site $site The site.
	 * @return string Path of wp-load.php.
	 */
	private function boot( Site $site ): string {
		$site->pose_as_request();
		define( 'WP_DISABLE_FATAL_ERROR_HANDLER', true );
		define( 'WPCTL', true );
		require __DIR__ . '/probe.php';
		if ( ! is_installed( $site ) ) {
			if ( Command::INSTALLED === $this->command->state ) {
				throw new Failure(
					"Site \"{$site->id}\" is not installed. Next: wpctl --site={$site->id} core install ..."
				);
			}
			define( 'WP_INSTALLING', true );
			// A new site starts empty and nobody is mailed: these replace WordPress' own functions.
			require __DIR__ . '/install-overrides.php';
		}
		// WordPress turns arrays like this into its hooks as soon as it has them.
		$GLOBALS['wp_filter'] = array(
			'wp_die_handler' => array(
				10 => array( array( 'function' => static fn() => array( self::class, 'die' ), 'accepted_args' => 0 ) ),
			),
		);
		register_shutdown_function( array( $this, 'at_exit' ) );
		return '/usr/share/wordpress/wp-load.php';
	}

	/**
	 * Runs the command.
	 *
	 * @return int Exit code.
	 */
	public function finish(): int {
		set_exception_handler( array( self::class, 'fail' ) );
		if ( null === $this->command ) {
			return 0;
		}
		// Text comes from the operator, not from a visitor; with --user it is filtered as for that user.
		kses_remove_filters();
		if ( null !== $this->args->get( 'user' ) ) {
			wp_set_current_user( Input::user( $this->args->get( 'user' ) )->ID );
			kses_init();
		}
		$code           = ( $this->command->run )( $this->args );
		self::$finished = true;
		return is_int( $code ) ? $code : 0;
	}

	/**
	 * Ends a run that WordPress ended by itself with a failure, not with success.
	 */
	public function at_exit(): void {
		if ( ! self::$finished ) {
			self::leave( "{$this->name} did not complete.", 1 );
		}
	}

	/**
	 * Prints an error and ends the process.
	 *
	 * @param \Throwable $error The error.
	 */
	public static function fail( \Throwable $error ): never {
		$known = $error instanceof Failure;
		$where = $known ? '' : ' (' . basename( $error->getFile() ) . ':' . $error->getLine() . ')';
		self::leave( $error->getMessage() . $where, $known ? (int) $error->getCode() : 1 );
	}

	/**
	 * Replaces wp_die(): text on standard error instead of an HTML page.
	 *
	 * @param mixed $message Text, markup or WP_Error.
	 */
	public static function die( mixed $message ): never {
		$text = $message instanceof \WP_Error ? $message->get_error_message() : (string) $message;
		self::leave( trim( preg_replace( '/\s+/', ' ', html_entity_decode( strip_tags( $text ) ) ) ), 1 );
	}

	/**
	 * Prints an error and leaves, with what was changed before it banned from the caches.
	 *
	 * @param string $text Message.
	 * @param int    $code Exit code.
	 */
	private static function leave( string $text, int $code ): never {
		self::$finished = true;
		fwrite( STDERR, "Error: $text\n" );
		if ( class_exists( '\Perennial\Bans', false ) ) {
			\Perennial\Bans::flush();
		}
		exit( $code );
	}
}
