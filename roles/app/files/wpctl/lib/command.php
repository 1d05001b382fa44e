<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * One command: what it takes and what runs.
 */
final class Command {

	/** The site must be installed. */
	public const INSTALLED = 'installed';

	/** Works before installation; the command looks itself. */
	public const ANY = 'any';

	/**
	 * Makes a command.
	 *
	 * @param string   $help  One line: words and purpose.
	 * @param callable $run   Takes the Args, may return an exit code.
	 * @param string[] $flags Flags beside the common ones.
	 * @param int      $least Fewest words after the name.
	 * @param int      $most  Most words after the name.
	 * @param string   $state INSTALLED or ANY.
	 */
	public function __construct(
		public readonly string $help,
		public readonly mixed $run,
		public readonly array $flags = array(),
		public readonly int $least = 0,
		public readonly int $most = 0,
		public readonly string $state = self::INSTALLED
	) {
	}

	/**
	 * Refuses what the command does not take.
	 *
	 * @param string $name Command name.
	 * @param Args   $args Its words and flags.
	 * @throws Usage With the nearest valid flag.
	 */
	public function validate( string $name, Args $args ): void {
		$known = array_merge( $this->flags, Args::COMMON );
		foreach ( array_keys( $args->flags ) as $flag ) {
			if ( ! in_array( $flag, $known, true ) ) {
				throw new Usage( "Unknown flag --$flag for \"$name\"." . Usage::nearest( $flag, $known ) );
			}
		}
		$given = count( $args->words );
		if ( $given < $this->least || $given > $this->most ) {
			throw new Usage( "Usage: wpctl $name {$this->help}" );
		}
	}
}
