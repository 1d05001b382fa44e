<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * Finds commands; a group's file is loaded only when one of its commands is called.
 */
final class Registry {

	/** Groups, each in commands/<group>.php with a class of that name. */
	public const GROUPS = array(
		'core',
		'option',
		'user',
		'post',
		'comment',
		'term',
		'media',
		'cron',
		'role',
		'cap',
		'rewrite',
		'theme',
		'plugin',
		'db',
		'perennial',
	);

	/**
	 * Gives the commands of a group.
	 *
	 * @param string $group Group name.
	 * @return array<string, Command> By name within the group.
	 */
	public static function group( string $group ): array {
		require_once dirname( __DIR__ ) . "/commands/$group.php";
		return ( __NAMESPACE__ . '\\' . ucfirst( $group ) . '_Commands' )::all();
	}

	/**
	 * Finds the command that the first words name and takes them off.
	 *
	 * @param Args $args Command line; loses the words of the name.
	 * @return array{0: string, 1: Command} Name and command.
	 * @throws Usage When there is none, with the nearest one.
	 */
	public static function find( Args $args ): array {
		$group = (string) $args->word( 0 );
		if ( ! in_array( $group, self::GROUPS, true ) ) {
			$hint = '' === $group ? '' : "Unknown command \"$group\"." . Usage::nearest( $group, self::GROUPS ) . ' ';
			throw new Usage( $hint . 'Commands: ' . implode( ', ', self::GROUPS ) . '. Try: wpctl --help' );
		}
		$commands = self::group( $group );
		foreach ( array( 3, 2 ) as $length ) {
			$name = implode( ' ', array_slice( $args->words, 1, $length - 1 ) );
			if ( count( $args->words ) >= $length && isset( $commands[ $name ] ) ) {
				$args->words = array_slice( $args->words, $length );
				return array( "$group $name", $commands[ $name ] );
			}
		}
		$name = implode( ' ', array_slice( $args->words, 1, 2 ) );
		throw new Usage(
			"Unknown command \"" . trim( "$group $name" ) . '".' . Usage::nearest(
				$name,
				array_keys( $commands )
			) . " Commands: $group " . implode( ", $group ", array_keys( $commands ) ) . '.'
		);
	}

	/**
	 * Describes all commands, or those of one group.
	 *
	 * @param string $group Group or nothing.
	 */
	public static function help( string $group ): string {
		$text = "Usage: wpctl [--site=<id>] <command> [--format=table|json|csv|ids|count]"
			. " [--porcelain] [--dry-run]\n";
		foreach ( in_array( $group, self::GROUPS, true ) ? array( $group ) : self::GROUPS as $each ) {
			foreach ( self::group( $each ) as $name => $command ) {
				$text .= "  $each $name {$command->help}\n";
			}
		}
		return $text . "Passwords come on standard input: --prompt=user_pass. Examples:\n"
			. "  wpctl --site=community post list --post_status=pending --format=json\n"
			. "  wpctl --site=community user create ann ann@example.org --prompt=user_pass < password-file\n";
	}
}
