<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * Turns words of the command line into WordPress objects, or says which are wrong.
 */
final class Input {

	/**
	 * Finds a user by id, login name or address.
	 *
	 * @param string $word What was given.
	 * @throws Failure When there is none.
	 */
	public static function user( string $word ): \WP_User {
		foreach ( array( 'id', 'login', 'email' ) as $field ) {
			$user = 'id' === $field && ! ctype_digit( $word ) ? false : get_user_by( $field, $word );
			if ( $user ) {
				return $user;
			}
		}
		throw new Failure( "No user \"$word\"." );
	}

	/**
	 * Finds a post.
	 *
	 * @param int $id Post id.
	 * @throws Failure When there is none.
	 */
	public static function post( int $id ): \WP_Post {
		return get_post( $id ) ?? throw new Failure( "No post $id." );
	}

	/**
	 * Finds a comment.
	 *
	 * @param int $id Comment id.
	 * @throws Failure When there is none.
	 */
	public static function comment( int $id ): \WP_Comment {
		return get_comment( $id ) ?? throw new Failure( "No comment $id." );
	}

	/**
	 * Checks a word against a list.
	 *
	 * @param string   $what  What it is, for the message.
	 * @param string   $word  What was given.
	 * @param string[] $valid Valid words.
	 * @return string The word.
	 * @throws Usage With the nearest valid word.
	 */
	public static function one_of( string $what, string $word, array $valid ): string {
		if ( ! in_array( $word, $valid, true ) ) {
			throw new Usage(
				"Unknown $what \"$word\"." . Usage::nearest( $word, $valid ) . ' Valid: ' . implode( ', ', $valid ) . '.'
			);
		}
		return $word;
	}

	/**
	 * Checks the name of a role.
	 *
	 * @param string $word What was given.
	 * @throws Usage With the nearest role.
	 */
	public static function role( string $word ): string {
		return self::one_of( 'role', $word, array_keys( wp_roles()->roles ) );
	}

	/**
	 * Reads text: the file named, or standard input for `-`.
	 *
	 * @param string $path Path or `-`.
	 * @throws Failure When it cannot be read.
	 */
	public static function text( string $path ): string {
		if ( '-' !== $path && ! is_readable( $path ) ) {
			throw new Failure(
				"Cannot read \"$path\" as " . ( posix_getpwuid( posix_geteuid() )['name'] ?? 'this user' ) . '.'
			);
		}
		return (string) file_get_contents( '-' === $path ? 'php://stdin' : $path );
	}

	/**
	 * Decodes a value when --format=json says that it is JSON.
	 *
	 * @param Args   $args  Command line.
	 * @param string $value Text.
	 * @throws Usage When it is not JSON.
	 */
	public static function value( Args $args, string $value ): mixed {
		if ( 'json' !== $args->get( 'format' ) ) {
			return $value;
		}
		$decoded = json_decode( $value, true );
		if ( null === $decoded && 'null' !== trim( $value ) ) {
			throw new Usage( 'The value is not JSON: ' . json_last_error_msg() . '.' );
		}
		return $decoded;
	}
}
