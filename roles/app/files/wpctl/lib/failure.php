<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * A command that could not do its work; its message is for the person at the terminal. Exit code 1.
 */
class Failure extends \RuntimeException {

	/**
	 * Makes a failure.
	 *
	 * @param string $message What went wrong and where.
	 * @param int    $code    Exit code.
	 */
	public function __construct( string $message, int $code = 1 ) {
		parent::__construct( $message, $code );
	}

	/**
	 * Throws when WordPress reports an error, else hands its result on.
	 *
	 * @param mixed $result Result of a WordPress function.
	 * @return mixed The result.
	 */
	public static function check( mixed $result ): mixed {
		if ( $result instanceof \WP_Error ) {
			throw new self( wp_strip_all_tags( implode( '; ', $result->get_error_messages() ) ) );
		}
		return $result;
	}
}

/**
 * A command line or an input that makes no sense. Exit code 64.
 */
class Usage extends Failure {

	/**
	 * Makes a usage error.
	 *
	 * @param string $message What is wrong, and the nearest valid form.
	 */
	public function __construct( string $message ) {
		parent::__construct( $message, 64 );
	}

	/**
	 * Names the candidate nearest to a word, as half a sentence.
	 *
	 * @param string   $word       What was given.
	 * @param string[] $candidates What is valid.
	 * @return string ` Did you mean "x"?` or nothing when no candidate is near.
	 */
	public static function nearest( string $word, array $candidates ): string {
		$best = '';
		$far  = max( 3, intdiv( strlen( $word ), 2 ) );
		foreach ( $candidates as $candidate ) {
			$distance = levenshtein( $word, $candidate );
			if ( $distance < $far ) {
				$best = $candidate;
				$far  = $distance;
			}
		}
		return '' === $best ? '' : " Did you mean \"$best\"?";
	}
}
