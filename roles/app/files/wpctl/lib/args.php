<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * A parsed command line: words, and flags as `--name=value`, `--name` or `--no-name`.
 */
final class Args {

	/** Flags every command takes. */
	public const COMMON = array(
		'site',
		'user',
		'format',
		'fields',
		'field',
		'porcelain',
		'dry-run',
		'prompt',
		'quiet',
		'help',
	);

	/** Flags that never stand on the command line: process lists show it to everybody. */
	public const SECRETS = array( 'user_pass', 'admin_password' );

	/**
	 * Makes a command line.
	 *
	 * @param string[]                   $words Words without dashes, in order.
	 * @param array<string, string|bool> $flags Flags.
	 */
	public function __construct( public array $words, public array $flags ) {
	}

	/**
	 * Parses the words after the program's name.
	 *
	 * @param string[] $argv Words.
	 * @throws Usage When a secret stands on the command line or a flag has one dash.
	 */
	public static function parse( array $argv ): self {
		$words = array();
		$flags = array();
		foreach ( $argv as $index => $word ) {
			if ( '--' === $word ) {
				array_push( $words, ...array_slice( $argv, $index + 1 ) );
				break;
			}
			if ( preg_match( '/^--([a-z][a-z0-9_-]*)(?:=(.*))?$/si', $word, $part ) ) {
				$no                           = ! isset( $part[2] ) && str_starts_with( $part[1], 'no-' );
				$flags[ $no ? substr( $part[1], 3 ) : $part[1] ] = $part[2] ?? ! $no;
			} elseif ( preg_match( '/^-[a-z]/i', $word ) ) {
				throw new Usage( "Flags have two dashes: \"$word\"." );
			} else {
				$words[] = $word;
			}
		}
		foreach ( self::SECRETS as $secret ) {
			if ( isset( $flags[ $secret ] ) ) {
				throw new Usage( "--$secret would show in process lists. Give it on standard input: --prompt=$secret" );
			}
		}
		return new self( $words, $flags );
	}

	/**
	 * Gives a flag's value.
	 *
	 * @param string      $name     Flag.
	 * @param string|null $fallback Value when it was not given.
	 * @throws Usage When the flag stands there without a value.
	 */
	public function get( string $name, ?string $fallback = null ): ?string {
		$value = $this->flags[ $name ] ?? $fallback;
		if ( is_bool( $value ) ) {
			throw new Usage( "--$name needs a value: --$name=..." );
		}
		return $value;
	}

	/**
	 * Tells whether a switch is on.
	 *
	 * @param string $name Flag.
	 */
	public function on( string $name ): bool {
		return ! in_array( $this->flags[ $name ] ?? false, array( false, 'false', '0', 'no' ), true );
	}

	/**
	 * Gives a word, numbered after the command's name.
	 *
	 * @param int $index 0 for the first one.
	 */
	public function word( int $index ): ?string {
		return $this->words[ $index ] ?? null;
	}

	/**
	 * Gives words as ids.
	 *
	 * @return int[] Positive numbers.
	 * @throws Usage When one is not a positive number.
	 */
	public function ids(): array {
		foreach ( $this->words as $word ) {
			if ( ! preg_match( '/^[1-9]\d{0,18}$/', $word ) ) {
				throw new Usage( "\"$word\" is not an id." );
			}
		}
		return array_map( 'intval', $this->words );
	}

	/**
	 * Reads the flags named by --prompt from standard input, one line each.
	 *
	 * @param resource $stdin Stream.
	 * @throws Usage When a line is missing or empty.
	 */
	public function read_prompts( $stdin ): void {
		foreach ( isset( $this->flags['prompt'] ) ? explode( ',', $this->get( 'prompt' ) ) : array() as $name ) {
			$line = rtrim( (string) fgets( $stdin ), "\r\n" );
			if ( '' === $line ) {
				throw new Usage( "--prompt=$name: no line on standard input." );
			}
			$this->flags[ $name ] = $line;
		}
	}
}
